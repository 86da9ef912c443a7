//! Pending changes: source changes since the last sync, found without writing. They do not count as mismatches.
//!
//! A row of the star that differs from the source is pending if one of the source rows that it depends on may have
//! changed since the last sync: the change timestamp of the source row is newer than the watermark or NULL, and its
//! source table may have changed. The row is not pending if the run that last wrote it had read all of these changes.
//!
//! Deleted source rows leave no timestamp, and inserted ones may have an old one. Therefore all rows that only one side
//! has are pending if the source table may have changed and the row counts of both sides differ by more than the change
//! timestamps explain. They are not if another program inserted or deleted rows of the star table.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;

use crate::changes::Mode;
use crate::changes::affected::AffectedSearch;
use crate::changes::detect::{DetectionOptions, SourceChanges, SourceChangesByTable};
use crate::changes::lineage::Search;
use crate::compare::figures::Sides;
use crate::compare::rows::RowComparison;
use crate::declare::integer::Key;
use crate::declare::key_range::{KEYS_PER_PAGE, KEYS_PER_STATEMENT, KeyRange};
use crate::declare::period::Period;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::{Doing, Result};
use crate::pipeline::databases::Databases;
use crate::pipeline::flow::{TableOutcome, TableOutcomes};
use crate::pipeline::plan::PlannedRanges;
use crate::source::{EMPTY, NOT_EMPTY, Snapshot};
use crate::target::bookkeeping::quarantine;
use crate::target::bookkeeping::state::{SourceState, States};

/// The maximum number of rows per table that are checked one by one, because the last sync may have applied all changes
/// that they depend on. Further rows count as pending without this check.
const DOUBTFUL_ROWS: usize = 200;

/// The pending rows of each target table.
#[derive(Default)]
pub(crate) struct Pending(HashMap<&'static str, PendingRows>);

#[derive(Default)]
struct PendingRows {
    /// Page keys of rows that a change may have affected, ascending. Page keys of quarantined rows alone are left out,
    /// because those rows are explained already. Many candidates are equal on both sides, such as rows within the
    /// safety lag.
    candidates: Vec<i64>,
    /// Page keys of quarantined rows, ascending.
    quarantined: Vec<i64>,
    /// How many of the candidates differ.
    rows: u64,
}

impl PendingRows {
    /// The pending rows of a table whose candidates were compared with this outcome. `seen` are rows that differ
    /// although the last sync read every change of their source rows: they are mismatches, and are removed from the
    /// outcome.
    fn new(
        table: &Table,
        outcome: &mut TableOutcome,
        mut candidates: Vec<i64>,
        quarantined: Vec<i64>,
        seen: &HashSet<i64>,
    ) -> Self {
        outcome.changed.retain(|key| !seen.contains(key));
        outcome.lookup_changed.retain(|key| !seen.contains(key));
        // Where the page key is not the whole primary key, other rows may share it with the quarantined row.
        let is_explained = |key: &i64| table.has_unique_page_key() && quarantined.binary_search(key).is_ok();
        candidates.retain(|key| !is_explained(key) && !seen.contains(key));
        Self {
            rows: rows_that_differ(table, outcome, &quarantined),
            candidates,
            quarantined,
        }
    }
}

/// Rows that differ and whose changes the last sync may have read. Empty for a table whose rows do not record their
/// run.
fn doubtful(table: &Table, outcome: &TableOutcome, certain: &HashSet<i64>) -> Vec<i64> {
    if !table.notes_run {
        return Vec::new();
    }
    let doubtful = outcome.changed.iter().copied().filter(|key| !certain.contains(key));
    doubtful.take(DOUBTFUL_ROWS).collect()
}

/// Whether a source table may have changed since the last sync. If that is unknown, the answer is yes: the server may
/// have been restarted, or the last sync may have been in the second of the last change. MariaDB records when a
/// transaction began, not when it was committed: there, a time before the last sync is not conclusive, because a
/// transaction that was in flight then may have been committed since.
pub(crate) fn may_have_changed(snapshot: &Snapshot, source_table: &str, states: &States) -> bool {
    may_have_changed_at(
        states.get(source_table),
        snapshot.signature(source_table).as_deref(),
        snapshot.update_time(source_table),
        snapshot.update_time_is_commit_time(),
    )
}

/// Like [`may_have_changed`], from a table's state and its current signature and update time.
/// `update_time_is_commit_time`: whether the update time is the time of a commit.
fn may_have_changed_at(
    state: Option<&SourceState>,
    signature: Option<&str>,
    update_time: Option<DateTime<Utc>>,
    update_time_is_commit_time: bool,
) -> bool {
    let (Some(state), Some(update_time)) = (state, update_time) else {
        return true;
    };
    // The signature is from the start of an unfinished load, but the target is in the state of the last sync.
    if state.lifecycle.load_watermark().is_some() {
        return true;
    }
    // A signature that had settled at the last sync is conclusive either way.
    if let Some(settled) = &state.settled_signature {
        return !signature.is_some_and(|signature| is_same(settled, signature));
    }
    let last_synced = state.lifecycle.last_synced();
    !update_time_is_commit_time || last_synced.is_none_or(|last_synced| update_time >= last_synced)
}

/// Whether two signatures stand for the same rows. The row estimate may show late that a table is not empty; inserted
/// rows would have advanced the update time.
fn is_same(then: &str, now: &str) -> bool {
    then == now || then.replace(EMPTY, NOT_EMPTY) == now
}

impl Pending {
    /// Detects changed rows as an incremental run would, and compares them.
    pub(crate) async fn find(
        databases: &Databases<'_>,
        snapshot: &Snapshot,
        sides: &Sides<'_>,
        states: &States,
    ) -> Result<Self> {
        let source_changes = source_changes(databases.star, snapshot, states).await?;
        let recent = source_changes
            .iter()
            .map(|(table, changes)| (*table, changes.of_recent()));
        let recent: SourceChangesByTable = recent.collect();
        let mut outcomes = TableOutcomes::new();
        let mut rows = RowComparison::new(databases, snapshot.reader(), sides.target.clone(), 0);
        let mut pending = HashMap::new();
        for table in databases.star.tables() {
            let search = |source_changes| AffectedSearch {
                star: databases.star,
                source: snapshot.reader(),
                target: sides.target.clone(),
                source_changes,
                outcomes: &outcomes,
                removed: &rows.removed,
                // Rows that share the page key of an unchanged quarantined row are not pending because of it.
                retries_all: table.has_unique_page_key(),
            };
            let mut candidates = search(&source_changes).affected_keys(table).await?;
            // These are pending without further checks.
            let mut certain = search(&recent).affected_keys(table).await?;
            if may_have_changed(snapshot, table.source_table, states) {
                // Row count differences that the timestamps do not explain come from rows that were deleted, or
                // inserted with an old timestamp.
                let stamped = added(table, sides, candidates.iter().copied()).await?;
                let rows = sides.rows(table, 0, None).await?;
                // Unless another program inserted or deleted target rows.
                if rows.delta() + stamped != 0 && states.unexpected_rows(table.name, rows.target) == 0 {
                    let keys = keys_of_one_side(databases, snapshot, sides, table).await?;
                    candidates.extend(&keys);
                    certain.extend(keys);
                }
            }
            candidates.sort_unstable();
            candidates.dedup();
            let key_ranges = KeyRange::of_keys(candidates.iter().copied(), KEYS_PER_PAGE);
            let mut outcome = rows.compare(table, key_ranges, Period::All).await?;
            let mut quarantined = quarantine::page_keys(&sides.target, table).await?;
            quarantined.sort_unstable();
            certain.extend(&quarantined);
            let mut seen = HashSet::new();
            for key in doubtful(table, &outcome, &certain.into_iter().collect()) {
                let mut search = Search::new(databases, snapshot, &sides.target, states);
                if search.is_written_since(table, &(key, None)).await? {
                    seen.insert(key);
                }
            }
            let rows = PendingRows::new(table, &mut outcome, candidates, quarantined, &seen);
            pending.insert(table.name, rows);
            outcomes.insert(table.name, outcome);
        }
        Ok(Self(pending))
    }

    /// Whether a change may have affected a row.
    pub(crate) fn holds(&self, table: &Table, key: i64) -> bool {
        self.0
            .get(table.name)
            .is_some_and(|rows| rows.candidates.binary_search(&key).is_ok())
    }

    /// Whether a row is quarantined.
    pub(crate) fn is_quarantined(&self, table: &Table, key: i64) -> bool {
        self.0
            .get(table.name)
            .is_some_and(|rows| rows.quarantined.binary_search(&key).is_ok())
    }

    /// How many rows of the target table the next incremental run changes.
    pub(crate) fn rows(&self, table: &Table) -> u64 {
        self.0.get(table.name).map_or(0, |rows| rows.rows)
    }

    /// The rows that a change may have affected, except quarantined ones.
    pub(crate) fn key_ranges(&self, table: &Table) -> Vec<KeyRange> {
        let Some(rows) = self.0.get(table.name) else {
            return Vec::new();
        };
        let is_quarantined = |key: &&i64| rows.quarantined.binary_search(key).is_ok();
        let candidates = rows.candidates.iter().filter(|key| !is_quarantined(key));
        KeyRange::of_keys(candidates.copied(), KEYS_PER_STATEMENT)
    }

    /// How many rows the next run adds to a table; negative if it deletes more.
    pub(crate) async fn added_rows(&self, table: &Table, sides: &Sides<'_>) -> Result<i64> {
        let Some(rows) = self.0.get(table.name) else {
            return Ok(0);
        };
        let keys: BTreeSet<i64> = rows.candidates.iter().chain(&rows.quarantined).copied().collect();
        added(table, sides, keys.into_iter()).await
    }
}

/// The rows of each source table with a change timestamp newer than its watermark.
async fn source_changes(star: &'static Star, snapshot: &Snapshot, states: &States) -> Result<SourceChangesByTable> {
    let mut source_changes = SourceChangesByTable::new();
    for source_table in &star.sources {
        let options = DetectionOptions {
            is_loaded_row_by_row: star.has_all_of(source_table.name),
            counts_rows: false,
        };
        // `may_have_changed` decides whether the table is read, not its signature.
        let state = states.get(source_table.name).map(|state| SourceState {
            settled_signature: None,
            ..state.clone()
        });
        let changes = if may_have_changed(snapshot, source_table.name, states) {
            SourceChanges::read(snapshot, source_table, state.as_ref(), Mode::Incremental, options).await?
        } else {
            SourceChanges::default()
        };
        source_changes.insert(source_table.name, changes);
    }
    Ok(source_changes)
}

/// The number of target rows that the next run changes.
fn rows_that_differ(table: &Table, outcome: &TableOutcome, quarantined: &[i64]) -> u64 {
    let is_new = |key: &&i64| quarantined.binary_search(key).is_err();
    if table.has_page_key_as_natural_key() {
        outcome.changed.iter().filter(is_new).count() as u64
    } else {
        outcome.counts.inserted + outcome.counts.updated + outcome.counts.deleted
    }
}

/// How many more rows with these keys the source has than the target, without quarantined rows. `keys` must include the
/// keys of all quarantined rows.
async fn added(table: &Table, sides: &Sides<'_>, keys: impl Iterator<Item = i64>) -> Result<i64> {
    let mut rows = 0;
    for key_range in KeyRange::of_keys(keys, KEYS_PER_STATEMENT) {
        let part = sides.rows_of(table, &key_range, 0, 0).await?;
        rows += part.source - part.target;
    }
    let quarantined = sides.quarantined.get(table.name).copied().unwrap_or(0);
    Ok(rows - i64::try_from(quarantined).unwrap_or(i64::MAX))
}

/// The page keys with different row counts in source and target.
async fn keys_of_one_side(
    databases: &Databases<'_>,
    snapshot: &Snapshot,
    sides: &Sides<'_>,
    table: &Table,
) -> Result<Vec<i64>> {
    let mut keys = Vec::new();
    let planner = databases
        .planner(table, snapshot.reader(), sides.target.clone())
        .await?;
    let mut planned_ranges = PlannedRanges::new(table, planner, None);
    while let Some(key_range) = planned_ranges.next().await? {
        let mut more: BTreeMap<i64, i64> = BTreeMap::new();
        for key in target_keys(sides, table, &key_range).await? {
            *more.entry(key).or_default() += 1;
        }
        for key in source_keys(snapshot, table, &key_range).await? {
            *more.entry(key).or_default() -= 1;
        }
        keys.extend(more.into_iter().filter(|(_, more)| *more != 0).map(|(key, _)| key));
    }
    Ok(keys)
}

async fn source_keys(snapshot: &Snapshot, table: &Table, key_range: &KeyRange) -> Result<Vec<i64>> {
    let doing = || format!("reading the keys of {}, {key_range}", table.source_table);
    let select = table.source_rows_in(key_range).expr(table.source_page_key()).to_owned();
    let rows = snapshot.reader().all(&select).await.source(doing)?;
    rows.iter()
        .map(|row| row.try_get_by_index::<Key>(0).map(|key| key.0).source(doing))
        .collect()
}

async fn target_keys(sides: &Sides<'_>, table: &Table, key_range: &KeyRange) -> Result<Vec<i64>> {
    let doing = || format!("reading the keys of {}, {key_range}", table.name);
    let mut select = Query::select();
    table.add_target_tables(select.expr(table.target_page_key()));
    select.cond_where(key_range.contains(&table.target_page_key()));
    let rows = sides.target.all(&select).await.target(doing)?;
    rows.iter().map(|row| row.try_get_by_index(0).target(doing)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::bookkeeping::state::Lifecycle;
    use crate::test_star::{self, time};

    #[test]
    fn a_table_has_not_changed_only_if_that_is_certain() {
        let signature = |seconds: i64| format!("of {seconds}");
        let state = |settled: Option<i64>| SourceState {
            lifecycle: Lifecycle::Loaded { last_synced: time(100) },
            settled_signature: settled.map(signature),
            ..SourceState::default()
        };
        for (settled, update_time, update_time_is_commit_time, may_have_changed) in [
            (Some(50), Some(50), true, false),
            (Some(50), Some(50), false, false),
            (Some(50), Some(99), true, true),
            // Committed before the last sync, and nothing since.
            (None, Some(99), true, false),
            // In the same second, perhaps after it.
            (None, Some(100), true, true),
            (None, Some(101), true, true),
            // Begun before the last sync, and perhaps committed after it.
            (None, Some(99), false, true),
            (None, Some(100), false, true),
            // After a restart.
            (Some(50), None, true, true),
            (None, None, true, true),
        ] {
            let now = update_time.map(signature);
            let found = may_have_changed_at(
                Some(&state(settled)),
                now.as_deref(),
                update_time.map(time),
                update_time_is_commit_time,
            );
            assert_eq!(
                found, may_have_changed,
                "{settled:?} {update_time:?} {update_time_is_commit_time}"
            );
        }
        assert!(may_have_changed_at(None, Some("of 1"), Some(time(1)), true));
        let loading = SourceState {
            lifecycle: Lifecycle::Loading {
                load_watermark: time(90),
                last_synced: Some(time(10)),
            },
            ..state(Some(50))
        };
        assert!(may_have_changed_at(Some(&loading), Some("of 50"), Some(time(50)), true));
    }

    #[test]
    fn what_differs_is_pending_unless_it_is_quarantined_or_the_last_sync_has_seen_its_changes() {
        let table = test_star::star().table("fact_loan").unwrap();
        let mut outcome = TableOutcome {
            changed: vec![1, 2, 3, 4],
            lookup_changed: vec![2, 3],
            ..TableOutcome::default()
        };
        let pending = PendingRows::new(table, &mut outcome, vec![1, 2, 3, 4, 5], vec![4], &HashSet::from([3]));
        assert_eq!(pending.candidates, [1, 2, 5]);
        assert_eq!(pending.rows, 2);
        assert_eq!((outcome.changed, outcome.lookup_changed), (vec![1, 2, 4], vec![2]));
    }

    #[test]
    fn a_row_whose_change_is_certainly_newer_is_not_looked_at_by_itself() {
        let mut table = test_star::tables().remove(1);
        let outcome = TableOutcome {
            changed: (0..1_000).collect(),
            ..TableOutcome::default()
        };
        table.notes_run = true;
        let doubtful_rows = doubtful(&table, &outcome, &(0..10).collect());
        assert_eq!(doubtful_rows.first(), Some(&10));
        assert_eq!(doubtful_rows.len(), DOUBTFUL_ROWS);
        table.notes_run = false;
        assert_eq!(doubtful(&table, &outcome, &HashSet::new()), Vec::<i64>::new());
    }
}
