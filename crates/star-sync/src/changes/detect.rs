//! Detects what changed in the source since the last sync: which tables were modified, and which of their rows have a
//! newer change timestamp.

use std::cmp::max;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sea_orm::DbErr;
use sea_orm::sea_query::SelectStatement;

use crate::changes::Mode;
use crate::changes::lookup_check::ChangedKeys;
use crate::changes::pass::Pass;
use crate::changes::survey::Survey;
use crate::declare::integer::Key;
use crate::declare::source_table::SourceTable;
use crate::error::{Doing, Result};
use crate::source::Snapshot;
use crate::target::bookkeeping::state::{Extent, SourceState, States};

/// The changes of each source table.
pub(crate) type SourceChangesByTable = HashMap<&'static str, SourceChanges>;

/// The changes of one source table since its watermark.
#[derive(Default)]
pub(crate) struct SourceChanges {
    /// Whether the table may have been modified. If not, it was not read.
    pub is_modified: bool,
    /// The rows with a change timestamp newer than the watermark, or without one. Ascending.
    pub keys: Vec<i64>,
    /// The keys among them that changed since the table was last synced, or have no change timestamp.
    pub recent: Vec<i64>,
    pub newest: Option<DateTime<Utc>>,
    /// The row count of the table, if it was counted.
    pub rows: Option<i64>,
    /// Set only for modified tables for which `DetectionOptions::is_loaded_row_by_row` is false.
    pub extent: Option<Extent>,
    /// Whether rows other than those of `keys` may have changed: the row count shows deleted rows, or rows inserted
    /// without a newer change timestamp; or unknown rows of a lookup changed. If so, everything made from the table is
    /// compared.
    pub is_unexplained: bool,
}

/// How to detect the changes of a table.
#[derive(Clone, Copy)]
pub(crate) struct DetectionOptions {
    /// Whether each row of the table becomes one row of every target table made from it, and it is not joined or looked
    /// up by others (`Star::has_all_of`).
    pub is_loaded_row_by_row: bool,
    /// Whether to count the rows first. Without an index, this costs as much as searching for changes.
    pub counts_rows: bool,
}

/// The result of one scan of a table.
#[derive(Clone, Copy, Debug)]
struct Scan {
    rows: i64,
    /// The number of rows with a change timestamp; `newest` is the latest of these timestamps.
    stamped: i64,
    newest: Option<DateTime<Utc>>,
}

/// Detects the changes of all source tables, except those that were surveyed already.
pub(crate) async fn source_changes(
    pass: &Pass<'_>,
    states: &States,
    surveys: &mut HashMap<&'static str, Survey>,
) -> Result<SourceChangesByTable> {
    let mut source_changes = SourceChangesByTable::new();
    for table in pass.star().tables() {
        let survey = surveys.get_mut(table.name);
        source_changes.extend(survey.map(|survey| (table.source_table, std::mem::take(&mut survey.changes))));
    }
    for source_table in &pass.star().sources {
        if source_changes.contains_key(source_table.name) {
            continue;
        }
        let options = DetectionOptions {
            is_loaded_row_by_row: pass.star().has_all_of(source_table.name),
            counts_rows: !pass.indexes.begin_with_change_timestamp(source_table),
        };
        let state = states.get(source_table.name);
        let changes = SourceChanges::read(pass.snapshot, source_table, state, pass.mode, options).await?;
        source_changes.insert(source_table.name, changes);
    }
    Ok(source_changes)
}

impl SourceChanges {
    /// Reads which rows changed, unless it is certain that none did.
    pub(crate) async fn read(
        snapshot: &Snapshot,
        table: &SourceTable,
        state: Option<&SourceState>,
        mode: Mode,
        options: DetectionOptions,
    ) -> Result<Self> {
        let settled = state.and_then(|state| state.settled_signature.as_deref());
        if !is_modified(mode, settled, snapshot.signature(table.name).as_deref()) {
            return Ok(Self::default());
        }
        let since = changed_since(mode, state);
        let mut changes = Self {
            is_modified: true,
            ..Self::default()
        };
        // Without an index on the change timestamp both queries scan the table. The aggregate returns one row, and may
        // make the other query unnecessary.
        let scan = if options.counts_rows || !options.is_loaded_row_by_row {
            Some(Scan::read(snapshot, table).await?)
        } else {
            None
        };
        changes.rows = scan.map(|scan| scan.rows);
        if scan.is_none_or(|scan| scan.shows_changes_since(since)) {
            let last_synced = state.and_then(|state| state.lifecycle.last_synced());
            let select = table.changed_since(since);
            let read = changes.read_keys(snapshot, &select, last_synced).await;
            read.source(|| format!("reading what changed in {}", table.name))?;
        }
        if mode == Mode::FullLoad {
            changes.newest = match scan {
                Some(scan) => scan.newest,
                None => newest(snapshot, table).await?,
            };
        }
        changes.keys.sort_unstable();
        changes.keys.dedup();
        if let Some(scan) = scan.filter(|_| !options.is_loaded_row_by_row) {
            let extent = Extent {
                rows: scan.rows,
                highest_key: highest_key(snapshot, table).await?,
            };
            let before = state.and_then(|state| state.extent);
            changes.is_unexplained = mode != Mode::FullLoad && !explains(before, extent, &changes.keys);
            changes.extent = Some(extent);
        }
        Ok(changes)
    }

    /// Streams the rows and keeps only their keys, because a bulk change may touch every row.
    async fn read_keys(
        &mut self,
        snapshot: &Snapshot,
        select: &SelectStatement,
        last_synced: Option<DateTime<Utc>>,
    ) -> std::result::Result<(), DbErr> {
        let reader = snapshot.reader();
        let mut rows = reader.stream(select).await?;
        while let Some(row) = rows.try_next().await? {
            let (Key(key), changed): (Key, Option<DateTime<Utc>>) = row.try_get_many_by_index()?;
            self.keys.push(key);
            if changed.is_none() || changed >= last_synced {
                self.recent.push(key);
            }
            self.newest = max(self.newest, changed);
        }
        Ok(())
    }

    /// These changes, reduced to the recent ones.
    #[must_use]
    pub(crate) fn of_recent(&self) -> Self {
        Self {
            is_modified: self.is_modified,
            keys: self.recent.clone(),
            ..Self::default()
        }
    }

    /// Adds changes that were found by other means.
    pub(crate) fn add(&mut self, changed: ChangedKeys) {
        self.is_modified = true;
        match changed {
            ChangedKeys::Some(keys) => {
                self.keys.extend(keys);
                self.keys.sort_unstable();
                self.keys.dedup();
            }
            ChangedKeys::Unnamed => self.is_unexplained = true,
        }
    }

    /// The changes of a table whose rows were all read.
    pub(crate) fn surveyed(rows: i64, mut keys: Vec<i64>, newest: Option<DateTime<Utc>>) -> Self {
        keys.sort_unstable();
        Self {
            is_modified: true,
            keys,
            newest,
            rows: Some(rows),
            ..Self::default()
        }
    }
}

/// Whether a table may have been modified since the last sync. `settled` is its signature at that time, or `None` if
/// that was not conclusive.
fn is_modified(mode: Mode, settled: Option<&str>, signature: Option<&str>) -> bool {
    mode == Mode::FullLoad || signature.is_none() || signature != settled
}

/// A pass reads the rows with a change timestamp newer than this; all rows if `None`.
fn changed_since(mode: Mode, state: Option<&SourceState>) -> Option<DateTime<Utc>> {
    match mode {
        Mode::Incremental | Mode::Repair => state?.watermark,
        Mode::FullLoad => state?.lifecycle.load_watermark(),
    }
}

/// Whether the changed rows account for the row count. New rows are assumed to have keys above all earlier ones; a
/// lower key that was chosen by hand only causes too many rows to be compared.
fn explains(before: Option<Extent>, now: Extent, changed: &[i64]) -> bool {
    let Some(before) = before else {
        return false;
    };
    let is_new = |key: &&i64| before.highest_key.is_none_or(|highest| **key > highest);
    let new = changed.iter().filter(is_new).count();
    now.rows == before.rows + i64::try_from(new).unwrap_or(i64::MAX)
}

impl Scan {
    async fn read(snapshot: &Snapshot, table: &SourceTable) -> Result<Self> {
        let doing = || format!("scanning {}", table.name);
        let row = snapshot.reader().one(&table.scan()).await.source(doing)?;
        let (rows, stamped, newest) = match row {
            Some(row) => row.try_get_many_by_index().source(doing)?,
            None => (0, 0, None),
        };
        Ok(Self { rows, stamped, newest })
    }

    /// Whether any row has changed after `watermark`, or has no change timestamp.
    fn shows_changes_since(&self, watermark: Option<DateTime<Utc>>) -> bool {
        self.stamped < self.rows || self.newest > watermark
    }
}

async fn highest_key(snapshot: &Snapshot, table: &SourceTable) -> Result<Option<i64>> {
    let doing = || format!("reading the highest key of {}", table.name);
    let row = snapshot.reader().one(&table.highest_key()).await.source(doing)?;
    let key: Option<Key> = row.map_or(Ok(None), |row| row.try_get_by_index(0)).source(doing)?;
    Ok(key.map(|key| key.0))
}

async fn newest(snapshot: &Snapshot, table: &SourceTable) -> Result<Option<DateTime<Utc>>> {
    let doing = || format!("reading the newest change of {}", table.name);
    let row = snapshot.reader().one(&table.newest_change()).await.source(doing)?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0)).source(doing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::bookkeeping::state::Lifecycle;
    use crate::test_star::time;

    #[test]
    fn only_the_settled_signature_tells_that_a_table_was_not_modified() {
        let incremental = |settled, signature| is_modified(Mode::Incremental, settled, signature);
        assert!(!incremental(Some("a"), Some("a")));
        assert!(incremental(Some("a"), Some("b")));
        assert!(incremental(None, Some("a")));
        // The server does not know when the table was modified, for example after a restart.
        assert!(incremental(Some("a"), None));
        assert!(incremental(None, None));
        assert!(is_modified(Mode::FullLoad, Some("a"), Some("a")));
    }

    #[test]
    fn changes_are_read_from_the_watermark_and_by_a_load_from_where_it_began() {
        let loading = SourceState {
            lifecycle: Lifecycle::Loading {
                load_watermark: time(50),
                last_synced: Some(time(40)),
            },
            watermark: Some(time(30)),
            ..SourceState::default()
        };
        assert_eq!(changed_since(Mode::FullLoad, Some(&loading)), Some(time(50)));
        assert_eq!(changed_since(Mode::Incremental, Some(&loading)), Some(time(30)));
        assert_eq!(changed_since(Mode::Repair, Some(&loading)), Some(time(30)));
        assert_eq!(changed_since(Mode::Incremental, Some(&SourceState::default())), None);
        assert_eq!(changed_since(Mode::Incremental, None), None);
    }

    #[test]
    fn new_keys_among_the_changed_rows_explain_the_number_of_rows() {
        let extent = |rows, highest_key| Extent { rows, highest_key };
        let before = Some(extent(10, Some(100)));
        assert!(explains(before, extent(10, Some(100)), &[1, 2]));
        assert!(explains(before, extent(12, Some(102)), &[1, 101, 102]));
        // A row was deleted, and another may have been inserted.
        assert!(!explains(before, extent(9, Some(100)), &[]));
        assert!(!explains(before, extent(10, Some(101)), &[101]));
        // A row was inserted with an old key, or without a newer change timestamp.
        assert!(!explains(before, extent(11, Some(100)), &[50]));
        assert!(!explains(before, extent(11, Some(101)), &[]));
        assert!(explains(Some(extent(0, None)), extent(1, Some(5)), &[5]));
        assert!(!explains(None, extent(0, None), &[]));
    }

    #[test]
    fn a_scan_shows_changes_by_its_newest_timestamp_or_by_rows_without_one() {
        let scan = |rows, stamped, newest: Option<i64>| Scan {
            rows,
            stamped,
            newest: newest.map(time),
        };
        assert!(!scan(5, 5, Some(50)).shows_changes_since(Some(time(50))));
        assert!(scan(5, 5, Some(51)).shows_changes_since(Some(time(50))));
        assert!(scan(5, 4, Some(50)).shows_changes_since(Some(time(50))));
        assert!(scan(5, 5, Some(50)).shows_changes_since(None));
        assert!(!scan(0, 0, None).shows_changes_since(None));
    }
}
