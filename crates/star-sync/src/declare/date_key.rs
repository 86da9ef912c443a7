//! Date keys: days as integers YYYYMMDD, the key of the calendar.

use chrono::{Datelike, NaiveDate};

/// The key of a day, such as 20051231.
pub fn of_day(day: NaiveDate) -> i32 {
    day.year() * 10_000 + (day.month() * 100 + day.day()).cast_signed()
}

/// The day of a key; `None` if the key is not a valid day.
pub fn day(key: i32) -> Option<NaiveDate> {
    let (month, day) = ((key / 100 % 100).unsigned_abs(), (key % 100).unsigned_abs());
    NaiveDate::from_ymd_opt(year(key), month, day).filter(|day| of_day(*day) == key)
}

/// The year of a key.
pub fn year(key: i32) -> i32 {
    key / 10_000
}

/// A key as `YYYY-MM-DD`.
pub fn text(key: i32) -> String {
    format!("{:04}-{:02}-{:02}", year(key), key / 100 % 100, key % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_day_are_one() {
        let leap_day = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
        assert_eq!(of_day(leap_day), 20_240_229);
        assert_eq!(day(20_240_229), Some(leap_day));
        assert_eq!(day(20_230_229), None);
        assert_eq!(day(-20_240_228), None);
        assert_eq!(text(20_240_229), "2024-02-29");
    }
}
