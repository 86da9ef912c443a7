//! A period: all days or ranges of days, as conditions on the dates of source and target.

use chrono::{Datelike, Days, NaiveDate, NaiveTime};
use sea_orm::Condition;
use sea_orm::sea_query::{Expr, ExprTrait};

use crate::declare::date_key;

/// All days, or ranges of days, first and last day inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Period {
    All,
    Ranges(Vec<(NaiveDate, NaiveDate)>),
}

/// The most ranges in one condition; if there are more, one range that spans them all is used.
const MAXIMAL_RANGES: usize = 50;

impl Period {
    /// The period of these days, in as few ranges as possible.
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

    /// No day.
    pub(crate) fn none() -> Self {
        Self::Ranges(Vec::new())
    }

    /// Whether the period contains no day.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Ranges(ranges) if ranges.is_empty())
    }

    /// Whether the period contains the day of a date key.
    pub fn holds(&self, date_key: i32) -> bool {
        match self {
            Self::All => true,
            Self::Ranges(ranges) => ranges
                .iter()
                .any(|(from, to)| (date_key::of_day(*from)..=date_key::of_day(*to)).contains(&date_key)),
        }
    }

    /// The period as a condition on a wall-clock time.
    pub(crate) fn of_time(&self, time: &Expr) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::Ranges(ranges) => ranges.iter().fold(Condition::any(), |any, (from, to)| {
                let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN);
                // MySQL has no day after 9999-12-31.
                let after = to.checked_add_days(Days::new(1)).filter(|day| day.year() <= 9999);
                let range = Condition::all()
                    .add(time.clone().gte(midnight(*from)))
                    .add_option(after.map(|after| time.clone().lt(midnight(after))));
                any.add(range)
            }),
        }
    }

    /// The period as a condition on a date key.
    pub(crate) fn of_key(&self, date_key: &Expr) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::Ranges(ranges) => ranges.iter().fold(Condition::any(), |any, (from, to)| {
                any.add(date_key.clone().between(date_key::of_day(*from), date_key::of_day(*to)))
            }),
        }
    }
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
