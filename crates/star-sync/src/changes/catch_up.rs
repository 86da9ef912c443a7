//! The catch-up pass: applies the changes of the source up to one snapshot. An incremental run consists of this pass; a
//! full load and a repair end with it.
//!
//! detect -> affected rows -> compare and apply -> verify -> reconcile totals -> advance watermarks. The caller
//! commits. Tables are processed in order, so that changes of one table reach its dependents within the same pass.

use std::collections::{HashMap, HashSet};

use tracing::{Instrument, debug, info, info_span};

use crate::changes::advance::{self, Advance, SettledSignatures};
use crate::changes::apply::Applier;
use crate::changes::detect::{self, SourceChanges, SourceChangesByTable};
use crate::changes::page_check::CheckedPages;
use crate::changes::pass::Pass;
use crate::changes::reconcile::Reconciliation;
use crate::changes::row_count_check::{self, RowCounts};
use crate::changes::{Mode, lookup_tables, verification};
use crate::compare::figures::Comparison;
use crate::declare::day_totals::DayTotals;
use crate::declare::key_range::KeyRange;
use crate::declare::lookup::Side;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::pipeline::flow::{Removed, TableOutcomes};
use crate::target::bookkeeping::history;
use crate::target::bookkeeping::state::{self, States};
use crate::target::bookkeeping::verified_ranges::{self, VerificationSummary};

/// The results of earlier steps that the catch-up pass needs.
#[derive(Default)]
pub(crate) struct CatchUpInput {
    /// Rows of dimensions that were found to be deleted in the source.
    pub removed: Removed,
    /// Page keys, by target table, of rows that seemed to differ when the pages were compared.
    pub suspects: HashMap<&'static str, Vec<i64>>,
    /// The outcomes of the run before the pass.
    pub before: TableOutcomes,
    /// The pages that the run has read before the pass.
    pub checked: CheckedPages,
    /// The settled signatures before these pages were read; `None` if the run read no pages.
    pub signatures: Option<SettledSignatures>,
    /// The target's totals just before the pass, if they were computed.
    pub target_totals: HashMap<&'static str, DayTotals>,
}

/// The outcome of a catch-up pass.
pub(crate) struct CatchUpOutcome {
    pub outcomes: TableOutcomes,
    pub comparisons: Vec<Comparison>,
    pub verification: VerificationSummary,
    pub rows_verified_by_digest: u64,
}

/// Runs all steps except the commit.
pub(crate) async fn catch_up(pass: &Pass<'_>, mut input: CatchUpInput) -> Result<CatchUpOutcome> {
    let mut states = state::load(&*pass.transaction).await?;
    let mut checked = input.checked;
    let mut source_changes = detect::source_changes(pass, &states, &mut checked.surveys).await?;
    for (table, changed) in checked.changed {
        if let Some(changes) = source_changes.get_mut(table) {
            changes.add(changed);
        }
    }
    let mut rows = RowCounts::from_source_changes(&source_changes);
    let mut applier = Applier::new(pass, input.removed);
    for table in pass.star().tables() {
        if pass.context.databases.stop.is_requested() {
            return Err(Error::Stopped);
        }
        let suspects = input.suspects.remove(table.name).unwrap_or_default();
        let differing = checked.differing.remove(table.name).unwrap_or_default();
        apply_changes(&mut applier, &source_changes, &mut rows, table, (suspects, differing))
            .instrument(info_span!("table", name = table.name))
            .await?;
        if let Some(outcome) = applier.outcomes.get(table.name) {
            outcome.log(table.name);
        }
    }
    note_modified(&mut states, &source_changes, pass.run_id);
    let rows_verified_by_digest = if input.signatures.is_some() {
        verification::note_pages(pass, &checked.ranges).await?;
        lookup_tables::note(pass, &mut states, &checked.source_rows).await?;
        checked.rows_verified_by_digest
    } else {
        let budget = pass.context.verify_budget;
        verification::verify(&mut applier, &mut states, &source_changes, budget).await?
    };
    verification::forget_changed(pass, &states, &applier.outcomes).await?;
    lookup_tables::forget_changed(pass, &states, &source_changes).await?;
    applier.delete_removed().await?;
    let reconciliation = Reconciliation {
        pass,
        compares_all: pass.mode == Mode::FullLoad || would_resolve_mismatch(pass).await?,
        states: &states,
        source_changes: &source_changes,
        outcomes: &applier.outcomes,
        surveys: &checked.surveys,
        target_totals: &input.target_totals,
    };
    let comparisons = reconciliation.run(&mut rows).await?;
    debug!("reconciled");
    for table in to_compare_anew(pass.star(), &comparisons) {
        verified_ranges::forget(&*pass.transaction, table).await?;
    }
    failpoint::pass("before-watermarks");
    let verification = verification::sum_up(pass, &states).await?;
    advance::advance_watermarks(Advance {
        pass,
        states: &states,
        source_changes: &source_changes,
        rows: &rows,
        before_pages: input.signatures.as_ref(),
        is_mismatch: comparisons.iter().any(Comparison::differs),
    })
    .await?;
    let mut outcomes = input.before;
    for (table, outcome) in applier.outcomes {
        outcomes.entry(table).or_default().add(outcome);
    }
    Ok(CatchUpOutcome {
        outcomes,
        comparisons,
        verification,
        rows_verified_by_digest,
    })
}

/// Whether all key ranges that differed were compared since an earlier run found a mismatch. This alone does not
/// resolve the mismatch, because rows may have been compared using wrong values of another table: all totals are
/// compared too.
async fn would_resolve_mismatch(pass: &Pass<'_>) -> Result<bool> {
    let (transaction, star) = (&*pass.transaction, pass.star());
    let was_found = history::last_mismatch(transaction).await?.is_some();
    Ok(was_found && history::unresolved_mismatch(transaction, star).await?.is_none())
}

/// The tables whose rows the next runs compare in full, because no digest shows which rows differ: tables that differ,
/// and tables that they look up.
fn to_compare_anew(star: &Star, comparisons: &[Comparison]) -> HashSet<&'static str> {
    let differing = comparisons.iter().filter(|comparison| comparison.differs());
    let mut tables: HashSet<&'static str> = differing.map(|comparison| comparison.table).collect();
    // A looked-up table comes before the tables that look it up.
    for table in star.tables().rev() {
        if tables.contains(table.name) {
            let looked_up = table.lookups.iter().map(|used| used.lookup);
            tables.extend(
                looked_up
                    .filter(|lookup| lookup.side == Side::Target)
                    .map(|lookup| lookup.table),
            );
        }
    }
    tables
}

/// Applies to one table the detected changes, the rows that seemed to differ before the pass, and the differences that
/// row counts reveal.
async fn apply_changes(
    applier: &mut Applier<'_>,
    source_changes: &SourceChangesByTable,
    rows: &mut RowCounts,
    table: &'static Table,
    (suspects, differing): (Vec<i64>, Vec<KeyRange>),
) -> Result<()> {
    let pass = applier.pass;
    let retries_all = pass.mode != Mode::Incremental;
    let search = applier.affected_search(source_changes, &applier.outcomes, retries_all);
    let affected = search.affected_keys(table).await?;
    let seen: HashSet<i64> = affected.iter().copied().collect();
    applier.apply_affected(table, affected).await?;
    let suspects = suspects.into_iter().filter(|key| !seen.contains(key));
    let suspects = KeyRange::of_keys(suspects, pass.page_size());
    applier.apply_compared(table, suspects).await?;
    applier.apply_compared(table, differing).await?;
    let ranges = match ranges_to_compare(table, source_changes) {
        RangesToCompare::All { because_of } => {
            info!(
                table = table.name,
                because_of, "row counts show deleted or inserted rows without a change timestamp"
            );
            verification::ranges(pass, table, source_changes[table.source_table].is_modified).await?
        }
        RangesToCompare::Miscounted => row_count_check::miscounted(applier, table, rows).await?,
        RangesToCompare::None => return Ok(()),
    };
    verification::compare(applier, table, &ranges).await
}

/// Which key ranges of a table are compared row by row, after the changes found by change timestamps were applied.
#[derive(Debug, PartialEq, Eq)]
enum RangesToCompare {
    /// Rows of this source table were inserted or deleted without a change timestamp.
    All {
        because_of: &'static str,
    },
    /// The key ranges whose row counts differ.
    Miscounted,
    None,
}

fn ranges_to_compare(table: &Table, source_changes: &SourceChangesByTable) -> RangesToCompare {
    let unexplained =
        |(name, changes): &(&&'static str, &SourceChanges)| changes.is_unexplained && table.is_made_from(name);
    if let Some((because_of, _)) = source_changes.iter().find(unexplained) {
        RangesToCompare::All { because_of }
    } else if source_changes[table.source_table].is_modified {
        RangesToCompare::Miscounted
    } else {
        RangesToCompare::None
    }
}

/// Records which source tables this run found modified: their earlier verification no longer holds.
fn note_modified(states: &mut States, source_changes: &SourceChangesByTable, run_id: i64) {
    for (source_table, state) in states.iter_mut() {
        if source_changes
            .get(source_table)
            .is_some_and(|changes| changes.is_modified)
        {
            state.modified_run = Some(run_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::bookkeeping::state::SourceState;
    use crate::test_star;

    fn source_changes(book: SourceChanges, loan: SourceChanges) -> SourceChangesByTable {
        SourceChangesByTable::from([("book", book), ("loan", loan)])
    }

    fn modified() -> SourceChanges {
        SourceChanges {
            is_modified: true,
            ..SourceChanges::default()
        }
    }

    #[test]
    fn row_counts_are_checked_where_a_table_was_modified_and_all_is_compared_where_nothing_explains_them() {
        let loan = test_star::star().table("fact_loan").unwrap();
        let unexplained = || SourceChanges {
            is_unexplained: true,
            ..modified()
        };
        for (source_changes, expected) in [
            (
                source_changes(SourceChanges::default(), SourceChanges::default()),
                RangesToCompare::None,
            ),
            (
                source_changes(SourceChanges::default(), modified()),
                RangesToCompare::Miscounted,
            ),
            (
                source_changes(modified(), SourceChanges::default()),
                RangesToCompare::None,
            ),
            (source_changes(unexplained(), modified()), RangesToCompare::Miscounted),
            (
                source_changes(SourceChanges::default(), unexplained()),
                RangesToCompare::All { because_of: "loan" },
            ),
        ] {
            assert_eq!(ranges_to_compare(loan, &source_changes), expected);
        }
    }

    #[test]
    fn what_differs_is_compared_anew_with_what_it_looks_up() {
        let mut tables = test_star::tables();
        let loan = tables.remove(1);
        tables.push(loan.looks_up(&test_star::BOOK, test_star::loan::Column::BookId));
        let star = test_star::star_of(tables);
        let rows = |table, source| Comparison::of_rows(star.table(table).unwrap(), source, 7, 0);
        let anew = |comparisons: &[Comparison]| to_compare_anew(&star, comparisons);
        assert_eq!(anew(&[rows("dim_book", 7), rows("fact_loan", 7)]), HashSet::new());
        assert_eq!(anew(&[rows("dim_book", 8)]), HashSet::from(["dim_book"]));
        assert_eq!(
            anew(&[rows("dim_book", 7), rows("fact_loan", 8)]),
            HashSet::from(["dim_book", "fact_loan"])
        );
    }

    #[test]
    fn a_run_is_noted_at_the_tables_that_it_found_modified() {
        let state = |run| SourceState {
            modified_run: Some(run),
            ..SourceState::default()
        };
        let mut states: States = [("book".to_owned(), state(1)), ("loan".to_owned(), state(2))]
            .into_iter()
            .collect();
        note_modified(&mut states, &source_changes(SourceChanges::default(), modified()), 7);
        let run = |table| states.get(table).unwrap().modified_run;
        assert_eq!((run("book"), run("loan")), (Some(1), Some(7)));
    }
}
