//! Reconciles source and target: compares row counts and totals at the end of every pass.

use std::cmp::max;
use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::warn;

use crate::changes::detect::SourceChangesByTable;
use crate::changes::pass::Pass;
use crate::changes::row_count_check::RowCounts;
use crate::changes::survey::Survey;
use crate::compare::figures::{self, Comparison, Sides};
use crate::compare::source_totals::SourceTotals;
use crate::compare::totals::{self, BothTotals};
use crate::declare::day_totals::{self, DayTotals};
use crate::declare::key_range::{KEYS_PER_PAGE, KeyRange};
use crate::declare::period::Period;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::flow::{TableOutcome, TableOutcomes};
use crate::target::TargetReader;
use crate::target::bookkeeping::state::States;
use crate::target::bookkeeping::target_table::TargetTableState;

/// The days that a run touched are compared in full, unless they have more rows than this and more than
/// [`ROWS_OF_TOUCHED_DAYS_PER_CHANGE`] times the changed rows: then only the changed rows are compared. If one percent
/// of all rows changed, a full comparison would take longer than the rest of the run.
const ROWS_OF_TOUCHED_DAYS: u64 = 50_000;
const ROWS_OF_TOUCHED_DAYS_PER_CHANGE: u64 = 4;
/// Concurrent statements per side.
const PARTS_AT_ONCE: usize = 2;

/// The inputs of the reconciliation that ends a pass.
pub(crate) struct Reconciliation<'a> {
    pub pass: &'a Pass<'a>,
    /// Whether all totals and row counts are compared, not only those that the pass touched.
    pub compares_all: bool,
    pub states: &'a States,
    pub source_changes: &'a SourceChangesByTable,
    pub outcomes: &'a TableOutcomes,
    /// The source's totals of all days, by target table, if a full load computed them.
    pub surveys: &'a HashMap<&'static str, Survey>,
    /// The target's totals before the pass.
    pub target_totals: &'a HashMap<&'static str, DayTotals>,
}

impl Reconciliation<'_> {
    /// Compares row counts of modified tables and totals of touched days, or all row counts and totals.
    pub(crate) async fn run(&self, counts: &mut RowCounts) -> Result<Vec<Comparison>> {
        let sides = self.pass.sides().await?;
        let databases = &self.pass.context.databases;
        let mut comparisons = Vec::new();
        let mut source_totals = SourceTotals::new(databases, sides.source.clone());
        for table in databases.star.tables() {
            self.compare_rows(table, &sides, counts, &mut comparisons).await?;
            if table.totals.is_none() {
                continue;
            }
            let quarantined = totals::quarantined(&sides.target, table, &sides.quarantined).await?;
            let both = if self.compares_all {
                let all = &Period::All;
                BothTotals {
                    source: match self.surveys.get(table.name) {
                        Some(survey) => survey.totals.clone(),
                        None => source_totals.of_period(table, all).await?,
                    },
                    target: self.all_target_totals(table).await?,
                    quarantined: source_totals
                        .of_quarantined(table, all, &quarantined, &sides.target)
                        .await?,
                    ..BothTotals::default()
                }
            } else {
                self.touched_totals(table, &mut source_totals, &quarantined).await?
            };
            let daily = totals::compare(table, &both);
            comparisons.extend(figures::by_group(&daily));
            comparisons.extend(daily.into_iter().filter(Comparison::differs));
        }
        for comparison in comparisons.iter().filter(|comparison| comparison.differs()) {
            warn!(
                table = comparison.table,
                measure = comparison.measure.name,
                group = comparison.group.as_ref().map(tracing::field::display),
                delta = comparison.delta(),
                "source and target differ"
            );
        }
        Ok(comparisons)
    }

    async fn compare_rows(
        &self,
        table: &'static Table,
        sides: &Sides<'_>,
        counts: &mut RowCounts,
        comparisons: &mut Vec<Comparison>,
    ) -> Result<()> {
        if self.compares_all || self.source_changes[table.source_table].is_modified {
            let rows = sides.rows(table, 0, counts.of_source(table)).await?;
            counts.target.insert(table.name, rows.target);
            comparisons.push(rows);
        } else if has_other_number_of_rows(self.states.target(table.name), self.outcomes.get(table.name)) {
            let rows = sides.target_rows(table, &KeyRange::ALL).await?;
            counts.target.insert(table.name, rows);
        }
        Ok(())
    }

    /// The target's totals of all days: those computed before the pass, updated for the days that it touched.
    async fn all_target_totals(&self, table: &'static Table) -> Result<DayTotals> {
        let target = self.pass.target();
        let Some(mut figures) = self.target_totals.get(table.name).cloned() else {
            return totals::of_target(&target, table, &Period::All, &KeyRange::ALL).await;
        };
        // A row may move to another group without a change of its own.
        let has_changed = |name: &String| {
            let outcome = self.outcomes.get(name.as_str());
            outcome.is_some_and(|outcome| !outcome.changed.is_empty())
        };
        if tables_of_group(table).iter().any(has_changed) {
            return totals::of_target(&target, table, &Period::All, &KeyRange::ALL).await;
        }
        let touched = self
            .outcomes
            .get(table.name)
            .map_or_else(Period::none, TableOutcome::touched_days);
        if touched == Period::All {
            return totals::of_target(&target, table, &Period::All, &KeyRange::ALL).await;
        }
        figures.retain(|(date_key, _), _| !touched.holds(*date_key));
        figures.extend(totals::of_target(&target, table, &touched, &KeyRange::ALL).await?);
        Ok(figures)
    }

    /// Both sides' totals of the days that the pass touched, or of the rows that it changed.
    async fn touched_totals(
        &self,
        table: &'static Table,
        source_totals: &mut SourceTotals<'_>,
        quarantined: &[i64],
    ) -> Result<BothTotals> {
        let target = self.pass.target();
        let outcome = self.outcomes.get(table.name);
        let touched = outcome.map_or_else(Period::none, TableOutcome::touched_days);
        if touched.is_empty() {
            return Ok(BothTotals::default());
        }
        let changed = outcome.map_or(&[][..], |outcome| &outcome.changed);
        let most = most_rows_of_whole_days(changed.len() as u64);
        let count = figures::count_at_most(&target, table, table.target_in(&touched), most + 1).await?;
        if count > most {
            return totals_of_rows(table, source_totals, &target, quarantined, changed).await;
        }
        let source = async {
            let source = if count <= ROWS_OF_TOUCHED_DAYS && touched == Period::All {
                // Reads only the lookup entries that these rows need, not whole lookups.
                source_totals.of_key_range(table, &touched, &KeyRange::ALL).await?
            } else if count <= ROWS_OF_TOUCHED_DAYS {
                source_totals.of_short_period(table, &touched).await?
            } else {
                source_totals.of_period(table, &touched).await?
            };
            let of_quarantined = source_totals.of_quarantined(table, &touched, quarantined, &target);
            Ok((source, of_quarantined.await?))
        };
        let of_target = totals::of_target(&target, table, &touched, &KeyRange::ALL);
        let ((source, quarantined), target) = tokio::try_join!(source, of_target)?;
        Ok(BothTotals {
            source,
            target,
            quarantined,
            ..BothTotals::default()
        })
    }
}

/// Both sides' totals of these rows.
async fn totals_of_rows(
    table: &'static Table,
    source_totals: &SourceTotals<'_>,
    target: &TargetReader,
    quarantined: &[i64],
    changed: &[i64],
) -> Result<BothTotals> {
    let quarantined: HashSet<i64> = quarantined.iter().copied().collect();
    let changed = changed.iter().copied().filter(|key| !quarantined.contains(key));
    let parts = KeyRange::of_keys(changed, KEYS_PER_PAGE)
        .into_iter()
        .map(|key_range| async move {
            tokio::try_join!(
                source_totals.of_key_range(table, &Period::All, &key_range),
                totals::of_target(target, table, &Period::All, &key_range)
            )
        });
    // Each side is one connection: neither waits for the other.
    let mut parts = stream::iter(parts).buffered(PARTS_AT_ONCE);
    let mut both = BothTotals::default();
    while let Some((source, target)) = parts.try_next().await? {
        day_totals::add_all(&mut both.source, source);
        day_totals::add_all(&mut both.target, target);
    }
    Ok(both)
}

/// The most rows on the touched days for which these days are compared in full.
fn most_rows_of_whole_days(changed: u64) -> u64 {
    max(
        ROWS_OF_TOUCHED_DAYS,
        changed.saturating_mul(ROWS_OF_TOUCHED_DAYS_PER_CHANGE),
    )
}

/// Whether a table's row count may have changed since it was last counted, or was never counted.
fn has_other_number_of_rows(state: TargetTableState, outcome: Option<&TableOutcome>) -> bool {
    let came_or_went = |outcome: &TableOutcome| {
        let (seen, found) = (outcome.counts, outcome.compared);
        seen.inserted + seen.deleted + found.inserted + found.deleted > 0
    };
    state.rows.is_none() || outcome.is_some_and(came_or_went)
}

/// The tables that are joined to determine the group of a table's totals.
fn tables_of_group(table: &Table) -> Vec<String> {
    let group = table.totals.iter().filter_map(|totals| totals.group.as_ref());
    let relations = group.flat_map(|group| &group.relations);
    relations
        .map(|relation| relation.to_tbl.sea_orm_table().to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::flow::BatchCounts;

    #[test]
    fn touched_days_are_compared_whole_unless_few_of_many_rows_changed() {
        assert_eq!(most_rows_of_whole_days(0), 50_000);
        assert_eq!(most_rows_of_whole_days(1_000), 50_000);
        assert_eq!(most_rows_of_whole_days(100_000), 400_000);
        assert_eq!(most_rows_of_whole_days(u64::MAX), u64::MAX);
    }

    #[test]
    fn rows_are_counted_again_where_some_came_or_went_or_none_were_counted() {
        let counted = TargetTableState {
            rows: Some(5),
            ..TargetTableState::default()
        };
        let outcome = |counts, compared| TableOutcome {
            counts,
            compared,
            ..TableOutcome::default()
        };
        let none = BatchCounts::default();
        let updated = BatchCounts { updated: 1, ..none };
        let inserted = BatchCounts { inserted: 1, ..none };
        let deleted = BatchCounts { deleted: 1, ..none };
        let is_other =
            |state: TargetTableState, outcome: Option<TableOutcome>| has_other_number_of_rows(state, outcome.as_ref());
        assert!(is_other(TargetTableState::default(), None));
        assert!(!is_other(counted, None));
        assert!(!is_other(counted, Some(outcome(updated, updated))));
        assert!(is_other(counted, Some(outcome(inserted, none))));
        assert!(is_other(counted, Some(outcome(none, deleted))));
    }
}
