//! Runs tests of the suite one by one, and collects what they did.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::assignment::{Described, TESTS};
use crate::error::{Error, Result};
use crate::suite_log;
use crate::transcript::{self, Event};

/// A test that has run.
#[derive(Debug)]
pub struct Outcome {
    pub test: Described,
    pub passed: bool,
    /// Includes the start and the stop of its private server.
    pub seconds: f64,
    pub events: Vec<Event>,
    /// What the test runner printed, with colours.
    pub runner: String,
}

/// Runs the five tests, each in its own process and on its own server.
pub fn assignment() -> Result<Vec<Outcome>> {
    build()?;
    TESTS
        .iter()
        .map(|test| {
            let outcome = run(*test)?;
            let verdict = if outcome.passed { "passed" } else { "FAILED" };
            eprintln!("{verdict} in {:.1} s: {}", outcome.seconds, test.name);
            Ok(outcome)
        })
        .collect()
}

/// Builds the suite, so that the duration of no test includes the build.
pub fn build() -> Result<()> {
    let status = cargo_test().arg("--no-run").status().map_err(Error::program("cargo"))?;
    status.success().then_some(()).ok_or(Error::Build)
}

pub fn run(test: Described) -> Result<Outcome> {
    let folder = tempfile::tempdir().map_err(Error::file(&env::temp_dir()))?;
    let output = cargo_test()
        .args(["--", "--exact", test.name, "--color", "always"])
        // Forces colours without a terminal; `ansi` has the sequences that every terminal supports.
        .env("CLICOLOR_FORCE", "1")
        .env("TERM", "ansi")
        .env_remove("NO_COLOR")
        // The assertion and its location suffice for a test that fails.
        .env("RUST_BACKTRACE", "0")
        .env("SAKILA_SYNC_TRANSCRIPTS", folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(Error::program("cargo"))?;
    let runner = String::from_utf8_lossy(&output.stdout).into_owned();
    let plain = anstream::adapter::strip_str(&runner).to_string();
    Ok(Outcome {
        test,
        // The runner also succeeds if no test has the given name, without running any.
        passed: output.status.success() && plain.contains("test result: ok. 1 passed"),
        seconds: suite_log::seconds(&plain),
        events: transcript::read(folder.path(), test.name)?,
        runner,
    })
}

fn cargo_test() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(repository())
        .args(["test", "--workspace", "--locked", "--test", "suite"]);
    command
}

/// The folder that contains this package; it is inside the repository.
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
