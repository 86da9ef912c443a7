//! Validation: counts, integrity and totals of both sides, each read at one instant.

use std::cmp::max;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use sea_orm::sea_query::{Alias, Asterisk, Condition, Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use serde::Serialize;
use tracing::info;

use crate::engine::declaration::table::{Star, Table};
use crate::engine::runs::verify::{self, Comparison, Period, Sides};
use crate::engine::source_db::{Snapshot, Source};
use crate::engine::stop::Stop;
use crate::engine::target_db::{TargetReader, reject, state};
use crate::error::{Doing, Error, Result};

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Validation {
    /// Row counts of whole tables.
    pub tables: Vec<TableValidation>,
    /// Rentals and payments of the period, by store.
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
    pub equal: bool,
}

/// One target table.
#[derive(Clone, Debug, Serialize)]
pub struct TableValidation {
    pub rows: Comparison,
    /// Natural keys that occur more than once.
    pub duplicates: u64,
    /// Rows that point to a parent that is not there.
    pub orphans: u64,
    /// Empty cells where none may be.
    pub nulls: u64,
}

/// The newest row of a fact in the source.
#[derive(Clone, Debug, Serialize)]
pub struct Newest {
    pub table: &'static str,
    pub date: Option<NaiveDate>,
}

/// The days to compare facts on; both ends inclusive.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    All,
    /// The last days, ending today by the source's clock in UTC.
    Days(u64),
    Between(NaiveDate, NaiveDate),
}

/// What to compare, and how closely.
pub struct Request<'a> {
    pub star: &'static Star,
    pub source: &'a Source,
    pub target: &'a DatabaseConnection,
    pub asked: Asked,
    /// The difference that is allowed in a figure: rows, or cents.
    pub tolerance: u64,
    pub stop: &'a Stop,
}

/// Compares source and target.
///
/// # Errors
/// `NotLoaded` before a full load has finished; anything that either database answers.
pub async fn run(request: Request<'_>) -> Result<Validation> {
    let Request {
        star,
        source,
        target,
        asked,
        tolerance,
        stop,
    } = request;
    let snapshot = source.snapshot().await?;
    // A read transaction: all figures of the target are of one instant, too.
    let transaction = Arc::new(target.begin().await.target(|| "beginning to read".to_owned())?);
    if !state::is_loaded(&state::load(&*transaction).await?) {
        return Err(Error::NotLoaded);
    }
    let (from, to) = match asked {
        Asked::All => (None, None),
        Asked::Between(from, to) => (Some(from), Some(to)),
        Asked::Days(days) => {
            let today = snapshot.clock.date_naive();
            let back = chrono::Days::new(days.saturating_sub(1));
            (
                Some(max(
                    today.checked_sub_days(back).unwrap_or_default(),
                    NaiveDate::default(),
                )),
                Some(today),
            )
        }
    };
    let period = match from.zip(to) {
        Some(range) => Period::Ranges(vec![range]),
        None => Period::All,
    };
    let rejects = reject::counts(&*transaction).await?;
    let target = TargetReader::Within(transaction);
    let sides = Sides {
        source: &snapshot.connection,
        target: target.clone(),
        rejects,
    };
    let mut validation = Validation {
        tables: Vec::new(),
        totals: Vec::new(),
        days: Vec::new(),
        from,
        to,
        newest: Vec::new(),
        tolerance,
        equal: true,
    };
    let within = |comparison: &Comparison| comparison.delta().unsigned_abs() <= tolerance;
    for table in star.tables() {
        if stop.is_requested() {
            return Err(Error::Stopped);
        }
        let checked = TableValidation {
            rows: sides.rows(table, 0).await?,
            duplicates: duplicates(table, &target).await?,
            orphans: orphans(table, &target).await?,
            nulls: nulls(table, &target).await?,
        };
        validation.equal &= within(&checked.rows) && checked.is_sound();
        validation.tables.push(checked);
        let daily = sides.totals(table, &period).await?;
        let totals = verify::by_store(&daily);
        validation.equal &= totals.iter().chain(&daily).all(within);
        if table.totals.is_some() && daily.iter().all(|day| day.source == 0) {
            validation.newest.push(newest(table, &snapshot).await?);
        }
        validation.totals.extend(totals);
        validation.days.extend(daily.into_iter().filter(Comparison::differs));
        info!(table = table.name, "validated");
    }
    snapshot.close().await?;
    Ok(validation)
}

impl TableValidation {
    pub fn is_sound(&self) -> bool {
        self.duplicates == 0 && self.orphans == 0 && self.nulls == 0
    }
}

async fn count(target: &TargetReader, table: &Table, select: &sea_orm::sea_query::SelectStatement) -> Result<u64> {
    let doing = || format!("checking {}", table.name);
    let rows = target.all(select).await.target(doing)?;
    let count: i64 = rows
        .first()
        .map_or(Ok(0), |row| row.try_get_by_index(0))
        .target(doing)?;
    Ok(count.unsigned_abs())
}

async fn duplicates(table: &Table, target: &TargetReader) -> Result<u64> {
    let keys = table.natural_key.clone().into_iter().map(Alias::new);
    let repeated = Query::select()
        .columns(keys.clone())
        .from(table.name)
        .group_by_columns(keys)
        .and_having(Expr::col(Asterisk).count().gt(1))
        .to_owned();
    let select = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from_subquery(repeated, "repeated")
        .to_owned();
    count(target, table, &select).await
}

async fn orphans(table: &Table, target: &TargetReader) -> Result<u64> {
    let mut sum = 0;
    for reference in &table.references {
        let column = Expr::col((Alias::new(table.name), Alias::new(&reference.column)));
        let parent = Expr::col((Alias::new(&reference.parent), Alias::new(&reference.parent_column)));
        let select = Query::select()
            .expr(Expr::col(Asterisk).count())
            .from(table.name)
            .left_join(Alias::new(&reference.parent), column.clone().eq(parent.clone()))
            .and_where(column.is_not_null())
            .and_where(parent.is_null())
            .to_owned();
        sum += count(target, table, &select).await?;
    }
    Ok(sum)
}

async fn nulls(table: &Table, target: &TargetReader) -> Result<u64> {
    let condition = table
        .columns
        .iter()
        .filter(|column| !column.nullable)
        .fold(Condition::any(), |any, column| {
            any.add(Expr::col(column.name).is_null())
        });
    let select = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from(table.name)
        .cond_where(condition)
        .to_owned();
    count(target, table, &select).await
}

async fn newest(table: &Table, snapshot: &Snapshot) -> Result<Newest> {
    let doing = || format!("reading the newest date of {}", table.source_table);
    let mut date: Option<NaiveDateTime> = None;
    if let Some(totals) = &table.totals {
        let select = Query::select()
            .expr((totals.source_date)().max())
            .from(table.source_table)
            .to_owned();
        if let Some(row) = snapshot.connection.query_one(&select).await.source(doing)? {
            date = row.try_get_by_index(0).source(doing)?;
        }
    }
    Ok(Newest {
        table: table.name,
        date: date.map(|time| time.date()),
    })
}

/// The deltas of all figures that the metrics show.
pub fn deltas(validation: &Validation) -> impl Iterator<Item = &Comparison> {
    validation
        .tables
        .iter()
        .map(|table| &table.rows)
        .chain(&validation.totals)
}
