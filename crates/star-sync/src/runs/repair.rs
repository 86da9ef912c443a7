//! The repair: every row of the star, or of one table and those that depend on it, is compared with the source, and just
//! those that differ are written.
//!
//! The pages are compared in parallel, without a snapshot and without writing; the rows that seem to differ are then
//! looked at again in the snapshot of the closing pass, which is that of an incremental run.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::info;

use crate::changes::catch_up::{PagesBefore, Start};
use crate::changes::{Context, Mode, verification};
use crate::declare::period::Period;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::flow::{BatchCounts, Outcomes, TableOutcome};
use crate::pipeline::pages::Pages;
use crate::pipeline::write::Commits;
use crate::runs::closing::Closing;
use crate::runs::report::Report;
use crate::runs::{full_load, incremental};
use crate::target::{TargetReader, calendar};

const COMMAND: &str = "repair";

/// What is compared, for which command.
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
/// As those of the incremental run.
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
/// As those of the incremental run.
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

    /// The tables that are left out, each with all of its keys.
    fn left_out(self, star: &Star) -> HashMap<String, i64> {
        let Some(table) = self.table else {
            return HashMap::new();
        };
        let compared = star.with_dependents(table);
        let others = star.tables().filter(|table| !compared.contains(&table.name));
        others.map(|table| (table.name.to_owned(), i64::MAX)).collect()
    }
}

async fn repair(context: &Context<'_>, repair: Repair) -> Result<Report> {
    let signatures = settled_signatures(context).await?;
    let pages = Pages {
        look: &context.look,
        is_target_empty: false,
        commits: Commits::Never,
        run_id: 0,
        done_upto: repair.left_out(context.look.star),
        period: Period::All,
        digesting: None,
    };
    let walked = pages.walk().await?;
    let suspects = walked
        .outcomes
        .iter()
        .map(|(table, outcome)| (*table, outcome.changed.clone()))
        .collect();
    info!("pages compared; comparing key ranges that differ again, in one snapshot");
    let mut closing = Closing::begin(context, repair.command, repair.dry_run).await?;
    let committing = TargetReader::Within(Arc::clone(&closing.transaction));
    closing.calendar_days_corrected =
        calendar::mend(context.look.star, &committing, &*closing.transaction, closing.run_id).await?;
    drop(committing);
    let ranges = walked.intervals.iter().map(|(table, intervals)| {
        let ranges = verification::ranges_of(intervals, closing.verified());
        (*table, ranges)
    });
    let ranges = ranges.collect();
    let start = Start {
        suspects,
        before: read_only(&walked.outcomes),
        pages: Some(PagesBefore {
            ranges,
            source_rows: HashMap::new(),
            signatures,
            rows_verified_by_digest: 0,
        }),
        ..Start::default()
    };
    closing.close(Mode::ClosingRepair, start).await
}

/// What each source table looks like, where that has settled.
async fn settled_signatures(context: &Context<'_>) -> Result<HashMap<String, String>> {
    let snapshot = context.look.source.snapshot().await?;
    let mut signatures = HashMap::new();
    for table in &context.look.star.sources {
        let signature = snapshot.settled_signature(table.name, context.overlap);
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
