//! All pages of the star, phase by phase, on as many connections as there are workers. A full load writes them; a
//! repair and `validate --deep` only compare them.
//!
//! No source table is locked and no snapshot is held: each page is a statement of its own. In a full load and a repair
//! the catch-up pass applies concurrent changes; `validate --deep` compares rows that differ again, in one snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::debug;

use crate::declare::integer::Key;
use crate::declare::key_range::KeyRange;
use crate::declare::lookup::Lookups;
use crate::declare::period::Period;
use crate::declare::table::{Kind, Table};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::pipeline::databases::Databases;
use crate::pipeline::flow::{Job, Removed, TableOutcomes};
use crate::pipeline::lookup::LookupSource;
use crate::pipeline::lookup::loaded::{LoadedLookupGroup, LoadedLookups};
use crate::pipeline::page_digest::{self, PageDigestPlan, PageDigestPlans};
use crate::pipeline::plan::{PlannedRanges, Planner};
use crate::pipeline::read::{LookupPlan, Reader};
use crate::pipeline::write::{WriteMode, Writer};
use crate::pipeline::{self, Pipeline, PipelineOutcome};
use crate::source::digest_plans::DigestPlans;
use crate::target::{TargetReader, calendar};

/// Settings for reading the pages.
pub(crate) struct Pages<'a> {
    pub databases: &'a Databases<'a>,
    /// The target has none of the rows, so it need not be read.
    pub is_target_empty: bool,
    pub mode: WriteMode,
    pub run_id: i64,
    /// The key up to which an interrupted run has loaded each target table. A table that is loaded up to
    /// [`Key::LARGEST`] is skipped.
    pub loaded_up_to: HashMap<String, i64>,
    pub period: Period,
    /// The digest plans, if pages are to be checked later.
    pub digesting: Option<DigestPlans>,
}

/// The outcome of all pages.
#[derive(Default)]
pub(crate) struct PagesOutcome {
    pub outcomes: TableOutcomes,
    /// Rows of dimensions that the source no longer has.
    pub removed: Removed,
    /// The key ranges of each table, ascending. Those that an interrupted load has finished are missing until the full
    /// load adds them.
    pub planned_ranges: HashMap<&'static str, Vec<KeyRange>>,
    /// How the pages were digested and added up, if they were.
    pub digest_plans: PageDigestPlans,
    /// The lookups of the mappings.
    pub lookups: Lookups,
    /// The lookups of the totals.
    pub totals_lookups: Lookups,
    /// Those of these lookups that were filled completely from the source.
    pub loaded: Vec<LoadedLookupGroup>,
}

impl PagesOutcome {
    /// The number of rows that the target had before the pages were read.
    pub(crate) fn rows_kept(&self) -> u64 {
        let counts = self.outcomes.values().map(|outcome| outcome.counts);
        counts.map(|counts| counts.unchanged + counts.updated).sum()
    }
}

impl Pages<'_> {
    /// Processes all phases.
    ///
    /// # Errors
    /// Any error of either database; `Stopped` after a stop request.
    pub(crate) async fn run(&self) -> Result<PagesOutcome> {
        let mut pages_outcome = PagesOutcome::default();
        let mut lookups = Lookups::default();
        let loaded = self
            .digesting
            .clone()
            .map(|digesting| Arc::new(LoadedLookups::new(digesting)));
        for phase in &self.databases.star.phases {
            debug!(first = phase.first().map(|table| table.name), "phase begins");
            let tables = self
                .run_phase(phase, &mut lookups, loaded.clone(), &mut pages_outcome)
                .await?;
            for (table, outcome) in tables {
                outcome.log(table);
                let is_dimension = self
                    .databases
                    .star
                    .table(table)
                    .is_some_and(|table| table.kind == Kind::Dimension);
                if is_dimension {
                    pages_outcome
                        .removed
                        .insert(table, outcome.deleted.iter().cloned().collect());
                }
                pages_outcome.outcomes.entry(table).or_default().add(outcome);
            }
        }
        pages_outcome.lookups = lookups;
        pages_outcome.loaded = loaded.map_or_else(Vec::new, |loaded| loaded.all());
        Ok(pages_outcome)
    }

    /// The digest plans of a phase. Totals need all pages, so a load that resumes has none.
    async fn page_digest_plans(
        &self,
        phase: &'static [Table],
        source: &LookupSource,
        totals_lookups: &mut Lookups,
    ) -> Result<PageDigestPlans> {
        let mut plans = PageDigestPlans::new();
        let Some(digesting) = &self.digesting else {
            return Ok(plans);
        };
        for table in phase {
            let totals = page_digest::shown_totals(digesting.star, table).filter(|_| self.loaded_up_to.is_empty());
            if let Some(totals) = totals {
                source.load(&totals.lookups, totals_lookups).await?;
            }
            let plan = PageDigestPlan::new(digesting, table, totals.map(|totals| (totals, &*totals_lookups)));
            plans.extend(plan.map(|plan| (table.name, Arc::new(plan))));
        }
        Ok(plans)
    }

    /// Processes the tables of one phase together.
    async fn run_phase(
        &self,
        phase: &'static [Table],
        lookups: &mut Lookups,
        loaded: Option<Arc<LoadedLookups>>,
        pages_outcome: &mut PagesOutcome,
    ) -> Result<TableOutcomes> {
        let databases = self.databases;
        let is_done = |table: &Table| self.loaded_up_to.get(table.name) == Some(&Key::LARGEST);
        let tables: Vec<&'static Table> = phase.iter().filter(|table| !is_done(table)).collect();
        if tables.is_empty() {
            return Ok(TableOutcomes::new());
        }
        let committed = TargetReader::Committed(databases.readers.clone());
        // Surrogate keys are read from what earlier phases have committed.
        let lookup_source = LookupSource {
            removed: Arc::new(pages_outcome.removed.clone()),
            loaded,
            ..LookupSource::new(databases.star, databases.source.reader(), committed.clone())
        };
        let target = if self.is_target_empty {
            TargetReader::Empty
        } else {
            committed
        };
        let digest_plans = self
            .page_digest_plans(phase, &lookup_source, &mut pages_outcome.totals_lookups)
            .await?;
        let reader = Reader {
            source: databases.source.reader(),
            target: target.clone(),
            lookups: match self.period {
                Period::All => {
                    let uses = tables.iter().flat_map(|table| &table.lookups);
                    lookup_source.load(uses, lookups).await?;
                    LookupPlan::Complete(lookups.clone())
                }
                // Rows of a short period refer to few keys, so only these are fetched. The lookups that earlier phases
                // filled from the source replace the target's values.
                Period::Ranges(_) => LookupPlan::ByKey(LookupSource {
                    corrected: lookups.clone(),
                    ..lookup_source
                }),
            },
            period: self.period.clone(),
            digest_plans: digest_plans.clone(),
        };
        let mut planners = Vec::new();
        for table in &tables {
            let table = *table;
            let planner = databases
                .planner(table, databases.source.reader(), target.clone())
                .await?;
            databases.progress.table(table.name).expect(planner.estimated_rows);
            planners.push((table, planner));
        }
        let (sender, jobs) = pipeline::jobs(databases.workers);
        let planner = tokio::spawn(plan(planners, self.loaded_up_to.clone(), sender));
        debug!("lookups loaded");
        let years = calendar::years(&databases.readers, databases.star.calendar.as_ref()).await?;
        let pipeline = Pipeline {
            workers: databases.workers,
            reader,
            writer: Writer::new(databases.star, self.mode.clone(), self.run_id, years),
            fill_lookups_of: tables
                .iter()
                .copied()
                .filter(|table| matches!(self.period, Period::All) && !self.loaded_up_to.contains_key(table.name))
                .collect(),
            described: 0,
            progress: Arc::clone(&databases.progress),
            stop: &databases.stop,
        };
        let outcome = pipeline.run(jobs).await;
        let planned = planner.await.map_err(|_| Error::Panicked { stage: "planner" })?;
        let PipelineOutcome {
            tables: outcomes,
            lookups: filled,
        } = outcome?;
        pages_outcome.digest_plans.extend(digest_plans);
        for (lookup, map) in filled.totals_lookups {
            pages_outcome.totals_lookups.set(lookup, map);
        }
        pages_outcome.planned_ranges.extend(planned?);
        for table in tables {
            databases.progress.table(table.name).finish();
        }
        for (lookup, map) in filled.mapping_lookups {
            lookups.set(lookup, map);
        }
        if !matches!(self.period, Period::All) {
            self.fill_lookups(phase, lookups, &pages_outcome.removed).await?;
        }
        Ok(outcomes)
    }

    /// Fills the lookups of a phase's tables from all their source rows: rows of a period may refer to any of them, and
    /// the target's rows may be out of date.
    async fn fill_lookups(&self, phase: &'static [Table], lookups: &mut Lookups, removed: &Removed) -> Result<()> {
        let others = phase.iter().filter(|table| table.filled_lookups.is_empty());
        let databases = Databases {
            // Separate, because these rows are not counted.
            progress: Arc::default(),
            readers: self.databases.readers.clone(),
            stop: self.databases.stop.clone(),
            ..*self.databases
        };
        let pages = Pages {
            databases: &databases,
            is_target_empty: true,
            mode: WriteMode::LookupsOnly,
            run_id: 0,
            loaded_up_to: others.map(|table| (table.name.to_owned(), Key::LARGEST)).collect(),
            period: Period::All,
            digesting: None,
        };
        let mut pages_outcome = PagesOutcome {
            removed: removed.clone(),
            ..PagesOutcome::default()
        };
        let mut of_all = lookups.clone();
        Box::pin(pages.run_phase(phase, &mut of_all, None, &mut pages_outcome)).await?;
        for filled in phase.iter().flat_map(|table| &table.filled_lookups) {
            if let Some(map) = of_all.map(filled.lookup) {
                lookups.set(filled.lookup, map.clone());
            }
        }
        Ok(())
    }
}

/// Sends the key ranges of the tables as jobs, one table after the other. Returns the key ranges that were sent.
async fn plan(
    planners: Vec<(&'static Table, Planner)>,
    loaded_up_to: HashMap<String, i64>,
    jobs: mpsc::Sender<Job>,
) -> Result<HashMap<&'static str, Vec<KeyRange>>> {
    let mut planned: HashMap<&'static str, Vec<KeyRange>> = HashMap::new();
    for (table, planner) in planners {
        let after = loaded_up_to.get(table.name).copied();
        // A table without a planned key range is listed, too, with an empty list.
        planned.entry(table.name).or_default();
        let mut planned_ranges = PlannedRanges::new(table, planner, after);
        while let Some(key_range) = planned_ranges.next().await? {
            let of_table = planned.entry(table.name).or_default();
            let job = Job {
                table,
                key_range: key_range.clone(),
                sequence: Some(of_table.len() as u64),
            };
            if failpoint::is_set("page-skipped", table.name) && of_table.len() == 1 {
                of_table.push(key_range);
                continue;
            }
            if failpoint::is_set("page-doubled", table.name) && jobs.send(job.clone()).await.is_err() {
                return Ok(planned);
            }
            if jobs.send(job).await.is_err() {
                return Ok(planned);
            }
            of_table.push(key_range);
        }
    }
    Ok(planned)
}
