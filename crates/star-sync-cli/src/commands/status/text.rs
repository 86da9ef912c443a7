//! Formats the result of `status` as text.

use std::fmt::Write;

use chrono::Utc;
use comfy_table::CellAlignment;
use star_sync::compare::verdict::VerdictCode;
use star_sync::target::bookkeeping::history::Run;
use star_sync::target::bookkeeping::time;

use super::{Identity, LakeStatus, Report};
use crate::commands::missing_index;
use crate::output::{human, next, report};

pub(super) fn text(report: &Report, program: &str) -> String {
    let mut text = String::new();
    if !report.loaded {
        text.push_str("no full load has finished yet\n");
    } else if report.loading {
        text.push_str("a full load is not finished: until it is, only full-load, validate and explain can be run\n");
    }
    text.push_str(&sources(report));
    if let Some(run) = &report.last_mismatch {
        let _ = writeln!(
            text,
            "{}: found by run {}, {}, and not resolved since\n",
            human::bad(VerdictCode::Mismatch.name()),
            run.id,
            run.command
        );
    }
    let _ = writeln!(text, "{}\n", watermarks(report));
    text.push_str("a table that does not change keeps its watermark\n");
    if let Some(sees) = report.sees_in_flight_transactions {
        text.push_str(watermark_limits(sees));
    }
    let verification = report::backlog(&report.verification);
    if verification.is_empty() && report.verification.ranges > 0 {
        let ranges = human::grouped(report.verification.ranges);
        let _ = writeln!(text, "verification: all {ranges} key ranges are verified");
    }
    text.push_str(&verification);
    text.push_str(&last_read(&report.runs));
    text.push_str(&missing_index::line(program, &report.missing_indexes));
    let _ = writeln!(text, "\n{}", runs(&report.runs));
    for (table, count) in &report.quarantined {
        let _ = writeln!(
            text,
            "\n{table}: {}, such as:",
            human::counted(*count, "quarantined row", "quarantined rows")
        );
        for reject in report
            .quarantined_examples
            .iter()
            .filter(|reject| reject.source_table == *table)
        {
            let _ = writeln!(
                text,
                "  {table} {}: {}: {} (run {})",
                reject.key, reject.code, reject.reason, reject.run_id
            );
        }
    }
    for lake in &report.lakes {
        let LakeStatus {
            publication,
            backlog_partitions,
        } = lake;
        let published = publication.run_id.zip(publication.published);
        let published = published.map_or_else(
            || "no publication has finished".to_owned(),
            |(run, published)| format!("run {run}, published {} UTC", time::text(published)),
        );
        let _ = writeln!(
            text,
            "\nlake {}: {published}; {} partitions changed since",
            publication.lake,
            human::grouped(*backlog_partitions as u64)
        );
    }
    let next = next::after_status(report.loaded && !report.loading, report.last_mismatch.is_some());
    text.push_str(&next::line(program, next));
    text
}

/// How far each source table is synced. Ages are by the source's clock if it answered.
fn watermarks(report: &Report) -> comfy_table::Table {
    let now = report.source_clock.unwrap_or_else(Utc::now);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mut watermarks = human::table(&[
        "source table",
        "last synced",
        "last change",
        "watermark (UTC)",
        "limited by",
    ]);
    for line in &report.watermarks {
        watermarks.add_row([
            line.table.to_owned(),
            or_dash(line.last_synced.map(|time| human::ago(now - time))),
            or_dash(line.newest_change.map(|time| human::ago(now - time))),
            or_dash(line.watermark.map(time::text)),
            or_dash(line.limited_by.clone()),
        ]);
    }
    if let Some(column) = watermarks.column_mut(4) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    watermarks
}

/// Rows verified by digest and bytes received, of the newest shown run that recorded them.
fn last_read(runs: &[Run]) -> String {
    let Some((run, bytes)) = runs.iter().find_map(|run| run.bytes_received.map(|bytes| (run, bytes))) else {
        return String::new();
    };
    format!(
        "run {} verified {} by digest and received {} from the source\n",
        run.id,
        human::counted(run.rows_verified_by_digest.unsigned_abs(), "row", "rows"),
        human::mebibytes(bytes.unsigned_abs())
    )
}

/// The last runs, without columns that are zero in every row.
fn runs(runs: &[Run]) -> comfy_table::Table {
    let mut rows = human::table(&[
        "run",
        "command",
        "started (UTC)",
        "status",
        "read",
        "written",
        "quarantined",
    ]);
    for run in runs {
        rows.add_row([
            run.id.to_string(),
            run.command.clone(),
            time::text(run.started),
            run.status.as_str().to_owned(),
            human::grouped(run.rows_read),
            human::grouped(run.rows_inserted + run.rows_updated + run.rows_deleted),
            human::grouped(run.rows_quarantined),
        ]);
    }
    for column in rows.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    human::leave_out_zeros(&mut rows, 4);
    rows
}

/// The source that the target was loaded from, the one that answers now if it is another, and the last success.
fn sources(report: &Report) -> String {
    let mut text = String::new();
    let is_other = !report.source_identity_changes.is_empty();
    let sources = [("source", &report.loaded_from), ("source now", &report.source_now)];
    for (what, source) in sources.iter().take(if is_other { 2 } else { 1 }) {
        if let Some(Identity { server, schema }) = source {
            let _ = writeln!(text, "{what}: server {server}, schema {schema}");
        }
    }
    if is_other {
        let changed = human::bad("source identity changed since the last load");
        let _ = writeln!(
            text,
            "{changed}; accepted only by full-load and validate --accept-source:"
        );
        for evidence in &report.source_identity_changes {
            let _ = writeln!(text, "  {evidence}");
        }
    }
    if let Some(success) = report.last_success {
        let age = human::ago(Utc::now() - success);
        let _ = writeln!(text, "last successful run: {age} ({} UTC)", time::text(success));
    }
    if let Some(changes) = report.columns_changed.as_ref().filter(|changes| !changes.is_empty()) {
        let _ = writeln!(text, "columns changed at the source since the last full load:");
        for (what, columns) in [("added", &changes.added), ("removed", &changes.removed)] {
            if !columns.is_empty() {
                let _ = writeln!(text, "  {what}: {}", columns.join(", "));
            }
        }
    }
    text + "\n"
}

/// A sentence about what limits watermarks.
pub(crate) fn watermark_limits(sees_in_flight_transactions: bool) -> &'static str {
    if sees_in_flight_transactions {
        "watermarks stay before in-flight transactions (PROCESS is granted)\n"
    } else {
        "watermarks trail the source clock by the safety lag only; to take in-flight\n\
         transactions into account, GRANT PROCESS ON *.* to the account of the source\n"
    }
}
