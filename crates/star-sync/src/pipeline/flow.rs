//! The values that pass through the pipeline: a job becomes a page, a page becomes a batch, batches become an outcome.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sea_orm::Value;
use serde::Serialize;
use tracing::info;

use crate::declare::day_totals::WITHOUT_DAY;
use crate::declare::key_range::KeyRange;
use crate::declare::lookup::{LookupKey, Lookups};
use crate::declare::partition::Partition;
use crate::declare::period::Period;
use crate::declare::rejection::RejectedRow;
use crate::declare::row::{Columns, TargetRow, key_part};
use crate::declare::source_rows::SourceRows;
use crate::declare::table::Table;
use crate::pipeline::page_digest::{PageDigest, PageDigestPlan};

/// One unit of work: a key range of a table.
#[derive(Clone)]
pub struct Job {
    pub table: &'static Table,
    pub key_range: KeyRange,
    /// The position among the key ranges of its table, if the writer has to record which of them are finished.
    pub sequence: Option<u64>,
}

impl Job {
    /// A key range whose completion need not be recorded.
    pub fn new(table: &'static Table, key_range: KeyRange) -> Self {
        Self {
            table,
            key_range,
            sequence: None,
        }
    }
}

/// Both sides of one key range, as read.
pub struct Page {
    pub job: Job,
    pub rows: SourceRows,
    /// The rows of the target, as encoded by `row_text::select`.
    pub(crate) target_rows: String,
    pub lookups: Lookups,
    /// Keys of dimension rows that the source has and the target lacks; they must be loaded before this page.
    pub late: Late,
    /// Whether the lookups were read for this page. If not, a parent that is missing in them may have been inserted
    /// since.
    pub(crate) are_lookups_current: bool,
    /// How to compute the digest and totals of the page; `None` if they are not needed.
    pub(crate) digest_plan: Option<Arc<PageDigestPlan>>,
}

/// The rows of one key range as the target should hold them.
#[derive(Default)]
pub(crate) struct MappedRows {
    /// The page key of each row that can be loaded.
    pub page_keys: Vec<i64>,
    /// The cells, row by row, each row as wide as the table's columns.
    pub cells: Vec<Value>,
    /// The rows that are to be quarantined.
    pub rejected: Vec<RejectedRow>,
}

impl MappedRows {
    pub(crate) fn with_capacity(rows: usize, width: usize) -> Self {
        Self {
            page_keys: Vec::with_capacity(rows),
            cells: Vec::with_capacity(rows * width),
            rejected: Vec::new(),
        }
    }

    /// Joins parts in order.
    pub(crate) fn join(parts: Vec<Self>) -> Self {
        let mut joined = Self {
            page_keys: Vec::with_capacity(parts.iter().map(|part| part.page_keys.len()).sum()),
            cells: Vec::with_capacity(parts.iter().map(|part| part.cells.len()).sum()),
            rejected: Vec::new(),
        };
        for mut part in parts {
            joined.page_keys.append(&mut part.page_keys);
            joined.cells.append(&mut part.cells);
            joined.rejected.append(&mut part.rejected);
        }
        joined
    }
}

/// The writes that make one key range of the target equal to the source.
pub struct Batch {
    pub job: Job,
    /// The cells of rows that the target lacks, row by row, each as wide as the table's columns; if possible in parts
    /// of as many rows as one statement takes.
    pub inserts: Vec<Vec<Value>>,
    pub updates: Vec<Updates>,
    pub deletes: Vec<TargetRow>,
    pub rejected: Vec<RejectedRow>,
    pub counts: BatchCounts,
    /// Page keys of rows that are inserted, updated or deleted. The writer adds the rows whose quarantine changes,
    /// because only the writer knows which rows were quarantined before.
    pub changed: Vec<i64>,
    /// Those of `changed` for which a lookup in the table now returns another value.
    pub lookup_changed: Vec<i64>,
    /// The earliest and the latest date in the changed rows, before and after the change.
    pub dates: Option<(i32, i32)>,
    /// The days on which the changed rows count in the totals of their table.
    pub days: BTreeSet<i32>,
    /// The partitions of the changed rows, before and after the change.
    pub partitions: BTreeSet<Partition>,
    /// Some of the rows that differ, if they are to be described.
    pub differences: Vec<Difference>,
    /// Keys of dimension rows that must be loaded first; if there are any, nothing of the batch is written.
    pub late: Late,
    /// The digest and totals of the source rows, if needed.
    pub page_digest: Option<PageDigest>,
}

/// Rows to update that differ in the same columns, so that indexes on other columns are not touched.
pub struct Updates {
    pub columns: Columns,
    /// The cells, row by row, each row as wide as the table's columns.
    pub cells: Vec<Value>,
}

/// A row that differs, described for users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The page key, which for a bridge is the part of the source's key by which pages are cut; the natural key if the
    /// page key does not identify one row.
    pub key: LookupKey,
    pub kind: DifferenceKind,
    /// The columns that differ; all columns if one side lacks the row.
    pub columns: Vec<ColumnDifference>,
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The target lacks the row.
    Missing,
    /// The source lacks the row, or its row cannot be loaded.
    Extra,
    Different,
}

/// One cell, as it should be by the source and as the target has it; `None` for NULL or if there is no row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnDifference {
    pub column: &'static str,
    pub source: Option<String>,
    pub target: Option<String>,
}

/// Numbers of rows of one or several batches, by what was done with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    pub read: u64,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub unchanged: u64,
    pub quarantined: u64,
}

impl BatchCounts {
    pub(crate) fn add(&mut self, other: Self) {
        self.read += other.read;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.unchanged += other.unchanged;
        self.quarantined += other.quarantined;
    }
}

/// The outcome of each table, by its name.
pub(crate) type TableOutcomes = BTreeMap<&'static str, TableOutcome>;

/// The rows of one table that were read and written, and what changed.
#[derive(Clone, Debug, Default)]
pub struct TableOutcome {
    pub counts: BatchCounts,
    /// The counts of rows that were read only to be verified.
    pub compared: BatchCounts,
    /// Page keys of rows that were inserted, updated or deleted, or whose quarantine began, ended or changed.
    pub changed: Vec<i64>,
    /// Those of `changed` for which a lookup in the table now returns another value.
    pub lookup_changed: Vec<i64>,
    /// Rows of the target that the source no longer has, or whose source row is now quarantined.
    pub deleted: Vec<RowKey>,
    /// Whether the quarantine of any row began, ended or changed.
    pub changes_quarantine: bool,
    /// The days on which the changed rows count in the totals of their table, before and after the change.
    pub days: BTreeSet<i32>,
    /// Some of the rows that differ, if they are to be described.
    pub differences: Vec<Difference>,
    /// Key ranges that were not written because rows of dimensions have to be loaded first.
    pub deferred: Vec<KeyRange>,
    pub late: Late,
    /// The digests and totals of the pages, if needed.
    pub pages: Vec<PageDigest>,
}

impl TableOutcome {
    pub(crate) fn add(&mut self, other: Self) {
        self.counts.add(other.counts);
        self.compared.add(other.compared);
        self.changed.extend(other.changed);
        self.lookup_changed.extend(other.lookup_changed);
        self.deleted.extend(other.deleted);
        self.changes_quarantine |= other.changes_quarantine;
        self.days.extend(other.days);
        self.differences.extend(other.differences);
        self.deferred.extend(other.deferred);
        self.late.extend(other.late);
        self.pages.extend(other.pages);
    }

    /// The days on which the changed rows count, before and after the change; all days if some of them have no day.
    pub(crate) fn touched_days(&self) -> Period {
        if self.days.contains(&WITHOUT_DAY) {
            return Period::All;
        }
        Period::of_days(self.days.iter().copied())
    }

    /// Logs one line, if anything was read.
    pub(crate) fn log(&self, table: &str) {
        let (seen, found) = (self.counts, self.compared);
        if seen.read + found.read == 0 {
            return;
        }
        info!(
            table,
            read = seen.read + found.read,
            inserted = seen.inserted + found.inserted,
            updated = seen.updated + found.updated,
            deleted = seen.deleted + found.deleted,
            quarantined = seen.quarantined + found.quarantined,
            "table finished"
        );
    }

    /// The same outcome, with its counts as those of rows that were read only to be verified.
    #[must_use]
    pub(crate) fn of_comparing(mut self) -> Self {
        self.compared.add(std::mem::take(&mut self.counts));
        self
    }
}

/// A row by its page key and its natural key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowKey {
    pub page_key: i64,
    /// The first column of the natural key; bridges and facts may have more.
    pub natural_key: LookupKey,
}

impl From<&TargetRow> for RowKey {
    fn from(row: &TargetRow) -> Self {
        let first = row.natural_key.first();
        Self {
            page_key: row.page_key,
            natural_key: first.map_or(LookupKey::Number(row.page_key), key_part),
        }
    }
}

/// Rows of dimensions that the source no longer has, or whose source row is now quarantined, and that are still to be
/// deleted, by dimension. They are deleted at the end of the run, when no row refers to them.
pub(crate) type Removed = HashMap<&'static str, HashSet<RowKey>>;

/// Late-arriving dimension rows: rows that the source has and the target lacks, by dimension.
pub type Late = Vec<(&'static str, Vec<i64>)>;
