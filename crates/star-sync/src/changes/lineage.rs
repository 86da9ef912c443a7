//! Lineage: the source rows behind one target row, and whether the run that last wrote it had read their changes.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::QueryResult;
use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Query, SelectStatement};
use serde::{Serialize, Serializer};

use crate::changes::pending;
use crate::declare::key_range::KeyRange;
use crate::declare::lookup::{KeysFrom, Lookup, LookupKey, Lookups, Side};
use crate::declare::period::Period;
use crate::declare::row::RUN_COLUMN;
use crate::declare::source_rows::SourceRow;
use crate::declare::source_table::SourceTable;
use crate::declare::table::{RowIdentity, Table, key_of_row};
use crate::error::{Doing, Result};
use crate::pipeline::databases::Databases;
use crate::pipeline::flow::{Job, Page};
use crate::pipeline::lookup::LookupSource;
use crate::pipeline::page_digest::PageDigestPlans;
use crate::pipeline::read::{LookupPlan, Reader};
use crate::pipeline::transform::{TransformOutput, transform};
use crate::source::{Snapshot, update_time_of};
use crate::target::TargetReader;
use crate::target::bookkeeping::history::{self, Run};
use crate::target::bookkeeping::state::States;
use crate::target::bookkeeping::time;

/// Column names and values; `None` is NULL.
#[derive(Clone, Debug)]
pub struct Cells(pub Vec<(String, Option<String>)>);

impl Cells {
    /// The run that last wrote a row of the target.
    pub(crate) fn run_id(&self) -> Option<i64> {
        self.get(RUN_COLUMN)?.parse().ok()
    }

    fn get(&self, column: &str) -> Option<&String> {
        let (_, cell) = self.0.iter().find(|(name, _)| name == column)?;
        cell.as_ref()
    }
}

impl Serialize for Cells {
    /// Serializes an object with one field per column.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, cell)| (name, cell)))
    }
}

/// A source row that a target row is made of, or that decides whether it can be loaded.
#[derive(Debug, Serialize)]
pub struct LineageRow {
    pub table: &'static str,
    /// When it last changed, if known.
    #[serde(skip)]
    pub changed: Option<DateTime<Utc>>,
    pub columns: Cells,
    /// Whether its table may have changed since the last sync, and its change timestamp is newer than the watermark or
    /// NULL: the next run reads it.
    pub is_pending: bool,
    /// Whether it changed after the last commit to its table known to the last sync: its transaction was in flight
    /// then.
    #[serde(skip)]
    pub was_in_flight: bool,
}

/// Whether there are pending changes of the source rows, the run's snapshot is of a later second than all of them, and
/// none of them was in flight at the last sync.
pub(crate) fn was_written_since(behind: &[LineageRow], run: Option<&Run>) -> bool {
    let changes = behind.iter().filter(|row| row.is_pending);
    let mut changes = changes.peekable();
    let is_seen = |row: &LineageRow, clock| !row.was_in_flight && row.changed.is_some_and(|changed| changed < clock);
    match run.and_then(|run| run.source_clock) {
        Some(clock) => changes.peek().is_some() && changes.all(|row| is_seen(row, clock)),
        None => false,
    }
}

/// Reads all columns of a target row.
pub(crate) async fn target_row(target: &TargetReader, table: &Table, row: &RowIdentity) -> Result<Option<Cells>> {
    let doing = || format!("reading a row of {}", table.name);
    let select = Query::select()
        .column(Asterisk)
        .from(table.name)
        .cond_where(table.is_target_row(row))
        .to_owned();
    let rows = target.all(&select).await.target(doing)?;
    Ok(rows.first().map(|row| {
        let names = row.column_names().into_iter().enumerate();
        Cells(names.map(|(position, name)| (name, text(row, position))).collect())
    }))
}

/// The source row of a page with this key.
pub(crate) fn source_row<'a>(page: &'a Page, (_, key): &RowIdentity) -> Result<Option<SourceRow<'a>>> {
    let Some(key) = key else {
        return Ok(page.rows.iter().next());
    };
    let table = page.job.table;
    for row in page.rows.iter() {
        if table
            .source_key_text(row)
            .source(|| format!("reading the key of a row of {}", table.source_table))?
            == *key
        {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// A cell as text, whatever its type.
fn text(row: &QueryResult, position: usize) -> Option<String> {
    let integer = || {
        row.try_get_by_index::<Option<i64>>(position)
            .map(|cell| cell.map(|cell| cell.to_string()))
    };
    let real = || {
        row.try_get_by_index::<Option<f64>>(position)
            .map(|cell| cell.map(|cell| cell.to_string()))
    };
    let text = || row.try_get_by_index::<Option<String>>(position);
    integer().or_else(|_| real()).or_else(|_| text()).ok().flatten()
}

/// Finds the source rows behind a target row.
pub(crate) struct Search<'a> {
    databases: &'a Databases<'a>,
    snapshot: &'a Snapshot,
    target: &'a TargetReader,
    states: &'a States,
    seen: HashSet<(&'static str, LookupKey)>,
    /// Lookup values that facts provide, according to the source; the target may have other values.
    corrected: Lookups,
    pub found: Vec<LineageRow>,
}

impl<'a> Search<'a> {
    /// Creates a search without results.
    pub(crate) fn new(
        databases: &'a Databases<'a>,
        snapshot: &'a Snapshot,
        target: &'a TargetReader,
        states: &'a States,
    ) -> Self {
        Self {
            databases,
            snapshot,
            target,
            states,
            seen: HashSet::new(),
            corrected: Lookups::default(),
            found: Vec::new(),
        }
    }

    /// Whether a target row was last written by a run that had read every known change of its source rows. If the row
    /// differs nevertheless, a pending change is not the cause.
    pub(crate) async fn is_written_since(&mut self, table: &'static Table, row: &RowIdentity) -> Result<bool> {
        let star = target_row(self.target, table, row).await?;
        let Some(run_id) = star.as_ref().and_then(Cells::run_id) else {
            return Ok(false);
        };
        let run = history::find(&self.databases.readers, run_id).await?;
        self.behind(table, row).await?;
        Ok(was_written_since(&self.found, run.as_ref()))
    }

    /// Finds the source rows behind one row of `table`; returns both sides of its page.
    pub(crate) async fn behind(&mut self, table: &'static Table, row: &RowIdentity) -> Result<Page> {
        let key = key_of_row(row);
        let only_this = |select: &mut SelectStatement| select.cond_where(table.is_source_row(row)).to_owned();
        let mut from = Query::select();
        self.add(
            table.source_table,
            only_this(from.from(table.source_table)),
            key.clone(),
        )
        .await?;
        for joined in &table.joined {
            let mut select = (table.select)();
            self.add(joined, only_this(select.clear_selects()), key.clone()).await?;
        }
        let page = self.page(table, row.0).await?;
        let page_key = row.0;
        let Some(row) = source_row(&page, row)? else {
            return Ok(page);
        };
        let mut keys: Vec<(&'static Lookup, LookupKey)> = Vec::new();
        for used in &table.lookups {
            match used.keys {
                KeysFrom::Column(column) => keys.extend(row.cell(column).map(|key| (used.lookup, key))),
                KeysFrom::Values(earlier) => {
                    let of_earlier = keys.iter().filter(|(lookup, _)| *lookup == earlier);
                    let found = of_earlier.filter_map(|(_, key)| page.lookups.get(earlier, key));
                    let found: Vec<i64> = found.collect();
                    keys.extend(found.into_iter().map(|key| (used.lookup, LookupKey::Number(key))));
                }
            }
        }
        let mut is_corrected = false;
        for (lookup, key) in keys {
            // The lookup is filled by a fact, whose row has source rows of its own.
            if let Some(fact) = self.databases.star.fact_behind(lookup) {
                if let LookupKey::Number(key) = key {
                    let behind = Box::pin(self.behind(fact, &(key, None))).await?;
                    self.correct(fact, behind)?;
                    is_corrected = true;
                }
                continue;
            }
            match (lookup.side, self.databases.star.table(lookup.table)) {
                (Side::Target, Some(other)) => {
                    if let Some(column) = other.source_key.first() {
                        self.add_by_key(other.source_table, column.name, key).await?;
                    }
                }
                _ => self.add_by_key(lookup.table, lookup.key, key).await?,
            }
        }
        if is_corrected {
            return self.page(table, page_key).await;
        }
        Ok(page)
    }

    /// Records the lookup values that the source rows of a page provide.
    fn correct(&mut self, table: &'static Table, page: Page) -> Result<()> {
        let maps = table.filled_lookups.iter().map(|filled| {
            let known = self.corrected.map(filled.lookup);
            (filled.lookup, known.cloned().unwrap_or_default())
        });
        let mut output = TransformOutput {
            mapping_lookups: maps.collect(),
            ..TransformOutput::default()
        };
        transform(page, &mut output, 0)?;
        for (lookup, map) in output.mapping_lookups {
            self.corrected.set(lookup, map);
        }
        Ok(())
    }

    async fn add_by_key(&mut self, source_table: &'static str, column: &'static str, key: LookupKey) -> Result<()> {
        let select = Query::select()
            .from(source_table)
            .and_where(Expr::col((source_table, column)).eq(key.clone()))
            .to_owned();
        self.add(source_table, select, key).await
    }

    /// Adds the row that `select` finds. `select` has no columns yet.
    async fn add(&mut self, source_table: &str, mut select: SelectStatement, key: LookupKey) -> Result<()> {
        let Some(source) = self.databases.star.source(source_table) else {
            return Ok(());
        };
        if !self.seen.insert((source.name, key.clone())) {
            return Ok(());
        }
        for column in &source.columns {
            select.expr(Expr::col((source.name, Alias::new(column.name))).cast_as("CHAR"));
        }
        let doing = || format!("reading the row of {source_table} with key {key}");
        if let Some(row) = self.snapshot.reader().one(&select).await.source(doing)? {
            let cells = source.columns.iter().enumerate().map(|(position, column)| {
                let cell = row.try_get_by_index(position).unwrap_or(None);
                (column.name.to_owned(), cell)
            });
            let columns = Cells(cells.collect());
            let changed = source.change_timestamp.and_then(|column| columns.get(column));
            // A zero date is older than any watermark.
            let changed = changed.map(|changed| time::parse(changed).unwrap_or(DateTime::<Utc>::MIN_UTC));
            self.found.push(LineageRow {
                table: source.name,
                is_pending: self.is_pending(source, changed),
                was_in_flight: self.was_in_flight(source, changed),
                changed,
                columns,
            });
        }
        Ok(())
    }

    fn is_pending(&self, source: &SourceTable, changed: Option<DateTime<Utc>>) -> bool {
        let watermark = self.states.get(source.name).and_then(|state| state.watermark);
        let is_newer = changed
            .zip(watermark)
            .is_none_or(|(changed, watermark)| changed > watermark);
        is_newer && pending::may_have_changed(self.snapshot, source.name, self.states)
    }

    /// Whether a row changed after the last commit to its table that the last sync saw. A change timestamp is set
    /// before the commit, which advances the table's UPDATE_TIME, in whole seconds.
    fn was_in_flight(&self, source: &SourceTable, changed: Option<DateTime<Utc>>) -> bool {
        let signature = self
            .states
            .get(source.name)
            .and_then(|state| state.last_signature.as_deref());
        let last_commit = signature.and_then(update_time_of);
        let whole_seconds = changed.map(|changed| changed.timestamp());
        whole_seconds
            .zip(last_commit)
            .is_some_and(|(changed, last_commit)| changed > last_commit.timestamp())
    }

    async fn page(&self, table: &'static Table, key: i64) -> Result<Page> {
        let reader = Reader {
            source: self.snapshot.reader(),
            target: self.target.clone(),
            lookups: LookupPlan::ByKey(LookupSource {
                corrected: self.corrected.clone(),
                ..LookupSource::new(self.databases.star, self.snapshot.reader(), self.target.clone())
            }),
            period: Period::All,
            digest_plans: PageDigestPlans::new(),
        };
        reader.read(Job::new(table, KeyRange::Keys(vec![key]))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::bookkeeping::history::Status;
    use crate::test_star::time;

    fn row(changed: Option<i64>, is_pending: bool) -> LineageRow {
        LineageRow {
            table: "loan",
            changed: changed.map(time),
            columns: Cells(Vec::new()),
            is_pending,
            was_in_flight: false,
        }
    }

    #[test]
    fn a_row_was_written_since_if_its_run_is_later_than_every_change_that_may_be_unseen() {
        let run = |clock: Option<i64>| Run {
            id: 7,
            command: "incremental".to_owned(),
            started: time(0),
            finished: None,
            status: Status::Done,
            rows_read: 0,
            rows_inserted: 0,
            rows_updated: 0,
            rows_deleted: 0,
            rows_quarantined: 0,
            source_identity: String::new(),
            source_clock: clock.map(time),
            rows_verified_by_digest: 0,
            bytes_received: None,
        };
        let written = |rows: &[LineageRow], clock| was_written_since(rows, Some(&run(clock)));
        let later = Some(101);
        assert!(written(&[row(Some(100), true)], later));
        // In the same second, perhaps after the snapshot.
        assert!(!written(&[row(Some(100), true)], Some(100)));
        assert!(!written(&[row(Some(100), true), row(Some(102), true)], later));
        assert!(written(&[row(Some(100), true), row(None, false)], later));
        assert!(!written(&[row(None, true)], later));
        assert!(!written(&[row(Some(100), true)], None));
        assert!(!written(&[row(Some(100), false)], later));
        assert!(!was_written_since(&[row(Some(100), true)], None));
        let in_flight = LineageRow {
            was_in_flight: true,
            ..row(Some(100), true)
        };
        assert!(!written(&[row(Some(100), true), in_flight], later));
    }
}
