//! Formats the report of a load, an incremental run or a repair as text.

use star_sync::compare::figures::Comparison;
use star_sync::compare::totals::TotalChange;
use star_sync::pipeline::stages::{self, StageSeconds};
use star_sync::runs::report::{Report, TableReport};
use star_sync::target::bookkeeping::verified_ranges::VerificationSummary;
use std::fmt::Write;

use super::human::{
    comparisons, counted, duration, figure_name, grouped, leave_out_zeros, mebibytes, rate_of, table, units,
};
use super::{next, verdict};

/// One line about one of many runs; empty if it changed nothing and found no mismatch.
pub(crate) fn line(program: &str, command: &str, report: &Report, seconds: f64) -> String {
    if !report.verdict.is_mismatch() && !report.changes() {
        return String::new();
    }
    let counts = report.counts();
    let mut line = format!(
        "{command}: {} rows read, {} inserted, {} updated, {} deleted in {seconds:.2} s, run {}",
        grouped(counts.read),
        grouped(counts.inserted),
        grouped(counts.updated),
        grouped(counts.deleted),
        report.run_id
    );
    if let Some(bytes) = report.bytes_received {
        let _ = write!(line, ", {} from the source", mebibytes(bytes));
    }
    if report.verdict.is_mismatch() {
        let verdict = verdict::load(&report.verdict, report.dry_run);
        let command = report.verdict.unresolved_run.map_or("validate --all", |_| "repair");
        let _ = write!(line, "; {verdict}: run `{program} {command}`");
    }
    line
}

/// The full report of one run, with the result of its reconciliation.
pub(crate) fn text(program: &str, command: &str, report: &Report, seconds: f64) -> String {
    let mut text = tables(&report.tables);
    let read = report.counts().read;
    let rate = grouped(rate_of(read, seconds));
    let (what, run) = if report.dry_run {
        ("dry run, nothing was written: ", String::new())
    } else {
        ("", format!(", run {}", report.run_id))
    };
    let _ = writeln!(
        text,
        "{command}: {what}{} read in {seconds:.2} s ({rate} rows/s){run}",
        counted(read, "row", "rows")
    );
    if let Some(resumed) = report.resumed {
        let _ = writeln!(
            text,
            "resumed an interrupted load ({} rows re-read)",
            grouped(resumed.rows_reread)
        );
    }
    text.push_str(&verification(command, report));
    if let Some(bytes) = report.bytes_received {
        let _ = writeln!(text, "received {} from the source", mebibytes(bytes));
    }
    if read > 0 {
        text.push_str(&stages(&report.stages));
    }
    text.push_str(&backlog(&report.verification));
    if !report.totals_changed.is_empty() {
        let _ = writeln!(
            text,
            "\ntotals of the days it touches:\n{}\n",
            total_changes(&report.totals_changed)
        );
    }
    for (table, count) in &report.quarantined {
        let _ = writeln!(
            text,
            "{table}: {}",
            counted(*count, "quarantined row", "quarantined rows")
        );
    }
    let differences: Vec<&Comparison> = report
        .reconciliation
        .iter()
        .filter(|comparison| comparison.differs())
        .collect();
    if !differences.is_empty() {
        let _ = writeln!(text, "{}", comparisons(differences));
    }
    let _ = writeln!(text, "{}", verdict::load(&report.verdict, report.dry_run));
    text.push_str(&next::line(program, next::after_load(command, &report.verdict)));
    text
}

/// Counts of the tables whose rows were read or deleted, without columns that are zero in every row.
fn tables(tables: &[TableReport]) -> String {
    let mut rows = table(&["table", "read", "inserted", "updated", "deleted"]);
    for line in tables {
        if line.read + line.deleted > 0 {
            let counts = [line.read, line.inserted, line.updated, line.deleted].map(grouped);
            rows.add_row([&[line.table.to_owned()], counts.as_slice()].concat());
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    leave_out_zeros(&mut rows, 2);
    format!("{rows}\n")
}

/// Verified rows, and the changes that only the row count check or verification detected.
fn verification(command: &str, report: &Report) -> String {
    let sum = |number: fn(&TableReport) -> u64| report.tables.iter().map(number).sum::<u64>();
    let mut text = String::new();
    let (verified, found) = (sum(|table| table.verified_row_by_row), sum(|table| table.found));
    let by_digest = report.rows_verified_by_digest;
    if by_digest + verified > 0 {
        let _ = writeln!(
            text,
            "verified {} by digest, {} row by row",
            counted(by_digest, "row", "rows"),
            grouped(verified)
        );
    }
    if report.calendar_days_corrected > 0 {
        let corrected = if report.dry_run { "to correct" } else { "corrected" };
        let _ = writeln!(
            text,
            "calendar: {} {corrected}",
            counted(report.calendar_days_corrected, "day", "days")
        );
    }
    if found > 0 {
        let applied = if report.dry_run { "found" } else { "found and applied" };
        let by = if command == "repair" {
            "comparing rows"
        } else {
            "row counts and verification"
        };
        let _ = writeln!(
            text,
            "{by} {applied} {} without a new timestamp",
            counted(found, "change", "changes")
        );
    }
    text
}

/// The utilisation of each stage, in percent or in seconds, and the bottleneck.
fn stages(stages: &[StageSeconds]) -> String {
    let Some(bottleneck) = stages::bottleneck(stages) else {
        return String::new();
    };
    let parts: Vec<String> = stages
        .iter()
        .map(|seconds| {
            let name = seconds.stage.name();
            if seconds.waiting_seconds > 0.0 {
                format!("{name} {:.0}%", seconds.share() * 100.0)
            } else {
                format!("{name} {:.2} s", seconds.busy_seconds)
            }
        })
        .collect();
    format!("stages: {}\nbottleneck: {}\n", parts.join(", "), bottleneck.name())
}

/// The verification backlog; empty if there is none.
pub(crate) fn backlog(verification: &VerificationSummary) -> String {
    if verification.backlog_ranges == 0 {
        return String::new();
    }
    let age = match verification.backlog_age_seconds {
        Some(seconds) => format!("oldest verified {} ago", duration(seconds)),
        None => "some never verified".to_owned(),
    };
    let tables = counted(verification.backlog_tables, "table", "tables");
    let of_tables = match verification.backlog_rows {
        Some(rows) => format!("{} of {tables}", counted(rows, "row", "rows")),
        None => tables,
    };
    format!(
        "verification backlog: {} of {} key ranges, {age}\n  {of_tables}\n",
        grouped(verification.backlog_ranges),
        grouped(verification.ranges)
    )
}

fn total_changes(changes: &[TotalChange]) -> comfy_table::Table {
    let mut rows = table(&["figure", "before", "after", "change"]);
    for line in changes {
        let name = figure_name(line.table, line.grouped_by, line.group.as_ref());
        let number = |number| units(number, line.measure.decimals);
        rows.add_row([
            format!("{name}, {}", line.measure.label),
            number(line.before),
            number(line.after),
            number(line.after - line.before),
        ]);
    }
    rows
}
