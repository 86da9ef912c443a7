//! A source and its star: runs the program on them and checks each run.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::changes;
use super::figures::Figures;
use super::measure::{self, Run};
use super::source::Source;

/// A source and its star.
pub struct Loaded {
    pub source: Source,
    pub folder: TempDir,
}

impl Loaded {
    /// A source, and a folder for its star.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            folder: tempfile::tempdir().expect("there is room for a star"),
        }
    }

    pub fn star(&self) -> PathBuf {
        self.folder.path().join("star.db")
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        measure::run(&self.source.url, &self.star(), arguments)
    }

    /// Runs a full load. The star must then match the source as it was when it was opened.
    pub fn full_load(&self) -> Run {
        let run = self.run(&["full-load"]);
        assert_eq!(run.result["status"], "done");
        assert_eq!(Figures::of_star(&self.star()), self.source.figures);
        run
    }

    /// Runs `incremental` without comparing both sides. The safety lag is short, so that benches need not wait for it.
    pub fn incremental_unchecked(&self, arguments: &[&str]) -> Run {
        self.run(&[&["incremental", "--overlap", "1"], arguments].concat())
    }

    /// Runs `incremental`, after which both sides must match.
    pub async fn incremental(&self, arguments: &[&str]) -> Run {
        let run = self.incremental_unchecked(arguments);
        assert_eq!(run.result["status"], "done");
        let source = Figures::of_source(&self.source.pool).await;
        assert_eq!(Figures::of_star(&self.star()), source);
        run
    }

    /// Updates the star and verifies every row, so that the next run has no verification backlog.
    pub async fn catch_up(&self) {
        changes::settle(&self.source.pool).await;
        let run = self.incremental(&["--verify-budget", "3600"]).await;
        assert_eq!(run.result["verification"]["backlog_ranges"], 0);
    }

    /// Runs `validate`, which must report no mismatch and the right row counts.
    pub fn validate(&self, arguments: &[&str]) -> Run {
        let run = self.run(&[&["validate"], arguments].concat());
        assert_eq!(run.result["verdict"]["mismatches"], 0);
        let facts = self.source.figures;
        for (table, rows) in [("fact_rental", facts.rentals), ("fact_payment", facts.payments)] {
            let tables = run.result["tables"].as_array().into_iter().flatten();
            let found = tables.map(|found| &found["rows"]).find(|rows| rows["table"] == table);
            let found = found.expect("every table is validated");
            assert_eq!((&found["source"], &found["target"]), (&rows.into(), &rows.into()));
        }
        run
    }
}

/// A count that a load reports for one table.
pub fn count(run: &Run, table: &str, field: &str) -> u64 {
    let tables = run.result["tables"].as_array().into_iter().flatten();
    let found = tables.filter(|found| found["table"] == table);
    found.filter_map(|found| found[field].as_u64()).sum()
}

/// All rows that a load has written.
pub fn written(run: &Run) -> u64 {
    let tables: &[Value] = run.result["tables"].as_array().map_or(&[], Vec::as_slice);
    let fields = ["inserted", "updated", "deleted"];
    let counts = tables
        .iter()
        .flat_map(|table| fields.map(|field| table[field].as_u64()));
    counts.flatten().sum()
}
