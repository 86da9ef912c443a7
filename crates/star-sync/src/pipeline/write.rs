//! The writer: executes batches, in transactions of a few batches each. Only two other places change the star: the
//! correction of calendar days and orphaned bridge rows (`target`), and the deletion of removed rows at the end of a
//! pass (`changes::apply`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Value};

use crate::declare::date_key;
use crate::declare::integer::Key;
use crate::declare::key_range::KeyRange;
use crate::declare::partition::Partition;
use crate::declare::row::{Columns, integer, key_text};
use crate::declare::star::{Star, Years};
use crate::declare::table::{Kind, RowIdentity, Table, TargetPageKey, WHOLE_TABLE};
use crate::error::{Doing, Result};
use crate::pipeline::flow::{Batch, BatchCounts, RowKey, TableOutcomes, Updates};
use crate::target::bookkeeping::changed_partitions::ChangedPartitions;
use crate::target::bookkeeping::history::{self, RunCounts};
use crate::target::bookkeeping::{quarantine, target_table};
use crate::target::{self, calendar, statement};

/// The number of batches per transaction, if the writer commits.
const BATCHES_PER_COMMIT: usize = 8;

/// Whether batches are written, and what commits them.
#[derive(Clone)]
pub enum WriteMode {
    /// The writer commits every few batches; a load that is stopped resumes after the last committed key range.
    CommitEveryFewBatches(DatabaseConnection),
    /// The run commits: all of its writes are one transaction.
    InRunTransaction(Arc<DatabaseTransaction>),
    /// Nothing is written; the outcomes are only recorded.
    CompareOnly,
    /// Nothing is written or recorded; only the lookups that the tables fill are needed.
    LookupsOnly,
}

/// Executes batches; with `CompareOnly` it only records what they would change.
pub struct Writer {
    star: &'static Star,
    mode: WriteMode,
    run_id: i64,
    /// Whether to record which keys changed, for the tables that depend on them.
    collect_changes: bool,
    open: Option<Arc<DatabaseTransaction>>,
    batches_since_commit: usize,
    counts_since_commit: BatchCounts,
    /// INSERT statements by table, columns to overwrite and number of rows, because building one takes 0.2 µs per row.
    kept: HashMap<(&'static str, Columns, usize), String>,
    years: Years,
    finished: HashMap<&'static str, FinishedRanges>,
    changed_partitions: ChangedPartitions,
    outcomes: TableOutcomes,
}

/// The written key ranges of one table, up to the first gap.
#[derive(Default)]
struct FinishedRanges {
    next: u64,
    ahead: BTreeMap<u64, Option<i64>>,
    /// The end of the last key range without a gap before it, if it has advanced since the last commit.
    loaded_up_to: Option<i64>,
}

impl Writer {
    /// A writer for one run; `years` are the years that the calendar contains.
    pub fn new(star: &'static Star, mode: WriteMode, run_id: i64, years: Years) -> Self {
        Self {
            star,
            // Not in a full load, where nearly all keys change.
            collect_changes: !matches!(mode, WriteMode::CommitEveryFewBatches(_)),
            mode,
            run_id,
            open: None,
            batches_since_commit: 0,
            counts_since_commit: BatchCounts::default(),
            kept: HashMap::new(),
            years,
            finished: HashMap::new(),
            changed_partitions: ChangedPartitions::default(),
            outcomes: BTreeMap::new(),
        }
    }

    /// Writes one batch. Returns its counts, except of dimension rows to be deleted at the end of the run. If the batch
    /// is not written, returns only the count of unchanged rows (`CompareOnly`), or zeros (`LookupsOnly`, and a batch
    /// that must wait for late-arriving rows).
    pub async fn write(&mut self, mut batch: Batch) -> Result<BatchCounts> {
        if matches!(self.mode, WriteMode::LookupsOnly) {
            return Ok(BatchCounts::default());
        }
        if !batch.late.is_empty() {
            let outcome = self.outcomes.entry(batch.job.table.name).or_default();
            outcome.deferred.push(batch.job.key_range);
            outcome.late.extend(batch.late);
            return Ok(BatchCounts::default());
        }
        let Some(transaction) = self.transaction().await? else {
            // Without a transaction `sync_reject` is not read, so all quarantined rows are recorded as changed.
            let rejected = batch.rejected.iter().map(|row| row.page_key).collect();
            add_changed(&mut batch, rejected);
            let unchanged = BatchCounts {
                unchanged: batch.counts.unchanged,
                ..BatchCounts::default()
            };
            self.record(batch);
            return Ok(unchanged);
        };
        let table = batch.job.table;
        let doing = || format!("writing {}, {}", table.name, batch.job.key_range);
        if let Some((first, last)) = batch.dates {
            let calendar = self.star.calendar.as_ref();
            let years = (date_key::year(first), date_key::year(last));
            let days = calendar::extend(&*transaction, calendar, &mut self.years, years).await?;
            if let Some(calendar) = calendar.filter(|_| days > 0) {
                self.changed_partitions.add(calendar.table, [Partition::WHOLE]);
            }
        }
        self.changed_partitions
            .add(table.name, std::mem::take(&mut batch.partitions));
        let quarantined = quarantine::of_key_range(&*transaction, table, &batch.job.key_range).await?;
        let returning = quarantine::keys_of_returning(table, &quarantined, &batch.rejected);
        for mut cells in std::mem::take(&mut batch.inserts) {
            if !returning.is_empty() {
                let rows = take_returning(table, &mut cells, &returning);
                self.insert_with_keys(&transaction, table, rows).await.target(doing)?;
            }
            let inserted = self.upsert(&transaction, table, Columns::ALL, cells).await;
            inserted.target(doing)?;
        }
        for Updates { columns, cells } in std::mem::take(&mut batch.updates) {
            let updated = self.upsert(&transaction, table, columns, cells).await;
            updated.target(doing)?;
        }
        // This has to precede the deletion of the rows.
        let leaving = quarantine::keys_of_leaving(&*transaction, table, &batch.deletes, &batch.rejected).await?;
        // Rows of dimensions are deleted at the end of the run, when no row refers to them.
        if table.kind != Kind::Dimension {
            for delete in statement::deletes(table, &batch.deletes) {
                transaction.execute(&delete).await.target(doing)?;
            }
        }
        let change = quarantine::Change {
            quarantined,
            found: &batch.rejected,
            leaving,
        };
        let changed = quarantine::replace(&*transaction, table, &change, self.run_id).await?;
        if !changed.is_empty() {
            self.outcomes.entry(table.name).or_default().changes_quarantine = true;
        }
        add_changed(&mut batch, changed);
        // The commit requires that no other reference exists.
        drop(transaction);

        let counts = self.record(batch);
        self.counts_since_commit.add(counts);
        self.batches_since_commit += 1;
        if self.batches_since_commit >= BATCHES_PER_COMMIT {
            self.commit().await?;
        }
        Ok(counts)
    }

    /// Inserts rows, or overwrites these columns of rows with the same natural key.
    async fn upsert(
        &mut self,
        transaction: &DatabaseTransaction,
        table: &'static Table,
        columns: Columns,
        cells: Vec<Value>,
    ) -> std::result::Result<(), DbErr> {
        let width = table.columns.len();
        for values in statement::portions(cells, width) {
            let rows = values.len() / width;
            let sql = self
                .kept
                .entry((table.name, columns, rows))
                .or_insert_with(|| statement::upsert(table, columns, rows, self.run_id));
            transaction.execute_raw(statement::bind(sql, values)).await?;
        }
        Ok(())
    }

    /// Inserts rows with the surrogate keys that they had before; in `cells` the key of each row comes first.
    async fn insert_with_keys(
        &self,
        transaction: &DatabaseTransaction,
        table: &Table,
        cells: Vec<Value>,
    ) -> std::result::Result<(), DbErr> {
        let Some(surrogate_key) = table.surrogate_key else {
            return Ok(());
        };
        let width = table.columns.len() + 1;
        for values in statement::portions(cells, width) {
            let sql = statement::insert_with_keys(table, surrogate_key, values.len() / width, self.run_id);
            transaction.execute_raw(statement::bind(&sql, values)).await?;
        }
        Ok(())
    }

    /// Commits the open transaction, if the writer has to commit it, and returns the outcomes.
    pub async fn finish(mut self) -> Result<TableOutcomes> {
        if let WriteMode::InRunTransaction(transaction) = &self.mode {
            self.changed_partitions.note(&**transaction, self.run_id).await?;
        }
        self.commit().await?;
        Ok(self.outcomes)
    }

    async fn transaction(&mut self) -> Result<Option<Arc<DatabaseTransaction>>> {
        match (&self.mode, &self.open) {
            (WriteMode::CompareOnly | WriteMode::LookupsOnly, _) => Ok(None),
            (WriteMode::InRunTransaction(transaction), _) | (_, Some(transaction)) => Ok(Some(Arc::clone(transaction))),
            (WriteMode::CommitEveryFewBatches(connection), None) => {
                let transaction = Arc::new(target::begin(connection).await?);
                self.open = Some(Arc::clone(&transaction));
                Ok(Some(transaction))
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        self.batches_since_commit = 0;
        let Some(transaction) = self.open.take() else {
            return Ok(());
        };
        for (table, finished) in &mut self.finished {
            if let Some(up_to) = finished.loaded_up_to.take() {
                target_table::note_loaded(&*transaction, table, up_to).await?;
            }
        }
        self.changed_partitions.note(&*transaction, self.run_id).await?;
        // `sync_run` then shows what an interrupted load has written.
        let counts = std::mem::take(&mut self.counts_since_commit);
        let counts = RunCounts {
            read: counts.read,
            inserted: counts.inserted,
            updated: counts.updated,
            deleted: counts.deleted,
            quarantined: counts.quarantined,
            ..RunCounts::default()
        };
        history::add_counts(&*transaction, self.run_id, counts).await?;
        target::commit(transaction).await
    }

    fn record(&mut self, batch: Batch) -> BatchCounts {
        let table = batch.job.table;
        let outcome = self.outcomes.entry(table.name).or_default();
        let mut counts = batch.counts;
        if table.kind == Kind::Dimension && !matches!(self.mode, WriteMode::CompareOnly) {
            // Deleted dimension rows are counted when they are deleted, at the end of the run.
            counts.deleted = 0;
        }
        outcome.counts.add(counts);
        outcome.pages.extend(batch.page_digest);
        if self.collect_changes || table.kind == Kind::Dimension {
            outcome.deleted.extend(batch.deletes.iter().map(RowKey::from));
        }
        if self.collect_changes {
            outcome.changed.extend(batch.changed);
            outcome.lookup_changed.extend(batch.lookup_changed);
            outcome.days.extend(batch.days);
            outcome.differences.extend(batch.differences);
        }
        if let (Some(sequence), KeyRange::Between { up_to, .. }) = (batch.job.sequence, &batch.job.key_range) {
            self.finished.entry(table.name).or_default().finish(sequence, *up_to);
        }
        counts
    }
}

/// Adds rows whose quarantine changes to the changed rows of the batch.
fn add_changed(batch: &mut Batch, page_keys: Vec<i64>) {
    if !batch.job.table.filled_lookups.is_empty() {
        batch.lookup_changed.extend(&page_keys);
    }
    batch.changed.extend(page_keys);
}

/// Removes from `cells` the rows that already have a surrogate key, and returns them with the key before their cells.
fn take_returning(table: &Table, cells: &mut Vec<Value>, surrogate_keys: &HashMap<RowIdentity, i64>) -> Vec<Value> {
    let page_key = match table.target_page_key {
        TargetPageKey::Own(page_key) => Some(table.position(page_key)),
        TargetPageKey::Whole | TargetPageKey::Through { .. } => None,
    };
    let natural_key = table.positions(&table.natural_key);
    let (mut returning, mut others) = (Vec::new(), Vec::with_capacity(cells.len()));
    for row in cells.chunks_exact(table.columns.len()) {
        let page_key = page_key.map_or(WHOLE_TABLE, |position| integer(&row[position]));
        let identity = table.identity(page_key, || {
            key_text(natural_key.iter().map(|position| &row[*position]))
        });
        if let Some(surrogate_key) = surrogate_keys.get(&identity) {
            returning.push(Value::BigInt(Some(*surrogate_key)));
            returning.extend_from_slice(row);
        } else {
            others.extend_from_slice(row);
        }
    }
    *cells = others;
    returning
}

impl FinishedRanges {
    fn finish(&mut self, sequence: u64, up_to: Option<i64>) {
        self.ahead.insert(sequence, up_to);
        while let Some(up_to) = self.ahead.remove(&self.next) {
            // A key range without an end is the last one.
            self.loaded_up_to = Some(up_to.unwrap_or(Key::LARGEST));
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_stops_before_the_first_range_that_is_missing() {
        let mut finished = FinishedRanges::default();
        finished.finish(1, Some(20));
        assert_eq!(finished.loaded_up_to, None);
        finished.finish(0, Some(10));
        assert_eq!(finished.loaded_up_to, Some(20));
        finished.finish(3, None);
        assert_eq!(finished.loaded_up_to, Some(20));
        finished.finish(2, Some(30));
        assert_eq!(finished.loaded_up_to, Some(Key::LARGEST));
    }
}
