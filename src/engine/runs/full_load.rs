//! The full load: every interval of every table, then a pass that brings all of it to one instant.
//!
//! No table of the source is locked and no snapshot is held while pages are read. The marker is fixed before the
//! first page; what changes meanwhile is brought by the closing pass, which begins there.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;
use tracing::info;

use crate::engine::declaration::lookup::Lookups;
use crate::engine::declaration::table::{Kind, Table};
use crate::engine::pipeline::Pipeline;
use crate::engine::pipeline::flow::{Job, Outcomes, Removed};
use crate::engine::pipeline::lookups::LookupSource;
use crate::engine::pipeline::plan::Intervals;
use crate::engine::pipeline::read::{LookupPlan, Reader};
use crate::engine::pipeline::write::{Commits, Writer};
use crate::engine::runs::catch_up::CatchUp;
use crate::engine::runs::{Context, Mode, Report, identity};
use crate::engine::target_db::state::{self, RunCounts, States, Status, sync_state};
use crate::engine::target_db::{TargetReader, calendar, reject};
use crate::engine::{pipeline, target_db};
use crate::error::{Doing, Error, Result};

const COMMAND: &str = "full-load";
/// A load that was interrupted longer ago begins anew: a row that changed since without a time of change would
/// never be looked at again.
const HOURS_TO_GO_ON: i64 = 6;

/// What a load starts from.
struct Start {
    /// The star holds no row: it need not be read, and may be written without syncing.
    is_empty: bool,
    /// Up to which key each source table is loaded by a load that was interrupted.
    loaded_upto: HashMap<String, i64>,
}

/// Makes the star equal to the source. With `accept_source` whatever the source is now, else only if it is the one
/// that the star was made from.
///
/// # Errors
/// `SourceChanged` if it is another one.
/// Anything that either database answers. What was committed stays, and the next full load goes on behind it.
pub async fn run(context: &Context<'_>, accept_source: bool) -> Result<Report> {
    let writer = &context.target.writer;
    if !accept_source {
        identity::check(context, &state::load(writer).await?).await?;
    }
    let start = prepare(context).await?;
    if start.is_empty {
        context.target.write_without_syncing().await?;
    }
    let run_id = state::begin_run(writer, COMMAND, &context.source.server.identity).await?;
    let result = load(context, &start, run_id).await;
    if let Err(error) = &result {
        // The error of the load is the one to report, even if its mark cannot be left.
        let _ = state::finish_run(writer, run_id, Status::of(error), RunCounts::default()).await;
    }
    result
}

/// Fixes the marker, or finds the one of a load that was interrupted.
async fn prepare(context: &Context<'_>) -> Result<Start> {
    let writer = &context.target.writer;
    state::fill(writer, &context.star.sources).await?;
    let states = state::load(writer).await?;
    let is_empty = context.target.is_empty(context.star).await?;
    let clock = context.source.clock().await?;
    if can_go_on(context, &states, clock).await? {
        let loaded_upto: HashMap<String, i64> = states
            .into_values()
            .filter_map(|state| state.loaded_upto.map(|upto| (state.source_table, upto)))
            .collect();
        info!(
            tables = loaded_upto.len(),
            "going on with the load that was interrupted"
        );
        return Ok(Start { is_empty, loaded_upto });
    }
    let marker = context.source.open_work().await?.closed_until(clock, context.overlap);
    let transaction = target_db::begin(writer).await?;
    for (_, state) in states {
        let state = sync_state::Model {
            load_marker: Some(state::time_text(marker)),
            loaded_upto: None,
            ..state
        };
        state::save(&transaction, state).await?;
    }
    transaction
        .commit()
        .await
        .target(|| "noting where the load begins".to_owned())?;
    Ok(Start {
        is_empty,
        loaded_upto: HashMap::new(),
    })
}

/// Whether an interrupted load is there, of this source, and young enough for its pages still to be trusted.
async fn can_go_on(context: &Context<'_>, states: &States, clock: DateTime<Utc>) -> Result<bool> {
    if !state::is_loading(states) {
        return Ok(false);
    }
    let oldest = states
        .values()
        .filter_map(|state| state.load_marker.as_deref().and_then(state::parse_time))
        .min();
    let is_young = oldest.is_some_and(|began| clock - began < TimeDelta::hours(HOURS_TO_GO_ON));
    let run = state::last_run_of(&context.target.writer, COMMAND).await?;
    let is_same = run.is_some_and(|run| run.source_identity == context.source.server.identity);
    Ok(is_young && is_same)
}

async fn load(context: &Context<'_>, start: &Start, run_id: i64) -> Result<Report> {
    let mut outcomes = Outcomes::new();
    let mut lookups = Lookups::default();
    let mut removed: Removed = HashMap::new();
    for phase in &context.star.phases {
        let outcome = load_phase(context, start, run_id, phase, &mut lookups, &removed).await?;
        for table in phase.iter().filter(|table| table.kind == Kind::Dimension) {
            if let Some(outcome) = outcome.get(table.name) {
                removed.insert(table.name, outcome.deleted.iter().copied().collect());
            }
        }
        for (table, outcome) in outcome {
            outcomes.entry(table).or_default().add(outcome);
        }
    }
    info!("pages written; creating the indexes that are missing");
    context.target.create_indexes(context.star).await?;
    if start.is_empty {
        context.target.make_durable(run_id).await?;
    }

    info!("closing pass: bringing all tables to one instant, and comparing");
    let snapshot = context.source.snapshot().await?;
    let transaction = context.target.begin().await?;
    let pass = CatchUp::new(
        context,
        &snapshot,
        Arc::clone(&transaction),
        run_id,
        Mode::ClosingFullLoad,
        removed,
    )
    .await?;
    let (closing, comparisons) = pass.run().await?;
    for (table, outcome) in closing {
        outcomes.entry(table).or_default().add(outcome);
    }
    let orphans = context.target.orphans(&transaction).await?;
    if !orphans.is_empty() {
        return Err(Error::Orphans { orphans });
    }
    let rejects = reject::counts(&*transaction).await?;
    let report = Report::new(context.star, run_id, &outcomes, comparisons, rejects);
    state::finish_run(&*transaction, run_id, report.status, report.counts()).await?;
    snapshot.close().await?;
    target_db::commit(transaction).await?;
    Ok(report)
}

/// Loads the tables of one phase, all at once.
async fn load_phase(
    context: &Context<'_>,
    start: &Start,
    run_id: i64,
    phase: &'static [Table],
    lookups: &mut Lookups,
    removed: &Removed,
) -> Result<Outcomes> {
    let committed = TargetReader::Committed(context.target.readers.clone());
    // Surrogate keys are looked up in what the phases before have committed.
    let lookup_source = LookupSource {
        star: context.star,
        source: context.source.pool.clone(),
        target: committed.clone(),
        removed: Arc::new(removed.clone()),
    };
    lookup_source.load(phase, lookups).await?;
    let target = if start.is_empty { TargetReader::Empty } else { committed };
    let reader = Reader {
        source: context.source.pool.clone(),
        target: target.clone(),
        lookups: LookupPlan::Loaded(lookups.clone()),
    };
    for table in phase {
        let expected = context.source.estimated_rows(table.source_table).await?;
        context.progress.table(table.name).expect(expected);
    }
    let (sender, jobs) = pipeline::jobs(context.workers);
    let planner = tokio::spawn(plan(
        phase,
        context.source.pool.clone(),
        target,
        context.batch_size,
        start.loaded_upto.clone(),
        sender,
    ));
    let writer = &context.target.writer;
    let years = calendar::known(writer, &context.star.calendar).await?;
    let commits = Commits::EachFewBatches(writer.clone());
    let pipeline = Pipeline {
        workers: context.workers,
        reader,
        writer: Writer::new(context.star, commits, run_id, years),
        publishes: phase
            .iter()
            .filter(|table| !start.loaded_upto.contains_key(table.source_table))
            .collect(),
        progress: Arc::clone(&context.progress),
        stop: &context.stop,
    };
    let outcome = pipeline.run(jobs).await;
    let planned = planner.await.map_err(|_| Error::Panicked { stage: "planner" })?;
    let outcome = outcome?;
    planned?;
    for table in phase {
        context.progress.table(table.name).finish();
    }
    for (lookup, map) in outcome.published {
        lookups.set(lookup, map);
    }
    Ok(outcome.tables)
}

/// Hands out the intervals of the tables, one table after the other.
async fn plan(
    tables: &'static [Table],
    source: sea_orm::DatabaseConnection,
    target: TargetReader,
    rows: u64,
    loaded_upto: HashMap<String, i64>,
    jobs: mpsc::Sender<Job>,
) -> Result<()> {
    for table in tables {
        let after = loaded_upto.get(table.source_table).copied();
        if after == Some(i64::MAX) {
            continue;
        }
        let mut intervals = Intervals::new(table, source.clone(), target.clone(), rows, after);
        let mut sequence = 0;
        while let Some(scope) = intervals.next().await? {
            let job = Job {
                table,
                scope,
                sequence: Some(sequence),
            };
            sequence += 1;
            if jobs.send(job).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
