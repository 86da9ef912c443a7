//! Properties of arbitrary user input: a URL, an option or a date is parsed or is a usage error, no input makes the
//! program panic, and no password appears in the output.

use std::error::Error as _;
use std::fmt::Write;

use chrono::{Datelike, NaiveDate};
use clap::Parser;
use proptest::prelude::*;
use star_sync::declare::date_key;
use star_sync_cli::cli::{Cli, Command};
use star_sync_cli::config::{parse_source, parse_target};
use star_sync_cli::error::Error;

/// All that a user sees of a failure.
fn all_text(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {}", error.hint());
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, " {error} {error:?}").unwrap();
        cause = error.source();
    }
    text
}

fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["sakila-sync"].iter().chain(arguments))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn any_text_is_a_source_or_a_rejected_setting(text in "\\PC*", parts in "(mysql|mariadb)://[a-z0-9:@/?#%&=.\\[\\]-]*") {
        for text in [text, parts] {
            if let Err(error) = parse_source(&text, None) {
                prop_assert_eq!(error.exit_code(), 2);
                prop_assert!(!error.hint().is_empty());
            }
        }
    }

    #[test]
    fn a_password_in_a_url_is_never_shown(password in "\\PC{1,40}", port in 1..=u16::MAX) {
        let secret = format!("k3y{password}k3y");
        let escaped: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>().replace('+', "%20");
        let settings = parse_source(&format!("mysql://reader:{escaped}@db.example:{port}/sakila"), None);
        let settings = settings.map_err(|error| TestCaseError::fail(all_text(&error)))?;
        let shown = format!("{} {}", settings.identity, settings.address);
        prop_assert!(!shown.contains("k3y"), "{}", shown);
        prop_assert_eq!(settings.identity, format!("db.example:{port}/sakila"));
    }

    #[test]
    fn a_password_that_breaks_its_url_is_not_shown_either(
        before in "[0-9]{0,4}[/?#:@%\\[][a-z]{0,2}[/?#:@%\\[]?",
        after in "[a-z0-9/?#=:@%&]{0,8}",
        rest in prop::sample::select(vec!["@db.example/sakila", "@db.example"]),
    ) {
        let text = format!("mysql://reader:{before}sekret{after}{rest}");
        match parse_source(&text, None) {
            Ok(settings) => {
                let shown = format!("{} {}", settings.identity, settings.address);
                prop_assert!(!shown.contains("sekret"), "{} shows {}", text, shown);
            }
            Err(error) => prop_assert!(!all_text(&error).contains("sekret"), "{} tells {}", text, all_text(&error)),
        }
    }

    #[test]
    fn any_text_is_a_target_or_a_rejected_setting(text in "\\PC*", secret in "[a-z0-9]{1,20}") {
        if let Err(error) = parse_target(&text) {
            prop_assert_eq!(error.exit_code(), 2);
        }
        // Source and target swapped.
        let url = format!("mysql://reader:k3y{secret}@db.example/sakila");
        let error = parse_target(&url).map(|path| path.display().to_string()).expect_err("a URL is no path");
        prop_assert!(!all_text(&error).contains("k3y"));
    }

    #[test]
    fn any_options_are_taken_or_a_mistake_in_usage(
        option in prop::sample::select(vec![
            "--workers", "--batch-size", "--overlap", "--metrics-addr", "--keep-runs", "--log-format", "--every",
            "--verify-budget", "--healthy-within", "--validate-every",
        ]),
        value in prop_oneof!["\\PC*", "-?[0-9]{1,30}(s|ms|m|h|d|y|us)?", "[0-9.:\\[\\]]{1,20}"],
    ) {
        if let Err(error) = parse(&["incremental", &format!("{option}={value}")]) {
            prop_assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn every_day_of_the_calendar_is_understood(days in 1..=3_652_059_i32) {
        let day = NaiveDate::from_num_days_from_ce_opt(days).unwrap();
        prop_assert!((1..=9999).contains(&day.year()));
        let text = day.format("%Y-%m-%d").to_string();
        let cli = parse(&["validate", "--from", &text, "--to", &text]).unwrap();
        let Command::Validate(validate) = cli.command else { unreachable!() };
        prop_assert_eq!((validate.from, validate.to), (Some(day), Some(day)));
        let key = date_key::of_day(day);
        prop_assert_eq!(format!("{key:08}"), text.replace('-', ""));
        prop_assert_eq!(date_key::day(key), Some(day));
        prop_assert_eq!(date_key::text(key), text);
    }

    #[test]
    fn what_is_no_day_is_a_mistake_in_usage(
        text in prop_oneof!["\\PC{0,12}", "[ +-]?[0-9]{1,5}-[0-9]{1,2}-[0-9]{1,2} ?", "[0-9]{4}-[0-9]{2}-[0-9]{2}T?[0-9:]*"],
    ) {
        // The calendar's own rules, not the parser's.
        let is_day = text.len() == 10 && text.is_ascii() && {
            let part = |range: std::ops::Range<usize>| {
                Some(&text[range]).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit())).map(|part| part.parse::<u32>().unwrap())
            };
            let dashes = &text[4..5] == "-" && &text[7..8] == "-";
            match (dashes, part(0..4), part(5..7), part(8..10)) {
                (true, Some(year), Some(month), Some(day)) => {
                    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                    let longest = match month { 4 | 6 | 9 | 11 => 30, 2 if is_leap => 29, 2 => 28, _ => 31 };
                    year >= 1 && (1..=12).contains(&month) && (1..=longest).contains(&day)
                }
                _ => false,
            }
        };
        match parse(&["validate", &format!("--from={text}"), &format!("--to={text}")]) {
            Ok(_) => prop_assert!(is_day, "{:?} was accepted", text),
            Err(error) => {
                prop_assert!(!is_day, "{:?} was rejected", text);
                prop_assert_eq!(error.exit_code(), 2);
            }
        }
    }

    #[test]
    fn a_number_is_the_key_of_a_day_or_of_none(key in any::<i32>()) {
        if let Some(day) = date_key::day(key) {
            prop_assert_eq!(date_key::of_day(day), key);
        }
    }
}
