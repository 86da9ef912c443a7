//! The repair: every row of the star, or of one table and those that depend on it, is compared with the source, and
//! just those that differ are written.
//!
//! The pages are compared in parallel, without a snapshot and without writing; the rows that seem to differ are then
//! looked at again in the snapshot of the catch-up pass, which is that of an incremental run.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::info;

use crate::changes::catch_up::{CatchUpInput, PagesBefore};
use crate::changes::{Context, Mode, verification};
use crate::declare::integer::Key;
use crate::declare::period::Period;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::flow::{BatchCounts, Outcomes, TableOutcome};
use crate::pipeline::pages::Pages;
use crate::pipeline::write::WriteMode;
use crate::runs::catch_up_run::CatchUpRun;
use crate::runs::report::Report;
use crate::runs::{full_load, incremental};
use crate::target::{TargetReader, calendar};

const COMMAND: &str = "repair";

/// The tables to compare, and the command.
#[derive(Clone, Copy)]
struct Repair {
    command: &'static str,
    /// With the tables that depend on it; all tables if it is none.
    table: Option<&'static Table>,
    dry_run: bool,
}

/// Makes the star equal to the source, row by row. A dry run does the same and takes it back.
///
/// # Errors
/// As those of [`incremental::run`].
pub async fn run(context: &Context<'_>, dry_run: bool) -> Result<Report> {
    let repair = Repair {
        command: COMMAND,
        table: None,
        dry_run,
    };
    repair.run(context).await
}

/// Makes one table, and those that depend on it, equal to the source, row by row; of the others what an incremental run
/// applies.
///
/// # Errors
/// As those of [`incremental::run`].
pub async fn load_table(context: &Context<'_>, table: &'static Table) -> Result<Report> {
    let repair = Repair {
        command: full_load::COMMAND,
        table: Some(table),
        dry_run: false,
    };
    repair.run(context).await
}

impl Repair {
    async fn run(self, context: &Context<'_>) -> Result<Report> {
        incremental::check(context).await?;
        let result = repair(context, self).await;
        if let (Err(error), false) = (&result, self.dry_run) {
            incremental::note_failure(context, self.command, error).await;
        }
        result
    }

    /// The tables that are left out, as if they were loaded completely.
    fn left_out(self, star: &Star) -> HashMap<String, i64> {
        let Some(table) = self.table else {
            return HashMap::new();
        };
        let compared = star.with_dependents(table);
        let others = star.tables().filter(|table| !compared.contains(&table.name));
        others.map(|table| (table.name.to_owned(), Key::LARGEST)).collect()
    }
}

async fn repair(context: &Context<'_>, repair: Repair) -> Result<Report> {
    let signatures = settled_signatures(context).await?;
    let pages = Pages {
        databases: &context.databases,
        is_target_empty: false,
        mode: WriteMode::CompareOnly,
        run_id: 0,
        loaded_up_to: repair.left_out(context.databases.star),
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
    let mut catch_up_run = CatchUpRun::begin(context, repair.command, repair.dry_run).await?;
    let committing = TargetReader::Within(Arc::clone(&catch_up_run.transaction));
    catch_up_run.calendar_days_corrected = calendar::correct(
        context.databases.star,
        &committing,
        &*catch_up_run.transaction,
        catch_up_run.run_id,
    )
    .await?;
    drop(committing);
    let ranges = pages_outcome.planned_ranges.iter().map(|(table, planned_ranges)| {
        let ranges = verification::ranges_of(planned_ranges, catch_up_run.verified());
        (*table, ranges)
    });
    let ranges = ranges.collect();
    let input = CatchUpInput {
        suspects,
        before: read_only(&pages_outcome.outcomes),
        pages: Some(PagesBefore {
            ranges,
            source_rows: HashMap::new(),
            signatures,
            rows_verified_by_digest: 0,
        }),
        ..CatchUpInput::default()
    };
    catch_up_run.finish(Mode::Repair, input).await
}

/// The settled signature of each source table.
async fn settled_signatures(context: &Context<'_>) -> Result<HashMap<String, String>> {
    let snapshot = context.databases.source.snapshot().await?;
    let mut signatures = HashMap::new();
    for table in &context.databases.star.sources {
        let signature = snapshot.settled_signature(table.name, context.safety_lag);
        signatures.extend(signature.map(|signature| (table.name.to_owned(), signature)));
    }
    snapshot.close().await?;
    Ok(signatures)
}

/// Of the pages only what was read counts as done: what differs is counted when it is written.
fn read_only(outcomes: &Outcomes) -> Outcomes {
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
