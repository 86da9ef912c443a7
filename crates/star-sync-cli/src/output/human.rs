//! Formatting of text output: tables, numbers, durations, colours.

use std::fmt::{Display, Write};

use anstyle::{AnsiColor, Style};
use chrono::TimeDelta;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};
use console::Term;

use star_sync::compare::figures::Comparison;
use star_sync::declare::date_key;
use star_sync::declare::totals::Group;

/// Columns of a comparison that are always shown: the figure, source and target.
pub(crate) const FIGURE_COLUMNS: usize = 3;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ADVICE: Style = AnsiColor::Cyan.on_default();

/// Colours a success. `Output` removes colours where they cannot be shown.
pub(crate) fn good(words: impl Display) -> String {
    format!("{GOOD}{words}{GOOD:#}")
}

/// Colours an error or a mismatch.
pub(crate) fn bad(words: impl Display) -> String {
    format!("{BAD}{words}{BAD:#}")
}

/// Colours the label of a hint.
pub(crate) fn advice(words: impl Display) -> String {
    format!("{ADVICE}{words}{ADVICE:#}")
}

/// The width of the terminal on stdout; `None` if stdout is no terminal, where lines may have any length.
pub(crate) fn terminal_columns() -> Option<u16> {
    let (_, columns) = Term::stdout().size_checked()?;
    Some(columns)
}

/// The width of the terminal on stderr.
pub(crate) fn error_terminal_columns() -> Option<u16> {
    let (_, columns) = Term::stderr().size_checked()?;
    Some(columns)
}

/// A table whose first column is text and whose other columns are numbers. On a terminal it wraps long names to fit.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─')))
        .set_header(header.iter().copied());
    if let Some(columns) = terminal_columns() {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(columns);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 0));
        if number > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Hides the columns after the first `kept` ones that are zero in every row. Returns their names.
pub(crate) fn leave_out_zeros(table: &mut Table, kept: usize) -> Vec<String> {
    let is_zero = |content: &str| content.chars().all(|letter| matches!(letter, '0' | '.' | '-'));
    let mut left_out = Vec::new();
    for number in kept..table.column_count() {
        let all_zero = table
            .column_cells_iter(number)
            .all(|cell| cell.is_none_or(|cell| is_zero(&cell.content())));
        if !all_zero {
            continue;
        }
        let name = table.header().and_then(|header| header.cell_iter().nth(number));
        left_out.extend(name.map(comfy_table::Cell::content));
        if let Some(column) = table.column_mut(number) {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
    left_out
}

/// Joins names as in a sentence: a, b and c.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Formats 1234567 as 1,234,567.
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

/// A number with its noun.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// A size in MiB, with one decimal, rounded up.
pub(crate) fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).div_ceil(1024 * 1024);
    format!("{}.{} MiB", grouped(tenths / 10), tenths % 10)
}

/// A number of smallest units, formatted with `decimals` decimals.
pub(crate) fn units(number: i64, decimals: u32) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let number = number.unsigned_abs();
    let unit = 10_u64.pow(decimals);
    let whole = grouped(number / unit);
    match decimals {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{:0width$}", number % unit, width = decimals as usize),
    }
}

/// The name of a table's figure, as text.
pub(crate) fn figure_name(table: &str, grouped_by: Option<&str>, group: Option<&Group>) -> String {
    match (grouped_by, group) {
        (Some(by), Some(group)) => format!("{table}, {by} {group}"),
        (Some(by), None) => format!("{table}, no {by}"),
        (None, _) => table.to_owned(),
    }
}

/// The name of a compared figure, as text.
pub(crate) fn comparison_name(figure: &Comparison) -> String {
    let mut name = figure_name(figure.table, figure.grouped_by, figure.group.as_ref());
    if let Some(date_key) = figure.date_key {
        let day = date_key::day(date_key).map_or_else(|| "no day".to_owned(), |_| date_key::text(date_key));
        let _ = write!(name, ", {day}");
    }
    let _ = write!(name, ", {}", figure.measure.label);
    name
}

/// A table of figures of both sides, without columns that are zero in every row.
pub(crate) fn comparisons<'a>(figures: impl IntoIterator<Item = &'a Comparison>) -> Table {
    let mut rows = table(&["figure", "source", "target", "quarantined", "pending", "delta"]);
    for figure in figures {
        let number = |number| units(number, figure.measure.decimals);
        rows.add_row([
            comparison_name(figure),
            number(figure.source),
            number(figure.target),
            number(figure.quarantined),
            number(figure.pending),
            number(figure.delta()),
        ]);
    }
    leave_out_zeros(&mut rows, FIGURE_COLUMNS);
    rows
}

/// A duration in a unit of suitable size.
pub(crate) fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800..63_072_000 => format!("{} days", seconds / 86_400),
        _ => format!("{} years", grouped(seconds / 31_536_000)),
    }
}

/// How long ago something was. Negative ages, from clocks that differ, count as 0.
pub(crate) fn ago(age: TimeDelta) -> String {
    format!("{} ago", duration(age.num_seconds().max(0)))
}

/// Rows per second.
#[expect(clippy::cast_precision_loss, reason = "a rate is read to three digits")]
pub(crate) fn rate(rows: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { rows as f64 / seconds } else { 0.0 }
}

/// Rows per second, rounded.
pub fn rate_of(rows: u64, seconds: f64) -> u64 {
    whole_rate(rate(rows, seconds))
}

/// A rate, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rows per second are few and not negative"
)]
pub(crate) fn whole_rate(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_are_zero_in_every_row_are_left_out() {
        let mut rows = table(&["table", "source", "target", "pending", "delta"]);
        rows.add_row(["a", "0", "0", "0", "0.00"]);
        rows.add_row(["b", "0", "0", "3", "0.00"]);
        assert_eq!(leave_out_zeros(&mut rows, 3), ["delta"]);
        let text = rows.to_string();
        assert!(
            text.contains("target") && text.contains("pending") && !text.contains("delta"),
            "{text}"
        );
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        let names = |names: &[&str]| listed(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names(&["a"]), "a");
        assert_eq!(names(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn numbers_are_grouped_and_amounts_keep_their_decimals() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(16_049), "16,049");
        assert_eq!(grouped(-1_604_900), "-1,604,900");
        assert_eq!(units(6_741_651, 2), "67,416.51");
        assert_eq!(units(-5, 2), "-0.05");
    }
}
