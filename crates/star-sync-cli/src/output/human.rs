//! What results in text are made of: tables, numbers, durations, words in colour.

use std::fmt::{Display, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use star_sync::declare::date_key;
use star_sync::declare::totals::Group;
use star_sync::verify::figures::Comparison;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ADVICE: Style = AnsiColor::Cyan.on_default();

/// Words that say that all is well. `Output` takes colours off again where nobody would see them.
pub(crate) fn good(words: impl Display) -> String {
    format!("{GOOD}{words}{GOOD:#}")
}

/// Words that nobody should overlook.
pub(crate) fn bad(words: impl Display) -> String {
    format!("{BAD}{words}{BAD:#}")
}

/// Words in front of what to do.
pub(crate) fn advice(words: impl Display) -> String {
    format!("{ADVICE}{words}{ADVICE:#}")
}

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

/// The size of a file.
pub(crate) fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).div_ceil(1024 * 1024);
    format!("{}.{} MiB", grouped(tenths / 10), tenths % 10)
}

/// A number of smallest units, of which so many digits stand behind the point.
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

/// Which figure of a table it is, for people.
pub(crate) fn figure_name(table: &str, grouped_by: Option<&str>, group: Option<&Group>) -> String {
    match (grouped_by, group) {
        (Some(by), Some(group)) => format!("{table}, {by} {group}"),
        (Some(by), None) => format!("{table}, no {by}"),
        (None, _) => table.to_owned(),
    }
}

/// Figures of both sides.
pub(crate) fn comparisons<'a>(figures: impl IntoIterator<Item = &'a Comparison>) -> Table {
    let mut rows = table(&["figure", "source", "target", "rejected", "pending", "delta"]);
    for figure in figures {
        let mut name = figure_name(figure.table, figure.grouped_by, figure.group.as_ref());
        if let Some(date_key) = figure.date_key {
            let _ = write!(name, ", {}", date_key::text(date_key));
        }
        let _ = write!(name, ", {}", figure.measure.label);
        let number = |number| units(number, figure.measure.decimals);
        rows.add_row([
            name,
            number(figure.source),
            number(figure.target),
            number(figure.rejected),
            number(figure.pending),
            number(figure.delta()),
        ]);
    }
    rows
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", grouped(seconds / 86_400)),
    }
}

/// Rows per second, for people.
#[expect(clippy::cast_precision_loss, reason = "a rate is read to three digits")]
pub(crate) fn rate(rows: u64, seconds: f64) -> f64 {
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
        assert_eq!(units(6_741_651, 2), "67,416.51");
        assert_eq!(units(-5, 2), "-0.05");
    }
}
