//! Formats the result of a validation as text.

use star_sync::compare::deep::TableDifferences;
use star_sync::pipeline::flow::{ColumnDifference, Difference, DifferenceKind};
use star_sync::runs::validate::Validation;
use std::fmt::Write;

use super::human::{FIGURE_COLUMNS, comparisons, counted, grouped, leave_out_zeros, listed, table};
use super::{next, verdict};

/// The largest number of differing days to list; the rest are only counted.
const MAXIMAL_DAYS: usize = 20;

/// One line about one of many validations; empty unless it found a mismatch.
pub(crate) fn line(program: &str, validation: &Validation) -> String {
    if validation.verdict.is_mismatch() {
        let verdict = verdict::validation(validation);
        format!("validate: {verdict}: run `{program} validate --all`")
    } else {
        String::new()
    }
}

/// The full result of one validation.
pub(crate) fn text(program: &str, validation: &Validation, seconds: f64) -> String {
    let mut text = tables(validation);
    let period = match validation.from.zip(validation.to) {
        Some((from, to)) => format!("{from} to {to}"),
        None => "all days".to_owned(),
    };
    let _ = writeln!(text, "\nperiod: {period} (compared in {seconds:.2} s)");
    if !validation.totals.is_empty() {
        let _ = writeln!(text, "{}", comparisons(&validation.totals));
    }
    for newest in &validation.newest_dates {
        let date = newest.date.map(|date| format!(": its newest date is {date}"));
        let date = date.unwrap_or_else(|| ", and the source has none".to_owned());
        let _ = writeln!(text, "the period has no rows of {}{date}", newest.table);
    }
    if !validation.differing_days.is_empty() {
        let shown = comparisons(validation.differing_days.iter().take(MAXIMAL_DAYS));
        let _ = writeln!(text, "\ndays that differ:\n{shown}");
        let hidden = validation.differing_days.len().saturating_sub(MAXIMAL_DAYS);
        if hidden > 0 {
            let _ = writeln!(text, "and {hidden} more; --json lists all");
        }
    }
    if let Some(tables) = &validation.deep {
        let _ = writeln!(text, "\nrow by row:\n{}", deep(tables));
        for table in tables {
            text.push_str(&described(table));
        }
    }
    for line in validation.tables.iter().filter(|line| line.unexpected_rows != 0) {
        let more_or_fewer = if line.unexpected_rows > 0 { "more" } else { "fewer" };
        let _ = writeln!(
            text,
            "{}: {} {more_or_fewer} than the last run left in it; another program changed the target",
            line.rows.table,
            counted(line.unexpected_rows.unsigned_abs(), "row", "rows")
        );
    }
    if !validation.source_identity_changes.is_empty() {
        text.push_str("\nsource identity changed since the last load; compared with it (--accept-source):\n");
        for evidence in &validation.source_identity_changes {
            let _ = writeln!(text, "  {evidence}");
        }
    }
    let _ = writeln!(text, "\n{}", verdict::validation(validation));
    text.push_str(&next::line(program, next::after_validation(validation)));
    text
}

/// Row counts and integrity of each table; columns that are zero in every row are summarised in one line.
fn tables(validation: &Validation) -> String {
    let mut rows = table(&["table", "source", "target", "quarantined", "pending", "delta"]);
    let mut integrity = table(&["table", "duplicates", "orphans", "NULLs"]);
    for line in &validation.tables {
        let (both, sound) = (&line.rows, &line.integrity);
        rows.add_row([
            both.table.to_owned(),
            grouped(both.source),
            grouped(both.target),
            grouped(both.quarantined),
            grouped(both.pending),
            grouped(both.delta()),
        ]);
        integrity.add_row([
            both.table.to_owned(),
            grouped(sound.duplicates),
            grouped(sound.orphans),
            grouped(sound.nulls),
        ]);
    }
    let mut zeros = leave_out_zeros(&mut rows, FIGURE_COLUMNS);
    let sound = leave_out_zeros(&mut integrity, 1);
    let is_intact = sound.len() + 1 == integrity.column_count();
    zeros.extend(sound);
    let mut text = format!("{rows}\n");
    if !is_intact {
        let _ = writeln!(text, "\n{integrity}");
    }
    for calendar in validation
        .calendar
        .iter()
        .filter(|calendar| calendar.differing_days > 0)
    {
        let days = counted(calendar.differing_days, "day", "days");
        let _ = writeln!(text, "\n{}: {days} missing or wrong (run repair)", calendar.table);
    }
    if !zeros.is_empty() {
        let _ = writeln!(text, "\n0 in all tables: {}", listed(&zeros));
    }
    text
}

fn deep(tables: &[TableDifferences]) -> comfy_table::Table {
    let mut rows = table(&["table", "compared", "missing", "extra", "different", "pending"]);
    for line in tables {
        let mut cells = vec![line.table.to_owned()];
        cells.extend([line.compared, line.missing, line.extra, line.different, line.pending].map(grouped));
        rows.add_row(cells);
    }
    leave_out_zeros(&mut rows, 2);
    rows
}

/// The first rows that differ, and the number of further ones.
fn described(table: &TableDifferences) -> String {
    let mut text = String::new();
    for difference in &table.examples {
        text.push_str(&difference_text(table.table, difference));
    }
    let all = table.missing + table.extra + table.different;
    let hidden = all.saturating_sub(table.examples.len() as u64);
    if hidden > 0 {
        let _ = writeln!(text, "  and {} more of {}", grouped(hidden), table.table);
    }
    text
}

/// One row that differs, column by column.
pub(crate) fn difference_text(table: &str, difference: &Difference) -> String {
    let key = &difference.key;
    let mut text = match difference.kind {
        DifferenceKind::Missing => format!("  {table} {key} is missing in the target\n"),
        DifferenceKind::Extra => format!("  {table} {key} is in the target and not in the source\n"),
        DifferenceKind::Different => format!("  {table} {key} differs\n"),
    };
    for ColumnDifference { column, source, target } in &difference.columns {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
        let _ = match difference.kind {
            DifferenceKind::Missing => writeln!(text, "    {column}: source {}", shown(source)),
            DifferenceKind::Extra => writeln!(text, "    {column}: target {}", shown(target)),
            DifferenceKind::Different => {
                writeln!(text, "    {column}: source {}, target {}", shown(source), shown(target))
            }
        };
    }
    text
}
