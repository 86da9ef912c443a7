//! Times as the bookkeeping stores and shows them: UTC, whole seconds, `YYYY-MM-DD HH:MM:SS`.

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use serde::Serializer;

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// A time for a column. The ORM writes a time without a zone in the format above, plus fractional seconds, which are
/// truncated.
pub(crate) fn stored(time: DateTime<Utc>) -> NaiveDateTime {
    time.naive_utc().trunc_subsecs(0)
}

/// A time for display.
pub fn text(time: DateTime<Utc>) -> String {
    time.format(FORMAT).to_string()
}

/// A time from text of the format above, with or without fractions of a second.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(time.and_utc())
}

/// A time in a JSON document.
pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.format(FORMAT))
}

/// An optional time in a JSON document.
pub fn serialize_option<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serialize(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_stored_and_shown_in_whole_seconds() {
        let time = parse("2026-11-28 12:00:01.987").unwrap();
        assert_eq!(text(time), "2026-11-28 12:00:01");
        assert_eq!(stored(time).to_string(), "2026-11-28 12:00:01");
        assert_eq!(parse("2026-11-28 12:00:01"), Some(stored(time).and_utc()));
        assert_eq!(parse("2026-11-28"), None);
    }
}
