//! The star as Delta tables: what a publication writes and leaves unchanged, what a killed one leaves behind, and what
//! other engines read.

mod engines;
mod failures;
mod log;

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Run, Sandbox};

impl Sandbox {
    fn lake(&self) -> PathBuf {
        self.folder().join("lake")
    }

    fn publish(&self, arguments: &[&str]) -> Run {
        let lake = self.lake();
        let lake = lake.to_str().unwrap();
        self.run(&[&["publish", "--lake", lake], arguments].concat())
    }

    fn publish_json(&self) -> serde_json::Value {
        let lake = self.lake();
        self.json(&["publish", "--lake", lake.to_str().unwrap()])
    }

    /// Changes a row of the source, and syncs it.
    fn change_and_sync(&self, statement: &str) {
        self.change(&[statement]);
        self.run(&["incremental"]).succeeds();
    }

    #[track_caller]
    fn assert_lake_equals_star(&self) {
        let check = self.publish(&["--check"]).succeeds();
        assert!(check.stdout.contains("OK: "), "{check:?}");
        assert!(!check.stdout.contains("not yet published"), "{check:?}");
    }

    fn month_of_payment(&self, payment: u32) -> String {
        self.figure(&format!(
            "SELECT date_key_paid / 100 FROM fact_payment WHERE payment_id = {payment}"
        ))
    }
}

/// The newest entry of a table's log, one line per action.
fn newest_entry(table: &Path) -> Vec<serde_json::Value> {
    let entries = fs::read_dir(table.join("_delta_log")).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    let newest = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .max();
    let text = fs::read_to_string(newest.unwrap()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The months of the files that an entry adds or removes.
fn months(entry: &[serde_json::Value], action: &str) -> Vec<String> {
    let files = entry.iter().filter_map(|line| line.get(action));
    let months = files.map(|file| file["partitionValues"]["month"].as_str().unwrap().to_owned());
    let mut months: Vec<_> = months.collect();
    months.sort_unstable();
    months
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort_unstable();
    files
}
