//! Brings the star to one instant of the source: what changed since the markers, and what the row counts betray.
//!
//! An incremental run is this; a full load ends with it. Tables go in order, so that what changed in one reaches
//! those that depend on it within the same pass.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use tracing::{Instrument, debug, info, info_span};

use crate::changes::delta::{Advance, Delta, LookAt};
use crate::changes::stale::Changes;
use crate::changes::survey::Survey;
use crate::changes::{Context, Mode, identity};
use crate::declare::row::HeldRow;
use crate::declare::scope::Scope;
use crate::declare::table::{Kind, Table};
use crate::error::{Doing, Error, Result};
use crate::failpoint;
use crate::metrics::{self, catalogue};
use crate::pipeline::flow::{Outcomes, Removed, TableOutcome};
use crate::pipeline::plan::Intervals;
use crate::pipeline::snapshot_lookups::SnapshotLookups;
use crate::source::Snapshot;
use crate::source::indexes::Indexes;
use crate::target::bookkeeping::state::{self, SourceState, States};
use crate::target::bookkeeping::verification::{VerificationRange, VerificationSummary};
use crate::target::bookkeeping::{history, reject, source_record, watermark};
use crate::target::{TargetReader, statement};
use crate::verify::figures::{Comparison, Sides};
use crate::verify::totals::Figures;

/// Keys that one page asks for: more would make a statement too long for the server to plan well.
const KEYS_A_PAGE: usize = 2_000;

/// What a range holds at least, however small pages are: each is remembered, and looked at by every later run.
pub(super) const LEAST_ROWS_A_RANGE: u64 = 100;

/// What a pass begins with.
pub(crate) struct Start {
    pub mode: Mode,
    /// Rows of dimensions that were seen to be gone from the source.
    pub removed: Removed,
    /// Page keys, by star table, of rows that seemed to differ when the pages were compared.
    pub suspects: HashMap<&'static str, Vec<i64>>,
    /// What the run has done before the pass.
    pub before: Outcomes,
    /// The pages that the run has gone through before the pass.
    pub walked: Option<WalkedBefore>,
    /// What the snapshot holds of the facts, by star table, where it was looked through before the pass.
    pub surveys: HashMap<&'static str, Survey>,
    /// The target's totals just before the pass, where they were added up.
    pub target_totals: HashMap<&'static str, Figures>,
}

/// Pages that were compared with the source before a pass.
pub(crate) struct WalkedBefore {
    pub intervals: HashMap<&'static str, Vec<Scope>>,
    /// What each source table looked like before the first page was read, where that had settled.
    pub signatures: HashMap<String, String>,
}

impl Start {
    /// A pass with nothing before it.
    pub(crate) fn of(mode: Mode) -> Self {
        Self {
            mode,
            removed: Removed::new(),
            suspects: HashMap::new(),
            before: Outcomes::new(),
            walked: None,
            surveys: HashMap::new(),
            target_totals: HashMap::new(),
        }
    }
}

/// What a pass has done.
pub(crate) struct Passed {
    pub outcomes: Outcomes,
    pub comparisons: Vec<Comparison>,
    pub verification: VerificationSummary,
}

/// One pass.
pub(crate) struct CatchUp<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) snapshot: &'a Snapshot,
    /// Of the source.
    pub(super) indexes: &'a Indexes,
    pub(super) transaction: Arc<DatabaseTransaction>,
    pub(super) run_id: i64,
    pub(super) start: Start,
    pub(super) states: States,
    pub(super) deltas: HashMap<&'static str, Delta>,
    pub(super) outcomes: Outcomes,
    /// Tables that the pass has written to.
    pub(super) written: HashSet<&'static str>,
    /// Rows of dimensions that the source no longer has; deleted at the end of the pass.
    pub(super) removed: Removed,
    /// How many rows the source has of each table, where they were counted.
    pub(super) source_rows: HashMap<&'static str, i64>,
    /// How many rows the pass leaves in the target, by source table, where they were counted.
    pub(super) target_rows: HashMap<&'static str, i64>,
    /// What is known of the snapshot's lookups.
    pub(super) snapshot_lookups: Arc<SnapshotLookups>,
    /// What each source table looked like before the pages of this run were read, if there were any.
    pub(super) signatures_before_pages: Option<HashMap<String, String>>,
}

impl<'a> CatchUp<'a> {
    /// Sets the pass up, with what is remembered and what the source says of itself.
    pub(crate) async fn new(
        context: &'a Context<'a>,
        snapshot: &'a Snapshot,
        transaction: Arc<DatabaseTransaction>,
        run_id: i64,
        mut start: Start,
    ) -> Result<Self> {
        let states = state::load(&*transaction).await?;
        let indexes = context.look.source.indexes(&snapshot.reader()).await?;
        Ok(Self {
            context,
            snapshot,
            indexes,
            transaction,
            run_id,
            states,
            deltas: HashMap::new(),
            outcomes: Outcomes::new(),
            written: HashSet::new(),
            removed: std::mem::take(&mut start.removed),
            source_rows: HashMap::new(),
            target_rows: HashMap::new(),
            snapshot_lookups: Arc::default(),
            signatures_before_pages: None,
            start,
        })
    }

    /// Does all of it but the commit. Returns what was done and the comparison of both sides.
    pub(crate) async fn run(mut self) -> Result<Passed> {
        for table in self.context.look.star.tables() {
            if let Some(survey) = self.start.surveys.get_mut(table.name) {
                self.deltas
                    .insert(table.source_table, std::mem::take(&mut survey.delta));
                self.source_rows.insert(table.source_table, survey.rows);
            }
        }
        for source_table in &self.context.look.star.sources {
            if self.deltas.contains_key(source_table.name) {
                continue;
            }
            let state = self.states.get(source_table.name);
            let look_at = LookAt {
                has_all: self.context.look.star.has_all_of(source_table.name),
                counts_rows: !self.indexes.begin_with_change_timestamp(source_table),
            };
            let delta = Delta::read(self.snapshot, source_table, state, self.start.mode, look_at).await?;
            self.source_rows
                .extend(delta.rows.map(|rows| (source_table.name, rows)));
            self.deltas.insert(source_table.name, delta);
        }
        for table in self.context.look.star.tables() {
            if self.context.look.stop.is_requested() {
                return Err(Error::Stopped);
            }
            self.catch_up_table(table)
                .instrument(info_span!("table", name = table.name))
                .await?;
            if let Some(outcome) = self.outcomes.get(table.name) {
                outcome.log(table.name);
            }
        }
        for (source_table, state) in self.states.iter_mut() {
            if self.deltas.get(source_table).is_some_and(|delta| delta.moved) {
                state.modified_run = Some(self.run_id);
            }
        }
        match self.start.walked.take() {
            Some(walked) => self.note_walked(walked).await?,
            None => self.prove().await?,
        }
        self.delete_removed().await?;
        let comparisons = self.compare().await?;
        debug!("compared");
        failpoint::pass("before-watermarks");
        let agrees = !comparisons.iter().any(Comparison::differs);
        let verification = self.sum_up_verification().await?;
        self.advance_watermarks(agrees).await?;
        let mut outcomes = self.start.before;
        for (table, outcome) in self.outcomes {
            outcomes.entry(table).or_default().add(outcome);
        }
        Ok(Passed {
            outcomes,
            comparisons,
            verification,
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
            let ends: Vec<_> = ranges.iter().map(|range| range.up_to).collect();
            self.compare_rows(table, ranges.iter().map(VerificationRange::scope).collect())
                .await?;
            self.note_compared(table.name, &ends).await?;
        }
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
            source: self.snapshot.reader(),
            target: self.target(),
            deltas,
            outcomes,
            removed: &self.removed,
            retries_all: self.start.mode != Mode::Incremental,
        }
    }

    /// Both sides as they are now, within the snapshot and the transaction.
    pub(super) async fn sides(&self) -> Result<Sides<'a>> {
        Ok(Sides {
            source: self.snapshot.reader(),
            indexes: self.indexes,
            target: self.target(),
            rejects: reject::counts(&*self.transaction).await?,
        })
    }

    /// The intervals of a table behind `after`.
    pub(super) async fn intervals(&self, table: &Table, after: Option<i64>) -> Result<Vec<Scope>> {
        let look = &self.context.look;
        let mut planner = look.planner(table, self.snapshot.reader(), self.target()).await?;
        planner.rows = planner.rows.max(LEAST_ROWS_A_RANGE);
        Intervals::new(table, planner, after).all().await
    }

    pub(super) fn add_removed(&mut self, table: &Table, outcome: &TableOutcome) {
        if table.kind == Kind::Dimension {
            let removed = self.removed.entry(table.name).or_default();
            removed.extend(outcome.deleted.iter().cloned());
        }
    }

    /// Deletes the dimensions' rows that the source no longer has; no fact or bridge points to them any more.
    async fn delete_removed(&mut self) -> Result<()> {
        for table in self.context.look.star.tables() {
            let keys: Vec<_> = self
                .removed
                .get(table.name)
                .into_iter()
                .flatten()
                .map(|row| HeldRow {
                    page_key: row.page_key,
                    natural_key: vec![row.natural_key.clone().into()],
                })
                .collect();
            for delete in statement::deletes(table, &keys) {
                self.transaction
                    .execute(&delete)
                    .await
                    .target(|| format!("deleting from {}", table.name))?;
            }
            let outcome = self.outcomes.entry(table.name).or_default();
            outcome.counts.deleted += keys.len() as u64;
            metrics::count_rows(catalogue::ROWS_DELETED_TOTAL, table.name, keys.len() as u64);
        }
        Ok(())
    }

    /// Advances the watermarks, within the transaction that commits the rows they stand for, and remembers whose they are.
    async fn advance_watermarks(&mut self, agrees: bool) -> Result<()> {
        source_record::save(&*self.transaction, identity::record(self.context)).await?;
        let now = self.snapshot.signatures_now().await?;
        let mut watermarks = Vec::new();
        for source_table in &self.context.look.star.sources {
            let Some(state) = self.states.get(source_table.name).cloned() else {
                continue;
            };
            let delta = &self.deltas[source_table.name];
            let is_indexed = self.indexes.begin_with_change_timestamp(source_table);
            let all_rows = self.source_rows.get(source_table.name).copied();
            let advance = Advance {
                snapshot: self.snapshot,
                mode: self.start.mode,
                overlap: self.context.overlap,
                before_pages: self.signatures_before_pages.as_ref(),
                now: &now,
                rows_scanned: if is_indexed {
                    i64::try_from(delta.keys.len()).ok()
                } else {
                    all_rows
                },
                target_rows: self.target_rows.get(source_table.name).copied(),
            };
            let mut state = delta.advance(source_table, state, &advance);
            self.report_watermark(source_table.name, delta, &state);
            if !agrees {
                // What differs is looked at again in the next run, whether or not the source moves.
                state.settled_signature = None;
            }
            if delta.moved
                && let Some(watermark) = state.watermark
            {
                watermarks.push((source_table.name, watermark));
            }
            state::save(&*self.transaction, source_table.name, state).await?;
        }
        history::note_source_clock(&*self.transaction, self.run_id, self.snapshot.clock).await?;
        watermark::note(&*self.transaction, self.run_id, &watermarks).await
    }

    fn report_watermark(&self, source_table: &'static str, delta: &Delta, state: &SourceState) {
        if let Some(watermark) = state.watermark {
            let lag = self.snapshot.clock - watermark;
            let held_back = delta.newest.map_or(TimeDelta::zero(), |newest| newest - watermark);
            metrics::marker(source_table, lag.num_seconds(), held_back.num_seconds().max(0));
        }
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
