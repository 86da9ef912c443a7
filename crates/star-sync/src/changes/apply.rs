//! Makes key ranges of tables equal to the source within a pass. Detected changes, verification and the row count check
//! all use it.

use std::collections::HashSet;
use std::sync::Arc;

use sea_orm::ConnectionTrait;
use tracing::info;

use crate::changes::affected::AffectedSearch;
use crate::changes::detect::SourceChangesByTable;
use crate::changes::pass::Pass;
use crate::declare::key_range::KeyRange;
use crate::declare::partition::Partition;
use crate::declare::period::Period;
use crate::declare::row::TargetRow;
use crate::declare::table::{Kind, Table};
use crate::error::{Doing, Result};
use crate::metrics::{self, catalogue};
use crate::pipeline::flow::{Removed, TableOutcome, TableOutcomes};
use crate::pipeline::lookup::LookupSource;
use crate::pipeline::lookup::cache::SnapshotLookups;
use crate::pipeline::page_digest::PageDigestPlans;
use crate::pipeline::read::{LookupPlan, Reader};
use crate::pipeline::write::{WriteMode, Writer};
use crate::pipeline::{self, Jobs, Pipeline};
use crate::target::bookkeeping::changed_partitions;
use crate::target::{TargetReader, calendar, statement};

/// A snapshot is one connection: while one reader waits for the source, the other reads the target.
const READERS_PER_SNAPSHOT: usize = 2;

/// Applies key ranges and collects the outcomes.
pub(crate) struct Applier<'a> {
    pub pass: &'a Pass<'a>,
    pub outcomes: TableOutcomes,
    /// Rows of dimensions that the source no longer has; deleted at the end of the pass.
    pub removed: Removed,
    /// Tables that the pass has written to.
    written: HashSet<&'static str>,
    /// The lookups read in the snapshot so far.
    snapshot_lookups: Arc<SnapshotLookups>,
}

impl<'a> Applier<'a> {
    /// Creates an applier. `removed` are the deleted dimension rows found before the pass.
    pub(crate) fn new(pass: &'a Pass<'a>, removed: Removed) -> Self {
        Self {
            pass,
            outcomes: TableOutcomes::new(),
            removed,
            written: HashSet::new(),
            snapshot_lookups: Arc::default(),
        }
    }

    /// Creates a search for the rows that the changes of the pass so far affect.
    pub(crate) fn affected_search<'b>(
        &'b self,
        source_changes: &'b SourceChangesByTable,
        outcomes: &'b TableOutcomes,
        retries_all: bool,
    ) -> AffectedSearch<'b> {
        AffectedSearch {
            star: self.pass.star(),
            source: self.pass.source(),
            target: self.pass.target(),
            source_changes,
            outcomes,
            removed: &self.removed,
            retries_all,
        }
    }

    /// Applies the changes that were detected in the source. The earlier list of deleted dimension rows is replaced,
    /// because `keys` includes those rows.
    pub(crate) async fn apply_affected(&mut self, table: &'static Table, keys: Vec<i64>) -> Result<()> {
        let mut outcome = self
            .apply(table, KeyRange::of_keys(keys, self.pass.page_size()))
            .await?;
        // A parent that seemed to be deleted but exists counts as new for rows that were read in between.
        let seemed_gone = self.removed.remove(table.name).into_iter().flatten();
        let is_gone: HashSet<i64> = outcome.deleted.iter().map(|row| row.page_key).collect();
        let back = seemed_gone.map(|row| row.page_key).filter(|key| !is_gone.contains(key));
        outcome.lookup_changed.extend(back);
        self.note_removed(table, &outcome);
        self.outcomes.entry(table.name).or_default().add(outcome);
        Ok(())
    }

    /// Applies key ranges whose differences only a row-by-row comparison can find.
    pub(crate) async fn apply_compared(&mut self, table: &'static Table, key_ranges: Vec<KeyRange>) -> Result<()> {
        let found = self.apply(table, key_ranges).await?;
        self.note_removed(table, &found);
        self.outcomes.entry(table.name).or_default().add(found.of_comparing());
        Ok(())
    }

    /// Makes key ranges of a table equal to the source. A late-arriving dimension row is fetched first: otherwise its
    /// facts would be quarantined and inserted again.
    pub(crate) async fn apply(&mut self, table: &'static Table, key_ranges: Vec<KeyRange>) -> Result<TableOutcome> {
        let mut outcome = self.apply_once(table, key_ranges, true).await?;
        let late = std::mem::take(&mut outcome.late);
        let deferred = std::mem::take(&mut outcome.deferred);
        for (dimension, keys) in late {
            let Some(dimension) = self.pass.star().table(dimension) else {
                continue;
            };
            info!(table = dimension.name, rows = keys.len(), "reading late-arriving rows");
            let key_ranges = KeyRange::of_keys(keys, self.pass.page_size());
            let found = self.apply_once(dimension, key_ranges, false).await?;
            self.outcomes
                .entry(dimension.name)
                .or_default()
                .add(found.of_comparing());
        }
        outcome.add(self.apply_once(table, deferred, false).await?);
        Ok(outcome)
    }

    async fn apply_once(
        &mut self,
        table: &'static Table,
        key_ranges: Vec<KeyRange>,
        finds_late_rows: bool,
    ) -> Result<TableOutcome> {
        if key_ranges.is_empty() {
            return Ok(TableOutcome::default());
        }
        let lookups = LookupPlan::ByKey(LookupSource {
            finds_late_rows,
            ..self.lookup_source()
        });
        let jobs = pipeline::jobs_of(table, key_ranges);
        let mut outcomes = self.run(jobs, &[table.name], lookups).await?;
        Ok(outcomes.remove(table.name).unwrap_or_default())
    }

    /// Lookups on the snapshot and the transaction that also report late-arriving rows.
    pub(crate) fn lookup_source(&self) -> LookupSource {
        LookupSource {
            removed: Arc::new(self.removed.clone()),
            snapshot: Some(Arc::clone(&self.snapshot_lookups)),
            finds_late_rows: true,
            ..LookupSource::new(self.pass.star(), self.pass.source(), self.pass.target())
        }
    }

    /// Makes the key ranges of all jobs equal to the source. `tables` are the tables of the jobs.
    pub(crate) async fn run(
        &mut self,
        jobs: Jobs,
        tables: &[&'static str],
        lookups: LookupPlan,
    ) -> Result<TableOutcomes> {
        let pass = self.pass;
        let databases = &pass.context.databases;
        // If the pass has not written to these tables yet, separate connections read the committed rows in parallel
        // with the writer.
        let target = if tables.iter().any(|table| self.written.contains(table)) {
            pass.target()
        } else {
            TargetReader::Committed(databases.readers.clone())
        };
        let years = calendar::years(&*pass.transaction, databases.star.calendar.as_ref()).await?;
        let mode = WriteMode::InRunTransaction(Arc::clone(&pass.transaction));
        let pipeline = Pipeline {
            workers: READERS_PER_SNAPSHOT,
            reader: Reader {
                source: pass.source(),
                target,
                lookups,
                period: Period::All,
                digest_plans: PageDigestPlans::new(),
            },
            writer: Writer::new(databases.star, mode, pass.run_id, years),
            fill_lookups_of: vec![],
            described: 0,
            progress: Arc::clone(&databases.progress),
            stop: &databases.stop,
        };
        let outcomes = pipeline.run(jobs).await?.tables;
        let written = outcomes.iter().filter(|(_, outcome)| !outcome.changed.is_empty());
        self.written.extend(written.map(|(table, _)| *table));
        Ok(outcomes)
    }

    /// Records the rows of a dimension that the source no longer has.
    pub(crate) fn note_removed(&mut self, table: &Table, outcome: &TableOutcome) {
        if table.kind == Kind::Dimension {
            let removed = self.removed.entry(table.name).or_default();
            removed.extend(outcome.deleted.iter().cloned());
        }
    }

    /// Deletes the dimension rows that the source no longer has. No fact or bridge refers to them any more.
    pub(crate) async fn delete_removed(&mut self) -> Result<()> {
        for table in self.pass.star().tables() {
            let removed = self.removed.get(table.name).into_iter().flatten();
            let keys: Vec<_> = removed
                .map(|row| TargetRow {
                    page_key: row.page_key,
                    natural_key: vec![row.natural_key.clone().into()],
                })
                .collect();
            for delete in statement::deletes(table, &keys) {
                let deleted = self.pass.transaction.execute(&delete).await;
                deleted.target(|| format!("deleting from {}", table.name))?;
            }
            if !keys.is_empty() {
                changed_partitions::note(&*self.pass.transaction, table.name, Partition::WHOLE, self.pass.run_id)
                    .await?;
            }
            let outcome = self.outcomes.entry(table.name).or_default();
            outcome.counts.deleted += keys.len() as u64;
            metrics::count_rows(catalogue::ROWS_DELETED_TOTAL, table.name, keys.len() as u64);
        }
        Ok(())
    }
}
