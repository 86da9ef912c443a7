//! Makes parts of a table equal to the source, within a pass: what its changes, its comparing and its proving come
//! down to.

use std::sync::Arc;

use tracing::info;

use crate::changes::catch_up::CatchUp;
use crate::declare::period::Period;
use crate::declare::scope::Scope;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::flow::{Outcomes, TableOutcome};
use crate::pipeline::lookups::LookupSource;
use crate::pipeline::read::{LookupPlan, Reader};
use crate::pipeline::write::{Commits, Writer};
use crate::pipeline::{self, Jobs, Pipeline};
use crate::target::{TargetReader, calendar};

/// A snapshot is one connection: while one reader waits for the source, the other reads the target.
const READERS_OF_A_SNAPSHOT: usize = 2;

impl CatchUp<'_> {
    /// Makes scopes equal to the source that nothing but their comparison may find to differ.
    pub(super) async fn compare_rows(&mut self, table: &'static Table, scopes: Vec<Scope>) -> Result<()> {
        let found = self.reconcile(table, scopes).await?;
        self.add_removed(table, &found);
        self.outcomes.entry(table.name).or_default().add(found.of_comparing());
        Ok(())
    }

    /// Makes the given scopes of a table equal to the source, within the run's transaction. A dimension's row that the
    /// source has and the star lacks is fetched first: else its facts would go and come back under other keys.
    pub(super) async fn reconcile(&mut self, table: &'static Table, scopes: Vec<Scope>) -> Result<TableOutcome> {
        let mut outcome = self.reconcile_once(table, scopes, true).await?;
        let late = std::mem::take(&mut outcome.late);
        let deferred = std::mem::take(&mut outcome.deferred);
        for (dimension, keys) in late {
            let Some(dimension) = self.context.look.star.table(dimension) else {
                continue;
            };
            info!(table = dimension.name, rows = keys.len(), "fetching late rows");
            let scopes = Scope::of_keys(keys, self.page_size());
            let found = self.reconcile_once(dimension, scopes, false).await?;
            self.outcomes
                .entry(dimension.name)
                .or_default()
                .add(found.of_comparing());
        }
        outcome.add(self.reconcile_once(table, deferred, false).await?);
        Ok(outcome)
    }

    async fn reconcile_once(
        &mut self,
        table: &'static Table,
        scopes: Vec<Scope>,
        looks_for_late: bool,
    ) -> Result<TableOutcome> {
        if scopes.is_empty() {
            return Ok(TableOutcome::default());
        }
        let lookups = LookupPlan::ByKey(LookupSource {
            looks_for_late,
            ..self.lookup_source()
        });
        let held = self.held(&[table.name]);
        let mut outcomes = self.pass(pipeline::jobs_of(table, scopes), held, lookups).await?;
        Ok(outcomes.remove(table.name).unwrap_or_default())
    }

    /// Lookups of what the snapshot and the transaction hold now, with an eye on late rows.
    pub(super) fn lookup_source(&self) -> LookupSource {
        LookupSource {
            removed: Arc::new(self.removed.clone()),
            snapshot: Some(Arc::clone(&self.snapshot_lookups)),
            looks_for_late: true,
            ..LookupSource::of(self.context.look.star, self.snapshot.reader(), self.target())
        }
    }

    /// What the target holds of these tables. As long as the pass has not written to them, that is what was committed:
    /// connections of their own read it beside the writer.
    pub(super) fn held(&self, tables: &[&'static str]) -> TargetReader {
        if tables.iter().any(|table| self.written.contains(table)) {
            self.target()
        } else {
            TargetReader::Committed(self.context.look.readers.clone())
        }
    }

    /// Makes the scopes of all jobs equal to the source, within the run's transaction.
    pub(super) async fn pass(&mut self, jobs: Jobs, held: TargetReader, lookups: LookupPlan) -> Result<Outcomes> {
        let look = &self.context.look;
        let years = calendar::known(&*self.transaction, look.star.calendar.as_ref()).await?;
        let commits = Commits::ByTheRun(Arc::clone(&self.transaction));
        let pipeline = Pipeline {
            workers: READERS_OF_A_SNAPSHOT,
            reader: Reader {
                source: self.snapshot.reader(),
                target: held,
                lookups,
                period: Period::All,
            },
            writer: Writer::new(look.star, commits, self.run_id, years),
            publishes: vec![],
            described: 0,
            progress: Arc::clone(&look.progress),
            stop: &look.stop,
        };
        let outcomes = pipeline.run(jobs).await?.tables;
        let written = outcomes.iter().filter(|(_, outcome)| !outcome.changed.is_empty());
        self.written.extend(written.map(|(table, _)| *table));
        Ok(outcomes)
    }
}
