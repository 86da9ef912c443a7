//! `copy`: writes a copy of the star schema for readers of other accounts, also after runs of `incremental --copy-to`.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use star_sync::declare::personal::PersonalColumn;
use star_sync::declare::star::Star;
use star_sync::target::bookkeeping::history::Status;
use star_sync::target::copy::{self, Report, Request, due};
use tracing::{info, warn};

use super::Session;
use super::notify::Outcome;
use crate::cli::{Copy, CopyTo};
use crate::config::target_path;
use crate::error::{Code, Error, Result};
use crate::output::human;

pub(crate) const COMMAND: &str = "copy";

#[derive(Serialize)]
struct Document<'a> {
    target: &'a Path,
    #[serde(flatten)]
    report: &'a Report,
}

pub(crate) async fn run(session: &Session, arguments: &Copy) -> Result<u8> {
    let without = personal_columns(session.star(), &arguments.without)?;
    let target = target_path(&session.global)?;
    let request = Request {
        star: session.star(),
        target: &target,
        copy: &arguments.path,
        mode: arguments.mode,
        without: &without,
    };
    let made = session.unless_stopped(async { Ok(copy::run(&request).await?) });
    let report = session.watched(COMMAND, made, |_| Status::Done).await?;
    let document = Document {
        target: &target,
        report: &report,
    };
    let text = text(&report);
    session.output.result(COMMAND, session.seconds(), &document, &text)?;
    Ok(0)
}

/// Checks the settings before anything is contacted.
pub(crate) fn check(star: &Star, arguments: &CopyTo) -> Result<()> {
    personal_columns(star, &arguments.without).map(drop)
}

/// Makes the copy after a run, if one is due. With --every a failed copy does not fail the run: the failure is
/// reported, a notification is sent, and the runs continue. The copy is retried once per copy interval.
pub(crate) async fn after_run(session: &Session, arguments: &CopyTo, is_mismatch: bool) -> Result<Option<Report>> {
    let session = &session.again();
    let failed = session.failed_at(COMMAND);
    if failed.is_some_and(|failed| failed.elapsed() < arguments.copy_every) {
        return Ok(None);
    }
    let made = make_due(session, arguments, failed.is_some(), is_mismatch).await;
    if !session.is_repeated {
        return made;
    }
    match made {
        Err(error) if !error.is_stopped() => {
            session.output.error(COMMAND, session.seconds(), &error);
            session.notify(COMMAND, Outcome::Failure(&error)).await;
            Ok(None)
        }
        Ok(Some(report)) => {
            session.notify(COMMAND, Outcome::Success).await;
            Ok(Some(report))
        }
        other => other,
    }
}

/// Makes the copy if one is due. It always is after a failed attempt (`has_failed`).
async fn make_due(
    session: &Session,
    arguments: &CopyTo,
    has_failed: bool,
    is_mismatch: bool,
) -> Result<Option<Report>> {
    let Some(path) = &arguments.copy_to else {
        return Ok(None);
    };
    let target = target_path(&session.global)?;
    let request = Request {
        star: session.star(),
        target: &target,
        copy: path,
        mode: arguments.copy_mode,
        without: &personal_columns(session.star(), &arguments.without)?,
    };
    if !has_failed && !due::is_due(&request, arguments.copy_every).await? {
        return Ok(None);
    }
    if is_mismatch {
        warn!(
            code = "COPY_KEPT",
            copy = %path.display(),
            "the run found a mismatch, or has not resolved an earlier one: the previous copy is kept until it is resolved"
        );
        return Ok(None);
    }
    let made = async { Ok(copy::run(&request).await?) };
    let report = session.watched(COMMAND, made, |_| Status::Done).await?;
    info!(copy = %path.display(), bytes = report.bytes, "copied");
    Ok(Some(report))
}

/// The personal columns with these names.
pub(crate) fn personal_columns(star: &Star, names: &[String]) -> Result<Vec<PersonalColumn>> {
    star.personal_columns_named(names).map_err(|unknown| {
        let declared = star.personal_columns();
        let columns: Vec<String> = declared.iter().map(ToString::to_string).collect();
        let hint = if columns.is_empty() {
            "this star declares no personal columns: remove --without".to_owned()
        } else {
            format!("name `personal` for all, or some of {}", columns.join(", "))
        };
        let what = format!("--without: {unknown:?} is not declared as personal data");
        Error::setting(Code::NameUnknown, what, hint)
    })
}

fn text(report: &Report) -> String {
    let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
    let mut text = format!(
        "copied {} rows of {} tables, and {} views, to {}: {}, mode {}",
        human::grouped(rows),
        report.tables.len(),
        report.views.len(),
        report.copy.display(),
        human::mebibytes(report.bytes),
        report.mode
    );
    if !report.pseudonymized.is_empty() {
        let columns: Vec<String> = report.pseudonymized.iter().map(ToString::to_string).collect();
        let _ = write!(
            text,
            "
pseudonymized: {}",
            columns.join(", ")
        );
    }
    text
}

/// One line about the copy for the report of a run.
pub(crate) fn line(report: &Report) -> String {
    format!(
        "copied to {}: {}",
        report.copy.display(),
        human::mebibytes(report.bytes)
    )
}
