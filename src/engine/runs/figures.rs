//! Compares source and target by counts and totals. The totals are computed by each database's own SQL, never by
//! the code that loads.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde::Serialize;

use crate::engine::declaration::date_key;
use crate::engine::declaration::integer::Integer;
use crate::engine::declaration::period::Period;
use crate::engine::declaration::scope::Scope;
use crate::engine::declaration::table::{Star, Table, Totals};
use crate::engine::pipeline::flow::Outcomes;
use crate::engine::runs::report::Move;
use crate::engine::target_db::{TargetReader, reject};
use crate::error::{Doing, Result};

/// One figure, from both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub table: &'static str,
    pub measure: Measure,
    /// The store's natural key, where the figure is one store's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_id: Option<i64>,
    /// YYYYMMDD, where the figure is one day's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_key: Option<i32>,
    pub source: i64,
    pub target: i64,
    /// Source rows that are in sync_reject: they explain as much of the difference.
    pub rejected: i64,
    /// What the next incremental run adds to the target, by what has changed in the source since the last one.
    pub pending: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Rows,
    /// Whole cents.
    Cents,
}

impl Comparison {
    /// Target less source, less what rejects and pending changes explain.
    pub fn delta(&self) -> i64 {
        self.target + self.rejected + self.pending - self.source
    }

    pub fn differs(&self) -> bool {
        self.delta() != 0
    }
}

/// Keys that one statement names.
const KEYS_A_STATEMENT: usize = 1_000;
/// Date key and store id.
type DayAndStore = (i32, i64);
type RowsAndCents = (i64, i64);
type Figures = BTreeMap<DayAndStore, RowsAndCents>;

/// Both sides of one day and store, and what is pending there.
#[derive(Default)]
struct Cell {
    source: RowsAndCents,
    target: RowsAndCents,
    pending: RowsAndCents,
}

/// Both sides of a comparison, each of one instant.
pub struct Sides<'a> {
    pub source: &'a DatabaseConnection,
    pub target: TargetReader,
    /// Rejects by source table.
    pub rejects: BTreeMap<String, u64>,
}

impl Sides<'_> {
    /// Row counts of a whole table. `removed` rows of the target are about to be deleted.
    pub async fn rows(&self, table: &Table, removed: u64) -> Result<Comparison> {
        let rejected = self.rejects.get(table.source_table).copied().unwrap_or(0);
        self.rows_of(table, &Scope::ALL, removed, rejected).await
    }

    /// Row counts of a part of a table.
    pub async fn rows_of(&self, table: &Table, scope: &Scope, removed: u64, rejected: u64) -> Result<Comparison> {
        Ok(Comparison {
            table: table.name,
            measure: Measure::Rows,
            store_id: None,
            date_key: None,
            source: self.source_rows(table, scope).await?,
            target: self.target_rows(table, scope).await? - signed(removed),
            rejected: signed(rejected),
            pending: 0,
        })
    }

    async fn source_rows(&self, table: &Table, scope: &Scope) -> Result<i64> {
        let doing = || format!("counting {}, {scope}", table.source_table);
        let select = Query::select()
            .expr(Expr::col(sea_orm::sea_query::Asterisk).count())
            .from(table.source_table)
            .cond_where(scope.contains(&table.source_page_key()))
            .to_owned();
        let row = self.source.query_one(&select).await.source(doing)?;
        row.map_or(Ok(0), |row| row.try_get_by_index(0)).source(doing)
    }

    async fn target_rows(&self, table: &Table, scope: &Scope) -> Result<i64> {
        let doing = || format!("counting {}, {scope}", table.name);
        let mut select = Query::select();
        select.expr(Expr::col(sea_orm::sea_query::Asterisk).count());
        table.from_target(&mut select);
        select.cond_where(scope.contains(&table.target_page_key()));
        let rows = self.target.all(&select).await.target(doing)?;
        rows.first().map_or(Ok(0), |row| row.try_get_by_index(0)).target(doing)
    }

    /// Counts and sums by store and day, over the period; empty for a table without totals. What the rows named by
    /// `pending` differ by counts as pending.
    pub async fn totals(&self, table: &Table, period: &Period, pending: &[Scope]) -> Result<Vec<Comparison>> {
        let Some(totals) = &table.totals else {
            return Ok(Vec::new());
        };
        if matches!(period, Period::Ranges(ranges) if ranges.is_empty()) {
            return Ok(Vec::new());
        }
        let mut cells: BTreeMap<DayAndStore, Cell> = BTreeMap::new();
        for (key, figures) in self.source_totals(table, totals, period).await? {
            cells.entry(key).or_default().source = figures;
        }
        for (key, figures) in target_totals(&self.target, table, totals, period, &Scope::ALL).await? {
            cells.entry(key).or_default().target = figures;
        }
        for scope in pending {
            for (key, (rows, cents)) in self.source_totals_of(table, totals, period, scope).await? {
                let pending = &mut cells.entry(key).or_default().pending;
                *pending = (pending.0 + rows, pending.1 + cents);
            }
            for (key, (rows, cents)) in target_totals(&self.target, table, totals, period, scope).await? {
                let pending = &mut cells.entry(key).or_default().pending;
                *pending = (pending.0 - rows, pending.1 - cents);
            }
        }
        Ok(cells
            .into_iter()
            .flat_map(|((date_key, store_id), cell)| {
                let comparison = |measure, source, target, pending| Comparison {
                    table: table.name,
                    measure,
                    store_id: Some(store_id),
                    date_key: Some(date_key),
                    source,
                    target,
                    rejected: 0,
                    pending,
                };
                let rows = comparison(Measure::Rows, cell.source.0, cell.target.0, cell.pending.0);
                let cents = totals
                    .money
                    .then(|| comparison(Measure::Cents, cell.source.1, cell.target.1, cell.pending.1));
                [Some(rows), cents].into_iter().flatten()
            })
            .collect())
    }

    async fn source_totals(&self, table: &Table, totals: &Totals, period: &Period) -> Result<Figures> {
        let mut figures: Figures = self
            .source_totals_of(table, totals, period, &Scope::ALL)
            .await?
            .into_iter()
            .collect();
        // What was rejected is explained: its part is taken out.
        for scope in Scope::of_keys(self.rejected_keys(table).await?, KEYS_A_STATEMENT) {
            for (key, (rows, cents)) in self.source_totals_of(table, totals, period, &scope).await? {
                let figure = figures.entry(key).or_default();
                figure.0 -= rows;
                figure.1 -= cents;
            }
        }
        figures.retain(|_, figure| *figure != (0, 0));
        Ok(figures)
    }

    async fn source_totals_of(
        &self,
        table: &Table,
        totals: &Totals,
        period: &Period,
        scope: &Scope,
    ) -> Result<Vec<(DayAndStore, RowsAndCents)>> {
        let doing = || format!("adding up {}", table.source_table);
        let mut select = (totals.source)();
        select
            .cond_where(table.source_in(period))
            .cond_where(scope.contains(&table.source_page_key()));
        let mut figures = Vec::new();
        for row in self.source.query_all(&select).await.source(doing)? {
            // A date that is none, such as 2005-00-00: such rows are rejected, and their part is taken out.
            let day: Option<NaiveDate> = row.try_get_by_index(0).ok();
            let (store, rows): (Option<Integer>, i64) = (
                row.try_get_by_index(1).source(doing)?,
                row.try_get_by_index(2).source(doing)?,
            );
            let sum: Option<Decimal> = if totals.money {
                row.try_get_by_index(3).source(doing)?
            } else {
                None
            };
            let cents = sum
                .and_then(|sum| sum.checked_mul(Decimal::ONE_HUNDRED))
                .and_then(|cents| cents.to_i64())
                .unwrap_or(0);
            figures.push((
                (day.map_or(0, date_key::of_day), store.map_or(0, |store| store.0)),
                (rows, cents),
            ));
        }
        Ok(figures)
    }

    async fn rejected_keys(&self, table: &Table) -> Result<Vec<i64>> {
        if self.rejects.get(table.source_table).is_none_or(|count| *count == 0) {
            return Ok(Vec::new());
        }
        reject::page_keys(&self.target, table.source_table).await
    }
}

async fn target_totals(
    target: &TargetReader,
    table: &Table,
    totals: &Totals,
    period: &Period,
    scope: &Scope,
) -> Result<Vec<(DayAndStore, RowsAndCents)>> {
    let doing = || format!("adding up {}", table.name);
    let mut select: SelectStatement = (totals.target)();
    select
        .cond_where(table.target_in(period))
        .cond_where(scope.contains(&table.target_page_key()));
    let mut figures = Vec::new();
    for row in target.all(&select).await.target(doing)? {
        let (date_key, store, rows): (i32, i64, i64) = (
            row.try_get_by_index(0).target(doing)?,
            row.try_get_by_index(1).target(doing)?,
            row.try_get_by_index(2).target(doing)?,
        );
        let cents = if totals.money {
            row.try_get_by_index(3).target(doing)?
        } else {
            0
        };
        figures.push(((date_key, store), (rows, cents)));
    }
    Ok(figures)
}

/// How the totals of the days that a run has touched moved from what is committed to what it has written.
pub async fn moves(
    star: &Star,
    outcomes: &Outcomes,
    committed: &TargetReader,
    written: &TargetReader,
) -> Result<Vec<Move>> {
    let mut moves = Vec::new();
    for table in star.tables() {
        let (Some(totals), Some(outcome)) = (&table.totals, outcomes.get(table.name)) else {
            continue;
        };
        let period = Period::of_days(outcome.dates.iter().copied());
        if period == Period::Ranges(Vec::new()) {
            continue;
        }
        let mut stores: BTreeMap<i64, [RowsAndCents; 2]> = BTreeMap::new();
        for (side, target) in [committed, written].into_iter().enumerate() {
            for ((_, store), (rows, cents)) in target_totals(target, table, totals, &period, &Scope::ALL).await? {
                let sum = &mut stores.entry(store).or_default()[side];
                *sum = (sum.0 + rows, sum.1 + cents);
            }
        }
        moves.extend(stores.into_iter().map(|(store_id, [before, after])| Move {
            table: table.name,
            store_id,
            rows_before: before.0,
            rows_after: after.0,
            cents_before: before.1,
            cents_after: after.1,
        }));
    }
    Ok(moves)
}

/// Adds figures up over the days, so that each store has one a measure.
pub fn by_store(daily: &[Comparison]) -> Vec<Comparison> {
    let mut stores: BTreeMap<(&str, u8, Option<i64>), Comparison> = BTreeMap::new();
    for figure in daily {
        stores
            .entry((figure.table, figure.measure as u8, figure.store_id))
            .and_modify(|sum| {
                sum.source += figure.source;
                sum.target += figure.target;
                sum.pending += figure.pending;
            })
            .or_insert_with(|| Comparison {
                date_key: None,
                ..figure.clone()
            });
    }
    stores.into_values().collect()
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
