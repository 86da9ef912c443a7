//! Brings the star to one instant of the source: what changed since the markers, and what the row counts betray.
//!
//! An incremental run is this; a full load ends with it. Tables go in order, so that what changed in one reaches
//! those that depend on it within the same pass.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use tracing::{info, warn};

use super::delta::Delta;
use super::stale::Changes;
use super::verify::{self, Comparison, Period, Sides};
use super::{Context, Mode};
use crate::engine::declaration::scope::Scope;
use crate::engine::declaration::table::{Kind, Table};
use crate::engine::pipeline;
use crate::engine::pipeline::Pipeline;
use crate::engine::pipeline::flow::{Job, Outcomes, Removed, TableOutcome};
use crate::engine::pipeline::lookups::LookupSource;
use crate::engine::pipeline::plan::Intervals;
use crate::engine::pipeline::read::{LookupPlan, Reader};
use crate::engine::pipeline::write::{Commits, Writer};
use crate::engine::source_db::Snapshot;
use crate::engine::target_db::source_record::{self, SourceRecord};
use crate::engine::target_db::state::{self, States};
use crate::engine::target_db::{TargetReader, calendar, reject, statement};
use crate::error::{Doing, Error, Result};

/// Keys that one page asks for: more would make a statement too long for the server to plan well.
const KEYS_A_PAGE: usize = 2_000;

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
    removed: Removed,
}

impl<'a> CatchUp<'a> {
    pub async fn new(
        context: &'a Context<'a>,
        snapshot: &'a Snapshot,
        transaction: Arc<DatabaseTransaction>,
        run_id: i64,
        mode: Mode,
        removed: Removed,
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
            let state = self.states.get(source_table.name);
            let is_star_table = self
                .context
                .star
                .tables()
                .any(|table| table.source_table == source_table.name);
            let delta = Delta::read(self.snapshot, source_table, state, self.mode, is_star_table).await?;
            self.deltas.insert(source_table.name, delta);
        }
        for table in self.context.star.tables() {
            if self.context.stop.is_requested() {
                return Err(Error::Stopped);
            }
            self.catch_up_table(table).await?;
        }
        self.delete_removed().await?;
        let comparisons = self.compare().await?;
        self.snapshot.check().await?;
        let agrees = !comparisons.iter().any(Comparison::differs);
        self.move_markers(agrees).await?;
        Ok((self.outcomes, comparisons))
    }

    async fn catch_up_table(&mut self, table: &'static Table) -> Result<()> {
        let changes = Changes {
            star: self.context.star,
            source: &self.snapshot.connection,
            transaction: &self.transaction,
            deltas: &self.deltas,
            outcomes: &self.outcomes,
            removed: &self.removed,
        };
        let keys = changes.stale_keys(table).await?;
        let mut outcome = self.reconcile(table, Scope::of_keys(keys, self.page_size())).await?;
        self.removed.remove(table.name);
        self.add_removed(table, &outcome);
        let unexplained = self
            .deltas
            .iter()
            .find(|(source_table, delta)| delta.is_unexplained && table.is_made_from(source_table));
        if let Some((source_table, _)) = unexplained {
            info!(table = table.name, because_of = source_table, "comparing row by row");
            let found = self.reconcile(table, self.intervals(table).await?).await?;
            self.add_removed(table, &found);
            outcome.add(found);
        } else if self.deltas[table.source_table].moved {
            let scopes = self.miscounted(table).await?;
            if !scopes.is_empty() {
                info!(
                    table = table.name,
                    ranges = scopes.len(),
                    "row counts differ: comparing row by row"
                );
                let found = self.reconcile(table, scopes).await?;
                self.add_removed(table, &found);
                outcome.add(found);
            }
        }
        self.outcomes.insert(table.name, outcome);
        Ok(())
    }

    /// The key ranges in which source and target hold different numbers of rows.
    async fn miscounted(&self, table: &'static Table) -> Result<Vec<Scope>> {
        let sides = self.sides().await?;
        let removed = self.removed.get(table.name);
        let pending = removed.map_or(0, HashSet::len) as u64;
        if !sides.rows(table, pending).await?.differs() {
            return Ok(Vec::new());
        }
        let mut scopes = Vec::new();
        for scope in self.intervals(table).await? {
            let removed = removed.map_or(0, |keys| keys.iter().filter(|key| scope.holds(**key)).count());
            let rejected = reject::count(&*self.transaction, table, &scope).await?;
            if sides.rows_of(table, &scope, removed as u64, rejected).await?.differs() {
                scopes.push(scope);
            }
        }
        Ok(scopes)
    }

    /// Both sides as they are now, within the snapshot and the transaction.
    async fn sides(&self) -> Result<Sides<'_>> {
        Ok(Sides {
            source: &self.snapshot.connection,
            target: self.target(),
            rejects: reject::counts(&*self.transaction).await?,
        })
    }

    /// All intervals of a table.
    async fn intervals(&self, table: &Table) -> Result<Vec<Scope>> {
        let source = self.snapshot.connection.clone();
        let mut intervals = Intervals::new(table, source, self.target(), self.context.batch_size, None);
        let mut scopes = Vec::new();
        while let Some(scope) = intervals.next().await? {
            scopes.push(scope);
        }
        Ok(scopes)
    }

    fn add_removed(&mut self, table: &Table, outcome: &TableOutcome) {
        if table.kind == Kind::Dimension {
            let removed = self.removed.entry(table.name).or_default();
            removed.extend(outcome.deleted.iter().copied());
        }
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
            source: self.snapshot.connection.clone(),
            target: self.target(),
            lookups: LookupPlan::ByKey(LookupSource {
                star: self.context.star,
                source: self.snapshot.connection.clone(),
                target: self.target(),
                removed: Arc::new(self.removed.clone()),
            }),
        };
        let years = calendar::known(&*self.transaction, &self.context.star.calendar).await?;
        let commits = Commits::ByTheRun(Arc::clone(&self.transaction));
        let pipeline = Pipeline {
            // A snapshot is one connection.
            workers: 1,
            reader,
            writer: Writer::new(self.context.star, commits, self.run_id, years),
            publishes: vec![],
            progress: Arc::clone(&self.context.progress),
            stop: &self.context.stop,
        };
        let mut outcome = pipeline.run(pipeline::jobs_of(jobs)).await?;
        Ok(outcome.tables.remove(table.name).unwrap_or_default())
    }

    /// Deletes the dimensions' rows that the source no longer has; no fact or bridge points to them any more.
    async fn delete_removed(&mut self) -> Result<()> {
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
            let outcome = self.outcomes.entry(table.name).or_default();
            outcome.counts.deleted += keys.len() as u64;
        }
        Ok(())
    }

    /// Row counts of the tables that moved; totals over the days that were touched, or all after a full load.
    async fn compare(&self) -> Result<Vec<Comparison>> {
        let sides = self.sides().await?;
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
            comparisons.extend(daily.into_iter().filter(Comparison::differs));
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

    /// Moves the markers, within the transaction that commits the rows they stand for, and remembers whose they are.
    async fn move_markers(&mut self, agrees: bool) -> Result<()> {
        let record = SourceRecord::of(self.context.source, self.context.source_columns);
        source_record::save(&*self.transaction, record).await?;
        for source_table in &self.context.star.sources {
            if let Some(state) = self.states.remove(source_table.name) {
                let delta = &self.deltas[source_table.name];
                let mut state = delta.advance(self.snapshot, source_table, state, self.mode, self.context.overlap);
                if !agrees {
                    // What differs is looked at again in the next run, whether or not the source moves.
                    state.update_time = None;
                }
                state::save(&*self.transaction, state).await?;
            }
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
