//! One look of a validation at both sides, each of one instant.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{DatabaseTransaction, TransactionTrait};
use tracing::info;

use crate::changes::identity;
use crate::changes::pending::Pending;
use crate::declare::day_totals::DayTotals;
use crate::declare::period::Period;
use crate::declare::scope::Scope;
use crate::declare::table::Table;
use crate::error::{Doing, Error, Result};
use crate::pipeline::plan::Intervals;
use crate::runs::validate::{CalendarValidation, Newest, Request, TableValidation, Validation};
use crate::source::Snapshot;
use crate::target::bookkeeping::reject;
use crate::target::bookkeeping::state::{self, States};
use crate::target::{TargetReader, calendar};
use crate::verify::deep::{self, Explained, Suspects, TableDifferences};
use crate::verify::figures::{self, Comparison, Sides};
use crate::verify::findings::{Figure, Finding, Findings};
use crate::verify::rows::{KEYS_A_PAGE, RowComparison};
use crate::verify::soundness::Soundness;
use crate::verify::totals::{self, SourceTotals};
use crate::verify::verdict::{Tally, Verdict, VerdictCode};

/// Rows that differed in an earlier look, and are looked at again before any others.
const REMEMBERED_KEYS: usize = 10_000;

/// Both sides, open to be read.
pub(crate) struct ValidationLook<'a> {
    request: &'a Request<'a>,
    snapshot: Snapshot,
    sides: Sides<'a>,
    states: States,
    pending: Pending,
    source_identity_changes: Vec<String>,
}

impl<'a> ValidationLook<'a> {
    /// Opens the target, and checks whether it can be compared with this source.
    ///
    /// # Errors
    /// `NotLoaded` before a full load has finished, `SourceChanged` unless that is accepted.
    pub(crate) async fn open_target(request: &Request<'_>) -> Result<(DatabaseTransaction, Vec<String>)> {
        let look = &request.look;
        let transaction = look.readers.begin().await.target(|| "beginning to read".to_owned())?;
        if !state::load(&transaction).await?.is_loaded() {
            return Err(Error::NotLoaded);
        }
        let evidence = identity::evidence(look.source, request.source_columns, &transaction).await?;
        if !evidence.is_empty() && !request.accepts_source {
            return Err(Error::SourceChanged { evidence });
        }
        Ok((transaction, evidence))
    }

    /// Opens both sides. The target's is the older one: what the source has more is pending.
    ///
    /// # Errors
    /// As those of `open_target`.
    pub(crate) async fn begin(request: &'a Request<'a>) -> Result<Self> {
        let look = &request.look;
        let (transaction, source_identity_changes) = Self::open_target(request).await?;
        let states = state::load(&transaction).await?;
        let quarantined = reject::counts(&transaction).await?;
        let mut snapshot = look.source.snapshot().await?;
        snapshot.refresh_update_times().await?;
        let sides = Sides {
            source: snapshot.reader(),
            indexes: look.source.indexes(&snapshot.reader()).await?,
            target: TargetReader::Within(Arc::new(transaction)),
            quarantined,
        };
        let pending = if source_identity_changes.is_empty() {
            Pending::find(look, &snapshot, &sides, &states).await?
        } else {
            // The watermarks are those of another source: they tell nothing of this one.
            Pending::default()
        };
        Ok(Self {
            request,
            snapshot,
            sides,
            states,
            pending,
            source_identity_changes,
        })
    }

    /// The source's clock just before.
    pub(crate) fn clock(&self) -> DateTime<Utc> {
        self.snapshot.clock
    }

    /// Closes both sides.
    pub(crate) async fn end(self) -> Result<()> {
        // Whoever ends the snapshot has to be the last to hold it.
        drop(self.sides);
        self.snapshot.close().await
    }

    /// Compares all figures, and the suspects row by row.
    pub(crate) async fn compare(&self, period: &Period, suspects: Option<&Suspects>) -> Result<Validation> {
        let look = &self.request.look;
        let mut validation = Validation {
            verdict: Verdict {
                code: VerdictCode::NothingCompared,
                tally: Tally::default(),
            },
            tables: Vec::new(),
            calendar: self.calendar().await?,
            totals: Vec::new(),
            differing_days: Vec::new(),
            from: None,
            to: None,
            newest_dates: Vec::new(),
            tolerance: self.request.tolerance,
            deep: None,
            source_identity_changes: self.source_identity_changes.clone(),
        };
        // Each side is one connection: they work at the same time.
        let (of_source, of_target) = tokio::try_join!(self.source_side(period), self.target_side(period))?;
        let mut facts = 0;
        for (table, (source, target)) in look.star.tables().zip(of_source.into_iter().zip(of_target)) {
            validation.tables.push(self.table(table, &source, &target));
            let daily = totals::compare(table, &source.totals, &target.totals, &source.pending_totals);
            if table.totals.is_some() {
                facts += 1;
                if daily.iter().all(|day| day.source == 0) {
                    validation.newest_dates.push(newest(table, &self.snapshot).await?);
                }
            }
            validation.totals.extend(figures::by_group(&daily));
            validation
                .differing_days
                .extend(daily.into_iter().filter(Comparison::differs));
        }
        if let (Some(suspects), Some(described)) = (suspects, self.request.deep) {
            let rows = self.row_comparison(described);
            let explained = |table: &Table, key| self.explained(table, key);
            validation.deep = Some(deep::recheck(suspects, rows, look.star.tables(), explained).await?);
        }
        let quarantined = self.sides.quarantined.values().sum();
        let tally = validation.tally(self.request.no_pending, quarantined);
        validation.verdict = Verdict::of_validation(tally, validation.newest_dates.len() < facts);
        Ok(validation)
    }

    async fn calendar(&self) -> Result<Option<CalendarValidation>> {
        let star = self.request.look.star;
        let Some(calendar) = &star.calendar else {
            return Ok(None);
        };
        let differing = calendar::Differing::find(star, &self.sides.target).await?;
        Ok(Some(CalendarValidation {
            table: calendar.table,
            differing_days: differing.days(),
        }))
    }

    fn table(&self, table: &Table, source: &SourceFigures, target: &TargetFigures) -> TableValidation {
        let quarantined = self.sides.quarantined.get(table.name).copied().unwrap_or(0);
        let mut rows = Comparison::of_rows(table, source.rows, target.rows, quarantined);
        rows.pending = source.pending_rows;
        TableValidation {
            rows,
            soundness: target.soundness,
            unexpected_rows: unexpected_rows(&self.states, table, target.rows),
            pending_rows: self.pending.rows(table),
        }
    }

    /// Why a row may differ.
    fn explained(&self, table: &Table, key: i64) -> Option<Explained> {
        if self.pending.is_quarantined(table, key) {
            Some(Explained::Quarantined)
        } else if !self.request.no_pending && self.pending.holds(table, key) {
            Some(Explained::Pending)
        } else {
            None
        }
    }

    fn row_comparison(&self, described: usize) -> RowComparison<'a> {
        let (source, target) = (self.snapshot.reader(), self.sides.target.clone());
        RowComparison::new(&self.request.look, source, target, described)
    }

    /// What the comparison has found to differ. Rows that an earlier look has found are looked at first.
    pub(crate) async fn findings(&self, compared: &Validation, earlier: Option<&Findings>) -> Result<Findings> {
        let mut findings = Findings::default();
        if !compared.verdict.is_mismatch() {
            return Ok(findings);
        }
        let mut rows = self.row_comparison(0);
        for (table, line) in self.request.look.star.tables().zip(&compared.tables) {
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

    /// The figures of a table that do not match, and the period to look for the rows in.
    fn figures_that_differ(
        &self,
        table: &Table,
        line: &TableValidation,
        compared: &Validation,
    ) -> (BTreeSet<Figure>, Period) {
        let mut figures = BTreeSet::new();
        if !line.has_right_rows(compared.tolerance) {
            figures.insert(Figure::of_table("rows", line.rows.delta()));
            figures.insert(Figure::of_table("unexpected_rows", line.unexpected_rows));
        }
        if !line.soundness.is_sound() {
            figures.insert(Figure::of_table("integrity", 0));
        }
        if self.request.no_pending && line.pending_rows > 0 {
            figures.insert(Figure::of_table("pending", 0));
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
            figures.insert(Figure {
                measure: figure.measure.name,
                group: figure.group.clone(),
                date_key: figure.date_key,
                delta: figure.delta(),
            });
        }
        let period = if concerns_all_days {
            Period::All
        } else {
            Period::of_days(days.iter().filter_map(|day| day.date_key).collect::<BTreeSet<_>>())
        };
        (figures, period)
    }

    /// The rows of a table that differ and that nothing explains: of those that an earlier look has found, or of all in
    /// the period.
    async fn rows_that_differ(
        &self,
        rows: &mut RowComparison<'_>,
        table: &'static Table,
        period: Period,
        earlier: &[i64],
    ) -> Result<Vec<i64>> {
        let remembered = earlier.iter().copied().take(REMEMBERED_KEYS);
        let scopes = Scope::of_keys(remembered, KEYS_A_PAGE);
        let mut found = rows.compare(table, scopes, Period::All).await?.changed;
        found.retain(|key| self.explained(table, *key).is_none());
        if !found.is_empty() {
            return Ok(found);
        }
        let look = &self.request.look;
        let planner = look.planner(table, self.snapshot.reader(), self.sides.target.clone());
        let intervals = Intervals::new(table, planner.await?, None).all().await?;
        let mut found = rows.compare(table, intervals, period).await?.changed;
        found.retain(|key| self.explained(table, *key).is_none());
        Ok(found)
    }

    async fn source_side(&self, period: &Period) -> Result<Vec<SourceFigures>> {
        let (look, sides) = (&self.request.look, &self.sides);
        let mut source_totals = SourceTotals::new(look, sides.source.clone());
        let mut tables = Vec::new();
        for table in look.star.tables() {
            let mut figures = source_totals.of_period(table, period).await?;
            let quarantined = totals::quarantined(&sides.target, table, &sides.quarantined).await?;
            let of_quarantined = source_totals.of_quarantined(table, period, &quarantined, &sides.target);
            totals::take_out(&mut figures, of_quarantined.await?);
            let (pending_rows, pending_totals) = if self.request.no_pending {
                (0, DayTotals::new())
            } else {
                let scopes = self.pending.scopes(table);
                (
                    self.pending.added_rows(table, sides).await?,
                    totals::pending(&source_totals, &sides.target, table, period, &scopes).await?,
                )
            };
            tables.push(SourceFigures {
                rows: sides.all_source_rows(table).await?,
                totals: figures,
                pending_rows,
                pending_totals,
            });
        }
        Ok(tables)
    }

    async fn target_side(&self, period: &Period) -> Result<Vec<TargetFigures>> {
        let target = &self.sides.target;
        let mut tables = Vec::new();
        for table in self.request.look.star.tables() {
            tables.push(TargetFigures {
                rows: self.sides.target_rows(table, &Scope::ALL).await?,
                soundness: Soundness::of(table, target).await?,
                totals: totals::of_target(target, table, period, &Scope::ALL).await?,
            });
            info!(table = table.name, "validated");
        }
        Ok(tables)
    }
}

/// One table in the source.
struct SourceFigures {
    rows: i64,
    totals: DayTotals,
    pending_rows: i64,
    pending_totals: DayTotals,
}

/// One table in the target.
struct TargetFigures {
    rows: i64,
    soundness: Soundness,
    totals: DayTotals,
}

/// Rows that the target has more than the last run left in it. A full load that is not finished changes that.
pub(crate) fn unexpected_rows(states: &States, table: &Table, rows: i64) -> i64 {
    if states.is_loading() {
        return 0;
    }
    let left = states.target(table.name).rows;
    left.map_or(0, |left| rows - left)
}

async fn newest(table: &Table, snapshot: &Snapshot) -> Result<Newest> {
    let doing = || format!("reading the newest date of {}", table.source_table);
    let mut date: Option<NaiveDate> = None;
    if let Some(dates) = table.dates() {
        let select = Query::select()
            .expr(Expr::col(dates.source.name).max())
            .from(Alias::new(&dates.source.table))
            .to_owned();
        let rows = snapshot.reader().rows(&select).await.source(doing)?;
        // A date that the calendar does not have, as 2026-00-10, is none to name.
        date = rows.iter().next().and_then(|row| row.cell(0));
    }
    Ok(Newest {
        table: table.name,
        date,
    })
}
