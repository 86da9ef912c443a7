//! What the steps of a catch-up pass read and write through: one snapshot of the source, one transaction on the target.

use std::sync::Arc;

use sea_orm::DatabaseTransaction;

use crate::changes::{Context, Mode};
use crate::compare::figures::Sides;
use crate::declare::key_range::{KEYS_PER_PAGE, KeyRange};
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::plan::PlannedRanges;
use crate::source::Snapshot;
use crate::source::indexes::Indexes;
use crate::source::reader::SourceReader;
use crate::target::TargetReader;
use crate::target::bookkeeping::quarantine;
use crate::target::bookkeeping::verified_ranges::VerificationMark;

/// The least rows of a key range, however small pages are: each is recorded, and read by every later run.
pub(super) const LEAST_ROWS_PER_RANGE: u64 = 100;

/// The snapshot and the transaction of one pass.
pub(crate) struct Pass<'a> {
    pub context: &'a Context<'a>,
    pub snapshot: &'a Snapshot,
    /// Of the source.
    pub indexes: &'a Indexes,
    pub transaction: Arc<DatabaseTransaction>,
    pub run_id: i64,
    pub mode: Mode,
}

impl<'a> Pass<'a> {
    pub(super) fn star(&self) -> &'static Star {
        self.context.databases.star
    }

    /// The source as the snapshot has it.
    pub(super) fn source(&self) -> SourceReader {
        self.snapshot.reader()
    }

    /// The target as the transaction has written it so far.
    pub(super) fn target(&self) -> TargetReader {
        TargetReader::Within(Arc::clone(&self.transaction))
    }

    /// Both sides as they are now, to be compared.
    pub(super) async fn sides(&self) -> Result<Sides<'a>> {
        Ok(Sides {
            source: self.source(),
            indexes: self.indexes,
            target: self.target(),
            quarantined: quarantine::counts(&*self.transaction).await?,
        })
    }

    /// Keys that one page asks for.
    pub(super) fn page_size(&self) -> usize {
        usize::try_from(self.context.databases.batch_size)
            .unwrap_or(usize::MAX)
            .min(KEYS_PER_PAGE)
    }

    /// The key ranges that these keys of a table are to be cut into.
    pub(super) async fn planned_ranges(
        &self,
        table: &Table,
        after: Option<i64>,
        up_to: Option<i64>,
    ) -> Result<Vec<KeyRange>> {
        let databases = &self.context.databases;
        let mut planner = databases.planner(table, self.source(), self.target()).await?;
        planner.rows = self.rows_per_range();
        PlannedRanges::new(table, planner, after).until(up_to).await
    }

    /// Rows that a key range may hold when it is cut.
    pub(super) fn rows_per_range(&self) -> u64 {
        self.context.databases.batch_size.max(LEAST_ROWS_PER_RANGE)
    }

    /// The mark of a key range that this pass verifies.
    pub(super) fn verified(&self) -> VerificationMark {
        VerificationMark {
            run_id: self.run_id,
            at: self.snapshot.clock,
        }
    }
}
