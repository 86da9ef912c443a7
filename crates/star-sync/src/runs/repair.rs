//! The repair: compares every row of the star, or of one table and its dependents, with the source, and writes only the
//! rows that differ.
//!
//! Pages are compared in parallel, without a snapshot and without writing. Rows that seem to differ are read again in
//! the snapshot of the catch-up pass, which is the same as in an incremental run.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::info;

use crate::changes::catch_up::CatchUpInput;
use crate::changes::page_check::CheckedPages;
use crate::changes::{Context, Mode, verification};
use crate::declare::integer::Key;
use crate::declare::period::Period;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::flow::{BatchCounts, TableOutcome, TableOutcomes};
use crate::pipeline::pages::Pages;
use crate::pipeline::write::WriteMode;
use crate::runs::catch_up_run::CatchUpRun;
use crate::runs::report::Report;
use crate::runs::{full_load, incremental};
use crate::target::{TargetReader, calendar, orphans};

const COMMAND: &str = "repair";

/// Makes the star equal to the source, row by row. With `table`, this covers only that table and its dependents; the
/// others get what an incremental run applies. A dry run does the same and rolls back.
///
/// # Errors
/// Those of [`incremental::run`].
pub async fn run(context: &Context<'_>, table: Option<&'static Table>, dry_run: bool) -> Result<Report> {
    // A full load of one table runs as a repair of it, under the name of a full load.
    let command = table.map_or(COMMAND, |_| full_load::COMMAND);
    incremental::check(context).await?;
    let result = repair(context, command, table, dry_run).await;
    if let (Err(error), false) = (&result, dry_run) {
        incremental::note_failure(context, command, error).await;
    }
    result
}

async fn repair(
    context: &Context<'_>,
    command: &'static str,
    table: Option<&'static Table>,
    dry_run: bool,
) -> Result<Report> {
    let snapshot = context.databases.source.snapshot().await?;
    let signatures = snapshot.settled_signatures(context.databases.star, context.safety_lag);
    snapshot.close().await?;
    let pages = Pages {
        databases: &context.databases,
        is_target_empty: false,
        mode: WriteMode::CompareOnly,
        run_id: 0,
        loaded_up_to: table.map_or_else(HashMap::new, |table| left_out(context.databases.star, table)),
        period: Period::All,
        digesting: None,
    };
    let pages_outcome = pages.run().await?;
    let suspects = pages_outcome
        .outcomes
        .iter()
        .map(|(table, outcome)| (*table, outcome.changed.clone()))
        .collect();
    info!("pages compared; comparing key ranges that differ again, in one snapshot");
    let mut catch_up_run = CatchUpRun::begin(context, command, dry_run).await?;
    let committing = TargetReader::Within(Arc::clone(&catch_up_run.transaction));
    catch_up_run.calendar_days_corrected = calendar::correct(
        context.databases.star,
        &committing,
        &*catch_up_run.transaction,
        catch_up_run.run_id,
    )
    .await?;
    drop(committing);
    let mut before = read_only(&pages_outcome.outcomes);
    let transaction = &*catch_up_run.transaction;
    for (table, rows) in orphans::delete(context.databases.star, transaction, catch_up_run.run_id).await? {
        before.entry(table).or_default().counts.deleted += rows;
    }
    let ranges = pages_outcome.planned_ranges.iter().map(|(table, planned_ranges)| {
        let ranges = verification::ranges_of(planned_ranges, catch_up_run.verified());
        (*table, ranges)
    });
    let checked = CheckedPages {
        ranges: ranges.collect(),
        ..CheckedPages::default()
    };
    let input = CatchUpInput {
        suspects,
        before,
        checked,
        signatures: Some(signatures),
        ..CatchUpInput::default()
    };
    catch_up_run.finish(Mode::Repair, input).await
}

/// The tables that neither are this one nor depend on it, marked as completely loaded so that they are skipped.
fn left_out(star: &Star, table: &Table) -> HashMap<String, i64> {
    let compared = star.with_dependents(table);
    let others = star.tables().filter(|table| !compared.contains(&table.name));
    others.map(|table| (table.name.to_owned(), Key::LARGEST)).collect()
}

/// Keeps only the read counts of the pages: rows that differ are counted when they are written.
fn read_only(outcomes: &TableOutcomes) -> TableOutcomes {
    outcomes
        .iter()
        .map(|(table, outcome)| {
            let compared = BatchCounts {
                read: outcome.counts.read,
                ..BatchCounts::default()
            };
            let outcome = TableOutcome {
                compared,
                ..TableOutcome::default()
            };
            (*table, outcome)
        })
        .collect()
}
