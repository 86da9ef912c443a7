//! All pages of the star, phase by phase, on as many connections as there are workers: what a full load writes and
//! what a deep comparison only looks at.
//!
//! No table of the source is locked and no snapshot is held: a page is a statement of its own. What changes meanwhile
//! is for the pass that closes the run.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::debug;

use crate::declare::lookup::Lookups;
use crate::declare::period::Period;
use crate::declare::scope::Scope;
use crate::declare::table::{Kind, Table};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::pipeline::flow::{Job, Outcomes, Removed};
use crate::pipeline::loaded_lookups::{LoadedLookups, LoadedTogether};
use crate::pipeline::look::Look;
use crate::pipeline::lookups::LookupSource;
use crate::pipeline::page_sums::{self, SumPlan, SumPlans};
use crate::pipeline::plan::{Intervals, Planner};
use crate::pipeline::read::{LookupPlan, Reader};
use crate::pipeline::write::{Commits, Writer};
use crate::pipeline::{self, Outcome, Pipeline};
use crate::source::digest_plans::Digesting;
use crate::target::{TargetReader, calendar};

/// How to go through the pages.
pub(crate) struct Pages<'a> {
    pub look: &'a Look<'a>,
    /// The target holds none of the rows, so it need not be read.
    pub is_target_empty: bool,
    pub commits: Commits,
    pub run_id: i64,
    /// Up to which key each target table has been done by a run that was interrupted; all of it: it is left out.
    pub done_upto: HashMap<String, i64>,
    pub period: Period,
    /// What digests are planned with, where the pages are added up to be checked later.
    pub digesting: Option<Digesting>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Walked {
    pub outcomes: Outcomes,
    /// Rows of dimensions that are gone from the source.
    pub removed: Removed,
    /// The intervals of each table, ascending; what was done by an interrupted run is not among them.
    pub intervals: HashMap<&'static str, Vec<Scope>>,
    /// How the pages were added up, where they were.
    pub sums: SumPlans,
    /// What the rows were mapped with.
    pub lookups: Lookups,
    /// What their totals were added up with.
    pub totals_lookups: Lookups,
    /// The lookups among these that were filled whole from the source.
    pub loaded: Vec<LoadedTogether>,
}

impl Walked {
    /// Rows that the target had before the pages were read.
    pub(crate) fn rows_held_before(&self) -> u64 {
        let counts = self.outcomes.values().map(|outcome| outcome.counts);
        counts.map(|counts| counts.unchanged + counts.updated).sum()
    }
}

impl Pages<'_> {
    /// Goes through all phases.
    ///
    /// # Errors
    /// Anything that either database answers; `Stopped` after a request to stop.
    pub(crate) async fn walk(&self) -> Result<Walked> {
        let mut walked = Walked::default();
        let mut lookups = Lookups::default();
        let loaded = self
            .digesting
            .clone()
            .map(|digesting| Arc::new(LoadedLookups::new(digesting)));
        for phase in &self.look.star.phases {
            debug!(first = phase.first().map(|table| table.name), "phase begins");
            let tables = self
                .walk_phase(phase, &mut lookups, loaded.clone(), &mut walked)
                .await?;
            for (table, outcome) in tables {
                outcome.log(table);
                let is_dimension = self
                    .look
                    .star
                    .table(table)
                    .is_some_and(|table| table.kind == Kind::Dimension);
                if is_dimension {
                    walked.removed.insert(table, outcome.deleted.iter().cloned().collect());
                }
                walked.outcomes.entry(table).or_default().add(outcome);
            }
        }
        walked.lookups = lookups;
        walked.loaded = loaded.map_or_else(Vec::new, |loaded| loaded.all());
        Ok(walked)
    }

    /// How the pages of a phase are added up. Totals need all of their pages: not those of a load that was interrupted.
    async fn sum_plans(
        &self,
        phase: &'static [Table],
        source: &LookupSource,
        totals_lookups: &mut Lookups,
    ) -> Result<SumPlans> {
        let mut plans = SumPlans::new();
        let Some(digesting) = &self.digesting else {
            return Ok(plans);
        };
        for table in phase {
            let totals = page_sums::shown_totals(digesting.star, table).filter(|_| self.done_upto.is_empty());
            if let Some(totals) = totals {
                source.load(&totals.needs, totals_lookups).await?;
            }
            let plan = SumPlan::new(digesting, table, totals.map(|totals| (totals, &*totals_lookups)));
            plans.extend(plan.map(|plan| (table.name, Arc::new(plan))));
        }
        Ok(plans)
    }

    /// Goes through the tables of one phase, all at once.
    async fn walk_phase(
        &self,
        phase: &'static [Table],
        lookups: &mut Lookups,
        loaded: Option<Arc<LoadedLookups>>,
        walked: &mut Walked,
    ) -> Result<Outcomes> {
        let look = self.look;
        let is_done = |table: &Table| self.done_upto.get(table.name) == Some(&i64::MAX);
        let tables: Vec<&'static Table> = phase.iter().filter(|table| !is_done(table)).collect();
        if tables.is_empty() {
            return Ok(Outcomes::new());
        }
        let committed = TargetReader::Committed(look.readers.clone());
        // Surrogate keys are looked up in what the phases before have committed.
        let lookup_source = LookupSource {
            removed: Arc::new(walked.removed.clone()),
            loaded,
            ..LookupSource::of(look.star, look.source.reader(), committed.clone())
        };
        let target = if self.is_target_empty {
            TargetReader::Empty
        } else {
            committed
        };
        let sums = self
            .sum_plans(phase, &lookup_source, &mut walked.totals_lookups)
            .await?;
        let reader = Reader {
            source: look.source.reader(),
            target: target.clone(),
            lookups: match self.period {
                Period::All => {
                    let needs = tables.iter().flat_map(|table| &table.needs);
                    lookup_source.load(needs, lookups).await?;
                    LookupPlan::Loaded(lookups.clone())
                }
                // What few rows refer to lies outside the period, too.
                Period::Ranges(_) => LookupPlan::ByKey(lookup_source),
            },
            period: self.period.clone(),
            sums: sums.clone(),
        };
        let mut planners = Vec::new();
        for table in &tables {
            let table = *table;
            let planner = look.planner(table, look.source.reader(), target.clone()).await?;
            look.progress.table(table.name).expect(planner.estimated_rows);
            planners.push((table, planner));
        }
        let (sender, jobs) = pipeline::jobs(look.workers);
        let planner = tokio::spawn(plan(planners, self.done_upto.clone(), sender));
        debug!("lookups loaded");
        let years = calendar::known(&look.readers, look.star.calendar.as_ref()).await?;
        let pipeline = Pipeline {
            workers: look.workers,
            reader,
            writer: Writer::new(look.star, self.commits.clone(), self.run_id, years),
            publishes: tables
                .iter()
                .copied()
                .filter(|table| matches!(self.period, Period::All) && !self.done_upto.contains_key(table.name))
                .collect(),
            described: 0,
            progress: Arc::clone(&look.progress),
            stop: &look.stop,
        };
        let outcome = pipeline.run(jobs).await;
        let planned = planner.await.map_err(|_| Error::Panicked { stage: "planner" })?;
        let Outcome {
            tables: outcomes,
            published,
            filled,
        } = outcome?;
        walked.sums.extend(sums);
        for (lookup, map) in filled {
            walked.totals_lookups.set(lookup, map);
        }
        walked.intervals.extend(planned?);
        for table in tables {
            look.progress.table(table.name).finish();
        }
        for (lookup, map) in published {
            lookups.set(lookup, map);
        }
        Ok(outcomes)
    }
}

/// Hands out the intervals of the tables, one table after the other. Returns those that were handed out.
async fn plan(
    planners: Vec<(&'static Table, Planner)>,
    done_upto: HashMap<String, i64>,
    jobs: mpsc::Sender<Job>,
) -> Result<HashMap<&'static str, Vec<Scope>>> {
    let mut planned: HashMap<&'static str, Vec<Scope>> = HashMap::new();
    for (table, planner) in planners {
        let after = done_upto.get(table.name).copied();
        // A table without rows has no interval, and all of them are known.
        planned.entry(table.name).or_default();
        let mut intervals = Intervals::new(table, planner, after);
        while let Some(scope) = intervals.next().await? {
            let of_table = planned.entry(table.name).or_default();
            let job = Job {
                table,
                scope: scope.clone(),
                sequence: Some(of_table.len() as u64),
            };
            if failpoint::is_set("page-skipped", table.name) && of_table.len() == 1 {
                of_table.push(scope);
                continue;
            }
            if failpoint::is_set("page-doubled", table.name) && jobs.send(job.clone()).await.is_err() {
                return Ok(planned);
            }
            if jobs.send(job).await.is_err() {
                return Ok(planned);
            }
            of_table.push(scope);
        }
    }
    Ok(planned)
}
