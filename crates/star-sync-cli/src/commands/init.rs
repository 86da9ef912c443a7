//! `init`: checks source and target, and creates or migrates the target's tables.

use std::path::{Path, PathBuf};

use chrono::Utc;
use serde::Serialize;
use star_sync::changes::identity::{self, SourceColumns};
use star_sync::declare::partition::Partition;
use star_sync::declare::star::{Star, Years};
use star_sync::source::in_flight::InFlight;
use star_sync::source::{Source, check};
use star_sync::target::bookkeeping::history::{self, Status};
use star_sync::target::bookkeeping::{changed_partitions, state};
use star_sync::target::sqlite::lock::Lock;
use star_sync::target::{Creation, PlannedAction, Target, calendar, check_writable, open_of_any_version};

use super::Session;
use super::missing_index::{self, MissingIndex};
use super::status::watermark_limits;

use crate::cli;
use crate::config::target_path;
use crate::error::{Doing, Result};
use crate::output::next;

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the document")]
struct Report {
    target: PathBuf,
    /// Whether anything was written.
    changed: bool,
    created: bool,
    /// The backup of a target that was migrated.
    backup: Option<PathBuf>,
    source: String,
    source_server: String,
    source_tables: usize,
    /// Whether the account may list in-flight transactions, so that they limit watermarks.
    sees_in_flight_transactions: bool,
    calendar_first_year: Option<i32>,
    calendar_last_year: Option<i32>,
    /// Whether a full load has finished.
    loaded: bool,
    /// Indexes that the source lacks.
    missing_indexes: Vec<MissingIndex>,
    /// With `--check`: what `init` would do to the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    planned_action: Option<PlannedAction>,
}

pub(crate) async fn run(session: &Session, arguments: &cli::Init) -> Result<u8> {
    let path = target_path(&session.global)?;
    let star = session.star();
    // The queries for years may take long, so each has a connection and they run in parallel.
    let connections = star
        .calendar
        .as_ref()
        .map_or(0, |calendar| calendar.source_years.len())
        .max(1);
    // Check the source first, so that an unfit source leaves the target unchanged.
    let source = session.connect(u32::try_from(connections).unwrap_or(1)).await?;
    let source_columns = check::columns(&source, star).await?;
    check::privileges(&source, &star.sources).await?;
    check_identity(star, &source, &source_columns, &path).await?;
    let years = source.years(star.calendar.as_ref()).await?;

    let answers = async { tokio::try_join!(source.in_flight(), missing_index::find(star, &source, None)) };
    let make = async {
        if arguments.check {
            InitOutcome::planned(star, &path, years).await
        } else {
            make(star, &path, years, &source.server.identity).await
        }
    };
    let (outcome, answers) = tokio::join!(make, answers);
    let InitOutcome {
        creation,
        changed,
        years: known,
        loaded,
        planned_action,
    } = outcome?;
    let (in_flight, missing_indexes) = answers?;
    let report = Report {
        changed,
        created: creation == Creation::Created,
        backup: match creation {
            Creation::Migrated { backup } => Some(backup),
            _ => None,
        },
        source: source.server.identity.clone(),
        source_server: source.server.product(),
        source_tables: star.sources.len(),
        loaded,
        sees_in_flight_transactions: in_flight != InFlight::NotPermitted,
        missing_indexes,
        calendar_first_year: known.map(|(first, _)| first),
        calendar_last_year: known.map(|(_, last)| last),
        planned_action,
        target: path,
    };
    let text = text(&report, star);
    session.output.result("init", session.seconds(), &report, &text)?;
    Ok(0)
}

/// Refuses a source other than the one that an existing target was loaded from, also if the target will be migrated. A
/// target that cannot be read passes: the step that creates or migrates it reports the cause.
async fn check_identity(star: &Star, source: &Source, columns: &SourceColumns, path: &Path) -> Result<()> {
    // Before reading: SQLite would leave files beside a target that is not writable.
    check_writable(path)?;
    let Ok((target, pending_migrations)) = open_of_any_version(path, star, 1).await else {
        return Ok(());
    };
    let checked = identity::check(source, columns, &target).await;
    target.close().await.target(|| "closing the file".to_owned())?;
    match checked {
        // The tables of an older version may differ from those that are read here.
        Err(star_sync::Error::Target { .. }) if !pending_migrations.is_empty() => Ok(()),
        checked => Ok(checked?),
    }
}

/// What was done to the target, and its state afterwards.
struct InitOutcome {
    creation: Creation,
    /// Whether anything was written.
    changed: bool,
    /// The years in the calendar; with `--check`, the years of the source's dates.
    years: Years,
    /// Whether a full load has finished.
    loaded: bool,
    /// With `--check`: what `init` would do.
    planned_action: Option<PlannedAction>,
}

impl InitOutcome {
    /// What `init` would do, determined without writing.
    async fn planned(star: &Star, path: &Path, years: Years) -> Result<Self> {
        let would = Target::inspect(path, star).await?;
        Ok(Self {
            creation: Creation::Unchanged,
            changed: false,
            years,
            loaded: false,
            planned_action: Some(would),
        })
    }
}

/// Creates, migrates or completes the target.
async fn make(star: &Star, path: &Path, years: Years, identity: &str) -> Result<InitOutcome> {
    let lock = Lock::acquire(path, "init")?;
    let (target, creation) = Target::create(path, star).await?;
    let filled = fill(star, &target, years, identity, &creation).await;
    let known = calendar::years(&target.writer, star.calendar.as_ref()).await;
    let states = state::load(&target.writer).await;
    let closed = target.close().await;
    drop(lock);
    let changed = filled?;
    let years = known?;
    let loaded = states?.is_loaded();
    closed?;
    Ok(InitOutcome {
        creation,
        changed,
        years,
        loaded,
        planned_action: None,
    })
}

/// Fills the calendar and sync_state, and records a run if anything changed. Returns whether anything did.
async fn fill(star: &Star, target: &Target, years: Years, identity: &str, creation: &Creation) -> Result<bool> {
    let transaction = star_sync::target::begin(&target.writer).await?;
    let states = state::fill(&transaction, &star.sources).await?;
    let mut known = calendar::years(&transaction, star.calendar.as_ref()).await?;
    let days = match years {
        Some((first, last)) => {
            calendar::extend(&transaction, star.calendar.as_ref(), &mut known, (first, last)).await?
        }
        None => 0,
    };
    let changed = states > 0 || days > 0 || *creation != Creation::Unchanged;
    if changed {
        let run_id = history::begin_run(&transaction, "init", Utc::now(), identity).await?;
        if let Some(calendar) = star.calendar.as_ref().filter(|_| days > 0) {
            changed_partitions::note(&transaction, calendar.table, Partition::WHOLE, run_id).await?;
        }
        history::finish_run(&transaction, run_id, Status::Done, None).await?;
        transaction.commit().await.target(|| "committing".to_owned())?;
    }
    Ok(changed)
}

fn text(report: &Report, star: &Star) -> String {
    let target = report.target.display();
    let checked = report.planned_action.map(|would| match would {
        PlannedAction::Create => format!("checked only: init would create {target}"),
        PlannedAction::Migrate => format!("checked only: init would migrate {target} and keep a backup"),
        PlannedAction::Nothing => format!("checked only: {target} is up to date"),
    });
    let done = match (&report.backup, report.created, report.changed) {
        (Some(backup), _, _) => format!("migrated {target}; the old file is kept as {}", backup.display()),
        (None, true, _) => format!("created {target}"),
        (None, false, true) => format!("completed {target}"),
        (None, false, false) => format!("nothing to do: {target} is up to date"),
    };
    let done = checked.unwrap_or(done);
    let years = match (
        &star.calendar,
        report.calendar_first_year.zip(report.calendar_last_year),
    ) {
        (None, _) => String::new(),
        (Some(calendar), Some((first, last))) if report.planned_action.is_some() => {
            format!("{}: the source has dates of {first} to {last}\n", calendar.table)
        }
        (Some(calendar), Some((first, last))) => format!("{} has the years {first} to {last}\n", calendar.table),
        (Some(calendar), None) => format!("{} is empty: the source has no dates yet\n", calendar.table),
    };
    let program = star.names.program;
    let next = match report.planned_action {
        Some(PlannedAction::Create) => next::line(program, Some(next::INIT)),
        Some(PlannedAction::Migrate) => next::line(program, Some(next::MIGRATE)),
        Some(PlannedAction::Nothing) => String::new(),
        None => next::line(program, Some(next::after_init(report.loaded))),
    };
    format!(
        "source {}: {}, {} tables checked and readable\n{done}\n{years}{}{}{next}",
        report.source,
        report.source_server,
        report.source_tables,
        watermark_limits(report.sees_in_flight_transactions),
        missing_index::line(program, &report.missing_indexes)
    )
}
