//! The incremental run: one snapshot of the source, one transaction on the target.

use crate::changes::catch_up::CatchUpInput;
use crate::changes::{Context, Mode, identity};
use crate::error::{Error, Result};
use crate::runs::catch_up_run::CatchUpRun;
use crate::runs::report::Report;
use crate::target::bookkeeping::history::{self, Status};
use crate::target::bookkeeping::state;

const COMMAND: &str = "incremental";

/// Loads rows that are new or changed since the watermarks, reconciles, and advances the watermarks, all in one
/// transaction. A dry run does the same and rolls back.
///
/// # Errors
/// `NotLoaded` before a full load has finished, and while a later one is unfinished; any error of either database.
/// Nothing is kept.
pub async fn run(context: &Context<'_>, dry_run: bool) -> Result<Report> {
    check(context).await?;
    let result = sync(context, dry_run).await;
    if let (Err(error), false) = (&result, dry_run) {
        note_failure(context, COMMAND, error).await;
    }
    result
}

/// Fails if the star is not completely loaded, or was loaded from another source.
pub(crate) async fn check(context: &Context<'_>) -> Result<()> {
    let states = state::load(&context.target.writer).await?;
    if !states.is_loaded() || states.is_loading() {
        return Err(Error::NotLoaded);
    }
    identity::check(context.databases.source, context.source_columns, &context.target.writer).await
}

/// Records a failed run, whose own row in the history was rolled back with its transaction. If recording fails too,
/// `error` is still the one to report.
pub(crate) async fn note_failure(context: &Context<'_>, command: &str, error: &Error) {
    // The program that locks the target would block this write, too.
    if error.is_target_locked() {
        return;
    }
    let writer = &context.target.writer;
    if let Ok(run_id) = context.begin_run(writer, command).await {
        let _ = history::finish_run(writer, run_id, Status::from_error(error), None).await;
    }
}

async fn sync(context: &Context<'_>, dry_run: bool) -> Result<Report> {
    let catch_up_run = CatchUpRun::begin(context, COMMAND, dry_run).await?;
    catch_up_run.finish(Mode::Incremental, CatchUpInput::default()).await
}
