//! The findings of a validation pass: the figures that differ, and the keys of the rows that cause the differences. A
//! mismatch is confirmed when the next pass has the same findings.

use std::collections::BTreeSet;

use tracing::info;

use crate::compare::deep::TableDifferences;
use crate::compare::figures::Comparison;
use crate::compare::findings::{DifferingFigure, Finding, Findings};
use crate::compare::rows::RowComparison;
use crate::declare::day_totals::WITHOUT_DAY;
use crate::declare::key_range::{KEYS_PER_PAGE, KeyRange};
use crate::declare::period::Period;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::plan::PlannedRanges;
use crate::runs::validate::{TableValidation, Validation};
use crate::runs::validation_pass::ValidationPass;

/// The maximum number of differing rows of a pass that the next pass reads first.
const REMEMBERED_KEYS: usize = 10_000;

impl ValidationPass<'_> {
    /// The findings of a comparison. Rows that an earlier pass found are read first.
    pub(crate) async fn findings(&self, compared: &Validation, earlier: Option<&Findings>) -> Result<Findings> {
        let mut findings = Findings::default();
        if !compared.verdict.is_mismatch() {
            return Ok(findings);
        }
        let mut rows = self.row_comparison(0);
        for (table, line) in self.request.databases.star.tables().zip(&compared.tables) {
            let (figures, days) = self.figures_that_differ(table, line, compared);
            let differences = compared
                .deep
                .iter()
                .flatten()
                .find(|deep| deep.table == table.name && !deep.is_equal());
            if figures.is_empty() && differences.is_none() {
                continue;
            }
            let keys = if let Some(TableDifferences { keys, .. }) = differences {
                keys.clone()
            } else {
                let earlier = earlier.map_or(&[][..], |earlier| earlier.keys(table.name));
                self.rows_that_differ(&mut rows, table, days, earlier).await?
            };
            info!(table = table.name, rows = keys.len(), "source and target differ");
            findings.add(table.name, Finding { keys, figures });
        }
        Ok(findings)
    }

    /// The figures of a table that do not match, and the period of their rows.
    fn figures_that_differ(
        &self,
        table: &Table,
        line: &TableValidation,
        compared: &Validation,
    ) -> (BTreeSet<DifferingFigure>, Period) {
        let mut figures = BTreeSet::new();
        for (figure, delta) in [("rows", line.rows.delta()), ("unexpected_rows", line.unexpected_rows)] {
            if delta.unsigned_abs() > compared.tolerance {
                figures.insert(DifferingFigure::of_table(figure, delta));
            }
        }
        if !line.integrity.is_intact() {
            figures.insert(DifferingFigure::of_table("integrity", 0));
        }
        if self.request.no_pending && line.pending_rows > 0 {
            figures.insert(DifferingFigure::of_table("pending", 0));
        }
        let concerns_all_days = !figures.is_empty();
        let within = |figure: &Comparison| figure.delta().unsigned_abs() <= compared.tolerance;
        let of_table = |figures: &'_ [Comparison]| -> Vec<Comparison> {
            let off = figures
                .iter()
                .filter(|figure| figure.table == table.name && !within(figure));
            off.cloned().collect()
        };
        let days = of_table(&compared.differing_days);
        for figure in of_table(&compared.totals).iter().chain(&days) {
            figures.insert(DifferingFigure {
                measure: figure.measure.name,
                group: figure.group.clone(),
                date_key: figure.date_key,
                delta: figure.delta(),
            });
        }
        let has_no_day = |day: &&Comparison| day.date_key == Some(WITHOUT_DAY);
        let period = if concerns_all_days || days.iter().any(|day| has_no_day(&day)) {
            Period::All
        } else {
            Period::of_days(days.iter().filter_map(|day| day.date_key).collect::<BTreeSet<_>>())
        };
        (figures, period)
    }

    /// The rows of a table that differ without a known cause: among those that an earlier pass found, or among all in
    /// the period.
    async fn rows_that_differ(
        &self,
        rows: &mut RowComparison<'_>,
        table: &'static Table,
        period: Period,
        earlier: &[i64],
    ) -> Result<Vec<i64>> {
        let remembered = earlier.iter().copied().take(REMEMBERED_KEYS);
        let key_ranges = KeyRange::of_keys(remembered, KEYS_PER_PAGE);
        let mut found = rows.compare(table, key_ranges, Period::All).await?.changed;
        found.retain(|key| self.known_cause(table, *key).is_none());
        if !found.is_empty() {
            return Ok(found);
        }
        let databases = &self.request.databases;
        let planner = databases.planner(table, self.snapshot.reader(), self.sides.target.clone());
        let planned_ranges = PlannedRanges::new(table, planner.await?, None).all().await?;
        let mut found = rows.compare(table, planned_ranges, period).await?.changed;
        found.retain(|key| self.known_cause(table, *key).is_none());
        Ok(found)
    }
}
