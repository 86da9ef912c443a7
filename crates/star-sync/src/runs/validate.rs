//! Validation: compares row counts, integrity and totals of both sides, each read in one snapshot. A mismatch is
//! confirmed by a second pass before it is reported: the source may be changing, and its change timestamps have whole
//! seconds.

use std::cmp::max;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use tracing::{info, warn};

use crate::changes::identity::SourceColumns;
use crate::compare::deep::{Suspects, TableDifferences};
use crate::compare::figures::{self, Comparison};
use crate::compare::findings::Findings;
use crate::compare::integrity::Integrity;
use crate::compare::verdict::{Tally, Verdict};
use crate::declare::period::Period;
use crate::error::Result;
use crate::pipeline::databases::Databases;
use crate::runs::validation_pass::ValidationPass;
use crate::source::Source;
use crate::target::bookkeeping::history::Status;

/// The maximum number of passes. Differences in the last one are reported even if each pass found different ones.
const MAX_PASSES: u32 = 5;
/// The pause between two reads of the source's clock.
const CLOCK_PAUSE: Duration = Duration::from_millis(100);

/// The result of a validation.
#[derive(Clone, Debug, Serialize)]
pub struct Validation {
    pub verdict: Verdict,
    /// Row counts of whole tables.
    pub tables: Vec<TableValidation>,
    /// The calendar dimension, if the star has one.
    pub calendar: Option<CalendarValidation>,
    /// The totals of each fact in the period, by group.
    pub totals: Vec<Comparison>,
    /// The days and groups that differ.
    pub differing_days: Vec<Comparison>,
    /// The period's first and last day; `None` means no limit.
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    /// The newest date of each fact without rows in the period.
    pub newest_dates: Vec<Newest>,
    /// Differences of up to this many rows, or of this many of a sum's smallest unit, are allowed.
    pub tolerance: u64,
    /// If every row was compared: the differences, by table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep: Option<Vec<TableDifferences>>,
    /// How the source differs from the one that the target was loaded from, if that was accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_identity_changes: Vec<String>,
    /// Whether a later full load is unfinished: until it finishes, no other run can begin.
    #[serde(skip)]
    pub is_loading: bool,
}

/// The calendar dimension.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CalendarValidation {
    pub table: &'static str,
    /// Days that are missing or wrong, and rows that are not days.
    pub differing_days: u64,
}

/// One target table.
#[derive(Clone, Debug, Serialize)]
pub struct TableValidation {
    pub rows: Comparison,
    #[serde(flatten)]
    pub integrity: Integrity,
    /// Row count minus that after the last run. If it is not 0, another program inserted or deleted rows.
    pub unexpected_rows: i64,
    /// Rows that the next incremental run will change.
    pub pending_rows: u64,
}

/// The newest row of a fact in the source.
#[derive(Clone, Debug, Serialize)]
pub struct Newest {
    pub table: &'static str,
    /// `None` without rows, or if the date is not a valid day.
    pub date: Option<NaiveDate>,
}

/// The days to compare facts on; both ends inclusive.
#[derive(Clone, Copy, Debug)]
pub enum RequestedPeriod {
    All,
    /// The last days, ending today by the source server's own date.
    Days(u64),
    /// From this day on, ending today.
    Since(NaiveDate),
    Between(NaiveDate, NaiveDate),
}

/// What to compare: period, tolerance and depth.
pub struct Request<'a> {
    pub databases: Databases<'a>,
    pub source_columns: &'a SourceColumns,
    pub period: RequestedPeriod,
    /// The allowed difference of a figure: in rows, or in a sum's smallest unit.
    pub tolerance: u64,
    /// If set, every row is compared too, and up to this many differing rows are described per table.
    pub deep: Option<usize>,
    /// Whether rows that changed in the source since the last sync are a mismatch.
    pub no_pending: bool,
    /// Whether to compare with a source other than the one that the target was loaded from.
    pub accepts_source: bool,
}

/// Compares source and target.
///
/// # Errors
/// `NotLoaded` before a full load has finished; `SourceChanged`; any error of either database.
pub async fn run(request: Request<'_>) -> Result<Validation> {
    let databases = &request.databases;
    let (from, to) = request.period.days(databases.source).await?;
    let period = match from.zip(to) {
        Some(range) => Period::Ranges(vec![range]),
        None => Period::All,
    };
    let mut earlier: Option<Findings> = None;
    let mut suspects = None;
    for passes in 1.. {
        if request.deep.is_some() && suspects.is_none() {
            // Fails here rather than after a comparison that can take hours.
            ValidationPass::open_target(&request).await?;
            suspects = Some(Suspects::find(databases, &period).await?);
        }
        let pass = ValidationPass::begin(&request).await?;
        let (clock, compared) = (pass.clock(), pass.compare(&period, suspects.as_ref()).await?);
        let findings = pass.findings(&compared, earlier.as_ref()).await?;
        pass.end().await?;
        if is_final(&findings, earlier.as_ref(), passes) {
            if !findings.is_empty() && !is_confirmed(&findings, earlier.as_ref()) {
                warn!(
                    code = "MISMATCH_UNCONFIRMED",
                    "each of {MAX_PASSES} comparisons found other differences, as the source or the target is changing fast"
                );
            }
            return Ok(Validation { from, to, ..compared });
        }
        info!(tables = ?findings.tables(), "source and target differ; comparing again to confirm it");
        suspects = compared.deep.as_deref().map(Suspects::confirmed);
        earlier = Some(findings);
        wait_until_after(databases.source, clock).await?;
    }
    unreachable!("the loop ends with a result")
}

/// Whether the result is final: nothing differs, a mismatch is confirmed, or this was the last pass.
fn is_final(findings: &Findings, earlier: Option<&Findings>, passes: u32) -> bool {
    findings.is_empty() || is_confirmed(findings, earlier) || passes >= MAX_PASSES
}

fn is_confirmed(findings: &Findings, earlier: Option<&Findings>) -> bool {
    earlier.is_some_and(|earlier| findings.are_confirmed_by(earlier))
}

/// Waits until the source's clock is past `second`.
pub(crate) async fn wait_until_after(source: &Source, second: DateTime<Utc>) -> Result<()> {
    while source.clock().await? <= second {
        tokio::time::sleep(CLOCK_PAUSE).await;
    }
    Ok(())
}

impl RequestedPeriod {
    /// The first and the last day; `None` means no limit.
    async fn days(self, source: &Source) -> Result<(Option<NaiveDate>, Option<NaiveDate>)> {
        Ok(match self {
            Self::All => (None, None),
            Self::Between(from, to) => (Some(from), Some(to)),
            Self::Since(from) => (Some(from), Some(max(from, source.today().await?))),
            Self::Days(days) => {
                let today = source.today().await?;
                let back = chrono::Days::new(days.saturating_sub(1));
                let from = today.checked_sub_days(back).unwrap_or_default();
                (Some(max(from, NaiveDate::default())), Some(today))
            }
        })
    }
}

impl TableValidation {
    /// Whether the row counts match, and no other program has inserted or deleted rows.
    pub(crate) fn has_right_rows(&self, tolerance: u64) -> bool {
        self.rows.delta().unsigned_abs() <= tolerance && self.unexpected_rows.unsigned_abs() <= tolerance
    }
}

impl Validation {
    /// Counts the checks. `no_pending` makes pending rows a mismatch.
    pub(crate) fn tally(&self, no_pending: bool, quarantined_rows: u64) -> Tally {
        let mut tally = Tally {
            pending_rows: self.tables.iter().map(|table| table.pending_rows).sum(),
            quarantined_rows,
            ..Tally::default()
        };
        for table in &self.tables {
            tally.add(table.has_right_rows(self.tolerance));
            tally.add(table.integrity.is_intact());
            if no_pending {
                tally.add(table.pending_rows == 0);
            }
        }
        if let Some(calendar) = &self.calendar {
            tally.add(calendar.differing_days == 0);
        }
        let totals: Vec<_> = self.totals.iter().chain(&self.differing_days).cloned().collect();
        figures::count_checks(&totals, self.tolerance, &mut tally);
        for table in self.deep.iter().flatten() {
            tally.add(table.is_equal());
        }
        tally
    }

    /// The status of the validation as a run: done unless something differs.
    pub fn status(&self) -> Status {
        if self.verdict.is_mismatch() {
            Status::Mismatch
        } else {
            Status::Done
        }
    }
}

/// The deltas of all figures that the metrics show.
pub fn deltas(validation: &Validation) -> impl Iterator<Item = &Comparison> {
    validation
        .tables
        .iter()
        .map(|table| &table.rows)
        .chain(&validation.totals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::findings::Finding;

    #[test]
    fn a_mismatch_is_told_once_a_second_look_has_confirmed_it_or_no_look_is_left() {
        let findings = |key| {
            let mut findings = Findings::default();
            let keys = vec![key];
            let finding = Finding {
                keys,
                ..Finding::default()
            };
            findings.add("fact_loan", finding);
            findings
        };
        assert!(is_final(&Findings::default(), None, 1));
        assert!(!is_final(&findings(1), None, 1));
        assert!(!is_final(&findings(2), Some(&findings(1)), 2));
        assert!(is_final(&findings(1), Some(&findings(1)), 2));
        assert!(is_final(&findings(2), Some(&findings(1)), MAX_PASSES));
    }
}
