//! Reads what a test did, as the suite's harness recorded it (`tests/suite/harness/transcript.rs`).

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Environment {
        server: String,
        sqlite: String,
    },
    Command(Command),
    Change {
        side: Side,
        statements: Vec<String>,
    },
    Query(Query),
    /// The last query on each side returned the same rows.
    Comparison {
        table: String,
        rows: u64,
    },
}

/// One run of the program.
#[derive(Clone, Debug, Deserialize)]
pub struct Command {
    pub arguments: Vec<String>,
    pub code: i32,
    pub seconds: f64,
    /// The output for a terminal, with colours.
    pub stdout: String,
    pub stderr: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Query {
    pub side: Side,
    pub sql: String,
    pub rows: u64,
    /// The first rows.
    pub first: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Source,
    Star,
}

impl Side {
    pub fn database(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Star => "SQLite",
        }
    }
}

impl Command {
    pub fn line(&self) -> String {
        format!("sakila-sync {}", self.arguments.join(" "))
    }

    pub fn is(&self, name: &str) -> bool {
        self.arguments.first().is_some_and(|argument| argument == name)
    }

    /// Whether its output is JSON.
    pub fn is_json(&self) -> bool {
        self.arguments.iter().any(|argument| argument == "--json")
    }
}

/// Reads the transcript of a test; empty if the test did not reach the harness.
pub fn read(folder: &Path, test: &str) -> Result<Vec<Event>> {
    let path = folder.join(format!("{}.jsonl", test.replace("::", ".")));
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
    text.lines()
        .enumerate()
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|cause| Error::Transcript {
                path: path.clone(),
                line: number + 1,
                cause,
            })
        })
        .collect()
}
