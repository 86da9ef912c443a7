//! What one row of the star is made of, as text.

use chrono::{DateTime, Utc};
use star_sync::changes::lineage::Cells;
use star_sync::compare::verdict::VerdictCode;
use star_sync::runs::explain::Explanation;
use star_sync::target::bookkeeping::time;
use std::fmt::Write;

use super::validation::difference_text;
use super::{next, verdict};

pub(crate) fn text(program: &str, explanation: &Explanation) -> String {
    let Explanation { table, key, .. } = explanation;
    let mut text = String::from("source rows:\n");
    for row in &explanation.source_rows {
        let newer = if row.is_pending {
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
            let _ = writeln!(text, "target row:\n  {table}: {}", cells(star));
        }
        None => text.push_str("target row:\n  none\n"),
    }
    let or_dash = |watermark: Option<DateTime<Utc>>| watermark.map_or_else(|| "-".to_owned(), time::text);
    if let Some(run) = &explanation.written_by {
        let _ = writeln!(
            text,
            "written by run {}, {} of {} UTC; watermark after it {}, now {}",
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

fn cells(cells: &Cells) -> String {
    let shown: Vec<String> = cells
        .0
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("NULL")))
        .collect();
    shown.join(" ")
}
