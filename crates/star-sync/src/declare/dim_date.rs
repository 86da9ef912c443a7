//! `dim_date`: a generated row for every day of the years in which the source's dates fall, without gaps. Facts refer
//! to its entity as to any other dimension.

use crate::declare::date_key;
use crate::declare::rejection::{ReasonCode, Rejection};
use crate::declare::row::{cells_of, columns_of};
use crate::declare::star::Calendar;
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Func, Query, SelectStatement};
use sea_orm::{ActiveValue::Set, IdenStatic, Value};

/// A day outside these years is treated as an error of the source: its row is quarantined, instead of filling
/// `dim_date` with millennia.
pub(crate) const FIRST_YEAR: i32 = 1900;
pub(crate) const LAST_YEAR: i32 = 2199;

/// One day.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_date")]
pub struct Model {
    /// YYYYMMDD as a number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub date_key: i32,
    /// `YYYY-MM-DD`.
    #[sea_orm(unique)]
    pub date: String,
    pub year: i32,
    /// 1 to 4.
    pub quarter: i32,
    pub month: i32,
    pub day_of_month: i32,
    /// ISO: Monday 1 to Sunday 7.
    pub day_of_week: i32,
    pub is_weekend: bool,
    /// In English, like `day_name`.
    pub month_name: String,
    pub day_name: String,
}

impl ActiveModelBehavior for ActiveModel {}

impl Calendar {
    /// The calendar of [`Entity`], the table `dim_date`. `init` fills the years of the dates that it covers
    /// ([`Calendar::covers`]); a load adds years when a date lies outside them.
    pub fn of_days() -> Self {
        Self {
            table: "dim_date",
            date_key: Column::DateKey.as_str(),
            columns: columns_of::<Entity>(),
            year: days_of,
            source_years: Vec::new(),
        }
    }

    /// `init` fills the years from the first to the last of the source's dates in this column.
    #[must_use]
    pub fn covers(mut self, column: impl ColumnTrait) -> Self {
        self.source_years.push(years_of(column));
        self
    }
}

/// All days of a year; none if the year is outside the calendar.
fn days_of(year: i32) -> Vec<Vec<Value>> {
    let years = FIRST_YEAR..=LAST_YEAR;
    let first = NaiveDate::from_ymd_opt(year, 1, 1).filter(|_| years.contains(&year));
    first
        .into_iter()
        .flat_map(|first| first.iter_days())
        .take_while(|day| day.year() == year)
        .map(|day| cells_of::<Entity>(row(day)))
        .collect()
}

/// The date key (YYYYMMDD) of a wall-clock time. DATETIME has no time zone, so nothing is converted.
///
/// # Errors
/// A [`Rejection`] with the code `DATE_INVALID` if the day lies outside the years 1900 to 2199.
pub fn calendar_key(time: NaiveDateTime) -> Result<i32, Rejection> {
    if (FIRST_YEAR..=LAST_YEAR).contains(&time.year()) {
        Ok(date_key::of_day(time.date()))
    } else {
        let reason = format!("a date is outside the years {FIRST_YEAR} to {LAST_YEAR}");
        Err(Rejection::invalid(ReasonCode::DateInvalid, reason))
    }
}

fn row(day: NaiveDate) -> ActiveModel {
    let day_of_week = day.weekday().number_from_monday().cast_signed();
    ActiveModel {
        date_key: Set(date_key::of_day(day)),
        date: Set(day.format("%Y-%m-%d").to_string()),
        year: Set(day.year()),
        quarter: Set(day.quarter().cast_signed()),
        month: Set(day.month().cast_signed()),
        day_of_month: Set(day.day().cast_signed()),
        day_of_week: Set(day_of_week),
        is_weekend: Set(day_of_week >= 6),
        month_name: Set(day.format("%B").to_string()),
        day_name: Set(day.format("%A").to_string()),
    }
}

fn midnight(year: i32) -> NaiveDateTime {
    NaiveDate::from_yo_opt(year, 1)
        .expect("every year has a first day")
        .and_time(NaiveTime::MIN)
}

fn years_of(column: impl ColumnTrait) -> SelectStatement {
    Query::select()
        .expr(Func::cust("YEAR").arg(column.min()))
        .expr(Func::cust("YEAR").arg(column.max()))
        .from(column.entity_name())
        // Dates outside are quarantined; they must not hide the oldest and newest valid date.
        .and_where(column.gte(midnight(FIRST_YEAR)))
        .and_where(column.lt(midnight(LAST_YEAR + 1)))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> ActiveModel {
        row(NaiveDate::from_ymd_opt(year, month, day).unwrap())
    }

    #[test]
    fn weeks_run_from_monday_1_to_sunday_7() {
        // 2010-06-08 was a Tuesday, 2006-02-12 a Sunday.
        let tuesday = day(2010, 6, 8);
        assert_eq!(tuesday.day_of_week, Set(2));
        assert_eq!(tuesday.is_weekend, Set(false));
        assert_eq!(tuesday.day_name, Set("Tuesday".to_owned()));
        assert_eq!(tuesday.month_name, Set("June".to_owned()));
        let sunday = day(2006, 2, 12);
        assert_eq!(sunday.day_of_week, Set(7));
        assert_eq!(sunday.is_weekend, Set(true));
        assert_eq!(day(2006, 2, 11).is_weekend, Set(true));
    }

    #[test]
    fn years_are_filled_whole_and_leap_years_have_366_days() {
        let days = |year| days_of(year).len();
        assert_eq!([days(2004), days(2005), days(1900), days(2000)], [366, 365, 365, 366]);
    }

    #[test]
    fn quarters_and_keys_follow_the_month() {
        let row = day(2024, 2, 29);
        assert_eq!(row.date_key, Set(20_240_229));
        assert_eq!(row.date, Set("2024-02-29".to_owned()));
        assert_eq!(row.quarter, Set(1));
        assert_eq!(day(2024, 10, 1).quarter, Set(4));
    }

    #[test]
    fn a_day_outside_the_calendar_is_rejected() {
        let time = |year| {
            NaiveDate::from_ymd_opt(year, 6, 1)
                .unwrap()
                .and_hms_opt(0, 0, 0)
                .unwrap()
        };
        assert!(calendar_key(time(1899)).is_err());
        assert_eq!(calendar_key(time(2199)), Ok(21_990_601));
        assert!(calendar_key(time(2200)).is_err());
    }
}
