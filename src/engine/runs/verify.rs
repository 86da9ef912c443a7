//! Compares source and target by counts and totals. The totals are computed by each database's own SQL, never by
//! the code that loads.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate, NaiveTime};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde::Serialize;

use crate::engine::declaration::date_key;
use crate::engine::declaration::integer::Integer;
use crate::engine::declaration::scope::Scope;
use crate::engine::declaration::table::{Table, Totals};
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Rows,
    /// Whole cents.
    Cents,
}

impl Comparison {
    /// Target less source, less what the rejects explain.
    pub fn delta(&self) -> i64 {
        self.target + self.rejected - self.source
    }

    pub fn differs(&self) -> bool {
        self.delta() != 0
    }
}

/// Which days the totals are of; all inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Period {
    All,
    Ranges(Vec<(NaiveDate, NaiveDate)>),
}

/// Keys that one statement names.
const KEYS_A_STATEMENT: usize = 1_000;
/// Ranges of days that one condition may name; beyond that their envelope is compared.
const MAXIMAL_RANGES: usize = 50;

impl Period {
    /// The given days, as few ranges as they make.
    pub fn of_days(date_keys: impl IntoIterator<Item = i32>) -> Self {
        let mut ranges: Vec<(NaiveDate, NaiveDate)> = Vec::new();
        for day in date_keys.into_iter().filter_map(date_key::day) {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add_days(Days::new(1)) == Some(day) => *last = day,
                _ => ranges.push((day, day)),
            }
        }
        if ranges.len() > MAXIMAL_RANGES {
            let envelope = (ranges[0].0, ranges[ranges.len() - 1].1);
            ranges = vec![envelope];
        }
        Self::Ranges(ranges)
    }

    /// The period as a condition on a wall-clock time.
    fn of_time(&self, time: &Expr) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::Ranges(ranges) => ranges.iter().fold(Condition::any(), |any, (from, to)| {
                let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN);
                // The last day of all has no next one, to the server.
                let after = to.checked_add_days(Days::new(1)).filter(|day| day.year() <= 9999);
                let range = Condition::all()
                    .add(time.clone().gte(midnight(*from)))
                    .add_option(after.map(|after| time.clone().lt(midnight(after))));
                any.add(range)
            }),
        }
    }

    /// The period as a condition on a date key.
    fn of_key(&self, date_key: &Expr) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::Ranges(ranges) => ranges.iter().fold(Condition::any(), |any, (from, to)| {
                any.add(date_key.clone().between(date_key::of_day(*from), date_key::of_day(*to)))
            }),
        }
    }
}

/// Date key and store id.
type DayAndStore = (i32, i64);
type RowsAndCents = (i64, i64);
type Figures = BTreeMap<DayAndStore, RowsAndCents>;

/// Both sides of a comparison, each of one instant.
pub struct Sides<'a> {
    pub source: &'a DatabaseConnection,
    pub target: TargetReader,
    /// Rejects by source table.
    pub rejects: BTreeMap<String, u64>,
}

impl Sides<'_> {
    /// Row counts of a whole table. `pending` rows of the target are about to be deleted.
    pub async fn rows(&self, table: &Table, pending: u64) -> Result<Comparison> {
        let rejected = self.rejects.get(table.source_table).copied().unwrap_or(0);
        self.rows_of(table, &Scope::ALL, pending, rejected).await
    }

    /// Row counts of a part of a table.
    pub async fn rows_of(&self, table: &Table, scope: &Scope, pending: u64, rejected: u64) -> Result<Comparison> {
        Ok(Comparison {
            table: table.name,
            measure: Measure::Rows,
            store_id: None,
            date_key: None,
            source: self.source_rows(table, scope).await?,
            target: self.target_rows(table, scope).await? - signed(pending),
            rejected: signed(rejected),
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

    /// Counts and sums by store and day, over the period; empty for a table without totals.
    pub async fn totals(&self, table: &Table, period: &Period) -> Result<Vec<Comparison>> {
        let Some(totals) = &table.totals else {
            return Ok(Vec::new());
        };
        if matches!(period, Period::Ranges(ranges) if ranges.is_empty()) {
            return Ok(Vec::new());
        }
        let mut cells: BTreeMap<DayAndStore, [RowsAndCents; 2]> = BTreeMap::new();
        for (key, figures) in self.source_totals(table, totals, period).await? {
            cells.entry(key).or_default()[0] = figures;
        }
        for (key, figures) in self.target_totals(table, totals, period).await? {
            cells.entry(key).or_default()[1] = figures;
        }
        Ok(cells
            .into_iter()
            .flat_map(|((date_key, store_id), [source, target])| {
                let comparison = |measure, source, target| Comparison {
                    table: table.name,
                    measure,
                    store_id: Some(store_id),
                    date_key: Some(date_key),
                    source,
                    target,
                    rejected: 0,
                };
                let rows = comparison(Measure::Rows, source.0, target.0);
                let cents = totals.money.then(|| comparison(Measure::Cents, source.1, target.1));
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
            .cond_where(period.of_time(&(totals.source_date)()))
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

    async fn target_totals(
        &self,
        table: &Table,
        totals: &Totals,
        period: &Period,
    ) -> Result<Vec<(DayAndStore, RowsAndCents)>> {
        let doing = || format!("adding up {}", table.name);
        let mut select: SelectStatement = (totals.target)();
        select.cond_where(period.of_key(&Expr::col((Alias::new(table.name), Alias::new(totals.target_date)))));
        let mut figures = Vec::new();
        for row in self.target.all(&select).await.target(doing)? {
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

    async fn rejected_keys(&self, table: &Table) -> Result<Vec<i64>> {
        if self.rejects.get(table.source_table).is_none_or(|count| *count == 0) {
            return Ok(Vec::new());
        }
        let rows = reject::missing_parents(&self.target, table.source_table, &Scope::ALL)
            .await
            .target(|| format!("reading the rejects of {}", table.source_table))?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn neighbouring_days_become_one_range_across_the_turn_of_the_year() {
        let period = Period::of_days([20_051_231, 20_060_101, 20_060_103]);
        assert_eq!(
            period,
            Period::Ranges(vec![
                (day(2005, 12, 31), day(2006, 1, 1)),
                (day(2006, 1, 3), day(2006, 1, 3)),
            ])
        );
    }

    #[test]
    fn too_many_ranges_become_their_envelope() {
        let every_other_day = (0..120).map(|n| date_key::of_day(day(2005, 1, 1) + Days::new(n * 2)));
        let period = Period::of_days(every_other_day);
        assert_eq!(period, Period::Ranges(vec![(day(2005, 1, 1), day(2005, 8, 27))]));
    }
}
