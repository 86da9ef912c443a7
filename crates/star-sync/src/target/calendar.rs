//! Keeps the calendar dimension whole: every day of every year from the first to the last that a fact falls in.

use std::cmp::{max, min};

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, OnConflict, Query};

use crate::declare::date_key;
use crate::declare::star::{Calendar, Years};
use crate::error::{Doing, Result};

/// The years that the target's calendar holds; none where there is none.
pub async fn known<C: ConnectionTrait>(connection: &C, calendar: Option<&Calendar>) -> Result<Years> {
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

/// Adds the years from `first` to `last`, and those between them and the known ones. Returns how many days were
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
        let mut insert = Query::insert();
        insert
            .into_table(calendar.table)
            .columns(calendar.columns.iter().map(|column| column.name))
            .on_conflict(OnConflict::column(calendar.date_key).do_nothing().to_owned());
        for day in (calendar.year)(year) {
            insert.values_panic(day.into_iter().map(Expr::value));
            added += 1;
        }
        connection
            .execute(&insert)
            .await
            .target(|| format!("filling {} with {year}", calendar.table))?;
    }
    *known = Some((first, last));
    Ok(added)
}
