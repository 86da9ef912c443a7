//! The verdict of a run: a code, and the counts that it is based on.

use serde::Serialize;

use crate::codes;

codes! {
    /// A stable code of a verdict.
    VerdictCode =>
    Ok "OK" "Everything that was checked matches, and no row is pending.",
    OkPending "OK_PENDING" "Everything that was checked matches, apart from rows that changed in the source since the last sync.",
    NothingCompared "NOTHING_COMPARED" "Of a validation: row counts were compared but no totals, because the period has no facts. Of a run: it changed rows, but no row count or total had to be compared.",
    Unchanged "UNCHANGED" "The run changed no row of the star, and compared no counts or totals.",
    Unverified "UNVERIFIED" "The run found no changed row and compared no counts or totals, and there is a verification backlog.",
    Mismatch "MISMATCH" "Source and target differ by what neither pending nor quarantined rows explain. Of a run also: an earlier run found a mismatch, and not all key ranges of the tables that differed, and of those that they look up, have been verified since.",
    WouldChange "WOULD_CHANGE" "A dry run: the run would change rows of the target.",
    WouldNotChange "WOULD_NOT_CHANGE" "A dry run: the run would change no row of the target.",
    RowOk "ROW_OK" "explain: the row matches the source.",
    RowAbsent "ROW_ABSENT" "explain: neither side has the row.",
    RowQuarantined "ROW_QUARANTINED" "explain: the source's row is quarantined, and the target has none.",
    RowPending "ROW_PENDING" "explain: the row changed in the source since the last sync.",
    RowUntracked "ROW_UNTRACKED" "explain: the row differs, and one of its source tables changed since the last sync, but no change timestamp or deleted row explains it.",
    RowMismatch "ROW_MISMATCH" "explain: the row differs, and none of its source tables changed since the last sync.",
}

impl VerdictCode {
    /// Whether a command with this verdict exits with code 1.
    pub fn is_mismatch(self) -> bool {
        matches!(self, Self::Mismatch | Self::RowUntracked | Self::RowMismatch)
    }
}

/// The verdict of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub code: VerdictCode,
    /// The earlier run that found a mismatch, if this run has not resolved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unresolved_run: Option<i64>,
    #[serde(flatten)]
    pub tally: Tally,
}

/// The counts that a verdict is based on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Figures that were compared: the row count of a table, its integrity, the total of a fact by group and measure,
    /// the rows of a table.
    pub checks: u64,
    pub matching: u64,
    pub mismatches: u64,
    /// Rows of the target that the next incremental run changes, because of changes in the source since the last sync.
    pub pending_rows: u64,
    /// Source rows in sync_reject.
    pub quarantined_rows: u64,
    /// Rows that the run changed, or would change.
    pub changed_rows: u64,
    /// Key ranges of modified tables that are still to be verified.
    pub backlog_ranges: u64,
    /// Source rows that were read only to verify them, one by one.
    pub rows_verified_row_by_row: u64,
}

impl Tally {
    /// Counts one check.
    pub(crate) fn add(&mut self, matches: bool) {
        self.checks += 1;
        if matches {
            self.matching += 1;
        } else {
            self.mismatches += 1;
        }
    }
}

impl Verdict {
    /// The verdict of a validation. `is_period_empty`: whether no fact has rows in the period.
    pub(crate) fn of_validation(tally: Tally, is_period_empty: bool) -> Self {
        let code = if tally.mismatches > 0 {
            VerdictCode::Mismatch
        } else if is_period_empty {
            VerdictCode::NothingCompared
        } else if tally.pending_rows > 0 {
            VerdictCode::OkPending
        } else {
            VerdictCode::Ok
        };
        Self::new(code, tally)
    }

    /// The verdict of a load, an incremental run or a repair.
    pub fn of_load(tally: Tally, dry_run: bool) -> Self {
        let code = match (tally.mismatches, dry_run, tally.changed_rows, tally.checks) {
            (1.., ..) => VerdictCode::Mismatch,
            (0, true, 1.., _) => VerdictCode::WouldChange,
            (0, true, 0, _) => VerdictCode::WouldNotChange,
            (0, false, _, 1..) => VerdictCode::Ok,
            (0, false, 0, 0) if tally.backlog_ranges > 0 => VerdictCode::Unverified,
            (0, false, 0, 0) => VerdictCode::Unchanged,
            (0, false, 1.., 0) => VerdictCode::NothingCompared,
        };
        Self::new(code, tally)
    }

    fn new(code: VerdictCode, tally: Tally) -> Self {
        Self {
            code,
            unresolved_run: None,
            tally,
        }
    }

    /// The verdict of a run that found no mismatch itself, but has not verified everything in which an earlier run
    /// found one.
    pub(crate) fn with_unresolved_mismatch(self, run_id: i64) -> Self {
        Self {
            code: VerdictCode::Mismatch,
            unresolved_run: Some(run_id),
            ..self
        }
    }

    pub fn is_mismatch(&self) -> bool {
        self.code.is_mismatch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(matching: u64, mismatches: u64) -> Tally {
        Tally {
            checks: matching + mismatches,
            matching,
            mismatches,
            ..Tally::default()
        }
    }

    #[test]
    fn a_validation_is_ok_only_if_it_compared_facts_and_nothing_is_pending() {
        let pending = Tally {
            pending_rows: 3,
            ..tally(15, 0)
        };
        for (tally, is_period_empty, code) in [
            (tally(15, 0), false, VerdictCode::Ok),
            (pending, false, VerdictCode::OkPending),
            (tally(15, 0), true, VerdictCode::NothingCompared),
            (pending, true, VerdictCode::NothingCompared),
            (tally(14, 1), false, VerdictCode::Mismatch),
            // A mismatch of a dimension, in a period without facts.
            (tally(14, 1), true, VerdictCode::Mismatch),
        ] {
            assert_eq!(Verdict::of_validation(tally, is_period_empty).code, code, "{tally:?}");
        }
    }

    #[test]
    fn a_load_says_what_it_compared_and_a_dry_run_what_would_be() {
        let changed = |tally: Tally| Tally {
            changed_rows: 2,
            ..tally
        };
        let behind = Tally {
            backlog_ranges: 1,
            ..tally(0, 0)
        };
        for (tally, dry_run, code) in [
            (tally(0, 0), false, VerdictCode::Unchanged),
            (behind, false, VerdictCode::Unverified),
            (changed(tally(0, 0)), false, VerdictCode::NothingCompared),
            (tally(9, 0), false, VerdictCode::Ok),
            (changed(tally(9, 0)), false, VerdictCode::Ok),
            (changed(tally(8, 1)), false, VerdictCode::Mismatch),
            (tally(0, 0), true, VerdictCode::WouldNotChange),
            (tally(9, 0), true, VerdictCode::WouldNotChange),
            (changed(tally(9, 0)), true, VerdictCode::WouldChange),
            (changed(tally(8, 1)), true, VerdictCode::Mismatch),
        ] {
            assert_eq!(Verdict::of_load(tally, dry_run).code, code, "{tally:?}");
        }
    }
}
