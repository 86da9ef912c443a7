//! The incremental run: one snapshot of the source, one transaction on the target.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::runs::catch_up::CatchUp;
use crate::engine::runs::{Context, Mode, Report, identity};
use crate::engine::target_db;
use crate::engine::target_db::reject;
use crate::engine::target_db::state::{self, RunCounts, Status};
use crate::error::{Error, Result};

const COMMAND: &str = "incremental";

/// Loads what is new or changed since the markers, compares, and moves the markers: all or nothing.
///
/// # Errors
/// `NotLoaded` before a full load has finished, and while a later one is unfinished; anything that either database
/// answers, with nothing kept.
pub async fn run(context: &Context<'_>) -> Result<Report> {
    let states = state::load(&context.target.writer).await?;
    if !state::is_loaded(&states) || state::is_loading(&states) {
        return Err(Error::NotLoaded);
    }
    identity::check(context, &states).await?;
    let result = sync(context).await;
    if let Err(error) = &result {
        // The run's own row went with its transaction. The error is the one to report, mark or no mark.
        let _ = note_failure(context, error).await;
    }
    result
}

async fn note_failure(context: &Context<'_>, error: &Error) -> Result<()> {
    let writer = &context.target.writer;
    let run_id = state::begin_run(writer, COMMAND, &context.source.server.identity).await?;
    state::finish_run(writer, run_id, Status::of(error), RunCounts::default()).await
}

async fn sync(context: &Context<'_>) -> Result<Report> {
    let snapshot = context.source.snapshot().await?;
    let transaction = context.target.begin().await?;
    let run_id = state::begin_run(&*transaction, COMMAND, &context.source.server.identity).await?;
    let pass = CatchUp::new(
        context,
        &snapshot,
        Arc::clone(&transaction),
        run_id,
        Mode::Incremental,
        HashMap::new(),
    )
    .await?;
    let (outcomes, comparisons) = pass.run().await?;
    let rejects = reject::counts(&*transaction).await?;
    let report = Report::new(context.star, run_id, &outcomes, comparisons, rejects);
    state::finish_run(&*transaction, run_id, report.status, report.counts()).await?;
    snapshot.close().await?;
    target_db::commit(transaction).await?;
    Ok(report)
}
