//! The full load: every interval of every table, then a pass that brings all of it to one instant.
//!
//! No table of the source is locked and no snapshot is held while pages are read. The watermark is fixed before the
//! first page; what changes meanwhile is brought by the closing pass, which begins there.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tracing::{debug, info};

use crate::changes::catch_up::{self, PagesBefore};
use crate::changes::page_check::{CheckedPages, PageCheck};
use crate::changes::{Context, Mode, digests, identity};
use crate::declare::day_totals::DayTotals;
use crate::declare::period::Period;
use crate::declare::scope::Scope;
use crate::declare::table::Table;
use crate::error::{Doing, Error, Result};
use crate::failpoint;
use crate::pipeline::pages::{Pages, Walked};
use crate::pipeline::plan::Intervals;
use crate::pipeline::progress::Work;
use crate::pipeline::stages::Stage;
use crate::pipeline::write::Commits;
use crate::runs::closing::Closing;
use crate::runs::report::{Report, Resumed};
use crate::source::{Snapshot, check};
use crate::target::bookkeeping::history::{self, Status};
use crate::target::bookkeeping::state::{self, Lifecycle, Load, SourceState, States};
use crate::target::bookkeeping::verification::Verified;
use crate::target::bookkeeping::{source_record, success, target_table};
use crate::target::{self, TargetReader, calendar, statement};
use crate::verify::soundness;
use crate::verify::totals;

pub(crate) const COMMAND: &str = success::FULL_LOAD;
/// A load that was interrupted longer ago begins anew: a row that changed since without a time of change would
/// never be looked at again.
const HOURS_TO_RESUME: i64 = 6;

/// What a load starts from.
#[derive(Default)]
struct Start {
    /// The star holds no row: it need not be read, and may be written without syncing.
    is_empty: bool,
    /// An earlier load was interrupted, and this one resumes it.
    resumes: bool,
    /// Up to which key each target table is loaded by a load that was interrupted.
    loaded_up_to: HashMap<String, i64>,
    /// What each source table looked like before the first page was read, where that had settled.
    signatures: HashMap<String, String>,
}

/// Makes the star equal to the source. With `accept_source` whatever the source is now, else only if it is the one
/// that the star was made from.
///
/// # Errors
/// `SourceChanged` if it is another one.
/// Anything that either database answers. What was committed stays, and the next full load goes on behind it.
pub async fn run(context: &Context<'_>, accept_source: bool) -> Result<Report> {
    let writer = &context.target.writer;
    if !accept_source {
        identity::check(context.look.source, context.source_columns, writer).await?;
    }
    let start = prepare(context).await?;
    if start.is_empty {
        context.target.write_without_syncing().await?;
    }
    let run_id = context.begin_run(writer, COMMAND).await?;
    let result = load(context, start, run_id).await;
    if let Err(error) = &result {
        // The error of the load is the one to report, even if its mark cannot be left.
        let _ = history::finish_run(writer, run_id, Status::of(error), None).await;
    }
    result
}

/// Fixes the load's watermark, or finds that of a load that was interrupted.
async fn prepare(context: &Context<'_>) -> Result<Start> {
    let writer = &context.target.writer;
    state::fill(writer, &context.look.star.sources).await?;
    let states = state::load(writer).await?;
    let is_empty = context.target.is_empty(context.look.star).await?;
    // Before the snapshot: an account may have one connection only.
    let table_columns = check::table_columns(context.look.source, context.look.star).await?;
    // Clock, open work and times of change are of one moment; nothing is read in this snapshot.
    let before = context.look.source.snapshot().await?;
    if can_resume(context, &states, before.clock).await? {
        let mut start = Start {
            is_empty,
            resumes: true,
            loaded_up_to: states.loaded_up_to(),
            ..Start::default()
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
    let load = Load {
        watermark: before.closed_until(context.overlap),
    };
    let mut start = Start {
        is_empty,
        ..Start::default()
    };
    let transaction = target::begin(writer).await?;
    for (table, state) in states.iter() {
        let signature = before.settled_signature(table, context.overlap);
        let last_synced = state.lifecycle.last_synced();
        let state = SourceState {
            lifecycle: Lifecycle::Loading { load, last_synced },
            settled_signature: signature.clone(),
            ..state.clone()
        };
        state::save(&transaction, table, state).await?;
        start
            .signatures
            .extend(signature.map(|signature| (table.to_owned(), signature)));
    }
    target_table::forget_loaded(&transaction).await?;
    // From here on the star is made from this source: what is loaded from it is nothing that another one goes on with.
    source_record::save(&transaction, identity::record(context)).await?;
    source_record::note_table_columns(&transaction, &table_columns).await?;
    transaction
        .commit()
        .await
        .target(|| "recording the start of the load".to_owned())?;
    failpoint::pass("load-watermark-noted");
    before.close().await?;
    Ok(start)
}

/// Whether an interrupted load is there, of this very source, and young enough for its pages still to be trusted.
async fn can_resume(context: &Context<'_>, states: &States, clock: DateTime<Utc>) -> Result<bool> {
    let loads = states.iter().filter_map(|(_, state)| state.lifecycle.load());
    if !is_young(loads.map(|load| load.watermark).min(), clock) {
        return Ok(false);
    }
    let remembered = source_record::load(&context.target.writer).await?;
    Ok(remembered == Some(identity::record(context)))
}

/// Whether a load that began then, if one did, can be resumed.
fn is_young(began: Option<DateTime<Utc>>, clock: DateTime<Utc>) -> bool {
    began.is_some_and(|began| began <= clock && clock - began < TimeDelta::hours(HOURS_TO_RESUME))
}

async fn load(context: &Context<'_>, start: Start, run_id: i64) -> Result<Report> {
    let calendar_days_corrected = correct_calendar(context, run_id).await?;
    let pages = Pages {
        look: &context.look,
        is_target_empty: start.is_empty,
        commits: Commits::EachFewBatches(context.target.writer.clone()),
        run_id,
        done_upto: start.loaded_up_to,
        period: Period::All,
        digesting: digests::digesting(context, &context.target.writer).await?,
    };
    let mut walked = pages.walk().await?;
    let resumed = start.resumes.then(|| Resumed {
        rows_reread: walked.rows_held_before(),
    });
    for table in context.look.star.tables() {
        if let Some(upto) = pages.done_upto.get(table.name) {
            add_intervals_before(context, table, *upto, &mut walked).await?;
        }
    }
    failpoint::pass("pages-written");
    failpoint::hold("pages-held").await;
    info!("pages written; creating indexes");
    let snapshot = context.look.source.snapshot().await?;
    let states = state::load(&context.target.writer).await?;
    let verified = Verified {
        run_id,
        at: snapshot.clock,
    };
    // While SQLite sorts, the server digests what the pages have brought, and then the target's totals are added up; at the
    // same time where there is nothing to sort.
    let figures = async {
        let check = check_pages(context, &snapshot, &states, &walked, (&pages, verified));
        if start.is_empty {
            Ok((check.await?, written_totals(context).await?))
        } else {
            tokio::try_join!(check, written_totals(context))
        }
    };
    let ((checked, target_totals), ()) = tokio::try_join!(figures, complete(context))?;
    if start.is_empty || !states.is_loaded() {
        // Also what an interrupted first load has written without syncing. Now that nobody reads: a checkpoint copies no
        // more than readers allow.
        context.target.make_durable(run_id).await?;
    }
    failpoint::pass("before-closing-pass");

    info!("catch-up pass: applying changes since the pages were read, and reconciling");
    // The pages were written without SQLite looking at foreign keys; from here on it does.
    context.target.enforce_foreign_keys().await?;
    let closing = Closing {
        context,
        snapshot,
        transaction: context.target.begin().await?,
        run_id,
        command: COMMAND,
        finishes_load: start.resumes || !states.is_loaded(),
        dry_run: false,
        calendar_days_corrected,
    };
    let start = catch_up::Start {
        removed: walked.removed,
        before: walked.outcomes,
        pages: Some(PagesBefore {
            ranges: checked.ranges,
            source_rows: checked.source_rows,
            signatures: start.signatures,
            rows_verified_by_digest: checked.rows_verified,
        }),
        differing: checked.differing,
        changed: checked.changed,
        surveys: checked.surveys,
        target_totals,
        ..catch_up::Start::default()
    };
    let report = closing.close(Mode::ClosingFullLoad, start).await?;
    Ok(Report { resumed, ..report })
}

/// Before the first fact, which may need a day that another program has taken out.
async fn correct_calendar(context: &Context<'_>, run_id: i64) -> Result<u64> {
    let committed = TargetReader::Committed(context.look.readers.clone());
    let transaction = context.target.begin().await?;
    let days = calendar::mend(context.look.star, &committed, &*transaction, run_id).await?;
    target::commit(transaction).await?;
    Ok(days)
}

/// Compares the pages with the snapshot.
async fn check_pages(
    context: &Context<'_>,
    snapshot: &Snapshot,
    states: &States,
    walked: &Walked,
    (pages, verified): (&Pages<'_>, Verified),
) -> Result<CheckedPages> {
    let Some(digesting) = &pages.digesting else {
        return Ok(CheckedPages::default());
    };
    let check = PageCheck {
        context,
        snapshot,
        states,
        walked,
        digesting: digesting.clone(),
        loaded_before: &pages.done_upto,
        verified,
    };
    check.run().await
}

/// Creates the indexes that are missing, and looks whether all rows point to rows that are there, which is short work
/// with the indexes in place.
async fn complete(context: &Context<'_>) -> Result<()> {
    let mut lap = context.look.progress.lap(Stage::Index);
    let committed = TargetReader::Committed(context.look.readers.clone());
    let mut checks = JoinSet::new();
    let count = context
        .look
        .star
        .tables()
        .map(|table| statement::indexes(table).len())
        .sum();
    let mut number = 0;
    let mut on_index = || {
        number += 1;
        context.look.progress.begin_work(Work::Index { number, count });
    };
    for table in context.look.star.tables() {
        context.target.create_indexes(table, &mut on_index).await?;
        let committed = committed.clone();
        // Beside the indexes of the next table.
        checks.spawn(async move { Ok::<_, Error>((table.name, soundness::orphans(table, &committed).await?)) });
    }
    let mut orphans = Vec::new();
    while let Some(check) = checks.join_next().await {
        let (table, rows) = check.map_err(|_| Error::Panicked { stage: "check" })??;
        if rows > 0 {
            orphans.push(format!("{rows} of {table}"));
        }
    }
    if !orphans.is_empty() {
        return Err(Error::Orphans { orphans });
    }
    lap.worked();
    Ok(())
}

/// The totals of all that the pages have written.
async fn written_totals(context: &Context<'_>) -> Result<HashMap<&'static str, DayTotals>> {
    let committed = TargetReader::Committed(context.look.readers.clone());
    let mut figures = HashMap::new();
    for table in context.look.star.tables() {
        let totals = totals::of_target(&committed, table, &Period::All, &Scope::ALL).await?;
        debug!(table = table.name, "totals computed");
        figures.insert(table.name, totals);
    }
    Ok(figures)
}

/// Adds the intervals that an interrupted load has done, so that what is proven is known of all keys.
async fn add_intervals_before(
    context: &Context<'_>,
    table: &'static Table,
    upto: i64,
    walked: &mut Walked,
) -> Result<()> {
    let look = &context.look;
    let target = TargetReader::Committed(look.readers.clone());
    let planner = look.planner(table, look.source.reader(), target).await?;
    let mut intervals = Intervals::new(table, planner, None);
    let mut done = Vec::new();
    while let Some(scope) = intervals.next().await? {
        let (after, end) = scope.ends();
        let is_last = end.is_none_or(|end| end >= upto);
        let end = if is_last && upto != i64::MAX { Some(upto) } else { end };
        done.push(Scope::Range { after, upto: end });
        if is_last {
            break;
        }
    }
    let behind = walked.intervals.remove(table.name).unwrap_or_default();
    walked.intervals.insert(table.name, [done, behind].concat());
    Ok(())
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
