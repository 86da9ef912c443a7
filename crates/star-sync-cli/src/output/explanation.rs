//! What one row of the star is made of, as text.

use chrono::{DateTime, Utc};
use star_sync::changes::lineage::Cells;
use star_sync::compare::verdict::VerdictCode;
use star_sync::runs::explain::Explanation;
use star_sync::target::bookkeeping::time;
use std::fmt::Write;
use textwrap::core::display_width;

use super::validation::difference_text;
use super::{next, verdict};

/// The rows of the source and of the target are broken after so many.
const COLUMNS: usize = 80;

pub(crate) fn text(program: &str, explanation: &Explanation) -> String {
    let Explanation { table, key, .. } = explanation;
    let mut text = String::from("source rows:\n");
    for row in &explanation.source_rows {
        let newer = row.is_pending.then_some("(newer than the watermark)");
        text.push_str(&row_text(row.table, &row.columns, newer));
    }
    if explanation.source_rows.is_empty() {
        text.push_str("  none\n");
    }
    match &explanation.target_row {
        Some(star) => {
            let _ = write!(text, "target row:\n{}", row_text(table, star, None));
        }
        None => text.push_str("target row:\n  none\n"),
    }
    let or_dash = |watermark: Option<DateTime<Utc>>| {
        watermark.map_or_else(|| "-".to_owned(), |time| format!("{} UTC", time::text(time)))
    };
    if let Some(run) = &explanation.written_by {
        let _ = writeln!(
            text,
            "written by run {}, {} of {} UTC;\n  watermark after it {}, now {}",
            run.id,
            run.command,
            time::text(run.started),
            or_dash(explanation.watermark_after_run),
            or_dash(explanation.watermark)
        );
    } else if explanation.target_row.is_some() {
        let _ = writeln!(
            text,
            "written by a run that is no longer in sync_run; watermark now {}",
            or_dash(explanation.watermark)
        );
    }
    if let (Some(code), Some(reason)) = (explanation.reason_code, &explanation.reason) {
        let is_noted = explanation.verdict.code == VerdictCode::RowQuarantined;
        let state = if is_noted {
            "quarantined"
        } else {
            "cannot be loaded yet"
        };
        let _ = writeln!(text, "{state}: {}: {reason}", code.name());
    }
    if let Some(difference) = &explanation.difference {
        let _ = writeln!(
            text,
            "source and target differ:\n{}",
            difference_text(table, difference).trim_end()
        );
    }
    let code = explanation.verdict.code;
    let verdict = match code {
        VerdictCode::RowAbsent => "neither source nor target has this row",
        VerdictCode::RowQuarantined => "the row is quarantined until it can be loaded",
        VerdictCode::RowPending if explanation.source_rows.is_empty() => {
            "pending: deleted in the source since the last sync (run incremental)"
        }
        VerdictCode::RowPending => "pending: changed in the source since the last sync (run incremental)",
        VerdictCode::RowUntracked => {
            "MISMATCH: its tables changed since the last sync, but no change timestamp or deleted row explains it; run \
             incremental, which verifies modified tables, or repair"
        }
        VerdictCode::RowMismatch => {
            "MISMATCH: no source row of it changed since the last sync; another program changed the target, or an earlier \
             change did not touch the change timestamp; run repair"
        }
        _ => "OK: source and target match",
    };
    let _ = writeln!(text, "\n{table} {key}: {}", verdict::line(code, verdict));
    text.push_str(&next::line(program, next::after_explanation(explanation)));
    text
}

/// The columns of a row, on as many lines as they need.
fn row_text(table: &str, cells: &Cells, note: Option<&str>) -> String {
    let columns = cells
        .0
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("NULL")));
    let mut lines = String::new();
    let mut line = format!("  {table}:");
    for word in columns.chain(note.map(str::to_owned)) {
        if display_width(&line) + 1 + display_width(&word) > COLUMNS {
            let _ = writeln!(lines, "{line}");
            line = " ".repeat(3);
        }
        let _ = write!(line, " {word}");
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_broken_between_its_columns_after_80_of_the_terminal() {
        let value = |length| Some("x".repeat(length));
        let cells = Cells(vec![
            ("first".into(), value(60)),
            ("second".into(), value(69)),
            ("third".into(), None),
        ]);
        let text = row_text("fact", &cells, Some("(newer than the watermark)"));
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [74, 80, 41], "{text}");
        assert!(
            text.ends_with("\n    third=NULL (newer than the watermark)\n"),
            "{text}"
        );
    }
}
