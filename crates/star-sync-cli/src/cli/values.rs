//! Parsers for the values of options.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{Datelike, NaiveDate};
use star_sync::changes::verify_budget::VerifyBudget;
use star_sync::source::share::SourceShare;
use url::Url;

use crate::config::{absolute, expand_home};

/// ADDRESS:PORT, or a port on the loopback address.
pub(super) fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse()
        .map_err(|_| "expected ADDRESS:PORT, as in 127.0.0.1:9184, or a port".to_owned())
}

/// The URL of a healthcheck service.
pub(super) fn ping_url(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "expected http://HOST/PATH or https://HOST/PATH".to_owned())
}

/// An absolute path, with `~/` expanded if the shell did not do it.
pub fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("expected a path".to_owned());
    }
    Ok(absolute(expand_home(text)))
}

/// A number of seconds, or a number with its unit; not 0.
pub fn interval(text: &str) -> Result<Duration, String> {
    pause(text).and_then(|interval| match interval {
        Duration::ZERO => Err("expected more than 0".to_owned()),
        interval => Ok(interval),
    })
}

/// A share of the time in percent, with or without the sign.
pub fn source_share(text: &str) -> Result<SourceShare, String> {
    let percent = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let share = percent.and_then(SourceShare::of_percent);
    share.ok_or_else(|| "expected a share above 0 and up to 100, as in 25 or 25%".to_owned())
}

/// A share of the time since the run before, or a time.
pub fn verify_budget(text: &str) -> Result<VerifyBudget, String> {
    const LONGEST: Duration = Duration::from_hours(24);
    let unfit = || "expected a share as in 2%, or a time as in 10s or 500ms, of at most a day".to_owned();
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.parse().map_err(|_| unfit())?;
        return if (0.0..=100.0).contains(&percent) {
            // A share above 0 has a minimum time; 0% must disable verification.
            Ok(if percent > 0.0 {
                VerifyBudget::Share(percent)
            } else {
                VerifyBudget::Time(Duration::ZERO)
            })
        } else {
            Err(unfit())
        };
    }
    let time = pause(text).map_err(|_| unfit())?;
    if time <= LONGEST {
        Ok(VerifyBudget::Time(time))
    } else {
        Err(unfit())
    }
}

/// A number of seconds, or a number with its unit.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(_) => humantime::parse_duration(text)
            .map_err(|_| "expected a number of seconds, or one with its unit, as in 30s, 500ms or 2m".to_owned()),
    }
}

/// How long files of older versions are kept: at most 30 days, because older versions are deleted.
#[cfg(feature = "lake")]
pub(super) fn retention(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(30 * 24);
    pause(text).and_then(|time| match time {
        time if time > LONGEST => Err("expected at most 30d: older versions are deleted".to_owned()),
        time => Ok(time),
    })
}

/// Permissions that let the owner read the file and no other account write it.
pub(super) fn read_mode(text: &str) -> Result<u32, String> {
    const OWNER_READS: u32 = 0o400;
    const OTHERS_WRITE: u32 = 0o022;
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| (3..=4).contains(&text.len()) && !text.starts_with('+') && *mode <= 0o777)
        .filter(|mode| mode & OWNER_READS != 0 && mode & OTHERS_WRITE == 0)
        .ok_or_else(|| {
            "expected permissions as chmod takes them, such as 0640 or 0644, that let the owner read and no other account write"
                .to_owned()
        })
}

/// A day that both databases can represent.
pub fn day(text: &str) -> Result<NaiveDate, String> {
    text.parse()
        .ok()
        .filter(|day: &NaiveDate| (1..=9999).contains(&day.year()))
        // The parser also takes signs, blanks and single digits.
        .filter(|day| day.format("%Y-%m-%d").to_string() == text)
        .ok_or_else(|| "expected a day of the years 1 to 9999 as YYYY-MM-DD".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_seconds_unless_it_says_otherwise() {
        assert_eq!(interval("5"), Ok(Duration::from_secs(5)));
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        assert!(interval("0").is_err());
        assert!(interval("soon").is_err());
    }

    #[test]
    fn a_mode_lets_its_owner_read_and_no_other_account_write() {
        assert_eq!(read_mode("0640"), Ok(0o640));
        assert_eq!(read_mode("444"), Ok(0o444));
        for mode in [
            "0",
            "0660",
            "0646",
            "0040",
            "1640",
            "+640",
            "0648",
            "rw-r-----",
            "00640",
        ] {
            assert!(read_mode(mode).is_err(), "{mode}");
        }
    }

    #[test]
    fn a_bare_metrics_port_is_the_loopback_address_s() {
        assert_eq!(metrics_address("9184"), Ok("127.0.0.1:9184".parse().unwrap()));
        assert_eq!(metrics_address(":9184"), Ok("127.0.0.1:9184".parse().unwrap()));
        assert_eq!(metrics_address("0.0.0.0:9184"), Ok("0.0.0.0:9184".parse().unwrap()));
        assert!(metrics_address("localhost").is_err());
    }
}
