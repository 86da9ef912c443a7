//! Creates the test report and the README's pictures, for `scripts/test-report` and `scripts/pictures`.
//!
//! The report runs the five tests of the assignment. The suite's harness records what they do, and pictures and text
//! are created from the record. The program exits with 1 if a test fails, and the report shows which.

mod assignment;
mod check;
mod document;
mod environment;
mod error;
mod pages;
mod readme_pictures;
mod run;
mod suite_log;
mod terminal;
mod transcript;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::document::Report;
use crate::error::{Error, Result};

#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the five tests and write a Word document about them
    Tests {
        /// The document to write
        #[arg(default_value = "docs/test-report.docx")]
        output: PathBuf,
        /// The log of a `scripts/test` run, whose figures the last chapter reports
        #[arg(long, value_name = "FILE")]
        suite_log: Option<PathBuf>,
    },
    /// Check that a document has all its parts, and that all tests passed in it
    Check { document: PathBuf },
    /// Draw what the README's commands print
    Pictures {
        #[arg(default_value = "docs/terminal")]
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Action::Tests { output, suite_log } => tests(&output, suite_log.as_deref()),
        Action::Check { document } => checked(&document),
        Action::Pictures { folder } => readme_pictures::draw(&folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tests(output: &Path, suite_log: Option<&Path>) -> Result<()> {
    // Read the log first, so that an unusable one fails before the tests run and not after.
    let suite = suite_log.map(suite_log::read).transpose()?.unwrap_or_default();
    let outcomes = run::assignment()?;
    let environment = environment::lines(&outcomes)?;
    let report = Report {
        environment: &environment,
        outcomes: &outcomes,
        suite: &suite,
    };
    let headings = document::write(&report, &[], output)?;
    let pages = pages::of_headings(output, &headings)?;
    if pages.is_empty() {
        eprintln!("the table of contents has no page numbers: they need LibreOffice and pdftotext");
    } else {
        document::write(&report, &pages, output)?;
    }
    check::agrees(output, &outcomes)?;
    eprintln!("written: {}", output.display());
    let all_passed = outcomes.iter().all(|outcome| outcome.passed) && suite.iter().all(|part| part.failed == 0);
    all_passed.then_some(()).ok_or(Error::Failed)
}

fn checked(path: &Path) -> Result<()> {
    let passed = check::kept(path)?;
    eprintln!(
        "{}: {} tests passed of {}",
        path.display(),
        passed.iter().filter(|passed| **passed).count(),
        passed.len()
    );
    passed.iter().all(|passed| *passed).then_some(()).ok_or(Error::Failed)
}
