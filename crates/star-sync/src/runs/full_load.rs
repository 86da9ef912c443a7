//! The full load: loads every key range of every table, then applies the changes made meanwhile in a catch-up pass.
//!
//! No source table is locked and no snapshot is held while pages are read. The watermark is fixed before the first
//! page; the catch-up pass applies all changes made since then.

use std::collections::HashMap;

use tokio::task::JoinSet;
use tracing::{debug, info};

use crate::changes::catch_up::CatchUpInput;
use crate::changes::page_check::{CheckedPages, PageCheck};
use crate::changes::{Context, Mode, digests, identity};
use crate::compare::integrity;
use crate::compare::totals;
use crate::declare::day_totals::DayTotals;
use crate::declare::integer::Key;
use crate::declare::key_range::KeyRange;
use crate::declare::period::Period;
use crate::declare::table::Table;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::pipeline::pages::{Pages, PagesOutcome};
use crate::pipeline::plan::PlannedRanges;
use crate::pipeline::progress::Work;
use crate::pipeline::stages::Stage;
use crate::pipeline::write::WriteMode;
use crate::runs::catch_up_run::CatchUpRun;
use crate::runs::load_start::{LoadStart, prepare};
use crate::runs::report::{Report, Resumed};
use crate::source::Snapshot;
use crate::target::bookkeeping::history::{self, Status};
use crate::target::bookkeeping::state::{self, States};
use crate::target::bookkeeping::success;
use crate::target::bookkeeping::verified_ranges::VerificationMark;
use crate::target::{self, TargetReader, calendar, orphans, statement};

pub(crate) const COMMAND: &str = success::FULL_LOAD;

/// Makes the star equal to the source. With `accept_source` any source is accepted, otherwise only the one that the
/// star was loaded from.
///
/// # Errors
/// `SourceChanged` if it is another source.
/// Any error of either database. Committed pages are kept, and the next full load resumes after them.
pub async fn run(context: &Context<'_>, accept_source: bool) -> Result<Report> {
    let writer = &context.target.writer;
    if !accept_source {
        identity::check(context.databases.source, context.source_columns, writer).await?;
    }
    let start = prepare(context).await?;
    if start.is_empty {
        context.target.write_without_syncing().await?;
    }
    let run_id = context.begin_run(writer, COMMAND).await?;
    let result = load(context, start, run_id).await;
    if let Err(error) = &result {
        // If recording the failure fails too, the error of the load is still the one to report.
        let _ = history::finish_run(writer, run_id, Status::from_error(error), None).await;
    }
    result
}

async fn load(context: &Context<'_>, start: LoadStart, run_id: i64) -> Result<Report> {
    let (calendar_days_corrected, orphans_deleted) = correct(context, run_id).await?;
    let pages = Pages {
        databases: &context.databases,
        is_target_empty: start.is_empty,
        mode: WriteMode::CommitEveryFewBatches(context.target.writer.clone()),
        run_id,
        loaded_up_to: start.loaded_up_to,
        period: Period::All,
        digesting: digests::digesting(context, &context.target.writer).await?,
    };
    let mut pages_outcome = pages.run().await?;
    for (table, rows) in orphans_deleted {
        pages_outcome.outcomes.entry(table).or_default().counts.deleted += rows;
    }
    let resumed = start.resumes.then(|| Resumed {
        rows_reread: pages_outcome.rows_kept(),
    });
    for table in context.databases.star.tables() {
        if let Some(up_to) = pages.loaded_up_to.get(table.name) {
            add_ranges_before(context, table, *up_to, &mut pages_outcome).await?;
        }
    }
    failpoint::pass("pages-written");
    failpoint::hold("pages-held").await;
    info!("pages written; creating indexes");
    let snapshot = context.databases.source.snapshot().await?;
    let states = state::load(&context.target.writer).await?;
    let verified = VerificationMark {
        run_id,
        at: snapshot.clock,
    };
    // On an empty target SQLite is busy creating indexes, so the digests, which the server computes, run first and the
    // target's totals after them. Otherwise both run at the same time.
    let figures = async {
        let check = check_pages(context, &snapshot, &states, &pages_outcome, (&pages, verified));
        if start.is_empty {
            Ok((check.await?, written_totals(context).await?))
        } else {
            tokio::try_join!(check, written_totals(context))
        }
    };
    let ((checked, target_totals), ()) = tokio::try_join!(figures, complete(context))?;
    if start.is_empty || !states.is_loaded() {
        // Also flushes to disk what an interrupted first load wrote without an fsync. This happens here because an
        // open reader would limit the checkpoint.
        context.target.make_durable(run_id).await?;
    }
    failpoint::pass("before-catch-up-pass");

    info!("catch-up pass: applying changes since the pages were read, and reconciling");
    // SQLite did not check foreign keys while the pages were written; it does from here on.
    context.target.enforce_foreign_keys().await?;
    let catch_up_run = CatchUpRun {
        context,
        snapshot,
        transaction: context.target.begin().await?,
        run_id,
        command: COMMAND,
        finishes_load: start.resumes || !states.is_loaded(),
        dry_run: false,
        calendar_days_corrected,
    };
    let input = CatchUpInput {
        removed: pages_outcome.removed,
        before: pages_outcome.outcomes,
        checked,
        signatures: Some(start.signatures),
        target_totals,
        ..CatchUpInput::default()
    };
    let report = catch_up_run.finish(Mode::FullLoad, input).await?;
    Ok(Report { resumed, ..report })
}

/// Corrects changes by other programs that comparing pages does not detect. It runs before the first fact is loaded,
/// which may need a deleted day. Returns how many calendar days were wrong, and the number of deleted rows by table.
async fn correct(context: &Context<'_>, run_id: i64) -> Result<(u64, Vec<(&'static str, u64)>)> {
    let committed = TargetReader::Committed(context.databases.readers.clone());
    let transaction = context.target.begin().await?;
    let days = calendar::correct(context.databases.star, &committed, &*transaction, run_id).await?;
    let orphans = orphans::delete(context.databases.star, &*transaction, run_id).await?;
    target::commit(transaction).await?;
    Ok((days, orphans))
}

/// Compares the pages with the snapshot.
async fn check_pages(
    context: &Context<'_>,
    snapshot: &Snapshot,
    states: &States,
    pages_outcome: &PagesOutcome,
    (pages, verified): (&Pages<'_>, VerificationMark),
) -> Result<CheckedPages> {
    let Some(digesting) = &pages.digesting else {
        return Ok(CheckedPages::default());
    };
    let check = PageCheck {
        context,
        snapshot,
        states,
        pages_outcome,
        digesting: digesting.clone(),
        loaded_before: &pages.loaded_up_to,
        verified,
    };
    check.run().await
}

/// Creates the missing indexes, and checks foreign keys, which is fast once the indexes exist.
async fn complete(context: &Context<'_>) -> Result<()> {
    let mut lap = context.databases.progress.lap(Stage::Index);
    let committed = TargetReader::Committed(context.databases.readers.clone());
    let mut checks = JoinSet::new();
    let count = context
        .databases
        .star
        .tables()
        .map(|table| statement::indexes(table).len())
        .sum();
    let mut number = 0;
    let mut on_index = || {
        number += 1;
        context.databases.progress.begin_work(Work::Index { number, count });
    };
    for table in context.databases.star.tables() {
        context.target.create_indexes(table, &mut on_index).await?;
        let committed = committed.clone();
        // Runs while the indexes of the next table are created.
        checks.spawn(async move { Ok::<_, Error>((table.name, integrity::orphans_to_stay(table, &committed).await?)) });
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

/// The target's totals after all pages are written.
async fn written_totals(context: &Context<'_>) -> Result<HashMap<&'static str, DayTotals>> {
    let committed = TargetReader::Committed(context.databases.readers.clone());
    let mut figures = HashMap::new();
    for table in context.databases.star.tables() {
        let totals = totals::of_target(&committed, table, &Period::All, &KeyRange::ALL).await?;
        debug!(table = table.name, "totals computed");
        figures.insert(table.name, totals);
    }
    Ok(figures)
}

/// Adds the key ranges that an interrupted load had finished, so that all keys have a verified range.
async fn add_ranges_before(
    context: &Context<'_>,
    table: &'static Table,
    up_to: i64,
    pages_outcome: &mut PagesOutcome,
) -> Result<()> {
    let databases = &context.databases;
    let target = TargetReader::Committed(databases.readers.clone());
    let planner = databases.planner(table, databases.source.reader(), target).await?;
    let mut planned_ranges = PlannedRanges::new(table, planner, None);
    let mut done = Vec::new();
    while let Some(key_range) = planned_ranges.next().await? {
        let (after, end) = key_range.ends();
        let is_last = end.is_none_or(|end| end >= up_to);
        let end = if is_last && up_to != Key::LARGEST {
            Some(up_to)
        } else {
            end
        };
        done.push(KeyRange::Between { after, up_to: end });
        if is_last {
            break;
        }
    }
    let behind = pages_outcome.planned_ranges.remove(table.name).unwrap_or_default();
    pages_outcome.planned_ranges.insert(table.name, [done, behind].concat());
    Ok(())
}
