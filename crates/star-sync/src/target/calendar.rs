//! Keeps the calendar dimension complete: every day of every year from the first to the last that a fact falls in.

use std::cmp::{max, min};
use std::collections::HashMap;

use chrono::Datelike;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, InsertStatement, OnConflict, Order, Query};
use sea_orm::{ConnectionTrait, DbErr, Value};
use tracing::warn;

use crate::declare::date_key;
use crate::declare::key_range::KEYS_PER_STATEMENT;
use crate::declare::partition::Partition;
use crate::declare::star::{Calendar, Star, Years};
use crate::error::{Doing, Result};
use crate::target::TargetReader;
use crate::target::bookkeeping::changed_partitions;
use crate::target::sqlite::row_text;

/// The years that the target's calendar contains; `None` without a calendar.
pub async fn years<C: ConnectionTrait>(connection: &C, calendar: Option<&Calendar>) -> Result<Years> {
    let Some(calendar) = calendar else {
        return Ok(None);
    };
    let doing = || format!("reading {}", calendar.table);
    let key = Expr::col(Alias::new(calendar.date_key));
    let select = Query::select()
        .expr(key.clone().min())
        .expr(key.max())
        .from(calendar.table)
        .to_owned();
    let row = connection.query_one(&select).await.target(doing)?;
    let (first, last): (Option<i32>, Option<i32>) = match row {
        Some(row) => row.try_get_many_by_index().target(doing)?,
        None => (None, None),
    };
    Ok(first
        .zip(last)
        .map(|(first, last)| (date_key::year(first), date_key::year(last))))
}

/// Adds the years from `first` to `last`, and those between them and the existing ones. Returns how many days were
/// added.
pub async fn extend<C: ConnectionTrait>(
    connection: &C,
    calendar: Option<&Calendar>,
    known: &mut Years,
    (mut first, mut last): (i32, i32),
) -> Result<u64> {
    let Some(calendar) = calendar else {
        return Ok(0);
    };
    if let Some((known_first, known_last)) = *known {
        if known_first <= first && last <= known_last {
            return Ok(0);
        }
        first = min(first, known_first);
        last = max(last, known_last);
    }
    let is_known = |year| known.is_some_and(|(first, last)| (first..=last).contains(&year));
    let mut added = 0;
    for year in (first..=last).filter(|year| !is_known(*year)) {
        let days = (calendar.year)(year);
        let on_conflict = OnConflict::column(calendar.date_key).do_nothing().to_owned();
        let insert = insert_statement(calendar, &days, on_conflict);
        added += days.len() as u64;
        connection
            .execute(&insert)
            .await
            .target(|| format!("filling {} with {year}", calendar.table))?;
    }
    *known = Some((first, last));
    Ok(added)
}

/// Corrects calendar days that another program has changed. Returns how many were wrong.
pub(crate) async fn correct<C: ConnectionTrait>(
    star: &Star,
    target: &TargetReader,
    connection: &C,
    run_id: i64,
) -> Result<u64> {
    let Some(calendar) = &star.calendar else {
        return Ok(0);
    };
    let differing = CalendarDifferences::find(star, target).await?;
    let days = differing.days();
    if days > 0 {
        warn!(
            table = calendar.table,
            days, "correcting days that another program changed"
        );
        differing.write(connection, calendar).await?;
        changed_partitions::note(connection, calendar.table, Partition::WHOLE, run_id).await?;
    }
    Ok(days)
}

/// Calendar days that another program has changed, deleted or inserted.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CalendarDifferences {
    /// The cells of missing days.
    missing: Vec<Vec<Value>>,
    /// The correct cells of days whose cells are wrong.
    wrong: Vec<Vec<Value>>,
    /// The keys of rows that are not days.
    extra: Vec<Value>,
}

impl CalendarDifferences {
    /// Compares all years that the calendar contains or that a row of the star refers to.
    pub(crate) async fn find(star: &Star, target: &TargetReader) -> Result<Self> {
        let Some(calendar) = &star.calendar else {
            return Ok(Self::default());
        };
        let doing = || format!("reading {}", calendar.table);
        let text = target.text(&row_text::select_days(calendar)).await.target(doing)?;
        let found: Vec<Vec<Value>> = row_text::days(calendar, &text).collect();
        let Some(key) = key_position(calendar) else {
            return Ok(Self::default());
        };
        let mut years = referenced_years(star, target).await?;
        years.extend(found.iter().filter_map(|day| year_of(&day[key])));
        Ok(Self::between(calendar, key, found, &years))
    }

    /// Compares the days found with those of all years from the first to the last of `years`.
    fn between(calendar: &Calendar, key: usize, found: Vec<Vec<Value>>, years: &[i32]) -> Self {
        let mut found: HashMap<Value, Vec<Value>> = found.into_iter().map(|day| (day[key].clone(), day)).collect();
        let mut differing = Self::default();
        if let (Some(first), Some(last)) = (years.iter().min(), years.iter().max()) {
            for day in (*first..=*last).flat_map(|year| (calendar.year)(year)) {
                match found.remove(&day[key]) {
                    Some(found) if found == day => {}
                    Some(_) => differing.wrong.push(day),
                    None => differing.missing.push(day),
                }
            }
        }
        differing.extra = found.into_keys().collect();
        differing
    }

    /// How many days differ.
    pub(crate) fn days(&self) -> u64 {
        (self.missing.len() + self.wrong.len() + self.extra.len()) as u64
    }

    async fn write<C: ConnectionTrait>(self, connection: &C, calendar: &Calendar) -> Result<()> {
        let doing = || format!("correcting {}", calendar.table);
        let key = key_position(calendar);
        let wrong = self.wrong.iter().filter_map(|day| key.map(|key| day[key].clone()));
        let keys: Vec<Value> = wrong.chain(self.extra).collect();
        // Missing days are inserted first: SQLite counts the foreign keys that a transaction violates and restores, but
        // not those that were violated before it, so restoring one of those later would make the count wrong. They are
        // inserted again at the end, because a wrong day may have held a value that must be unique to a missing one.
        insert(connection, calendar, &self.missing).await.target(doing)?;
        for keys in keys.chunks(KEYS_PER_STATEMENT) {
            let delete = Query::delete()
                .from_table(calendar.table)
                .and_where(Expr::col(calendar.date_key).is_in(keys.iter().cloned()))
                .to_owned();
            connection.execute(&delete).await.target(doing)?;
        }
        insert(connection, calendar, &self.wrong).await.target(doing)?;
        insert(connection, calendar, &self.missing).await.target(doing)
    }
}

/// The position of the key among the columns.
fn key_position(calendar: &Calendar) -> Option<usize> {
    let mut columns = calendar.columns.iter();
    columns.position(|column| column.name == calendar.date_key)
}

/// Inserts days; skips those that conflict with an existing row.
async fn insert<C: ConnectionTrait>(
    connection: &C,
    calendar: &Calendar,
    days: &[Vec<Value>],
) -> std::result::Result<(), DbErr> {
    for days in days.chunks(KEYS_PER_STATEMENT) {
        let insert = insert_statement(calendar, days, OnConflict::new().do_nothing().to_owned());
        connection.execute(&insert).await?;
    }
    Ok(())
}

fn insert_statement(calendar: &Calendar, days: &[Vec<Value>], on_conflict: OnConflict) -> InsertStatement {
    let mut insert = Query::insert();
    insert
        .into_table(calendar.table)
        .columns(calendar.columns.iter().map(|column| column.name))
        .on_conflict(on_conflict);
    for day in days {
        insert.values_panic(day.iter().cloned().map(Expr::value));
    }
    insert
}

/// The first and the last year that rows of the star refer to.
async fn referenced_years(star: &Star, target: &TargetReader) -> Result<Vec<i32>> {
    let mut years = Vec::new();
    for table in star.tables() {
        for column in &table.date_columns {
            // One row from each end of the column's index.
            for order in [Order::Asc, Order::Desc] {
                let select = Query::select()
                    .column(*column)
                    .from(table.name)
                    .and_where(Expr::col(*column).is_not_null())
                    .order_by(*column, order)
                    .limit(1)
                    .to_owned();
                let found = target.number(&select).await;
                let found = found.target(|| format!("reading {}", table.name))?;
                years.extend(i32::try_from(found).ok().and_then(date_key::day).map(|day| day.year()));
            }
        }
    }
    Ok(years)
}

/// The year of a key, if the key is that of a day: another program may have written anything.
fn year_of(key: &Value) -> Option<i32> {
    match key {
        Value::Int(Some(key)) => date_key::day(*key).map(|day| day.year()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_are_missing_wrong_or_none_differ() {
        let calendar = Calendar::of_days();
        let whole = (calendar.year)(2005);
        let compared = |found: Vec<Vec<Value>>| CalendarDifferences::between(&calendar, 0, found, &[2005]);
        assert_eq!(compared(whole.clone()), CalendarDifferences::default());
        let mut found = whole.clone();
        found.remove(30);
        found[0][3] = Value::Int(Some(4));
        found[1][0] = Value::Int(Some(20_051_399));
        let differing = compared(found);
        assert_eq!(differing.wrong, [whole[0].clone()]);
        assert_eq!(differing.missing, [whole[1].clone(), whole[30].clone()]);
        assert_eq!(differing.extra, [Value::Int(Some(20_051_399))]);
        assert_eq!(compared(Vec::new()).days(), 365);
    }
}
