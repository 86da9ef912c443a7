//! `publish`: publishes the star schema as Delta tables in a lake, for distributed query engines; also after runs of
//! `incremental --publish-every`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use star_sync::declare::personal::PersonalColumn;
use star_sync::metrics;
use star_sync::target::bookkeeping::history::Status;
use star_sync::target::bookkeeping::publication;
use star_sync::target::sqlite::lock::Lock;
use star_sync::target::{ForeignKeys, Target, open_to_read};
use star_sync_lake::publish::{Report, Request};
use star_sync_lake::{Lake, check, publish, vacuum};
use tracing::info;

use super::notify::Outcome;
use super::{Session, copy};
use crate::cli::{Publish, PublishTo};
use crate::config::target_path;
use crate::error::{Doing, EXIT_FAILED, EXIT_USAGE, Error, Result, exit_of};
use crate::output::human;

const COMMAND: &str = "publish";

#[derive(Serialize)]
struct Document<'a> {
    target: &'a Path,
    #[serde(flatten)]
    report: &'a Report,
    /// The personal columns whose values are pseudonyms.
    pseudonymized: &'a [PersonalColumn],
    vacuum: Option<vacuum::Report>,
}

pub(crate) async fn run(session: &Session, arguments: &Publish) -> Result<u8> {
    let without = copy::personal_columns(session.star(), &arguments.without)?;
    if arguments.check {
        return compare(session, &arguments.lake).await;
    }
    let report = publish(session, &arguments.lake, &without, arguments.force).await?;
    let vacuum = if arguments.vacuum {
        Some(clean(session, &arguments.lake, arguments.retain).await?)
    } else {
        None
    };
    let mut text = text(&report);
    if let Some(vacuum) = &vacuum {
        let size = human::mebibytes(vacuum.bytes);
        let _ = write!(
            text,
            "\ndeleted {} that no retained version needs: {size}",
            counted_files(vacuum.files)
        );
    }
    let target = target_path(&session.global)?;
    let document = Document {
        target: &target,
        report: &report,
        pseudonymized: &without,
        vacuum,
    };
    session.output.result(COMMAND, session.seconds(), &document, &text)?;
    Ok(0)
}

/// Checks the settings before anything is contacted.
pub(crate) fn check_settings(session: &Session, arguments: &PublishTo) -> Result<()> {
    if let Some(lake) = arguments.lake.as_ref().filter(|_| arguments.publish_every.is_some()) {
        Lake::create(lake).map_err(failed)?;
    }
    copy::personal_columns(session.star(), &arguments.lake_without).map(drop)
}

/// Publishes between two runs. A failure is reported, a notification is sent, and the runs continue.
pub(crate) async fn after_run(session: &Session, arguments: &PublishTo) -> Result<()> {
    let Some(lake) = &arguments.lake else {
        return Ok(());
    };
    let without = copy::personal_columns(session.star(), &arguments.lake_without)?;
    match publish(session, lake, &without, false).await {
        Ok(report) => {
            info!(
                lake,
                run_id = report.run_id,
                partitions = report.partitions,
                bytes = report.bytes,
                "published"
            );
            session.notify(COMMAND, Outcome::Success).await;
        }
        Err(error) if error.is_stopped() => return Err(error),
        Err(error) => {
            session.output.error(COMMAND, session.seconds(), &error);
            session.notify(COMMAND, Outcome::Failure(&error)).await;
        }
    }
    Ok(())
}

/// Records in the metrics what has changed since the last publication to the lake.
pub(crate) async fn record_backlog(session: &Session, arguments: &PublishTo) -> Result<()> {
    let Some(lake) = &arguments.lake else {
        return Ok(());
    };
    let name = Lake::open(lake).map_err(failed)?.name;
    let readers = open_to_read(&target_path(&session.global)?, session.star(), 1).await?;
    for lake in publication::load(&readers).await? {
        if lake.lake == name {
            metrics::lake_backlog(&name, publication::backlog(&readers, &lake).await?);
        }
    }
    readers.close().await.target(|| "closing the file".to_owned())?;
    Ok(())
}

async fn publish(session: &Session, location: &str, without: &[PersonalColumn], force: bool) -> Result<Report> {
    let run = async {
        let path = target_path(&session.global)?;
        // Check the target before the lake's folder is created.
        let readers = open_to_read(&path, session.star(), 1).await?;
        let checked = publish::check_star(&readers, force).await;
        readers.close().await.target(|| "closing the file".to_owned())?;
        checked.map_err(failed)?;
        let lake = Lake::create(location).map_err(failed)?;
        let lock = Lock::acquire(&path, COMMAND)?;
        let target = Target::open(&path, session.star(), ForeignKeys::Enforced, 1).await?;
        let request = Request {
            star: session.star(),
            target: &target,
            lake: &lake,
            without,
            force,
        };
        let published = publish::run(&request).await;
        let closed = target.close().await;
        drop(lock);
        let report = published.map_err(failed)?;
        closed?;
        metrics::published(&report.lake, report.files as u64, report.bytes.unsigned_abs());
        metrics::lake_backlog(&report.lake, 0);
        Ok(report)
    };
    let run = session.unless_stopped(run);
    session.watched(COMMAND, run, |_| Status::Done).await
}

async fn clean(session: &Session, location: &str, retain: Duration) -> Result<vacuum::Report> {
    let lake = Lake::open(location).map_err(failed)?;
    let lock = Lock::acquire(&target_path(&session.global)?, COMMAND)?;
    let cleaned = vacuum::run(session.star(), &lake, retain).await;
    drop(lock);
    cleaned.map_err(failed)
}

async fn compare(session: &Session, location: &str) -> Result<u8> {
    let readers = open_to_read(&target_path(&session.global)?, session.star(), 1).await?;
    let lake = Lake::open(location).map_err(failed)?;
    let compared = check::run(session.star(), &readers, &lake).await;
    readers.close().await.target(|| "closing the file".to_owned())?;
    let report = compared.map_err(failed)?;
    session
        .output
        .result(COMMAND, session.seconds(), &report, &compared_text(&report))?;
    Ok(exit_of(report.mismatches > 0))
}

fn failed(error: star_sync_lake::Error) -> Error {
    match error {
        star_sync_lake::Error::Engine(error) => error.into(),
        error => Error::Command {
            code: error.code_name(),
            text: error.to_string(),
            hint: error.hint().to_owned(),
            exit_code: if error.is_setting() { EXIT_USAGE } else { EXIT_FAILED },
            cause: cause_of(error),
        },
    }
}

fn cause_of(error: star_sync_lake::Error) -> Option<Box<dyn std::error::Error + Send + Sync>> {
    match error {
        star_sync_lake::Error::Store { cause, .. } | star_sync_lake::Error::NoCredentials { cause, .. } => Some(cause),
        star_sync_lake::Error::Encoding { cause, .. } => Some(cause),
        _ => None,
    }
}

fn text(report: &Report) -> String {
    if report.up_to_date {
        return format!("{} is up to date with run {}", report.lake, report.run_id);
    }
    let mut text = String::new();
    for table in report.tables.iter().filter(|table| !table.partitions.is_empty()) {
        let _ = writeln!(
            text,
            "  {}, version {}: {} in {}",
            table.table,
            table.version,
            human::counted(table.rows.unsigned_abs(), "row", "rows"),
            partitions(&table.partitions)
        );
    }
    let _ = write!(
        text,
        "published run {} to {}: {} in {}, {}",
        report.run_id,
        report.lake,
        human::counted(report.rows.unsigned_abs(), "row", "rows"),
        counted_files(report.files),
        human::mebibytes(report.bytes.unsigned_abs())
    );
    text
}

fn counted_files(files: usize) -> String {
    human::counted(files as u64, "file", "files")
}

/// The published months of a fact; "the whole table" for partition 0, as of any other table.
fn partitions(partitions: &[i32]) -> String {
    match partitions {
        [0] => "the whole table".to_owned(),
        [first] => format!("month {first}"),
        [first, .., last] => format!("{} months, {first} to {last}", partitions.len()),
        [] => "nothing".to_owned(),
    }
}

fn compared_text(report: &check::Report) -> String {
    const SHOWN: usize = 10;
    let mut text = String::new();
    for table in &report.tables {
        for mismatch in table.mismatches.iter().take(SHOWN) {
            let figure = |value: Option<i64>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
            let _ = writeln!(
                text,
                "  {}, partition {}, {}: target {}, lake {}",
                table.table,
                mismatch.partition,
                mismatch.figure,
                figure(mismatch.target),
                figure(mismatch.lake)
            );
        }
        if !table.not_yet_published.is_empty() {
            let _ = writeln!(
                text,
                "  {}: changed since run {} and not yet published: {}",
                table.table,
                table.run_id,
                partitions(&table.not_yet_published)
            );
        }
    }
    let (figures, mismatches) = (report.checks, report.mismatches);
    let _ = match mismatches {
        0 => write!(text, "OK: {figures} of {figures} figures of the lake match the target"),
        _ => write!(
            text,
            "MISMATCH: {mismatches} of {figures} figures of the lake differ from the target; run `publish --force`, which \
             replaces all rows of the lake's tables"
        ),
    };
    text
}
