//! The start of a full load: fixes its watermark before the first page is read, or resumes an interrupted load with the
//! watermark of that load.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::info;

use crate::changes::{Context, identity};
use crate::error::{Doing, Result};
use crate::failpoint;
use crate::source::check;
use crate::target;
use crate::target::bookkeeping::state::{self, Lifecycle, SourceState, States};
use crate::target::bookkeeping::{source_identity, target_table};

/// A load with an older watermark starts over: to resume it, the catch-up pass would compare everything that it had
/// loaded, over one connection.
const HOURS_TO_RESUME: i64 = 6;

/// The state from which a load starts. Its watermark is kept in `sync_state.load_watermark`, where the catch-up pass
/// reads it.
#[derive(Default)]
pub(super) struct LoadStart {
    /// The star has no rows: it need not be read, and may be written without fsync.
    pub is_empty: bool,
    /// An earlier load was interrupted, and this one resumes it.
    pub resumes: bool,
    /// The last key of each target table that the interrupted load has loaded.
    pub loaded_up_to: HashMap<String, i64>,
    /// The settled signature of each source table before the first page was read.
    pub signatures: HashMap<String, String>,
}

/// Fixes the load's watermark, or reads that of an interrupted load.
pub(super) async fn prepare(context: &Context<'_>) -> Result<LoadStart> {
    let writer = &context.target.writer;
    state::fill(writer, &context.databases.star.sources).await?;
    let states = state::load(writer).await?;
    let is_empty = context.target.is_empty(context.databases.star).await?;
    // Runs before the snapshot opens: an account may be limited to one connection.
    let table_columns = check::table_columns(context.databases.source, context.databases.star).await?;
    // This snapshot gives the clock, in-flight transactions and change times at one point in time; no rows are read in
    // it.
    let before = context.databases.source.snapshot().await?;
    if can_resume(context, &states, before.clock).await? {
        let mut start = LoadStart {
            is_empty,
            resumes: true,
            loaded_up_to: states.loaded_up_to(),
            ..LoadStart::default()
        };
        for (table, state) in states.iter() {
            let signature = state.settled_signature.clone();
            start
                .signatures
                .extend(signature.map(|signature| (table.to_owned(), signature)));
        }
        let tables = start.loaded_up_to.len();
        info!(code = "LOAD_RESUMED", tables, "resuming an interrupted full load");
        before.close().await?;
        return Ok(start);
    }
    let load_watermark = before.committed_until(context.safety_lag);
    let start = LoadStart {
        is_empty,
        signatures: before.settled_signatures(context.databases.star, context.safety_lag),
        ..LoadStart::default()
    };
    let transaction = target::begin(writer).await?;
    for (table, state) in states.iter() {
        let state = SourceState {
            lifecycle: Lifecycle::Loading {
                load_watermark,
                last_synced: state.lifecycle.last_synced(),
            },
            settled_signature: start.signatures.get(table).cloned(),
            ..state.clone()
        };
        state::save(&transaction, table, state).await?;
    }
    target_table::forget_loaded(&transaction).await?;
    // From here on the target belongs to this source: a load from another source must not resume it.
    source_identity::save(&transaction, identity::current(context)).await?;
    source_identity::note_table_columns(&transaction, &table_columns).await?;
    transaction
        .commit()
        .await
        .target(|| "recording the start of the load".to_owned())?;
    failpoint::pass("load-watermark-noted");
    before.close().await?;
    Ok(start)
}

/// Whether there is an interrupted load of the same source whose watermark is less than `HOURS_TO_RESUME` old.
async fn can_resume(context: &Context<'_>, states: &States, clock: DateTime<Utc>) -> Result<bool> {
    let loads = states.iter().filter_map(|(_, state)| state.lifecycle.load_watermark());
    if !is_young(loads.min(), clock) {
        return Ok(false);
    }
    let remembered = source_identity::load(&context.target.writer).await?;
    Ok(remembered == Some(identity::current(context)))
}

/// Whether a load with this watermark, if there is one, is recent enough to be resumed.
fn is_young(load_watermark: Option<DateTime<Utc>>, clock: DateTime<Utc>) -> bool {
    load_watermark.is_some_and(|watermark| watermark <= clock && clock - watermark < TimeDelta::hours(HOURS_TO_RESUME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_resumed_for_hours_and_never_from_the_future() {
        let clock = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        assert!(is_young(Some(clock), clock));
        assert!(is_young(Some(clock - TimeDelta::hours(5)), clock));
        assert!(!is_young(Some(clock - TimeDelta::hours(HOURS_TO_RESUME)), clock));
        assert!(!is_young(Some(clock + TimeDelta::seconds(1)), clock));
        assert!(!is_young(None, clock));
    }
}
