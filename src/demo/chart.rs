//! Draws numbers as a bar chart in text.

use std::fmt::Write;

use star_sync_cli::output::human::grouped;

/// The length of the longest bar, in characters.
const WIDTH: usize = 40;
/// Zero to seven eighths of a full block.
const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// One number. Bars of the same group must be adjacent.
pub(super) struct Bar {
    pub group: String,
    pub name: String,
    pub value: i64,
}

/// Draws one line per bar.
pub(super) fn chart(bars: &[Bar]) -> String {
    let longest = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    let mut text = String::new();
    let mut last_group = "";
    for bar in bars {
        let group = if bar.group == last_group { "" } else { &bar.group };
        last_group = &bar.group;
        let line = line(bar.value, longest);
        let value = grouped(bar.value);
        let _ = writeln!(text, "  {group:8} {} {line:WIDTH$} {value:>10}", bar.name);
    }
    text
}

/// The bar of a number; empty if the number is negative.
fn line(value: i64, longest: i64) -> String {
    let width = i64::try_from(WIDTH).unwrap_or(0);
    let eighths = usize::try_from(value * width * 8 / longest).unwrap_or(0);
    "█".repeat(eighths / 8) + PARTS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_numbers() {
        let bar = |group: &str, name: &str, value| Bar {
            group: group.to_owned(),
            name: name.to_owned(),
            value,
        };
        let text = chart(&[bar("2026-01", "store 1", 4_000), bar("2026-01", "store 2", 1_050)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("  2026-01  store 1 {}      4,000", "█".repeat(40)));
        assert_eq!(
            lines[1],
            format!("           store 2 {}▌{}      1,050", "█".repeat(10), " ".repeat(29))
        );
        assert!(chart(&[bar("2026-01", "store 1", -5)]).contains("-5"));
        assert_eq!(chart(&[bar("2026-01", "store 1", 0)]).matches('█').count(), 0);
    }
}
