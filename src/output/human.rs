//! Results as text for people.

use std::fmt::Write;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::engine::declaration::date_key;
use crate::engine::runs::validate::Validation;
use crate::engine::runs::verify::{Comparison, Measure};
use crate::engine::runs::{Report, TableReport};

/// A table whose columns from the second on hold numbers.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─')))
        .set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// 1234567 as 1,234,567.
pub fn grouped(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Whole cents as units with two decimals.
fn units(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", grouped(cents / 100), cents % 100)
}

fn figure(measure: Measure, number: i64) -> String {
    match measure {
        Measure::Rows => grouped(number),
        Measure::Cents => units(number),
    }
}

/// What a load did, and the comparison that closed it.
pub fn report(command: &str, report: &Report, seconds: f64) -> String {
    let mut text = String::new();
    let mut rows = table(&[
        "table",
        "read",
        "inserted",
        "updated",
        "deleted",
        "unchanged",
        "rejected",
    ]);
    for line in report.tables.iter().filter(|line| line.read + line.deleted > 0) {
        rows.add_row(counts(line));
    }
    if rows.is_empty() {
        text.push_str("nothing has changed in the source\n");
    } else {
        let _ = writeln!(text, "{rows}");
    }
    let read: u64 = report.tables.iter().map(|table| table.read).sum();
    let rate = grouped(rate_of(read, seconds));
    let _ = writeln!(
        text,
        "{command}: {} rows read in {seconds:.2} s ({rate} rows/s), run {}",
        grouped(read),
        report.run_id
    );
    for (table, count) in &report.rejects {
        let _ = writeln!(
            text,
            "{} rows of {table} are rejected: see sync_reject",
            grouped(*count)
        );
    }
    let differences: Vec<&Comparison> = report
        .comparisons
        .iter()
        .filter(|comparison| comparison.differs())
        .collect();
    if differences.is_empty() {
        let _ = writeln!(text, "source and target agree in {} figures", report.comparisons.len());
    } else {
        let _ = writeln!(text, "source and target DIFFER:\n{}", comparisons(differences));
    }
    text
}

fn counts(line: &TableReport) -> Vec<String> {
    let mut cells = vec![line.table.to_owned()];
    cells.extend(
        [
            line.read,
            line.inserted,
            line.updated,
            line.deleted,
            line.unchanged,
            line.rejected,
        ]
        .map(grouped),
    );
    cells
}

fn comparisons<'a>(figures: impl IntoIterator<Item = &'a Comparison>) -> Table {
    let mut rows = table(&["figure", "source", "target", "rejected", "delta"]);
    for figure in figures {
        let mut name = figure.table.to_owned();
        if let Some(store) = figure.store_id {
            let _ = write!(name, ", store {store}");
        }
        if let Some(date_key) = figure.date_key {
            let _ = write!(name, ", {}", date_key::text(date_key));
        }
        name.push_str(match figure.measure {
            Measure::Rows => ", rows",
            Measure::Cents => ", total",
        });
        rows.add_row([
            name,
            self::figure(figure.measure, figure.source),
            self::figure(figure.measure, figure.target),
            self::figure(figure.measure, figure.rejected),
            self::figure(figure.measure, figure.delta()),
        ]);
    }
    rows
}

/// Days that are listed one by one before the rest is only counted.
const MAXIMAL_DAYS: usize = 20;

/// Both sides side by side.
pub fn validation(validation: &Validation, seconds: f64) -> String {
    let mut text = String::new();
    let mut rows = table(&[
        "table",
        "source",
        "target",
        "rejected",
        "delta",
        "duplicates",
        "orphans",
        "nulls",
    ]);
    for line in &validation.tables {
        rows.add_row([
            line.rows.table.to_owned(),
            grouped(line.rows.source),
            grouped(line.rows.target),
            grouped(line.rows.rejected),
            grouped(line.rows.delta()),
            grouped(line.duplicates),
            grouped(line.orphans),
            grouped(line.nulls),
        ]);
    }
    let _ = writeln!(text, "{rows}");
    let period = match validation.from.zip(validation.to) {
        Some((from, to)) => format!("{from} to {to}"),
        None => "all days".to_owned(),
    };
    let _ = writeln!(text, "\nperiod: {period}");
    if !validation.totals.is_empty() {
        let _ = writeln!(text, "{}", comparisons(&validation.totals));
    }
    for newest in &validation.newest {
        match newest.date {
            Some(date) => {
                let _ = writeln!(
                    text,
                    "the period holds no rows of {}: its newest date is {date}",
                    newest.table
                );
            }
            None => {
                let _ = writeln!(text, "{} has no rows at all in the source", newest.table);
            }
        }
    }
    if !validation.days.is_empty() {
        let shown = comparisons(validation.days.iter().take(MAXIMAL_DAYS));
        let _ = writeln!(text, "\ndays that differ:\n{shown}");
        let hidden = validation.days.len().saturating_sub(MAXIMAL_DAYS);
        if hidden > 0 {
            let _ = writeln!(text, "and {hidden} more; --json lists them all");
        }
    }
    let verdict = if validation.equal {
        "source and target agree"
    } else {
        "source and target DIFFER"
    };
    let tolerance = match validation.tolerance {
        0 => String::new(),
        tolerance => format!(" within a tolerance of {tolerance}"),
    };
    let _ = writeln!(text, "\nvalidate: {verdict}{tolerance} ({seconds:.2} s)");
    text
}

/// Rows per second, for people.
#[expect(clippy::cast_precision_loss, reason = "a rate is read to three digits")]
pub fn rate(rows: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { rows as f64 / seconds } else { 0.0 }
}

/// Whole rows per second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rows per second are few and not negative"
)]
pub fn rate_of(rows: u64, seconds: f64) -> u64 {
    rate(rows, seconds).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_cents_keep_their_decimals() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(16_049), "16,049");
        assert_eq!(grouped(-1_604_900), "-1,604,900");
        assert_eq!(units(6_741_651), "67,416.51");
        assert_eq!(units(-5), "-0.05");
    }
}
