//! Records what a test does if SAKILA_SYNC_TRANSCRIPTS names a folder; the test report is made from it.
//!
//! One file per test, one JSON document per line, in chronological order: the environment, commands and their output,
//! changes, queries and their results, comparisons. Long results are cut to their first rows.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::Run;

const FIRST_ROWS: usize = 5;

/// The file of the test that this thread runs; threads started by tests have none.
pub fn file() -> Option<PathBuf> {
    let folder = env::var_os("SAKILA_SYNC_TRANSCRIPTS")?;
    let test = thread::current().name()?.replace("::", ".");
    Some(Path::new(&folder).join(format!("{test}.jsonl")))
}

fn note(event: impl FnOnce() -> Value) {
    if let Some(file) = file() {
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        writeln!(file, "{}", event()).unwrap();
    }
}

pub fn environment(server: &str, sqlite: &str) {
    note(|| json!({"event": "environment", "server": server, "sqlite": sqlite}));
}

/// The folder of the run is left out: it belongs to the test and means nothing to a reader.
pub fn command(command: &Command, run: &Run, duration: Duration) {
    note(|| {
        let folder = command
            .get_current_dir()
            .map_or_else(String::new, |folder| format!("{}/", folder.display()));
        let shown = |text: &str| {
            if folder.is_empty() {
                text.to_owned()
            } else {
                text.replace(&folder, "")
            }
        };
        let arguments: Vec<String> = command
            .get_args()
            .map(|argument| shown(&argument.to_string_lossy()))
            .collect();
        json!({
            "event": "command", "arguments": arguments, "code": run.code, "seconds": duration.as_secs_f64(),
            "stdout": shown(&run.stdout), "stderr": shown(&run.stderr),
        })
    });
}

pub fn change(side: &str, statements: &[&str]) {
    note(|| json!({"event": "change", "side": side, "statements": statements}));
}

pub fn query(side: &str, sql: &str, rows: &[String]) {
    note(|| {
        let first = &rows[..rows.len().min(FIRST_ROWS)];
        json!({"event": "query", "side": side, "sql": sql, "rows": rows.len(), "first": first})
    });
}

/// Every row of a table was compared, and both sides were equal.
pub fn comparison(table: &str, rows: usize) {
    note(|| json!({"event": "comparison", "table": table, "rows": rows}));
}
