//! What one row of the star is made of, as text.

use chrono::{DateTime, Utc};
use star_sync::changes::lineage::Cells;
use star_sync::runs::explain::Explanation;
use star_sync::target::bookkeeping::time;
use star_sync::verify::verdict::VerdictCode;
use std::fmt::Write;

use super::validation::difference_text;
use super::{next, verdict};

pub(crate) fn text(program: &str, explanation: &Explanation) -> String {
    let Explanation { table, key, .. } = explanation;
    let mut text = String::from("source rows behind it:\n");
    for row in &explanation.source_rows {
        let newer = if row.is_newer_than_watermark {
            "  (newer than the watermark)"
        } else {
            ""
        };
        let _ = writeln!(text, "  {}: {}{newer}", row.table, cells(&row.columns));
    }
    if explanation.source_rows.is_empty() {
        text.push_str("  none\n");
    }
    match &explanation.target_row {
        Some(star) => {
            let _ = writeln!(text, "the row in the star:\n  {table}: {}", cells(star));
        }
        None => text.push_str("the row in the star:\n  none\n"),
    }
    let or_dash = |watermark: Option<DateTime<Utc>>| watermark.map_or_else(|| "-".to_owned(), time::text);
    if let Some(run) = &explanation.written_by {
        let _ = writeln!(
            text,
            "written by run {}, {} of {} UTC; the watermark was {} then and is {} now",
            run.id,
            run.command,
            time::text(run.started),
            or_dash(explanation.watermark_after_run),
            or_dash(explanation.watermark)
        );
    } else if explanation.target_row.is_some() {
        let _ = writeln!(
            text,
            "written by a run that is no longer known; the watermark is {} now",
            or_dash(explanation.watermark)
        );
    }
    if let (Some(code), Some(reason)) = (explanation.reason_code, &explanation.reason) {
        let _ = writeln!(text, "quarantined: {}: {reason}", code.name());
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
        VerdictCode::RowAbsent => "neither the source nor the target has such a row",
        VerdictCode::RowQuarantined => "the row is quarantined until its parent appears",
        VerdictCode::RowPending if explanation.source_rows.is_empty() => {
            "the row is gone from the source since the last sync; run incremental"
        }
        VerdictCode::RowPending => "the row changed since the last sync; run incremental",
        VerdictCode::RowUntracked => {
            "MISMATCH: the source changed since the last sync, but no change that the row has not seen explains it; run \
             incremental, which verifies changed tables, or repair"
        }
        VerdictCode::RowMismatch => {
            "MISMATCH: nothing behind the row changed since the last sync; the target was changed by another program, or an \
             earlier change left no trace; run repair"
        }
        _ => "OK: source and target match",
    };
    let _ = writeln!(text, "\n{table} {key}: {}", verdict::line(code, verdict));
    text.push_str(&next::line(program, next::after_explanation(explanation)));
    text
}

fn cells(cells: &Cells) -> String {
    let shown: Vec<String> = cells
        .0
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("NULL")))
        .collect();
    shown.join(" ")
}
