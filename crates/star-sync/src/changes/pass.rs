//! The connections of a catch-up pass: one snapshot of the source, one transaction on the target.

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

/// The minimum rows of a key range, however small pages are: each range is stored, and read by every later run.
pub(super) const LEAST_ROWS_PER_RANGE: u64 = 100;

/// The snapshot and the transaction of one pass.
pub(crate) struct Pass<'a> {
    pub context: &'a Context<'a>,
    pub snapshot: &'a Snapshot,
    /// The indexes of the source.
    pub indexes: &'a Indexes,
    pub transaction: Arc<DatabaseTransaction>,
    pub run_id: i64,
    pub mode: Mode,
}

impl<'a> Pass<'a> {
    pub(super) fn star(&self) -> &'static Star {
        self.context.databases.star
    }

    /// Reads the source in the snapshot.
    pub(super) fn source(&self) -> SourceReader {
        self.snapshot.reader()
    }

    /// Reads the target within the transaction.
    pub(super) fn target(&self) -> TargetReader {
        TargetReader::Within(Arc::clone(&self.transaction))
    }

    /// Both sides in their current state, for a comparison.
    pub(super) async fn sides(&self) -> Result<Sides<'a>> {
        Ok(Sides {
            source: self.source(),
            indexes: self.indexes,
            target: self.target(),
            quarantined: quarantine::counts(&*self.transaction).await?,
        })
    }

    /// Keys per page.
    pub(super) fn page_size(&self) -> usize {
        usize::try_from(self.context.databases.batch_size)
            .unwrap_or(usize::MAX)
            .min(KEYS_PER_PAGE)
    }

    /// Splits the keys of a table from `after` to `up_to` into key ranges.
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

    /// Rows per key range when a table is split.
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
