//! A survey of a fact in the source, when the pages of a full load are written: the number of its rows, which of them
//! have changed since the load began, and their totals. Of a fact whose pages do not tell, as after an interrupted
//! load, all of it comes from one more scan, in small statements.

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

/// One fact, at the instant of the snapshot.
pub(crate) struct Survey {
    pub changes: SourceChanges,
    pub totals: DayTotals,
}

/// Whether a table's totals are made of every row of its source table, of which no other table has anything: of one that is
/// also joined or looked up, the survey does not tell all that change detection needs.
pub(crate) fn is_surveyed(star: &Star, table: &Table) -> bool {
    table.totals.is_some() && star.shows_all_rows(table) && star.has_all_of(table.source_table)
}

/// From when on the rows of a table have changed that a load reads again.
pub(crate) fn began(states: &States, table: &Table) -> Option<DateTime<Utc>> {
    let state = states.get(table.source_table)?;
    state.lifecycle.load_watermark()
}

/// Surveys a table by reading all of it.
pub(crate) async fn of_table(totals: &mut SourceTotals<'_>, states: &States, table: &'static Table) -> Result<Survey> {
    let began = began(states, table);
    let doing = || format!("scanning {}", table.source_table);
    let (mut rows, mut keys, mut newest) = (0, Vec::new(), None);
    let change_time = table.totals.as_ref().map_or(0, Totals::change_time_position);
    let totals = totals
        .of_all(table, |row| {
            rows += 1;
            let changed: Option<DateTime<Utc>> = row.known(change_time).source(doing)?;
            newest = max(newest, changed);
            if changed.is_none() || changed > began {
                keys.push(table.page_key_of(row).source(doing)?);
            }
            Ok(())
        })
        .await?;
    info!(table = table.name, rows, "re-read for its totals");
    let changes = SourceChanges::surveyed(rows, keys, newest);
    Ok(Survey { changes, totals })
}
