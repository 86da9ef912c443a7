//! The report of a run that writes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::compare::figures::{self, Comparison};
use crate::compare::totals::TotalChange;
use crate::compare::verdict::{Tally, Verdict};
use crate::declare::star::Star;
use crate::pipeline::flow::{TableOutcome, TableOutcomes};
use crate::pipeline::stages::StageSeconds;
use crate::target::bookkeeping::history::{RunCounts, Status};
use crate::target::bookkeeping::verified_ranges::VerificationSummary;

/// The result of a run that writes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub status: Status,
    pub verdict: Verdict,
    pub run_id: i64,
    /// Whether it was a dry run: then nothing was written.
    pub dry_run: bool,
    /// In load order.
    pub tables: Vec<TableReport>,
    /// The reconciliation at the end of the run, including differences.
    pub reconciliation: Vec<Comparison>,
    /// Rows in sync_reject, by source table.
    pub quarantined: BTreeMap<String, u64>,
    pub verification: VerificationSummary,
    /// Source rows whose digest has not changed since they were last read.
    pub rows_verified_by_digest: u64,
    /// Calendar days that were corrected because another program had changed them.
    pub calendar_days_corrected: u64,
    /// Bytes that the source sent; `None` if the server does not report them.
    pub bytes_received: Option<u64>,
    /// The run's time by stage.
    pub stages: Vec<StageSeconds>,
    /// For a dry run: how the facts' totals would change, by group, over the days that it touches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub totals_changed: Vec<TotalChange>,
    /// For a full load that resumed an interrupted one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Resumed>,
}

/// The cost of resuming an interrupted load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Resumed {
    /// Rows that the interrupted load had written after the last key range that it had finished.
    pub rows_reread: u64,
}

/// The rows of one target table that a run read and wrote.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    pub table: &'static str,
    /// Source rows that were read.
    pub read: u64,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    /// Of `read`: rows that were read only to verify them.
    pub verified_row_by_row: u64,
    /// Of the other rows in `read`: those equal to the target's, such as rows within the safety lag.
    pub unchanged: u64,
    /// Of `inserted`, `updated` and `deleted`: changes that only a comparison of key ranges detected (row count check,
    /// verification), and late-arriving rows.
    pub found: u64,
    /// Rows of its source table that are in sync_reject now.
    pub quarantined: u64,
}

/// One report per table, in load order.
pub(crate) fn tables(star: &Star, outcomes: &TableOutcomes, quarantined: &BTreeMap<String, u64>) -> Vec<TableReport> {
    let nothing = TableOutcome::default();
    star.tables()
        .map(|table| {
            let outcome = outcomes.get(table.name).unwrap_or(&nothing);
            let (seen, found) = (outcome.counts, outcome.compared);
            TableReport {
                table: table.name,
                read: seen.read + found.read,
                inserted: seen.inserted + found.inserted,
                updated: seen.updated + found.updated,
                deleted: seen.deleted + found.deleted,
                verified_row_by_row: found.read,
                unchanged: seen.unchanged,
                found: found.inserted + found.updated + found.deleted,
                quarantined: quarantined.get(table.name).copied().unwrap_or(0),
            }
        })
        .collect()
}

/// The inputs of a run's verdict. `deep_tables` is the number of tables in which every row was compared.
pub(crate) fn tally(
    tables: &[TableReport],
    reconciliation: &[Comparison],
    quarantined: &BTreeMap<String, u64>,
    deep_tables: usize,
) -> Tally {
    let counts = counts(tables, quarantined);
    let mut tally = Tally {
        quarantined_rows: counts.quarantined,
        changed_rows: counts.inserted + counts.updated + counts.deleted,
        rows_verified_row_by_row: tables.iter().map(|table| table.verified_row_by_row).sum(),
        ..Tally::default()
    };
    figures::count_checks(reconciliation, 0, &mut tally);
    for _ in 0..deep_tables {
        // Differences have been written, so these checks match.
        tally.add(true);
    }
    tally
}

/// Row counts of the whole run.
fn counts(tables: &[TableReport], quarantined: &BTreeMap<String, u64>) -> RunCounts {
    let mut counts = RunCounts {
        quarantined: quarantined.values().sum(),
        ..RunCounts::default()
    };
    for table in tables {
        counts.read += table.read;
        counts.inserted += table.inserted;
        counts.updated += table.updated;
        counts.deleted += table.deleted;
    }
    counts
}

impl Report {
    pub fn counts(&self) -> RunCounts {
        RunCounts {
            verified_by_digest: self.rows_verified_by_digest,
            bytes_received: self.bytes_received,
            ..counts(&self.tables, &self.quarantined)
        }
    }

    /// Whether the run changed the star; for a dry run, whether it would.
    pub fn changes(&self) -> bool {
        let counts = self.counts();
        counts.inserted + counts.updated + counts.deleted + self.calendar_days_corrected > 0
    }
}
