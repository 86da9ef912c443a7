//! What the source says of its facts when the pages of a full load are written: their number, which of them have
//! changed since the load began, and their totals. All of it comes from one scan of each, in small statements.

use std::cmp::max;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tracing::debug;

use crate::changes::detect::Delta;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::declare::totals::Totals;
use crate::error::{Doing, Result};
use crate::pipeline::look::Look;
use crate::source::Snapshot;
use crate::target::bookkeeping::state::States;
use crate::verify::totals::{Figures, SourceTotals};

/// One fact, at the instant of the snapshot.
pub(crate) struct Survey {
    pub delta: Delta,
    pub totals: Figures,
}

/// Whether its totals are made of every row of its source table, and no other table's are.
fn shows_all_rows(star: &Star, table: &Table) -> bool {
    let mut of_same_source = star.tables().filter(|other| other.source_table == table.source_table);
    table.totals.is_some() && table.only.is_none() && of_same_source.all(|other| other.name == table.name)
}

/// Surveys all facts that show all rows, by the names of their star tables.
pub(crate) async fn facts(
    look: &Look<'_>,
    snapshot: &Snapshot,
    states: &States,
) -> Result<HashMap<&'static str, Survey>> {
    let mut surveys = HashMap::new();
    let mut totals = SourceTotals::new(look, snapshot.reader());
    for table in look.star.tables().filter(|table| shows_all_rows(look.star, table)) {
        let state = states.get(table.source_table);
        let began = state
            .and_then(|state| state.lifecycle.load())
            .map(|load| load.watermark);
        let doing = || format!("looking through {}", table.source_table);
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
        let delta = Delta::surveyed(rows, keys, newest);
        let survey = Survey { delta, totals };
        debug!(table = table.name, rows, "looked through the source");
        surveys.insert(table.name, survey);
    }
    Ok(surveys)
}
