//! Runs while another program has a transaction open on the target, so that the write-ahead log cannot be emptied: the
//! run succeeds and names the program, and the log does not grow without bound.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::Connection;
use star_sync::target::sqlite::beside;
use star_sync::target::sqlite::lock::Lock;
use star_sync::target::{self, ForeignKeys, Target};

use crate::harness::outcome::rows_read_to_sync;
use crate::harness::{Run, Sandbox};

/// The transaction of a report that was left open.
const READING: &str = "BEGIN; SELECT COUNT(*) FROM fact_payment";
const LOG_KEPT: &str = "TARGET_LOG_KEPT";
const ONE_CHANGE: &str = "UPDATE payment SET amount = amount + 1 WHERE payment_id = 1";

/// How a run names the program that blocks it, which here is the test itself.
fn holder() -> String {
    format!("(process {})", std::process::id())
}

/// Expects the error of a run that the test blocks, and that the error names the test.
fn is_held_up(run: Run) {
    let run = run.fails_with(3, "TARGET_LOG_HELD");
    assert!(run.stderr.contains(&holder()), "{run:#?}");
}

fn log_bytes(sandbox: &Sandbox) -> u64 {
    let log = sandbox.folder().join("analytics.db-wal");
    log.metadata().map_or(0, |log| log.len())
}

fn end(reader: &Connection) {
    reader.execute_batch("COMMIT").unwrap();
}

#[test]
fn a_run_ends_well_beside_a_reader_and_says_who_keeps_the_log() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[ONE_CHANGE]);
    let reader = sandbox.other_program(READING);
    let run = sandbox.run(&["incremental"]).succeeds();
    assert!(run.has_logged(LOG_KEPT) && run.stderr.contains(&holder()), "{run:#?}");
    assert!(log_bytes(&sandbox) > 0);
    sandbox.assert_star_equals_source();

    end(&reader);
    // An open connection without a transaction blocks nothing.
    let run = sandbox.run(&["incremental"]).succeeds();
    assert!(!run.has_logged(LOG_KEPT), "{run:#?}");
    assert_eq!(log_bytes(&sandbox), 0);
    drop(reader);
    sandbox.assert_star_equals_source();
}

#[test]
fn a_log_that_has_outgrown_its_bound_is_emptied_first_or_stops_the_run() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[ONE_CHANGE]);
    let reader = sandbox.other_program(READING);
    // The log as many runs would leave it: more than 64 MiB, and larger than the file.
    let writer = sandbox.other_program(
        "PRAGMA wal_autocheckpoint = 0; CREATE TABLE theirs AS SELECT zeroblob(70 * 1024 * 1024) AS rows; \
         DROP TABLE theirs",
    );
    let before = log_bytes(&sandbox);
    assert!(before > 70 * 1024 * 1024, "{before}");
    for command in ["incremental", "full-load"] {
        is_held_up(sandbox.run(&[command]));
        assert_eq!(log_bytes(&sandbox), before, "{command} has written");
    }
    // Read-only commands are allowed.
    sandbox.run(&["status"]).succeeds();

    end(&reader);
    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(log_bytes(&sandbox), 0);
    drop((reader, writer));
    sandbox.assert_star_equals_source();
}

#[test]
fn a_first_load_is_not_called_finished_before_it_is_on_the_disk() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let reader = sandbox.other_program(READING);
    is_held_up(sandbox.run(&["full-load"]));
    sandbox.run(&["incremental"]).fails_with(3, "NOT_LOADED");
    end(&reader);
    drop(reader);
    let result = sandbox.json(&["full-load"]);
    assert_eq!(
        rows_read_to_sync(&result["tables"][0]),
        0,
        "what was loaded is not loaded again"
    );
    sandbox.assert_star_equals_source();
}

#[test]
fn a_backup_has_what_is_in_the_log() {
    let sandbox = Sandbox::loaded();
    let reader = sandbox.other_program(READING);
    sandbox.lose_the_views();
    let init = sandbox.json(&["init"]);
    end(&reader);
    drop(reader);
    let backup = sandbox.folder().join(init["backup"].as_str().unwrap());
    let views = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'view'";
    assert_eq!(
        sandbox.query(&backup, views),
        ["0"],
        "the copy is of the file as it was"
    );
    sandbox.assert_star_equals_source();
}

/// The locks of this process on a file, as listed by the system.
fn own_locks(path: &Path) -> usize {
    let inode = format!(":{} ", path.metadata().unwrap().ino());
    let own = format!(" {} ", std::process::id());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks
        .lines()
        .filter(|lock| lock.contains(&inode) && lock.contains(&own))
        .count()
}

/// If the file were unlocked, another program that closes it would consider itself the last and remove the log.
#[test]
fn what_looks_at_the_file_beside_a_run_of_the_same_process_leaves_it_locked() {
    let sandbox = Sandbox::loaded();
    let (path, star) = (sandbox.target(), sakila_sync::program().star);
    let look = async || {
        let run = Target::open(&path, star, ForeignKeys::Enforced, 1).await.unwrap();
        let transaction = target::begin(&run.writer).await.unwrap();
        let held = own_locks(&path);
        assert!(held > 0);
        // The status page, a copy that may be due, a second run.
        let page = target::open_to_read(&path, star, 1).await.unwrap();
        page.close().await.unwrap();
        target::check_writable(&path).unwrap();
        Lock::acquire(&path, "run").unwrap();
        Target::inspect(&path, star).await.unwrap();
        assert_eq!(own_locks(&path), held);
        sandbox.run(&["status"]).succeeds();
        assert!(beside(&path, "-wal").exists(), "the run's log");
        transaction.rollback().await.unwrap();
        run.close().await.unwrap();
    };
    tokio::runtime::Runtime::new().unwrap().block_on(look());
    sandbox.assert_star_equals_source();
}
