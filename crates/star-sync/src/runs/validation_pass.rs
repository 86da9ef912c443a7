//! One pass of a validation: reads both sides, each in one snapshot, and compares them.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{DatabaseTransaction, TransactionTrait};
use tracing::info;

use crate::changes::identity;
use crate::changes::pending::Pending;
use crate::compare::deep::{self, KnownCause, Suspects};
use crate::compare::figures::{self, Comparison, Sides};
use crate::compare::integrity::Integrity;
use crate::compare::rows::RowComparison;
use crate::compare::source_totals::SourceTotals;
use crate::compare::totals::{self, BothTotals};
use crate::compare::verdict::{Tally, Verdict};
use crate::declare::day_totals::DayTotals;
use crate::declare::key_range::KeyRange;
use crate::declare::period::Period;
use crate::declare::table::Table;
use crate::error::{Doing, Error, Result};
use crate::runs::validate::{CalendarValidation, Newest, Request, TableValidation, Validation};
use crate::source::Snapshot;
use crate::target::bookkeeping::quarantine;
use crate::target::bookkeeping::state::{self, States};
use crate::target::{TargetReader, calendar};

/// Both sides, open for reading.
pub(crate) struct ValidationPass<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) snapshot: Snapshot,
    pub(super) sides: Sides<'a>,
    states: States,
    pending: Pending,
    source_identity_changes: Vec<String>,
}

impl<'a> ValidationPass<'a> {
    /// Opens the target, and checks whether it can be compared with this source.
    ///
    /// # Errors
    /// `NotLoaded` before a full load has finished, `SourceChanged` unless that is accepted.
    pub(crate) async fn open_target(request: &Request<'_>) -> Result<(DatabaseTransaction, Vec<String>)> {
        let databases = &request.databases;
        let transaction = databases
            .readers
            .begin()
            .await
            .target(|| "beginning to read".to_owned())?;
        if !state::load(&transaction).await?.is_loaded() {
            return Err(Error::NotLoaded);
        }
        let evidence = identity::evidence(databases.source, request.source_columns, &transaction).await?;
        if !evidence.is_empty() && !request.accepts_source {
            return Err(Error::SourceChanged { evidence });
        }
        Ok((transaction, evidence))
    }

    /// Opens both sides, the target first: it is then the older state, and what the source gained in between counts as
    /// pending.
    ///
    /// # Errors
    /// Those of `open_target`.
    pub(crate) async fn begin(request: &'a Request<'a>) -> Result<Self> {
        let databases = &request.databases;
        let (transaction, source_identity_changes) = Self::open_target(request).await?;
        let states = state::load(&transaction).await?;
        let quarantined = quarantine::counts(&transaction).await?;
        let mut snapshot = databases.source.snapshot().await?;
        snapshot.refresh_update_times().await?;
        let sides = Sides {
            source: snapshot.reader(),
            indexes: databases.source.indexes(&snapshot.reader()).await?,
            target: TargetReader::Within(Arc::new(transaction)),
            quarantined,
        };
        let pending = if source_identity_changes.is_empty() {
            Pending::find(databases, &snapshot, &sides, &states).await?
        } else {
            // The watermarks belong to another source and do not apply to this one.
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

    /// The source's clock just before the snapshot began.
    pub(crate) fn clock(&self) -> DateTime<Utc> {
        self.snapshot.clock
    }

    /// Closes both sides.
    pub(crate) async fn end(self) -> Result<()> {
        // The snapshot can only be closed by its last holder.
        drop(self.sides);
        self.snapshot.close().await
    }

    /// Compares all figures, and the suspects row by row.
    pub(crate) async fn compare(&self, period: &Period, suspects: Option<&Suspects>) -> Result<Validation> {
        let databases = &self.request.databases;
        let mut validation = Validation {
            verdict: Verdict::of_validation(Tally::default(), true),
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
            is_loading: self.states.is_loading(),
        };
        // Each side uses one connection, so both work at the same time.
        let (of_source, of_target) = tokio::try_join!(self.source_side(period), self.target_side(period))?;
        let mut facts = 0;
        for (table, (source, target)) in databases.star.tables().zip(of_source.into_iter().zip(of_target)) {
            validation.tables.push(self.table(table, &source, &target));
            let both = BothTotals {
                source: source.totals,
                target: target.totals,
                quarantined: source.quarantined_totals,
                pending: source.pending_totals,
            };
            let daily = totals::compare(table, &both);
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
            let known_cause = |table: &Table, key| self.known_cause(table, key);
            validation.deep = Some(deep::recheck(suspects, rows, databases.star.tables(), known_cause).await?);
        }
        let quarantined = self.sides.quarantined.values().sum();
        let tally = validation.tally(self.request.no_pending, quarantined);
        // A newest date is listed only for a fact without rows in the period. In a star without totals the period
        // limits nothing.
        let is_period_empty = facts > 0 && validation.newest_dates.len() == facts;
        validation.verdict = Verdict::of_validation(tally, is_period_empty);
        Ok(validation)
    }

    async fn calendar(&self) -> Result<Option<CalendarValidation>> {
        let star = self.request.databases.star;
        let Some(calendar) = &star.calendar else {
            return Ok(None);
        };
        let differing = calendar::CalendarDifferences::find(star, &self.sides.target).await?;
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
            integrity: target.integrity,
            unexpected_rows: self.states.unexpected_rows(table.name, target.rows),
            pending_rows: self.pending.rows(table),
        }
    }

    /// Why a row may differ.
    pub(super) fn known_cause(&self, table: &Table, key: i64) -> Option<KnownCause> {
        // If several rows share a page key, those beside a quarantined one are still compared.
        if table.has_unique_page_key() && self.pending.is_quarantined(table, key) {
            Some(KnownCause::Quarantined)
        } else if !self.request.no_pending && self.pending.holds(table, key) {
            Some(KnownCause::Pending)
        } else {
            None
        }
    }

    pub(super) fn row_comparison(&self, described: usize) -> RowComparison<'a> {
        let (source, target) = (self.snapshot.reader(), self.sides.target.clone());
        RowComparison::new(&self.request.databases, source, target, described)
    }

    async fn source_side(&self, period: &Period) -> Result<Vec<SourceFigures>> {
        let (databases, sides) = (&self.request.databases, &self.sides);
        let mut source_totals = SourceTotals::new(databases, sides.source.clone());
        let mut tables = Vec::new();
        for table in databases.star.tables() {
            let totals = source_totals.of_period(table, period).await?;
            let quarantined = totals::quarantined(&sides.target, table, &sides.quarantined).await?;
            let quarantined_totals = source_totals
                .of_quarantined(table, period, &quarantined, &sides.target)
                .await?;
            let (pending_rows, pending_totals) = if self.request.no_pending {
                (0, DayTotals::new())
            } else {
                let key_ranges = self.pending.key_ranges(table);
                (
                    self.pending.added_rows(table, sides).await?,
                    totals::pending(&source_totals, &sides.target, table, period, &key_ranges).await?,
                )
            };
            tables.push(SourceFigures {
                rows: sides.all_source_rows(table).await?,
                totals,
                quarantined_totals,
                pending_rows,
                pending_totals,
            });
        }
        Ok(tables)
    }

    async fn target_side(&self, period: &Period) -> Result<Vec<TargetFigures>> {
        let target = &self.sides.target;
        let mut tables = Vec::new();
        for table in self.request.databases.star.tables() {
            tables.push(TargetFigures {
                rows: self.sides.target_rows(table, &KeyRange::ALL).await?,
                integrity: Integrity::check(table, target).await?,
                totals: totals::of_target(target, table, period, &KeyRange::ALL).await?,
            });
            info!(table = table.name, "validated");
        }
        Ok(tables)
    }
}

/// The figures of one table in the source.
struct SourceFigures {
    rows: i64,
    totals: DayTotals,
    quarantined_totals: DayTotals,
    pending_rows: i64,
    pending_totals: DayTotals,
}

/// The figures of one table in the target.
struct TargetFigures {
    rows: i64,
    integrity: Integrity,
    totals: DayTotals,
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
        // A date that is not a valid day, such as 2026-00-10, is read as `None`.
        date = rows.iter().next().and_then(|row| row.cell(0));
    }
    Ok(Newest {
        table: table.name,
        date,
    })
}
