//! The survey of a fact in the source after a full load wrote its pages: the row count, the rows changed since the load
//! began, and the totals. If the pages do not provide these, as after an interrupted load, one more scan reads them in
//! small statements.

use std::cmp::max;

use chrono::{DateTime, Utc};
use tracing::info;

use crate::changes::detect::SourceChanges;
use crate::compare::source_totals::SourceTotals;
use crate::declare::day_totals::DayTotals;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::declare::totals::Totals;
use crate::error::{Doing, Result};
use crate::target::bookkeeping::state::States;

/// The survey of one fact in the snapshot.
pub(crate) struct Survey {
    pub changes: SourceChanges,
    pub totals: DayTotals,
}

/// Whether a table is surveyed: it has totals, consists of every row of its source table, and no other table uses that
/// source table. A survey of a source table that is also joined or looked up would lack data that change detection
/// needs.
pub(crate) fn is_surveyed(star: &Star, table: &Table) -> bool {
    table.totals.is_some() && star.shows_all_rows(table) && star.has_all_of(table.source_table)
}

/// The watermark of the unfinished load, which is earlier than its begin (safety lag, in-flight transactions): rows
/// that changed since are re-read.
pub(crate) fn load_watermark(states: &States, table: &Table) -> Option<DateTime<Utc>> {
    let state = states.get(table.source_table)?;
    state.lifecycle.load_watermark()
}

/// Surveys a table by reading all of it.
pub(crate) async fn of_table(totals: &mut SourceTotals<'_>, states: &States, table: &'static Table) -> Result<Survey> {
    let watermark = load_watermark(states, table);
    let doing = || format!("scanning {}", table.source_table);
    let (mut rows, mut keys, mut newest) = (0, Vec::new(), None);
    let change_time = table.totals.as_ref().map_or(0, Totals::change_time_position);
    let totals = totals
        .of_all(table, |row| {
            rows += 1;
            let changed: Option<DateTime<Utc>> = row.known(change_time).source(doing)?;
            newest = max(newest, changed);
            if changed.is_none() || changed > watermark {
                keys.push(table.page_key_of(row).source(doing)?);
            }
            Ok(())
        })
        .await?;
    info!(table = table.name, rows, "re-read for its totals");
    let changes = SourceChanges::surveyed(rows, keys, newest);
    Ok(Survey { changes, totals })
}
