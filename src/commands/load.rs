//! What `full-load` and `incremental` share: the lock, both connections, progress, the summary.

use chrono::TimeDelta;
use serde::Serialize;

use super::Session;
use crate::config::target_path;
use crate::engine::runs::{Context, Report, full_load, incremental};
use crate::engine::source_db::check;
use crate::engine::target_db::lock::Lock;
use crate::engine::target_db::state::Status;
use crate::engine::target_db::{ForeignKeys, Target};
use crate::error::{EXIT_DIFFERENCES, Result};
use crate::output::human;
use crate::output::progress::Watcher;
use crate::sakila;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Load {
    Full {
        /// Even if the source is not the one that the star was made from.
        accept_source: bool,
    },
    Incremental,
}

#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    report: &'a Report,
    rows_per_second: f64,
}

pub async fn run(session: &Session, command: &str, load: Load) -> Result<u8> {
    let path = target_path(&session.global)?;
    let source = session.connect().await?;
    let source_columns = check::columns(&source, &sakila::star().sources).await?;
    let foreign_keys = match load {
        Load::Full { .. } => ForeignKeys::CheckedAtEnd,
        Load::Incremental => ForeignKeys::Enforced,
    };
    let lock = Lock::acquire(&path, command)?;
    // One reader of the target beside each reader of the source, and one for the planner.
    let target = Target::open(&path, foreign_keys, session.global.workers + 1).await?;
    let watcher = Watcher::start(session.progress.clone(), session.global.quiet);
    let context = Context {
        star: sakila::star(),
        source: &source,
        target: &target,
        source_columns: &source_columns,
        workers: session.workers(),
        batch_size: session.global.batch_size,
        overlap: TimeDelta::seconds(session.global.overlap.into()),
        progress: session.progress.clone(),
        stop: session.stop.clone(),
    };
    let result = match load {
        Load::Full { accept_source } => full_load::run(&context, accept_source).await,
        Load::Incremental => incremental::run(&context).await,
    };
    watcher.finish().await;
    let closed = target.close().await;
    drop(lock);
    let report = result?;
    closed?;

    let seconds = session.seconds();
    let summary = Summary {
        rows_per_second: human::rate(report.counts().read, seconds).round(),
        report: &report,
    };
    let text = human::report(command, &report, seconds);
    session.output.result(command, seconds, &summary, &text)?;
    Ok(if report.status == Status::Differences {
        EXIT_DIFFERENCES
    } else {
        0
    })
}
