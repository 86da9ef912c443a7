//! What a run that writes has done, as text.

use star_sync::pipeline::stages::{self, StageSeconds};
use star_sync::runs::report::{Report, TableReport};
use star_sync::target::bookkeeping::verification::VerificationSummary;
use star_sync::verify::figures::Comparison;
use star_sync::verify::totals::Move;
use std::fmt::Write;

use super::human::{comparisons, duration, figure_name, grouped, rate_of, table, units};
use super::verdict;

/// One of many runs in one line; nothing if there is nothing to tell.
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
    if report.verdict.is_mismatch() {
        let verdict = verdict::load(&report.verdict, report.dry_run);
        let _ = write!(line, "; {verdict}: run `{program} validate --all`");
    }
    line
}

/// What a load did, and the comparison that closed it.
pub(crate) fn text(command: &str, report: &Report, seconds: f64) -> String {
    let mut text = String::new();
    let lines: Vec<&TableReport> = report
        .tables
        .iter()
        .filter(|line| line.read + line.compared + line.deleted > 0)
        .collect();
    let has_compared = lines.iter().any(|line| line.compared + line.found > 0);
    if !lines.is_empty() {
        let mut header = vec!["table", "read", "inserted", "updated", "deleted", "unchanged"];
        if has_compared {
            header.extend(["compared", "found"]);
        }
        header.push("rejected");
        let mut rows = table(&header);
        for line in &lines {
            rows.add_row(counts(line, has_compared));
        }
        let _ = writeln!(text, "{rows}");
    }
    let read = report.counts().read;
    let rate = grouped(rate_of(read, seconds));
    let (what, run) = if report.dry_run {
        ("dry run, nothing was written: ", String::new())
    } else {
        ("", format!(", run {}", report.run_id))
    };
    let _ = writeln!(
        text,
        "{command}: {what}{} rows read in {seconds:.2} s ({rate} rows/s){run}",
        grouped(read)
    );
    if let Some(resumed) = report.resumed {
        let _ = writeln!(
            text,
            "went on with a load that was interrupted: {} of its rows were read a second time",
            grouped(resumed.rows_read_again)
        );
    }
    let found: u64 = report.tables.iter().map(|table| table.found).sum();
    if found > 0 {
        let _ = writeln!(
            text,
            "{} changes were found by comparing alone: nothing in the source told of them",
            grouped(found)
        );
    }
    if read > 0 {
        text.push_str(&stages(&report.stages));
    }
    text.push_str(&backlog(&report.verification));
    if !report.moves.is_empty() {
        let _ = writeln!(text, "\ntotals of the days it touches:\n{}\n", moves(&report.moves));
    }
    for (table, count) in &report.rejects {
        let _ = writeln!(text, "{table}: {} quarantined rows", grouped(*count));
    }
    let differences: Vec<&Comparison> = report
        .comparisons
        .iter()
        .filter(|comparison| comparison.differs())
        .collect();
    if !differences.is_empty() {
        let _ = writeln!(text, "{}", comparisons(differences));
    }
    let _ = writeln!(text, "{}", verdict::load(&report.verdict, report.dry_run));
    text
}

/// Where the time went, and which stage holds the run up.
fn stages(stages: &[StageSeconds]) -> String {
    let Some(bottleneck) = stages::bottleneck(stages) else {
        return String::new();
    };
    let parts: Vec<String> = stages
        .iter()
        .map(|seconds| {
            let name = seconds.stage.name();
            if seconds.waiting > 0.0 {
                format!("{name} busy {:.0}%", seconds.share() * 100.0)
            } else {
                format!("{name} {:.2} s", seconds.working)
            }
        })
        .collect();
    format!("stages: {}; bottleneck: {}\n", parts.join(", "), bottleneck.name())
}

/// The verification backlog; nothing if there is none.
pub(crate) fn backlog(verification: &VerificationSummary) -> String {
    if verification.backlog == 0 {
        return String::new();
    }
    let age = match verification.oldest_backlog_seconds {
        Some(seconds) => format!("oldest verified {} ago", duration(seconds)),
        None => "some never verified".to_owned(),
    };
    format!(
        "verification backlog: {} of {} key ranges, {age}\n",
        grouped(verification.backlog),
        grouped(verification.ranges)
    )
}

fn counts(line: &TableReport, has_compared: bool) -> Vec<String> {
    let mut cells = vec![line.table.to_owned()];
    cells.extend([line.read, line.inserted, line.updated, line.deleted, line.unchanged].map(grouped));
    if has_compared {
        cells.extend([line.compared, line.found].map(grouped));
    }
    cells.push(grouped(line.rejected));
    cells
}

fn moves(moves: &[Move]) -> comfy_table::Table {
    let mut rows = table(&["figure", "before", "after", "change"]);
    for line in moves {
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
