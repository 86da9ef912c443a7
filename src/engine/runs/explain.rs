//! What one row of the star is made of, who wrote it and when, and whether it is right.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{Condition, QueryResult, TransactionTrait};
use serde::{Serialize, Serializer};

use crate::engine::declaration::integer::Integer;
use crate::engine::declaration::lookup::{KeysFrom, Lookup, Side};
use crate::engine::declaration::period::Period;
use crate::engine::declaration::rejection::ReasonCode;
use crate::engine::declaration::row::RUN_COLUMN;
use crate::engine::declaration::scope::Scope;
use crate::engine::declaration::source_table::{MARKER_COLUMN, SourceTable};
use crate::engine::declaration::table::{Kind, Table};
use crate::engine::pipeline::flow::{Difference, Job, Page};
use crate::engine::pipeline::lookups::LookupSource;
use crate::engine::pipeline::read::{LookupPlan, Reader};
use crate::engine::pipeline::transform::transform;
use crate::engine::runs::identity::{self, SourceColumns};
use crate::engine::runs::validate::wait_until_after;
use crate::engine::runs::validation_look::unaccounted;
use crate::engine::runs::verdict::VerdictCode;
use crate::engine::runs::{Look, figures, pending};
use crate::engine::source_db::Snapshot;
use crate::engine::target_db::history::{self, sync_run};
use crate::engine::target_db::state::{self, States};
use crate::engine::target_db::{TargetReader, reject, watermark};
use crate::error::{Doing, Error, Result};

/// Column names and what they hold; none for NULL.
#[derive(Clone, Debug)]
pub struct Cells(pub Vec<(String, Option<String>)>);

impl Cells {
    /// The run that last wrote a row of the target.
    fn run_id(&self) -> Option<i64> {
        self.get(RUN_COLUMN)?.parse().ok()
    }

    fn get(&self, column: &str) -> Option<&String> {
        let (_, cell) = self.0.iter().find(|(name, _)| name == column)?;
        cell.as_ref()
    }
}

impl Serialize for Cells {
    /// As an object, a field a column.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, cell)| (name, cell)))
    }
}

/// All there is to tell of one row.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub table: &'static str,
    pub key: i64,
    /// The row's own source row first.
    pub source: Vec<RowBehind>,
    /// The row in the star.
    pub star: Option<Cells>,
    /// The run that last wrote it, if it was noted.
    pub run: Option<sync_run::Model>,
    /// The marker of the row's source table after that run, and now.
    pub marker_then: Option<String>,
    pub marker: Option<String>,
    /// Why the source row cannot be loaded: the stable code, and the sentence.
    pub reason_code: Option<ReasonCode>,
    pub rejected: Option<String>,
    pub difference: Option<Difference>,
    pub verdict: RowVerdict,
}

/// A source row that the star's row is made of, or that decides whether it can be loaded.
#[derive(Debug, Serialize)]
pub struct RowBehind {
    pub table: &'static str,
    pub columns: Cells,
    /// Whether its table may have changed since the last sync, and its last_update is newer than the watermark or NULL: the
    /// next run looks at it.
    pub is_newer_than_marker: bool,
}

/// The verdict on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RowVerdict {
    pub code: VerdictCode,
}

/// Explains the row of `table` with the source's key `key`. A mismatch is told if a second look finds it, too: times of
/// change are whole seconds.
///
/// # Errors
/// `NotLoaded` before a full load has finished, `SourceChanged`; anything that either database answers.
pub async fn run(
    look: &Look<'_>,
    source_columns: &SourceColumns,
    table: &'static Table,
    key: i64,
) -> Result<Explanation> {
    let (first, clock) = explain(look, source_columns, table, key).await?;
    if !first.verdict.code.is_mismatch() {
        return Ok(first);
    }
    wait_until_after(look.source, clock).await?;
    let (second, _) = explain(look, source_columns, table, key).await?;
    Ok(second)
}

async fn explain(
    look: &Look<'_>,
    source_columns: &SourceColumns,
    table: &'static Table,
    key: i64,
) -> Result<(Explanation, DateTime<Utc>)> {
    let transaction = look.readers.begin().await.target(|| "beginning to read".to_owned())?;
    let states = state::load(&transaction).await?;
    if !state::is_loaded(&states) {
        return Err(Error::NotLoaded);
    }
    identity::check(look.source, source_columns, &transaction).await?;
    let target = TargetReader::Within(Arc::new(transaction));
    let mut snapshot = look.source.snapshot().await?;
    snapshot.refresh_update_times().await?;
    let mut search = Search {
        look,
        snapshot: &snapshot,
        target: &target,
        states: &states,
        seen: HashSet::new(),
        found: Vec::new(),
    };
    let page = search.behind(table, key).await?;
    let source = search.found;
    let has_source = !page.rows.is_empty();
    let mut batch = transform(page, None, 1)?;
    let rejection = batch.rejects.pop().map(|reject| reject.rejection);
    let difference = batch.differences.pop();
    let star = held(&target, table, key).await?;
    let run_id = star.as_ref().and_then(Cells::run_id);
    let (run, marker_then) = match run_id {
        Some(id) => (
            history::find(&look.readers, id).await?,
            watermark::after_run(&look.readers, id, table.source_table).await?,
        ),
        None => (None, None),
    };
    let may_have_changed = |table: &str| pending::may_have_changed(&snapshot, table, &states);
    let code = match (&difference, &rejection) {
        (None, None) if !has_source => VerdictCode::RowAbsent,
        (None, None) => VerdictCode::RowOk,
        (None, Some(_)) if reject::is_noted(&target, table.source_table, key).await? => VerdictCode::RowQuarantined,
        _ if source.iter().any(|row| row.is_newer_than_marker) && !was_written_since(&source, run.as_ref()) => {
            VerdictCode::RowPending
        }
        _ if !has_source
            && may_have_changed(table.source_table)
            && !has_rows_of_others(table, &target, &states).await? =>
        {
            VerdictCode::RowPending
        }
        _ if sources_of(look, table).any(may_have_changed) => VerdictCode::RowUntracked,
        _ => VerdictCode::RowMismatch,
    };
    let clock = snapshot.clock;
    snapshot.close().await?;
    let explanation = Explanation {
        table: table.name,
        key,
        source,
        star,
        run,
        marker_then,
        marker: states
            .get(table.source_table)
            .and_then(|state| state.last_updated.clone()),
        reason_code: rejection.as_ref().map(|rejection| rejection.code),
        rejected: rejection.map(|rejection| rejection.reason),
        difference,
        verdict: RowVerdict { code },
    };
    Ok((explanation, clock))
}

/// Whether the row of a target table was last written by a run that saw every change behind it, as far as that is known.
/// If it differs, it is for another reason.
pub(super) async fn is_written_since(
    look: &Look<'_>,
    snapshot: &Snapshot,
    target: &TargetReader,
    states: &States,
    row: (&'static Table, i64),
) -> Result<bool> {
    let (table, key) = row;
    let star = held(target, table, key).await?;
    let Some(run_id) = star.as_ref().and_then(Cells::run_id) else {
        return Ok(false);
    };
    let run = history::find(&look.readers, run_id).await?;
    let mut search = Search {
        look,
        snapshot,
        target,
        states,
        seen: HashSet::new(),
        found: Vec::new(),
    };
    search.behind(table, key).await?;
    Ok(was_written_since(&search.found, run.as_ref()))
}

/// Whether the run's snapshot is of a later second than all changes behind the row that lie beyond the watermarks. A
/// change in a transaction that was not committed then has a row of the target that is older than itself.
fn was_written_since(behind: &[RowBehind], run: Option<&sync_run::Model>) -> bool {
    let changes = behind.iter().filter(|row| row.is_newer_than_marker);
    let mut changed = changes.map(|row| row.columns.get(MARKER_COLUMN)).peekable();
    match run.and_then(|run| run.source_clock.as_ref()) {
        // All are YYYY-MM-DD HH:MM:SS in UTC.
        Some(clock) => {
            changed.peek().is_some() && changed.all(|changed| changed.is_some_and(|changed| changed < clock))
        }
        None => false,
    }
}

/// Whether the target holds rows that another program inserted: then one that the source lacks was perhaps never there.
async fn has_rows_of_others(table: &Table, target: &TargetReader, states: &States) -> Result<bool> {
    let rows = figures::rows_held(target, table, Condition::all()).await?;
    Ok(unaccounted(states, table, rows) > 0)
}

/// The source tables that a table is made from.
fn sources_of(look: &Look<'_>, table: &Table) -> impl Iterator<Item = &'static str> {
    let sources = look.star.sources.iter();
    sources
        .filter(|source| table.is_made_from(source.name))
        .map(|source| source.name)
}

/// The row of the star, every column of it.
async fn held(target: &TargetReader, table: &Table, key: i64) -> Result<Option<Cells>> {
    let doing = || format!("reading {} {key}", table.name);
    let select = Query::select()
        .column(Asterisk)
        .from(table.name)
        .and_where(table.target_page_key().eq(key))
        .to_owned();
    let rows = target.all(&select).await.target(doing)?;
    Ok(rows.first().map(|row| {
        let names = row.column_names().into_iter().enumerate();
        Cells(names.map(|(position, name)| (name, text(row, position))).collect())
    }))
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

/// The way from a row of the star to the source rows behind it.
struct Search<'a> {
    look: &'a Look<'a>,
    snapshot: &'a Snapshot,
    target: &'a TargetReader,
    states: &'a States,
    seen: HashSet<(&'static str, i64)>,
    found: Vec<RowBehind>,
}

impl Search<'_> {
    /// Finds the rows behind one row of `table`; returns both sides of it.
    async fn behind(&mut self, table: &'static Table, key: i64) -> Result<Page> {
        let only_this = |select: &mut SelectStatement| select.and_where(table.source_page_key().eq(key)).to_owned();
        let mut from = Query::select();
        self.add(table.source_table, only_this(from.from(table.source_table)), key)
            .await?;
        for joined in &table.joined {
            let mut select = (table.select)();
            self.add(joined, only_this(select.clear_selects()), key).await?;
        }
        let page = self.page(table, key).await?;
        let Some(row) = page.rows.iter().next() else {
            return Ok(page);
        };
        let mut keys: Vec<(&'static Lookup, i64)> = Vec::new();
        for need in &table.needs {
            let looked_up = match need.keys {
                KeysFrom::Column(column) => row.cell(column).map(|Integer(key)| key),
                KeysFrom::Values(earlier) => {
                    let of_earlier = keys.iter().find(|(lookup, _)| std::ptr::eq(*lookup, earlier));
                    of_earlier.and_then(|(_, key)| page.lookups.get(earlier, *key))
                }
            };
            if let Some(looked_up) = looked_up {
                keys.push((need.lookup, looked_up));
            }
        }
        for (lookup, key) in keys {
            match (lookup.side, self.look.star.table(lookup.table)) {
                // A fact's row is made of its own rows in turn.
                (Side::Target, Some(other)) if other.kind == Kind::Fact => {
                    Box::pin(self.behind(other, key)).await?;
                }
                (Side::Target, Some(other)) => self.add_by_key(other.source_table, other.page_key, key).await?,
                _ => self.add_by_key(lookup.table, lookup.key, key).await?,
            }
        }
        Ok(page)
    }

    async fn add_by_key(&mut self, source_table: &'static str, column: &'static str, key: i64) -> Result<()> {
        let select = Query::select()
            .from(source_table)
            .and_where(Expr::col((source_table, column)).eq(key))
            .to_owned();
        self.add(source_table, select, key).await
    }

    /// Adds the row that `select` finds, columns aside.
    async fn add(&mut self, source_table: &str, mut select: SelectStatement, key: i64) -> Result<()> {
        let Some(source) = self.look.star.source(source_table) else {
            return Ok(());
        };
        if !self.seen.insert((source.name, key)) {
            return Ok(());
        }
        for column in &source.columns {
            select.expr(Expr::col((source.name, Alias::new(column.name))).cast_as("CHAR"));
        }
        let doing = || format!("reading the row of {source_table} behind key {key}");
        if let Some(row) = self.snapshot.reader().one(&select).await.source(doing)? {
            let cells = source.columns.iter().enumerate().map(|(position, column)| {
                let cell = row.try_get_by_index(position).unwrap_or(None);
                (column.name.to_owned(), cell)
            });
            let columns = Cells(cells.collect());
            self.found.push(RowBehind {
                table: source.name,
                is_newer_than_marker: self.is_newer_than_marker(source, &columns),
                columns,
            });
        }
        Ok(())
    }

    fn is_newer_than_marker(&self, source: &SourceTable, columns: &Cells) -> bool {
        let marker = self
            .states
            .get(source.name)
            .and_then(|state| state.last_updated.as_ref());
        let is_newer = match (columns.get(MARKER_COLUMN), marker) {
            // Both are YYYY-MM-DD HH:MM:SS in UTC.
            (Some(changed), Some(marker)) => changed > marker,
            _ => true,
        };
        is_newer && pending::may_have_changed(self.snapshot, source.name, self.states)
    }

    async fn page(&self, table: &'static Table, key: i64) -> Result<Page> {
        let reader = Reader {
            source: self.snapshot.reader(),
            target: self.target.clone(),
            lookups: LookupPlan::ByKey(LookupSource::of(
                self.look.star,
                self.snapshot.reader(),
                self.target.clone(),
            )),
            period: Period::All,
        };
        reader.read(Job::of(table, Scope::Keys(vec![key]))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(last_update: Option<&str>, is_newer_than_marker: bool) -> RowBehind {
        RowBehind {
            table: "rental",
            columns: Cells(vec![(MARKER_COLUMN.to_owned(), last_update.map(str::to_owned))]),
            is_newer_than_marker,
        }
    }

    #[test]
    fn a_row_was_written_since_if_its_run_is_later_than_every_change_that_may_be_unseen() {
        let run = |clock: Option<&str>| sync_run::Model {
            id: 7,
            command: "incremental".to_owned(),
            started: String::new(),
            finished: None,
            status: "done".to_owned(),
            rows_read: 0,
            rows_inserted: 0,
            rows_updated: 0,
            rows_deleted: 0,
            rows_rejected: 0,
            source_identity: String::new(),
            source_clock: clock.map(str::to_owned),
            runs: 1,
        };
        let noon = "2026-11-28 12:00:00";
        let written = |rows: &[RowBehind], clock| was_written_since(rows, Some(&run(clock)));
        let later = Some("2026-11-28 12:00:01");
        assert!(written(&[row(Some(noon), true)], later));
        // In the same second, perhaps behind the snapshot.
        assert!(!written(&[row(Some(noon), true)], Some(noon)));
        assert!(!written(
            &[row(Some(noon), true), row(Some("2026-11-28 12:00:02"), true)],
            later
        ));
        assert!(written(&[row(Some(noon), true), row(None, false)], later));
        assert!(!written(&[row(None, true)], later));
        assert!(!written(&[row(Some(noon), true)], None));
        assert!(!written(&[row(Some(noon), false)], later));
        assert!(!was_written_since(&[row(Some(noon), true)], None));
    }
}
