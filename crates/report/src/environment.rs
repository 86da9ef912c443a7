//! The environment of the tests, for the title page: what was tested, and where.

use std::fs;
use std::process::Command;

use chrono::Utc;

use crate::error::{Error, Result};
use crate::run::{Outcome, repository};
use crate::suite_log;
use crate::transcript::Event;

/// Names and values.
pub fn lines(outcomes: &[Outcome]) -> Result<Vec<(&'static str, String)>> {
    let (server, sqlite) = databases(outcomes);
    Ok(vec![
        ("Version", format!("sakila-sync {}", env!("CARGO_PKG_VERSION"))),
        ("Commit", commit()?),
        ("Date", Utc::now().format("%Y-%m-%d %H:%M UTC").to_string()),
        ("Source", server),
        ("Target", sqlite),
        ("System", system()),
        ("Rust", line("rustc", &["--version"])?),
    ])
}

/// The versions of both databases, as reported by the tests' connections.
fn databases(outcomes: &[Outcome]) -> (String, String) {
    outcomes
        .iter()
        .flat_map(|outcome| &outcome.events)
        .find_map(|event| match event {
            Event::Environment { server, sqlite } => Some((
                format!(
                    "{}, a private server for each test, with a seeded Sakila",
                    suite_log::named(server)
                ),
                format!("SQLite {sqlite}"),
            )),
            _ => None,
        })
        .unwrap_or_else(|| ("no server was reached".to_owned(), "none".to_owned()))
}

/// Marks a commit that is not exactly what was tested.
pub const NOT_COMMITTED: &str = "with changes that are not committed";

fn commit() -> Result<String> {
    let commit = line("git", &["log", "-1", "--format=%h of %cs: %s"])?;
    let changes = line("git", &["status", "--porcelain", "--untracked-files=no"])?;
    Ok(if changes.is_empty() {
        commit
    } else {
        format!("{commit} ({NOT_COMMITTED})")
    })
}

fn system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or(std::env::consts::OS, |name| name.trim_matches('"'));
    format!("{name}, {}", std::env::consts::ARCH)
}

/// The first line that a program prints.
fn line(program: &'static str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(repository())
        .output()
        .map_err(Error::program(program))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
