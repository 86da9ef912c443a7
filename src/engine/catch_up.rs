//! Brings the star to one instant of the source: what changed since the markers, and what the row counts betray.
//!
//! An incremental run is this; a full load ends with it. Tables go in order, so that what changed in one reaches
//! those that depend on it within the same pass.

use std::cmp::{max, min};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use tracing::{info, warn};

use super::calendar;
use super::key::Key;
use super::pipeline::{self, Job};
use super::plan::Intervals;
use super::read::{LookupPlan, Reader};
use super::reject;
use super::run::{Context, OVERLAP_SECONDS};
use super::scope::Scope;
use super::source::Snapshot;
use super::source_table::{MARKER_COLUMN, SourceTable};
use super::state::{self, States};
use super::statement;
use super::table::{Kind, Table, When};
use super::target::TargetReader;
use super::verify::{self, Comparison, Period, Sides};
use super::write::{Commits, Outcomes, TableOutcome, Writer};
use crate::error::{Doing, Result};

/// UPDATE_TIME has whole seconds, and a commit may show a moment before it moves: one as young as this proves
/// nothing.
const UPDATE_TIME_MARGIN_SECONDS: i64 = 2;
/// Keys that one page asks for: more would make a statement too long for the server to plan well.
const KEYS_A_PAGE: usize = 2_000;
/// Keys that one question for dependent rows names.
const KEYS_A_STATEMENT: usize = 1_000;

/// One pass.
pub struct CatchUp<'a> {
    context: &'a Context<'a>,
    snapshot: &'a Snapshot,
    transaction: Arc<DatabaseTransaction>,
    run_id: i64,
    mode: Mode,
    states: States,
    deltas: HashMap<&'static str, Delta>,
    outcomes: Outcomes,
    /// Rows of dimensions that the source no longer has; deleted at the end of the pass.
    removed: HashMap<&'static str, HashSet<i64>>,
}

/// What the pass is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Begins at the markers; tables that have not moved are not read.
    Incremental,
    /// Begins where the full load began; everything is compared.
    ClosingFullLoad,
}

/// The rows of a source table that changed since its marker.
#[derive(Default)]
struct Delta {
    moved: bool,
    keys: Vec<i64>,
    newest: Option<DateTime<Utc>>,
}

impl<'a> CatchUp<'a> {
    pub async fn new(
        context: &'a Context<'a>,
        snapshot: &'a Snapshot,
        transaction: Arc<DatabaseTransaction>,
        run_id: i64,
        mode: Mode,
        removed: HashMap<&'static str, HashSet<i64>>,
    ) -> Result<Self> {
        let states = state::load(&*transaction).await?;
        Ok(Self {
            context,
            snapshot,
            transaction,
            run_id,
            mode,
            states,
            deltas: HashMap::new(),
            outcomes: Outcomes::new(),
            removed,
        })
    }

    /// Does all of it but the commit. Returns what was done and the comparison of both sides.
    pub async fn run(mut self) -> Result<(Outcomes, Vec<Comparison>)> {
        for source_table in &self.context.star.sources {
            let delta = self.read_delta(source_table).await?;
            self.deltas.insert(source_table.name, delta);
        }
        for table in self.context.star.tables() {
            self.catch_up_table(table).await?;
        }
        self.delete_removed().await?;
        let comparisons = self.compare().await?;
        self.snapshot.check().await?;
        self.save_states().await?;
        Ok((self.outcomes, comparisons))
    }

    /// Reads which rows changed, unless the table's UPDATE_TIME proves that none did.
    async fn read_delta(&self, table: &SourceTable) -> Result<Delta> {
        let state = self.states.get(table.name);
        let update_time = self.update_time(table.name);
        if self.mode == Mode::Incremental
            && update_time.is_some()
            && update_time.map(|time| state::time_text(time.and_utc()))
                == state.and_then(|state| state.update_time.clone())
        {
            return Ok(Delta::default());
        }
        let since = match self.mode {
            Mode::Incremental => state.and_then(|state| state.last_updated.as_deref()),
            Mode::ClosingFullLoad => state.and_then(|state| state.load_marker.as_deref()),
        };
        let doing = || format!("reading what changed in {}", table.name);
        let select = table.changed_since(since.and_then(state::parse_time));
        let mut delta = Delta {
            moved: true,
            ..Delta::default()
        };
        for row in self.snapshot.connection.query_all(&select).await.source(doing)? {
            let (Key(key), changed): (Key, Option<DateTime<Utc>>) = row.try_get_many_by_index().source(doing)?;
            delta.keys.push(key);
            delta.newest = max(delta.newest, changed);
        }
        if self.mode == Mode::ClosingFullLoad {
            delta.newest = self.newest(table).await?;
        }
        delta.keys.sort_unstable();
        delta.keys.dedup();
        Ok(delta)
    }

    async fn newest(&self, table: &SourceTable) -> Result<Option<DateTime<Utc>>> {
        let doing = || format!("reading the newest change of {}", table.name);
        let select = Query::select()
            .expr(Expr::col(MARKER_COLUMN).max())
            .from(table.name)
            .to_owned();
        let row = self.snapshot.connection.query_one(&select).await.source(doing)?;
        row.map_or(Ok(None), |row| row.try_get_by_index(0)).source(doing)
    }

    fn update_time(&self, table: &str) -> Option<NaiveDateTime> {
        self.snapshot.update_times.get(table).copied().flatten()
    }

    async fn catch_up_table(&mut self, table: &'static Table) -> Result<()> {
        let keys = self.stale_keys(table).await?;
        let mut outcome = self.reconcile(table, Scope::of_keys(keys, self.page_size())).await?;
        if table.kind == Kind::Dimension {
            self.removed
                .insert(table.name, outcome.deleted.iter().copied().collect());
        }
        if self.deltas[table.source_table].moved {
            let scopes = self.miscounted(table).await?;
            if !scopes.is_empty() {
                info!(
                    table = table.name,
                    ranges = scopes.len(),
                    "row counts differ: comparing row by row"
                );
                let found = self.reconcile(table, scopes).await?;
                if table.kind == Kind::Dimension {
                    let removed = self.removed.entry(table.name).or_default();
                    removed.extend(found.deleted.iter().copied());
                }
                outcome.add(found);
            }
        }
        self.outcomes.insert(table.name, outcome);
        Ok(())
    }

    /// The page keys of all rows that may no longer be right.
    async fn stale_keys(&self, table: &Table) -> Result<BTreeSet<i64>> {
        let mut keys: BTreeSet<i64> = self.deltas[table.source_table].keys.iter().copied().collect();
        for join in &table.joins {
            self.add_affected(&mut keys, join.affected, &self.deltas[join.on].keys)
                .await?;
        }
        for parent in &table.parents {
            if let Some(outcome) = self.outcomes.get(parent.on) {
                let changed = match parent.when {
                    When::Changed => &outcome.changed,
                    When::Deleted => &outcome.deleted,
                };
                self.add_affected(&mut keys, parent.affected, changed).await?;
            }
        }
        self.add_pointing_to_removed(&mut keys, table).await?;
        keys.extend(reject::page_keys(&*self.transaction, table.source_table).await?);
        // A full load that saw them missing looks again, in the snapshot.
        keys.extend(self.removed.get(table.name).into_iter().flatten());
        Ok(keys)
    }

    async fn add_affected(
        &self,
        keys: &mut BTreeSet<i64>,
        affected: fn(&[i64]) -> sea_orm::sea_query::SelectStatement,
        changed: &[i64],
    ) -> Result<()> {
        let doing = || "looking for dependent rows".to_owned();
        for chunk in changed.chunks(KEYS_A_STATEMENT) {
            let rows = self
                .snapshot
                .connection
                .query_all(&affected(chunk))
                .await
                .source(doing)?;
            for row in rows {
                keys.insert(row.try_get_by_index::<Key>(0).source(doing)?.0);
            }
        }
        Ok(())
    }

    /// Adds the rows whose dimension is about to go. The target knows them: a changed key takes the source's rows
    /// along by cascade, so that the source no longer tells who they were.
    async fn add_pointing_to_removed(&self, keys: &mut BTreeSet<i64>, table: &Table) -> Result<()> {
        let doing = || format!("looking for rows of {} without a parent", table.name);
        for reference in &table.references {
            let parent = self
                .context
                .star
                .tables()
                .find(|parent| parent.name == reference.parent);
            let (Some(parent), Some(removed)) = (parent, self.removed.get(reference.parent.as_str())) else {
                continue;
            };
            for scope in Scope::of_keys(removed.iter().copied(), KEYS_A_STATEMENT) {
                let gone = Query::select()
                    .column(Alias::new(&reference.parent_column))
                    .from(parent.name)
                    .cond_where(scope.contains(&parent.held_key()))
                    .to_owned();
                let mut select = Query::select();
                table.from_held(select.expr(table.held_key()));
                let column = Expr::col((Alias::new(table.name), Alias::new(&reference.column)));
                select.and_where(column.in_subquery(gone));
                for row in self.target().all(&select).await.target(doing)? {
                    keys.insert(row.try_get_by_index(0).target(doing)?);
                }
            }
        }
        Ok(())
    }

    /// The key ranges in which source and target hold different numbers of rows.
    async fn miscounted(&self, table: &'static Table) -> Result<Vec<Scope>> {
        let rejects = reject::counts(&*self.transaction).await?;
        let target = self.target();
        let sides = Sides {
            source: &self.snapshot.connection,
            target: &target,
            rejects: &rejects,
        };
        let removed = self.removed.get(table.name);
        let pending = removed.map_or(0, HashSet::len) as u64;
        if !sides.rows(table, pending).await?.differs() {
            return Ok(Vec::new());
        }
        let mut intervals = Intervals::new(
            table,
            self.snapshot.connection.clone(),
            target.clone(),
            self.context.batch_size,
            None,
        );
        let mut scopes = Vec::new();
        while let Some(scope) = intervals.next().await? {
            let Scope::Range { after, upto } = &scope else {
                continue;
            };
            let within = |key: &&i64| after.is_none_or(|after| **key > after) && upto.is_none_or(|upto| **key <= upto);
            let pending = removed.map_or(0, |removed| removed.iter().filter(within).count()) as u64;
            let rejected = reject::count(&*self.transaction, table, &scope).await?;
            let source = sides.source_rows(table, &scope).await?.unsigned_abs();
            let held = sides.target_rows(table, &scope).await?.unsigned_abs();
            if source + pending != held + rejected {
                scopes.push(scope);
            }
        }
        Ok(scopes)
    }

    /// Makes the given scopes of a table equal to the source, within the run's transaction.
    async fn reconcile(&self, table: &'static Table, scopes: Vec<Scope>) -> Result<TableOutcome> {
        if scopes.is_empty() {
            return Ok(TableOutcome::default());
        }
        let jobs = scopes
            .into_iter()
            .map(|scope| Job {
                table,
                scope,
                sequence: None,
            })
            .collect();
        let reader = Reader {
            star: self.context.star,
            source: self.snapshot.connection.clone(),
            target: self.target(),
            lookups: LookupPlan::ByKey,
            removed: Arc::new(self.removed.clone()),
        };
        let years = calendar::known(&*self.transaction, &self.context.star.calendar).await?;
        let commits = Commits::ByTheRun(Arc::clone(&self.transaction));
        let writer = Writer::new(self.context.star, commits, self.run_id, true, years);
        let mut outcome = pipeline::run(
            pipeline::jobs_of(jobs),
            // A snapshot is one connection.
            1,
            reader,
            writer,
            &[],
            Arc::clone(&self.context.progress),
            &self.context.stop,
        )
        .await?;
        Ok(outcome.tables.remove(table.name).unwrap_or_default())
    }

    /// Deletes the dimensions' rows that the source no longer has; no fact or bridge points to them any more.
    async fn delete_removed(&self) -> Result<()> {
        for table in self.context.star.tables() {
            let keys: Vec<_> = self
                .removed
                .get(table.name)
                .into_iter()
                .flatten()
                .map(|key| [*key, 0])
                .collect();
            for delete in statement::deletes(table, &keys) {
                self.transaction
                    .execute(&delete)
                    .await
                    .target(|| format!("deleting from {}", table.name))?;
            }
        }
        Ok(())
    }

    /// Row counts of the tables that moved; totals over the days that were touched, or all after a full load.
    async fn compare(&self) -> Result<Vec<Comparison>> {
        let rejects = reject::counts(&*self.transaction).await?;
        let target = self.target();
        let sides = Sides {
            source: &self.snapshot.connection,
            target: &target,
            rejects: &rejects,
        };
        let mut comparisons = Vec::new();
        for table in self.context.star.tables() {
            if self.deltas[table.source_table].moved {
                comparisons.push(sides.rows(table, 0).await?);
            }
            let period = match self.mode {
                Mode::ClosingFullLoad => Period::All,
                Mode::Incremental => {
                    let dates = self.outcomes.get(table.name).map(|outcome| &outcome.dates);
                    Period::of_days(dates.into_iter().flatten().copied())
                }
            };
            let daily = sides.totals(table, &period).await?;
            comparisons.extend(verify::by_store(&daily));
        }
        for comparison in comparisons.iter().filter(|comparison| comparison.differs()) {
            warn!(
                table = comparison.table,
                measure = ?comparison.measure,
                store = comparison.store_id,
                delta = comparison.delta(),
                "source and target differ"
            );
        }
        Ok(comparisons)
    }

    /// Moves the markers, within the transaction that commits the rows they stand for.
    async fn save_states(&mut self) -> Result<()> {
        let closed = self.snapshot.clock - TimeDelta::seconds(OVERLAP_SECONDS);
        let proven_before = self.snapshot.clock - TimeDelta::seconds(UPDATE_TIME_MARGIN_SECONDS);
        for source_table in &self.context.star.sources {
            let delta = &self.deltas[source_table.name];
            let Some(mut state) = self.states.remove(source_table.name) else {
                continue;
            };
            let before = match self.mode {
                Mode::Incremental => state.last_updated.as_deref().and_then(state::parse_time),
                Mode::ClosingFullLoad => None,
            };
            let newest = max(delta.newest, before);
            if newest.is_some_and(|newest| newest > self.snapshot.clock) {
                warn!(
                    table = source_table.name,
                    "a last_update lies in the source's future; the marker stays behind"
                );
            }
            state.last_updated = newest.map(|newest| state::time_text(min(newest, closed)));
            state.observed_at = Some(state::time_text(self.snapshot.clock));
            state.update_time = self
                .update_time(source_table.name)
                .map(|time| time.and_utc())
                .filter(|time| *time < proven_before)
                .map(state::time_text);
            if self.mode == Mode::ClosingFullLoad {
                state.load_marker = None;
                state.loaded_upto = None;
            }
            state::save(&*self.transaction, state).await?;
        }
        Ok(())
    }

    fn target(&self) -> TargetReader {
        TargetReader::Within(Arc::clone(&self.transaction))
    }

    fn page_size(&self) -> usize {
        usize::try_from(self.context.batch_size)
            .unwrap_or(usize::MAX)
            .min(KEYS_A_PAGE)
    }
}
