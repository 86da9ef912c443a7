//! Reads the figures of the whole suite from the log of a `scripts/test` run.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// One part of a run: the unit tests, or the suite on one server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub name: String,
    pub passed: u64,
    pub failed: u64,
    /// Ignored tests: what they need is missing, or they only run nightly; the log lists them.
    pub not_run: u64,
    pub seconds: f64,
}

pub fn read(path: &Path) -> Result<Vec<Part>> {
    let text = fs::read_to_string(path).map_err(Error::file(path))?;
    let parts = parse(&text);
    if parts.iter().all(|part| part.passed + part.failed == 0) {
        return Err(Error::NoSuite(path.to_owned()));
    }
    Ok(parts)
}

fn parse(log: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for line in log.lines() {
        if line == "test: unit tests" {
            parts.push(Part {
                name: "Unit tests".to_owned(),
                ..Part::default()
            });
        } else if let Some(server) = line.strip_prefix("test: tests on ") {
            parts.push(Part {
                name: format!("Suite on {}", server_name(server)),
                ..Part::default()
            });
        } else if let Some(part) = parts.last_mut()
            && let Some(result) = line.strip_prefix("test result: ")
        {
            part.passed += number_before(result, " passed");
            part.failed += number_before(result, " failed");
            part.not_run += number_before(result, " ignored");
            part.seconds += seconds(result);
        }
    }
    parts
}

/// Formats `/usr/sbin/mysqld  Ver 9.7.4 for Linux on x86_64` as MySQL 9.7.4.
fn server_name(version: &str) -> String {
    let number = version
        .split_once("Ver ")
        .and_then(|(_, number)| number.split_whitespace().next())
        .unwrap_or("of unknown version");
    named(number)
}

/// The product with its version. Only MariaDB's version string contains the product's name.
pub fn named(version: &str) -> String {
    match version.split_once("-MariaDB") {
        Some((number, _)) => format!("MariaDB {number}"),
        None => format!("MySQL {version}"),
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    text.split_once(word)
        .and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0)
}

/// The seconds in the `finished in 4.52s` of a result.
pub fn seconds(result: &str) -> f64 {
    result
        .split_once("finished in ")
        .and_then(|(_, seconds)| seconds.split('s').next()?.parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_added_up_and_servers_named() {
        let log = "test: unit tests\n\
                   test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s\n\
                   test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.25s\n\
                   test: tests on /somewhere/mysqld  Ver 9.7.4-2 for Linux on x86_64 (Source distribution)\n\
                   test result: FAILED. 129 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 99.00s\n\
                   test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 132 filtered out; finished in 0.00s\n\
                   test: tests on /usr/sbin/mariadbd  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64\n";
        let part = |name: &str, passed, failed, not_run, seconds| Part {
            name: name.to_owned(),
            passed,
            failed,
            not_run,
            seconds,
        };
        assert_eq!(
            parse(log),
            [
                part("Unit tests", 42, 0, 0, 0.75),
                part("Suite on MySQL 9.7.4-2", 129, 3, 1, 99.0),
                part("Suite on MariaDB 10.11.14", 0, 0, 0, 0.0),
            ]
        );
    }
}
