//! Code shared by `full-load`, `incremental` and `repair`: the lock, both connections, progress, the summary.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde::Serialize;
use star_sync::changes::Context;
use star_sync::changes::verify_budget::VerifyBudget;
use star_sync::compare::verdict::VerdictCode;
use star_sync::declare::star::Star;
use star_sync::declare::table::Table;
use star_sync::metrics;
use star_sync::pipeline::progress::Progress;
use star_sync::runs::report::Report;
use star_sync::runs::{full_load, incremental, repair};
use star_sync::source::check;
use star_sync::target::copy;
use star_sync::target::sqlite::lock::Lock;
use star_sync::target::sqlite::others;
use star_sync::target::{ForeignKeys, Target};
use tracing::info;

use super::Session;
use crate::cli::CopyTo;
use crate::config::target_path;
use crate::error::{Result, exit_of};
use crate::output::progress::Watcher;
use crate::output::{self, human};

/// The kind of run, with its options.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    Full {
        /// Whether a source other than the recorded one is accepted.
        accept_source: bool,
    },
    Incremental {
        dry_run: bool,
        verify_budget: VerifyBudget,
    },
    Repair {
        /// One table, with those that depend on it; all tables if `None`.
        table: Option<&'static Table>,
        dry_run: bool,
    },
}

#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    report: &'a Report,
    rows_per_second: f64,
    /// The copy for readers that was made after the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<&'a copy::Report>,
}

/// Syncs, with retries if the source is lost, and prints the summary.
pub(crate) async fn run(session: &Session, command: &'static str, load: Load, copy_to: Option<&CopyTo>) -> Result<u8> {
    let report = session
        .persistently(async |attempt| sync(attempt, command, load, copy_to).await)
        .await?;
    let would_repair =
        matches!(load, Load::Repair { dry_run: true, .. }) && report.verdict.code == VerdictCode::WouldChange;
    Ok(exit_of(report.verdict.is_mismatch() || would_repair))
}

/// One run and the copy after it: records their metrics and prints the summary.
pub(crate) async fn sync(
    session: &Session,
    command: &'static str,
    load: Load,
    copy_to: Option<&CopyTo>,
) -> Result<Report> {
    let run = run_load(session, command, load);
    let mut copied = None;
    let report = if session.is_dry_run {
        run.await?
    } else {
        let report = session.watched(command, run, |report| report.status).await?;
        record_metrics(session.star(), command, &report);
        session.live.reconciled(command, &report);
        if let Some(copy_to) = copy_to {
            copied = super::copy::after_run(session, copy_to, report.verdict.is_mismatch()).await?;
        }
        report
    };
    let seconds = session.seconds();
    let summary = Summary {
        rows_per_second: human::rate(report.counts().read, seconds).round(),
        report: &report,
        copy: copied.as_ref(),
    };
    let mut text = if session.is_repeated {
        output::report::line(session.program.name(), command, &report, seconds)
    } else {
        output::report::text(session.program.name(), command, &report, seconds)
    };
    if let (Some(copied), false) = (&copied, session.is_repeated) {
        text = format!("{}\n{}", super::copy::line(copied), text);
    }
    session.output.result(command, seconds, &summary, &text)?;
    Ok(report)
}

fn record_metrics(star: &Star, command: &'static str, report: &Report) {
    let counts = report.counts();
    for (kind, rows) in [
        ("read", counts.read),
        ("verified_by_digest", counts.verified_by_digest),
        ("inserted", counts.inserted),
        ("updated", counts.updated),
        ("deleted", counts.deleted),
        ("quarantined", counts.quarantined),
    ] {
        metrics::last_run_rows(command, kind, rows);
    }
    let row_by_row = report.tables.iter().map(|table| table.verified_row_by_row).sum();
    metrics::rows_verified(counts.verified_by_digest, row_by_row);
    if let Some(bytes) = counts.bytes_received {
        metrics::bytes_received(command, bytes);
    }
    for source in &star.sources {
        metrics::quarantined_rows(source.name, report.quarantined.get(source.name).copied().unwrap_or(0));
    }
    let whole = report.reconciliation.iter().filter(|figure| figure.date_key.is_none());
    let deltas = whole.map(|figure| (figure.labels(command), figure.delta()));
    metrics::validation_deltas(command, deltas, report.verdict.unresolved_run.is_some());
    metrics::unresolved_mismatch(report.verdict.is_mismatch());
}

/// Logs the progress of a stopped full load in unfinished tables; finished ones are logged already.
fn log_resume_points(progress: &Progress) {
    for table in progress.tables().iter().filter(|table| !table.is_finished()) {
        info!(
            table = table.table,
            read = table.read.load(Ordering::Relaxed),
            "kept, to be resumed"
        );
    }
}

async fn run_load(session: &Session, command: &str, load: Load) -> Result<Report> {
    let began = Utc::now();
    let path = target_path(&session.global)?;
    let source = match load {
        Load::Full { .. } | Load::Repair { .. } => session.connect_readers().await?,
        // It reads one snapshot, which is one connection.
        Load::Incremental { .. } => session.connect(1).await?,
    };
    let source_columns = check::columns(&source, session.star()).await?;
    // Read the indexes now, so that an error stops the run before it begins.
    source.indexes(&source.reader()).await?;
    let foreign_keys = match load {
        Load::Full { .. } => ForeignKeys::CheckedAtEnd,
        Load::Incremental { .. } | Load::Repair { .. } => ForeignKeys::Enforced,
    };
    let verify_budget = match load {
        Load::Incremental { verify_budget, .. } => verify_budget,
        Load::Full { .. } | Load::Repair { .. } => VerifyBudget::Time(Duration::ZERO),
    };
    let lock = Lock::acquire(&path, command)?;
    let target = Target::open(&path, session.star(), foreign_keys, session.threads.target_readers).await?;
    let shows_bars = !session.global.quiet && !session.is_repeated;
    let watcher = Watcher::start(session.progress.clone(), shows_bars, path.clone());
    let context = Context {
        databases: session.databases(&source, target.readers.clone()),
        target: &target,
        began,
        source_columns: &source_columns,
        safety_lag: TimeDelta::seconds(session.global.overlap.into()),
        keep_runs: session.global.keep_runs,
        verify_budget,
    };
    let result = match load {
        Load::Full { accept_source } => full_load::run(&context, accept_source).await,
        Load::Incremental { dry_run, .. } => incremental::run(&context, dry_run).await,
        Load::Repair { table, dry_run } => repair::run(&context, table, dry_run).await,
    };
    watcher.finish().await;
    if matches!((&result, load), (Err(star_sync::Error::Stopped), Load::Full { .. })) {
        log_resume_points(&session.progress);
    }
    let result = match result {
        Err(error) => Err(others::explain(error, &target.readers, session.star()).await),
        done => done,
    };
    let closed = target.close().await;
    drop(lock);
    let report = result?;
    closed?;
    Ok(report)
}
