//! Where source and target disagree in their figures: which key ranges to compare row by row, and the comparison that
//! ends every pass.

use std::cmp::max;
use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::warn;

use crate::changes::catch_up::CatchUp;
use crate::declare::period::Period;
use crate::declare::scope::Scope;
use crate::declare::table::Table;
use crate::error::Result;
use crate::target::bookkeeping::reject;
use crate::target::bookkeeping::verification::VerificationRange;
use crate::verify::figures::{self, Comparison};
use crate::verify::totals::{self, Figures, SourceTotals};

/// The days that a run has touched are compared whole, unless they hold more rows than this, and many times more than
/// it has changed: then the rows that it has changed are. Where a percent of all rows changed, a whole comparison
/// would take longer than all the rest of the run.
const ROWS_OF_TOUCHED_DAYS: u64 = 50_000;
const ROWS_OF_TOUCHED_DAYS_A_CHANGE: u64 = 4;
/// Keys that one statement names.
const KEYS_A_PART: usize = 2_000;
/// Statements that each side is asked at once.
const PARTS_AT_ONCE: usize = 2;

impl CatchUp<'_> {
    /// The key ranges in which source and target hold different numbers of rows.
    pub(super) async fn miscounted(&mut self, table: &'static Table) -> Result<Vec<VerificationRange>> {
        let sides = self.sides().await?;
        let removed = self.removed.get(table.name);
        let gone = removed.map_or(0, HashSet::len) as u64;
        let rows = sides
            .rows(table, gone, self.source_rows.get(table.source_table).copied())
            .await?;
        let mut miscounted = Vec::new();
        if rows.differs() {
            for range in self.ranges(table).await? {
                let scope = range.scope();
                let gone = removed.map_or(0, |rows| rows.iter().filter(|row| scope.holds(row.page_key)).count());
                let rejected = reject::count(&*self.transaction, table, &scope).await?;
                if sides.rows_of(table, &scope, gone as u64, rejected).await?.differs() {
                    miscounted.push(range);
                }
            }
        }
        self.source_rows.insert(table.source_table, rows.source);
        Ok(miscounted)
    }

    /// Row counts of the tables that moved; totals over the days that were touched, or all after a full load.
    pub(super) async fn compare(&mut self) -> Result<Vec<Comparison>> {
        let sides = self.sides().await?;
        let mut comparisons = Vec::new();
        let context = self.context;
        let mut source_totals = SourceTotals::new(&context.look, sides.source.clone());
        for table in context.look.star.tables() {
            if self.deltas[table.source_table].moved {
                let known = self.source_rows.get(table.source_table).copied();
                let rows = sides.rows(table, 0, known).await?;
                self.target_rows.insert(table.source_table, rows.target);
                comparisons.push(rows);
            } else if self.has_other_number_of_rows(table) {
                let rows = sides.target_rows(table, &Scope::ALL).await?;
                self.target_rows.insert(table.source_table, rows);
            }
            if table.totals.is_none() {
                continue;
            }
            let rejected = totals::rejected(&sides.target, table, &sides.rejects).await?;
            let (source, target) = if let Some(survey) = self.start.surveys.get(table.name) {
                let mut source = survey.totals.clone();
                source_totals
                    .take_out(table, &Period::All, &rejected, &mut source)
                    .await?;
                (source, self.all_target_totals(table).await?)
            } else {
                self.touched_totals(table, &mut source_totals, &rejected).await?
            };
            let daily = totals::compare(table, &source, &target, &Figures::new());
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

    /// Whether the pass leaves more or fewer rows in a table than the last one that counted them, as far as it knows.
    fn has_other_number_of_rows(&self, table: &Table) -> bool {
        let is_unknown = self
            .states
            .get(table.source_table)
            .is_none_or(|state| state.target_rows.is_none());
        let outcome = self.outcomes.get(table.name);
        is_unknown
            || outcome.is_some_and(|outcome| {
                let (seen, found) = (outcome.counts, outcome.compared);
                seen.inserted + seen.deleted + found.inserted + found.deleted > 0
            })
    }

    /// The target's totals of all days: those that were added up before the pass, but for the days it has touched.
    async fn all_target_totals(&self, table: &'static Table) -> Result<Figures> {
        let target = self.target();
        let Some(mut figures) = self.start.target_totals.get(table.name).cloned() else {
            return totals::of_target(&target, table, &Period::All, &Scope::ALL).await;
        };
        let touched = self.touched_days(table);
        figures.retain(|(date_key, _), _| !touched.holds(*date_key));
        figures.extend(totals::of_target(&target, table, &touched, &Scope::ALL).await?);
        Ok(figures)
    }

    /// Both sides' totals of the days that the pass has touched, or of the rows that it has changed.
    async fn touched_totals(
        &self,
        table: &'static Table,
        source_totals: &mut SourceTotals<'_>,
        rejected: &[i64],
    ) -> Result<(Figures, Figures)> {
        let target = self.target();
        let touched = self.touched_days(table);
        if touched.is_empty() {
            return Ok((Figures::new(), Figures::new()));
        }
        let changed = self
            .outcomes
            .get(table.name)
            .map_or(&[][..], |outcome| &outcome.changed);
        let bound = max(
            ROWS_OF_TOUCHED_DAYS,
            (changed.len() as u64).saturating_mul(ROWS_OF_TOUCHED_DAYS_A_CHANGE),
        );
        let held = figures::rows_held_upto(&target, table, table.target_in(&touched), bound + 1).await?;
        if held <= bound {
            let source = async {
                let mut source = if held <= ROWS_OF_TOUCHED_DAYS {
                    source_totals.of_short_period(table, &touched).await?
                } else {
                    source_totals.of_period(table, &touched).await?
                };
                source_totals.take_out(table, &touched, rejected, &mut source).await?;
                Ok(source)
            };
            return tokio::try_join!(source, totals::of_target(&target, table, &touched, &Scope::ALL));
        }
        let rejected: HashSet<i64> = rejected.iter().copied().collect();
        let changed = changed.iter().copied().filter(|key| !rejected.contains(key));
        let source_totals = &*source_totals;
        let target = &target;
        let parts = Scope::of_keys(changed, KEYS_A_PART)
            .into_iter()
            .map(|scope| async move {
                tokio::try_join!(
                    source_totals.of_scope(table, &Period::All, &scope),
                    totals::of_target(target, table, &Period::All, &scope)
                )
            });
        // Each side is one connection: while the one is behind, the other goes on.
        let mut parts = stream::iter(parts).buffered(PARTS_AT_ONCE);
        let (mut of_source, mut of_target) = (Figures::new(), Figures::new());
        while let Some((source, target)) = parts.try_next().await? {
            totals::add_all(&mut of_source, source);
            totals::add_all(&mut of_target, target);
        }
        Ok((of_source, of_target))
    }

    /// The days at which the rows that the pass has changed count, or counted.
    fn touched_days(&self, table: &Table) -> Period {
        let days = self.outcomes.get(table.name).map(|outcome| &outcome.days);
        Period::of_days(days.into_iter().flatten().copied())
    }
}
