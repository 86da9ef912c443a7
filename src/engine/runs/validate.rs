//! Validation: counts, integrity and totals of both sides, each read at one instant.

use std::cmp::max;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use sea_orm::TransactionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use serde::Serialize;
use tracing::info;

use crate::engine::declaration::period::Period;
use crate::engine::declaration::scope::Scope;
use crate::engine::declaration::table::Table;
use crate::engine::runs::Look;
use crate::engine::runs::deep::{self, Recheck, TableDifferences};
use crate::engine::runs::figures::{self, Comparison, Sides};
use crate::engine::runs::pending::Pending;
use crate::engine::runs::soundness::Soundness;
use crate::engine::runs::totals::{self, Figures, SourceTotals};
use crate::engine::source_db::Snapshot;
use crate::engine::target_db::history::Status;
use crate::engine::target_db::{TargetReader, reject, state};
use crate::error::{Doing, Error, Result};

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Validation {
    /// Row counts of whole tables.
    pub tables: Vec<TableValidation>,
    /// Rows and cents of each fact in the period, by store.
    pub totals: Vec<Comparison>,
    /// The days and stores that differ.
    pub days: Vec<Comparison>,
    /// The period's first and last day; `None` stands for no limit.
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    /// The newest date of a fact, where the period holds none.
    pub newest: Vec<Newest>,
    /// Differences up to this many rows, or cents, are allowed.
    pub tolerance: u64,
    /// Where every row was compared: what differs, by table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep: Option<Vec<TableDifferences>>,
    pub equal: bool,
}

/// One target table.
#[derive(Clone, Debug, Serialize)]
pub struct TableValidation {
    pub rows: Comparison,
    #[serde(flatten)]
    pub soundness: Soundness,
}

/// The newest row of a fact in the source.
#[derive(Clone, Debug, Serialize)]
pub struct Newest {
    pub table: &'static str,
    /// None without rows, or where it is no day of the calendar.
    pub date: Option<NaiveDate>,
}

/// The days to compare facts on; both ends inclusive.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    All,
    /// The last days, ending today by the source's clock in UTC.
    Days(u64),
    Between(NaiveDate, NaiveDate),
    /// From a day on, ending today.
    Since(NaiveDate),
}

/// What to compare, and how closely.
pub struct Request<'a> {
    pub look: Look<'a>,
    pub asked: Asked,
    /// The difference that is allowed in a figure: rows, or cents.
    pub tolerance: u64,
    /// Whether every row is compared too, and how many that differ are then described, a table.
    pub deep: Option<usize>,
}

/// Compares source and target.
///
/// # Errors
/// `NotLoaded` before a full load has finished; anything that either database answers.
pub async fn run(request: Request<'_>) -> Result<Validation> {
    let look = &request.look;
    let (from, to) = request.asked.days(look.source.clock().await?.date_naive());
    let period = match from.zip(to) {
        Some(range) => Period::Ranges(vec![range]),
        None => Period::All,
    };
    let suspects = match request.deep {
        Some(_) => Some(deep::suspects(look, &period).await?),
        None => None,
    };
    // All figures of the target are of one instant, and the source's are no older: what it has more is pending.
    let transaction = look.readers.begin().await.target(|| "beginning to read".to_owned())?;
    let states = state::load(&transaction).await?;
    if !state::is_loaded(&states) {
        return Err(Error::NotLoaded);
    }
    let rejects = reject::counts(&transaction).await?;
    let target = TargetReader::Within(Arc::new(transaction));
    let snapshot = look.source.snapshot().await?;
    let sides = Sides {
        source: snapshot.reader(),
        indexes: look.source.indexes(&snapshot.reader()).await?,
        target: target.clone(),
        rejects,
    };
    let pending = Pending::find(look, &snapshot, &sides, &states).await?;
    let mut validation = Validation {
        tables: Vec::new(),
        totals: Vec::new(),
        days: Vec::new(),
        from,
        to,
        newest: Vec::new(),
        tolerance: request.tolerance,
        deep: None,
        equal: true,
    };
    let within = |comparison: &Comparison| comparison.delta().unsigned_abs() <= request.tolerance;
    // Each side is one connection: they work at the same time.
    let (of_source, of_target) = tokio::try_join!(
        source_side(look, &sides, &period, &pending),
        target_side(look, &sides, &period)
    )?;
    for (table, (source, target)) in look.star.tables().zip(of_source.into_iter().zip(of_target)) {
        let rejected = sides.rejects.get(table.source_table).copied().unwrap_or(0);
        let mut rows = Comparison::of_rows(table, source.rows, target.rows, rejected);
        rows.pending = source.pending_rows;
        let soundness = target.soundness;
        validation.equal &= within(&rows) && soundness.is_sound();
        validation.tables.push(TableValidation { rows, soundness });
        let daily = totals::compare(table, &source.totals, &target.totals, &source.pending_totals);
        let by_store = figures::by_store(&daily);
        validation.equal &= by_store.iter().chain(&daily).all(within);
        if table.totals.is_some() && daily.iter().all(|day| day.source == 0) {
            validation.newest.push(newest(table, &snapshot).await?);
        }
        validation.totals.extend(by_store);
        validation.days.extend(daily.into_iter().filter(Comparison::differs));
    }
    // Whoever ends the snapshot has to be the last to hold it.
    drop(sides);
    if let (Some(suspects), Some(described)) = (suspects, request.deep) {
        let recheck = Recheck {
            look,
            snapshot: &snapshot,
            target,
            pending: &pending,
            described,
        };
        let tables = recheck.run(suspects).await?;
        validation.equal &= tables.iter().all(TableDifferences::is_equal);
        validation.deep = Some(tables);
    }
    snapshot.close().await?;
    Ok(validation)
}

impl Asked {
    /// The first and the last day; none for all days.
    fn days(self, today: NaiveDate) -> (Option<NaiveDate>, Option<NaiveDate>) {
        match self {
            Self::All => (None, None),
            Self::Between(from, to) => (Some(from), Some(to)),
            Self::Since(from) => (Some(from), Some(today)),
            Self::Days(days) => {
                let back = chrono::Days::new(days.saturating_sub(1));
                let from = today.checked_sub_days(back).unwrap_or_default();
                (Some(max(from, NaiveDate::default())), Some(today))
            }
        }
    }
}

/// One table in the source.
struct SourceFigures {
    rows: i64,
    totals: Figures,
    pending_rows: i64,
    pending_totals: Figures,
}

/// One table in the target.
struct TargetFigures {
    rows: i64,
    soundness: Soundness,
    totals: Figures,
}

async fn source_side(
    look: &Look<'_>,
    sides: &Sides<'_>,
    period: &Period,
    pending: &Pending,
) -> Result<Vec<SourceFigures>> {
    let mut source_totals = SourceTotals::new(look, sides.source.clone());
    let mut tables = Vec::new();
    for table in look.star.tables() {
        let mut totals = source_totals.of_period(table, period).await?;
        let rejected = totals::rejected(&sides.target, table, &sides.rejects).await?;
        source_totals.take_out(table, period, &rejected, &mut totals).await?;
        let scopes = pending.scopes(table);
        tables.push(SourceFigures {
            rows: sides.all_source_rows(table).await?,
            totals,
            pending_rows: pending.rows(table, sides).await?,
            pending_totals: totals::pending(&source_totals, &sides.target, table, period, &scopes).await?,
        });
    }
    Ok(tables)
}

async fn target_side(look: &Look<'_>, sides: &Sides<'_>, period: &Period) -> Result<Vec<TargetFigures>> {
    let mut tables = Vec::new();
    for table in look.star.tables() {
        tables.push(TargetFigures {
            rows: sides.target_rows(table, &Scope::ALL).await?,
            soundness: Soundness::of(table, &sides.target).await?,
            totals: totals::of_target(&sides.target, table, period, &Scope::ALL).await?,
        });
        info!(table = table.name, "validated");
    }
    Ok(tables)
}

async fn newest(table: &Table, snapshot: &Snapshot) -> Result<Newest> {
    let doing = || format!("reading the newest date of {}", table.source_table);
    let mut date: Option<NaiveDateTime> = None;
    if let Some(totals) = &table.totals {
        let select = Query::select()
            .expr(Expr::col(totals.source_date).max())
            .from(table.source_table)
            .to_owned();
        if let Some(row) = snapshot.reader().one(&select).await.source(doing)? {
            // A date that the calendar does not have, as 2026-00-10, is none to name.
            date = row.try_get_by_index(0).unwrap_or(None);
        }
    }
    Ok(Newest {
        table: table.name,
        date: date.map(|time| time.date()),
    })
}

impl Validation {
    /// As a run, it is done if both sides are equal.
    pub fn status(&self) -> Status {
        if self.equal { Status::Done } else { Status::Differences }
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
