//! Brings the star to one instant of the source: what changed since the markers, and what the row counts betray.
//!
//! An incremental run is this; a full load ends with it. Tables go in order, so that what changed in one reaches
//! those that depend on it within the same pass.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use tracing::{info, warn};

use super::delta::{Advance, Delta};
use super::figures::{self, Comparison, Sides};
use super::report::Proof;
use super::stale::Changes;
use super::{Context, Mode};
use crate::engine::declaration::lookup::Lookups;
use crate::engine::declaration::period::Period;
use crate::engine::declaration::scope::Scope;
use crate::engine::declaration::table::{Kind, Table};
use crate::engine::pipeline::flow::{Job, Outcomes, Removed, TableOutcome};
use crate::engine::pipeline::lookups::LookupSource;
use crate::engine::pipeline::plan::Intervals;
use crate::engine::pipeline::read::{LookupPlan, Reader};
use crate::engine::pipeline::write::{Commits, Writer};
use crate::engine::pipeline::{self, Jobs, Pipeline};
use crate::engine::source_db::Snapshot;
use crate::engine::target_db::proof::Range;
use crate::engine::target_db::source_record::{self, SourceRecord};
use crate::engine::target_db::state::{self, States};
use crate::engine::target_db::{TargetReader, calendar, history, reject, statement};
use crate::error::{Doing, Error, Result};

/// Keys that one page asks for: more would make a statement too long for the server to plan well.
const KEYS_A_PAGE: usize = 2_000;

/// What a pass begins with.
pub struct Start {
    pub mode: Mode,
    /// Rows of dimensions that were seen to be gone from the source.
    pub removed: Removed,
    /// Page keys, by star table, of rows that seemed to differ when the pages were compared.
    pub suspects: HashMap<&'static str, Vec<i64>>,
    /// What the run has done before the pass.
    pub before: Outcomes,
    /// The pages that the run has gone through before the pass.
    pub walked: Option<WalkedBefore>,
}

/// Pages that were compared with the source before a pass.
pub struct WalkedBefore {
    pub intervals: HashMap<&'static str, Vec<Scope>>,
    /// When each source table had last changed before the first page was read, where that had settled.
    pub update_times: HashMap<String, String>,
}

impl Start {
    /// A pass with nothing before it.
    pub fn of(mode: Mode) -> Self {
        Self {
            mode,
            removed: Removed::new(),
            suspects: HashMap::new(),
            before: Outcomes::new(),
            walked: None,
        }
    }
}

/// What a pass has done.
pub struct Passed {
    pub outcomes: Outcomes,
    pub comparisons: Vec<Comparison>,
    pub proof: Proof,
}

/// One pass.
pub struct CatchUp<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) snapshot: &'a Snapshot,
    pub(super) transaction: Arc<DatabaseTransaction>,
    pub(super) run_id: i64,
    start: Start,
    pub(super) states: States,
    pub(super) deltas: HashMap<&'static str, Delta>,
    pub(super) outcomes: Outcomes,
    /// Rows of dimensions that the source no longer has; deleted at the end of the pass.
    pub(super) removed: Removed,
    /// How many rows the source has of each table, where they were counted.
    source_rows: HashMap<&'static str, i64>,
    /// When each source table had last changed before the pages of this run were read, if there were any.
    pub(super) update_times_before_pages: Option<HashMap<String, String>>,
}

impl<'a> CatchUp<'a> {
    pub async fn new(
        context: &'a Context<'a>,
        snapshot: &'a Snapshot,
        transaction: Arc<DatabaseTransaction>,
        run_id: i64,
        mut start: Start,
    ) -> Result<Self> {
        let states = state::load(&*transaction).await?;
        Ok(Self {
            context,
            snapshot,
            transaction,
            run_id,
            states,
            deltas: HashMap::new(),
            outcomes: Outcomes::new(),
            removed: std::mem::take(&mut start.removed),
            source_rows: HashMap::new(),
            update_times_before_pages: None,
            start,
        })
    }

    /// Does all of it but the commit. Returns what was done and the comparison of both sides.
    pub async fn run(mut self) -> Result<Passed> {
        for source_table in &self.context.look.star.sources {
            let state = self.states.get(source_table.name);
            let is_star_table = self
                .context
                .look
                .star
                .tables()
                .any(|table| table.source_table == source_table.name);
            let delta = Delta::read(self.snapshot, source_table, state, self.start.mode, is_star_table).await?;
            self.deltas.insert(source_table.name, delta);
        }
        for table in self.context.look.star.tables() {
            if self.context.look.stop.is_requested() {
                return Err(Error::Stopped);
            }
            self.catch_up_table(table).await?;
        }
        for state in self.states.values_mut() {
            if self
                .deltas
                .get(state.source_table.as_str())
                .is_some_and(|delta| delta.moved)
            {
                state.moved_run = Some(self.run_id);
            }
        }
        match self.start.walked.take() {
            Some(walked) => self.note_walked(walked).await?,
            None => self.prove().await?,
        }
        self.delete_removed().await?;
        let comparisons = self.compare().await?;
        self.snapshot.check().await?;
        let agrees = !comparisons.iter().any(Comparison::differs);
        let proof = self.sum_up_proof().await?;
        self.move_markers(agrees).await?;
        let mut outcomes = self.start.before;
        for (table, outcome) in self.outcomes {
            outcomes.entry(table).or_default().add(outcome);
        }
        Ok(Passed {
            outcomes,
            comparisons,
            proof,
        })
    }

    async fn catch_up_table(&mut self, table: &'static Table) -> Result<()> {
        let keys = self.changes(&self.deltas, &self.outcomes).stale_keys(table).await?;
        let seen: HashSet<i64> = keys.iter().copied().collect();
        let outcome = self.reconcile(table, Scope::of_keys(keys, self.page_size())).await?;
        self.removed.remove(table.name);
        self.add_removed(table, &outcome);
        self.outcomes.entry(table.name).or_default().add(outcome);
        let suspects = self.start.suspects.remove(table.name).unwrap_or_default();
        let suspects = suspects.into_iter().filter(|key| !seen.contains(key));
        self.compare_rows(table, Scope::of_keys(suspects, self.page_size()))
            .await?;
        let unexplained = self
            .deltas
            .iter()
            .find(|(source_table, delta)| delta.is_unexplained && table.is_made_from(source_table));
        let ranges = if let Some((source_table, _)) = unexplained {
            info!(
                table = table.name,
                because_of = source_table,
                "rows came or went unseen"
            );
            self.ranges(table).await?
        } else if self.deltas[table.source_table].moved {
            self.miscounted(table).await?
        } else {
            Vec::new()
        };
        if !ranges.is_empty() {
            info!(table = table.name, ranges = ranges.len(), "comparing row by row");
            let ends: Vec<_> = ranges.iter().map(|range| range.upto).collect();
            self.compare_rows(table, ranges.iter().map(Range::scope).collect())
                .await?;
            self.note_compared(table.name, &ends).await?;
        }
        Ok(())
    }

    /// Makes scopes equal to the source that nothing but their comparison may find to differ.
    async fn compare_rows(&mut self, table: &'static Table, scopes: Vec<Scope>) -> Result<()> {
        let found = self.reconcile(table, scopes).await?;
        self.add_removed(table, &found);
        self.outcomes.entry(table.name).or_default().add(found.of_comparing());
        Ok(())
    }

    /// What has changed so far, for the question what depends on it.
    pub(super) fn changes<'b>(
        &'b self,
        deltas: &'b HashMap<&'static str, Delta>,
        outcomes: &'b Outcomes,
    ) -> Changes<'b> {
        Changes {
            star: self.context.look.star,
            source: &self.snapshot.connection,
            target: self.target(),
            deltas,
            outcomes,
            removed: &self.removed,
        }
    }

    /// The key ranges in which source and target hold different numbers of rows.
    async fn miscounted(&mut self, table: &'static Table) -> Result<Vec<Range>> {
        let sides = self.sides().await?;
        let removed = self.removed.get(table.name);
        let gone = removed.map_or(0, HashSet::len) as u64;
        let rows = sides.rows(table, gone).await?;
        let mut miscounted = Vec::new();
        if rows.differs() {
            for range in self.ranges(table).await? {
                let scope = range.scope();
                let gone = removed.map_or(0, |keys| keys.iter().filter(|key| scope.holds(**key)).count());
                let rejected = reject::count(&*self.transaction, table, &scope).await?;
                if sides.rows_of(table, &scope, gone as u64, rejected).await?.differs() {
                    miscounted.push(range);
                }
            }
        }
        self.source_rows.insert(table.source_table, rows.source);
        Ok(miscounted)
    }

    /// Both sides as they are now, within the snapshot and the transaction.
    pub(super) async fn sides(&self) -> Result<Sides<'_>> {
        Ok(Sides {
            source: &self.snapshot.connection,
            target: self.target(),
            rejects: reject::counts(&*self.transaction).await?,
        })
    }

    /// The intervals of a table behind `after`.
    pub(super) async fn intervals(&self, table: &Table, after: Option<i64>) -> Result<Vec<Scope>> {
        let source = self.snapshot.connection.clone();
        let mut intervals = Intervals::new(table, source, self.target(), self.context.look.batch_size, after);
        let mut scopes = Vec::new();
        while let Some(scope) = intervals.next().await? {
            scopes.push(scope);
        }
        Ok(scopes)
    }

    pub(super) fn add_removed(&mut self, table: &Table, outcome: &TableOutcome) {
        if table.kind == Kind::Dimension {
            let removed = self.removed.entry(table.name).or_default();
            removed.extend(outcome.deleted.iter().copied());
        }
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
        &self,
        table: &'static Table,
        scopes: Vec<Scope>,
        looks_for_late: bool,
    ) -> Result<TableOutcome> {
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
        let lookups = LookupPlan::ByKey(LookupSource {
            looks_for_late,
            ..self.lookup_source()
        });
        let mut outcomes = self.pass(pipeline::jobs_of(jobs), lookups).await?;
        Ok(outcomes.remove(table.name).unwrap_or_default())
    }

    /// Lookups of what the snapshot and the transaction hold now, with an eye on late rows.
    pub(super) fn lookup_source(&self) -> LookupSource {
        LookupSource {
            star: self.context.look.star,
            source: self.snapshot.connection.clone(),
            target: self.target(),
            removed: Arc::new(self.removed.clone()),
            corrected: Lookups::default(),
            looks_for_late: true,
        }
    }

    /// Makes the scopes of all jobs equal to the source, within the run's transaction.
    pub(super) async fn pass(&self, jobs: Jobs, lookups: LookupPlan) -> Result<Outcomes> {
        let look = &self.context.look;
        let years = calendar::known(&*self.transaction, &look.star.calendar).await?;
        let commits = Commits::ByTheRun(Arc::clone(&self.transaction));
        let pipeline = Pipeline {
            // A snapshot is one connection.
            workers: 1,
            reader: Reader {
                source: self.snapshot.connection.clone(),
                target: self.target(),
                lookups,
                period: Period::All,
            },
            writer: Writer::new(look.star, commits, self.run_id, years),
            publishes: vec![],
            described: 0,
            progress: Arc::clone(&look.progress),
            stop: &look.stop,
        };
        Ok(pipeline.run(jobs).await?.tables)
    }

    /// Deletes the dimensions' rows that the source no longer has; no fact or bridge points to them any more.
    async fn delete_removed(&mut self) -> Result<()> {
        for table in self.context.look.star.tables() {
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
        for table in self.context.look.star.tables() {
            if self.deltas[table.source_table].moved {
                comparisons.push(sides.rows(table, 0).await?);
            }
            let period = match self.start.mode {
                Mode::ClosingFullLoad => Period::All,
                Mode::Incremental | Mode::ClosingRepair => {
                    let dates = self.outcomes.get(table.name).map(|outcome| &outcome.dates);
                    Period::of_days(dates.into_iter().flatten().copied())
                }
            };
            let daily = sides.totals(table, &period, &[]).await?;
            comparisons.extend(figures::by_store(&daily));
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
        let record = SourceRecord::of(self.context.look.source, self.context.source_columns);
        source_record::save(&*self.transaction, record).await?;
        let mut markers = Vec::new();
        for source_table in &self.context.look.star.sources {
            let Some(state) = self.states.remove(source_table.name) else {
                continue;
            };
            let delta = &self.deltas[source_table.name];
            let is_indexed = self.context.indexed.contains(source_table.name);
            let all_rows = self.source_rows.get(source_table.name).copied().or(delta.rows());
            let advance = Advance {
                snapshot: self.snapshot,
                run_id: self.run_id,
                mode: self.start.mode,
                overlap: self.context.overlap,
                before_pages: self.update_times_before_pages.as_ref(),
                rows_scanned: if is_indexed {
                    i64::try_from(delta.keys.len()).ok()
                } else {
                    all_rows
                },
            };
            let mut state = delta.advance(source_table, state, &advance);
            if !agrees {
                // What differs is looked at again in the next run, whether or not the source moves.
                state.update_time = None;
            }
            if delta.moved
                && let Some(marker) = &state.last_updated
            {
                markers.push((source_table.name, marker.clone()));
            }
            state::save(&*self.transaction, state).await?;
        }
        history::note_markers(&*self.transaction, self.run_id, &markers).await
    }

    pub(super) fn target(&self) -> TargetReader {
        TargetReader::Within(Arc::clone(&self.transaction))
    }

    pub(super) fn page_size(&self) -> usize {
        usize::try_from(self.context.look.batch_size)
            .unwrap_or(usize::MAX)
            .min(KEYS_A_PAGE)
    }
}
