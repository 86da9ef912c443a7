//! Watermarks never pass a change that is not committed yet, and `status` shows what limits them.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::harness::prometheus::wait_until;
use crate::harness::server::{administer, have_own_server_with, start};
use crate::harness::{Run, Sandbox, server};
use crate::running::wait_for;

/// Without verification, which would find changes that a watermark has passed.
const INCREMENTAL: [&str; 5] = ["incremental", "--overlap", "1", "--verify-budget", "0"];

/// An account that may see in-flight transactions besides reading the tests' schemas.
const OBSERVER: &str = "observer";

impl Sandbox {
    pub fn make_observer(&self) {
        self.change(&[
            "CREATE USER IF NOT EXISTS observer@'%'",
            "GRANT PROCESS ON *.* TO observer@'%'",
            "GRANT SELECT ON `sakila\\_%`.* TO observer@'%'",
        ]);
    }

    pub fn observe(&self, arguments: &[&str]) -> Run {
        Run::of(self.observing(arguments))
    }

    fn observing(&self, arguments: &[&str]) -> Command {
        self.as_account(OBSERVER, arguments)
    }
}

#[test]
fn a_transaction_that_commits_long_after_it_stamped_its_rows_is_not_lost() {
    let sandbox = Sandbox::loaded();
    sandbox.make_observer();
    sandbox.observe(&["incremental"]).succeeds();
    let late = sandbox.open_session();
    late.change(&["BEGIN", "UPDATE customer SET first_name = 'LATE' WHERE customer_id = 1"]);
    sandbox.let_seconds_pass(3);
    sandbox.change(&["UPDATE customer SET first_name = 'EARLY' WHERE customer_id = 2"]);
    sandbox.let_seconds_pass(3);

    // By the clock alone, the watermark would now be newer than EARLY, and therefore than LATE.
    sandbox.observe(&INCREMENTAL).succeeds();
    assert_eq!(
        sandbox.figure("SELECT first_name FROM dim_customer WHERE customer_id = 2"),
        "EARLY"
    );
    let held = sandbox.figure("SELECT limited_by FROM sync_state WHERE source_table = 'customer'");
    assert!(held.contains(&format!(" connection {},", late.id())), "{held}");

    late.change(&["COMMIT"]);
    sandbox.observe(&INCREMENTAL).succeeds();
    assert_eq!(
        sandbox.figure("SELECT first_name FROM dim_customer WHERE customer_id = 1"),
        "LATE"
    );
    sandbox.assert_star_equals_source();
}

#[test]
fn a_transaction_that_commits_while_a_full_load_runs_is_not_lost() {
    let sandbox = Sandbox::new();
    sandbox.make_observer();
    sandbox.run(&["init"]).succeeds();
    let late = sandbox.open_session();
    late.change(&["BEGIN", "UPDATE film SET title = 'LATE' WHERE film_id = 1"]);
    sandbox.let_seconds_pass(3);
    let arguments = [
        "full-load",
        "--overlap",
        "1",
        "--batch-size",
        "10",
        "--workers",
        "1",
        "-v",
    ];
    let mut load = sandbox
        .observing(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The old version of film 1 has been read by then.
    let mut log = wait_for(&mut load, "table=\"dim_actor\"");
    late.change(&["COMMIT"]);
    log.read_to_string(&mut String::new()).unwrap();
    assert!(load.wait().unwrap().success());
    assert_eq!(sandbox.figure("SELECT title FROM dim_film WHERE film_id = 1"), "LATE");
    sandbox.assert_star_equals_source();
}

#[test]
fn a_transaction_that_only_reads_holds_nothing_back() {
    let sandbox = Sandbox::loaded();
    sandbox.make_observer();
    let reader = sandbox.open_session();
    reader.change(&[
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "SELECT COUNT(*) FROM film",
    ]);
    sandbox.change(&["UPDATE film SET title = 'NEW' WHERE film_id = 1"]);
    sandbox.let_seconds_pass(3);
    sandbox.observe(&INCREMENTAL).succeeds();
    // Transactions of other tests on the same server may limit the watermark.
    let held = sandbox.figure("SELECT COALESCE(limited_by, 'nothing') FROM sync_state WHERE source_table = 'film'");
    assert!(!held.contains(&format!(" connection {},", reader.id())), "{held}");
    reader.change(&["COMMIT"]);
}

#[test]
fn init_and_status_say_what_watermarks_are_limited_by() {
    let sandbox = Sandbox::new();
    sandbox.make_observer();
    let advised = "GRANT PROCESS";
    assert!(sandbox.run(&["init"]).succeeds().stdout.contains(advised));
    assert!(!sandbox.observe(&["init"]).succeeds().stdout.contains(advised));
    sandbox.run(&["full-load"]).succeeds();
    sandbox.change(&["UPDATE film SET title = 'NEW' WHERE film_id = 1"]);
    sandbox.run(&["incremental"]).succeeds();
    let status = sandbox.run(&["status"]).succeeds();
    assert!(status.stdout.contains(advised), "{status:#?}");
    let film = status
        .stdout
        .lines()
        .find(|line| line.trim().starts_with("film "))
        .unwrap();
    assert!(film.ends_with("the safety lag"), "{film}");
    // The age of the last sync, not that of the newest change.
    assert!(film.contains(" s ago "), "{film}");
}

#[test]
fn a_writer_that_commits_late_loses_nothing_while_incremental_runs_again_and_again() {
    let sandbox = Sandbox::loaded();
    sandbox.make_observer();
    let late = sandbox.open_session();
    for payment in 0..4 {
        // Its timestamp is set first, and it is committed after runs that have read newer rows.
        late.change(&[
            "BEGIN",
            &format!("UPDATE payment SET amount = 77.77 WHERE payment_id = {}", 100 + payment),
            &format!(
                "INSERT INTO payment (payment_id, customer_id, staff_id, amount, payment_date) \
                 VALUES ({}, 1, 1, 5.55, '2025-06-01 10:00:00')",
                61000 + payment
            ),
        ]);
        for young in 0..3 {
            sandbox.let_seconds_pass(1);
            let younger = 200 + payment * 10 + young;
            sandbox.change(&[&format!(
                "UPDATE payment SET amount = 11.11 WHERE payment_id = {younger}"
            )]);
            sandbox.observe(&INCREMENTAL).succeeds();
        }
        late.change(&["COMMIT"]);
    }
    sandbox.observe(&INCREMENTAL).succeeds();
    assert_eq!(
        sandbox.figure("SELECT COUNT(*) FROM fact_payment WHERE amount = 77.77"),
        "4"
    );
    sandbox.assert_star_equals_source();
}

#[test]
fn without_the_process_privilege_watermarks_trail_by_the_safety_lag_alone() {
    let sandbox = Sandbox::loaded();
    let late = sandbox.open_session();
    late.change(&["BEGIN", "UPDATE customer SET first_name = 'LATE' WHERE customer_id = 1"]);
    sandbox.let_seconds_pass(2);
    sandbox.change(&["UPDATE customer SET first_name = 'EARLY' WHERE customer_id = 2"]);
    let incremental = ["incremental", "--overlap", "60", "--verify-budget", "0"];
    sandbox.run(&incremental).succeeds();
    late.change(&["COMMIT"]);
    sandbox.run(&incremental).succeeds();
    assert_eq!(
        sandbox.figure("SELECT first_name FROM dim_customer WHERE customer_id = 1"),
        "LATE"
    );
    sandbox.assert_star_equals_source();
}

#[test]
fn rows_read_again_because_of_the_overlap_are_not_written_and_counted_apart() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&["UPDATE payment SET amount = 4.44 WHERE payment_id BETWEEN 10 AND 19"]);
    let payments = |arguments: &[&str]| {
        let report = sandbox.json(arguments);
        let tables = report["tables"].as_array().unwrap().clone();
        let payment = tables
            .into_iter()
            .find(|table| table["table"] == "fact_payment")
            .unwrap();
        ["read", "updated", "unchanged", "verified_row_by_row"].map(|field| payment[field].as_i64().unwrap())
    };
    let incremental = ["incremental", "--verify-budget", "0"];
    assert_eq!(payments(&incremental), [10, 10, 0, 0]);
    let written = "SELECT GROUP_CONCAT(DISTINCT run_id) FROM fact_payment WHERE amount = 4.44";
    let run = sandbox.figure(written);
    assert_eq!(payments(&incremental), [10, 0, 10, 0]);
    assert_eq!(sandbox.figure(written), run);
}

#[test]
fn a_transaction_that_has_only_read_so_far_may_still_change_what_has_settled_meanwhile() {
    let sandbox = Sandbox::loaded();
    sandbox.make_observer();
    sandbox.observe(&["incremental"]).succeeds();
    let late = sandbox.open_session();
    // Both transactions begin in the same second, which is all that MariaDB records as the UPDATE_TIME of their tables.
    sandbox.change(&["DO SLEEP(1 - MICROSECOND(NOW(6)) / 1000000)"]);
    late.change(&["START TRANSACTION", "DO (SELECT COUNT(*) FROM store)"]);
    sandbox.change(&["UPDATE payment SET amount = 1.11 WHERE payment_id = 1"]);
    sandbox.let_seconds_pass(4);
    sandbox.observe(&INCREMENTAL).succeeds();
    late.change(&["UPDATE payment SET amount = 2.22 WHERE payment_id = 2", "COMMIT"]);
    // The table's UPDATE_TIME is the same as before; the payment must be pending nevertheless.
    sandbox.observe(&["validate", "--all"]).succeeds();
    sandbox.observe(&INCREMENTAL).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_replica_that_waits_for_its_source_limits_no_watermark() {
    let source = start(&["--log-bin=binlog", "--server-id=1"]);
    have_own_server_with(&["--log-bin=binlog", "--server-id=2"]);
    let sandbox = Sandbox::loaded();
    sandbox.make_observer();
    administer(
        &source,
        &[
            "CREATE USER replica@'%' IDENTIFIED BY 'not-a-secret'",
            "GRANT REPLICATION SLAVE ON *.* TO replica@'%'",
            // Everything before it must not be replicated.
            "FLUSH BINARY LOGS",
        ],
    );
    let files = std::fs::read_dir(source.folder().join("data")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let newest = files.filter(|file| file.starts_with("binlog.0")).max().unwrap();
    let port = source.port;
    let begin = if server().is_mariadb {
        [
            format!(
                "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = 'replica', \
                 MASTER_PASSWORD = 'not-a-secret', MASTER_LOG_FILE = '{newest}', MASTER_LOG_POS = 4"
            ),
            "START SLAVE".to_owned(),
        ]
    } else {
        [
            format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {port}, SOURCE_USER = 'replica', \
                 SOURCE_PASSWORD = 'not-a-secret', SOURCE_LOG_FILE = '{newest}', SOURCE_LOG_POS = 4, \
                 GET_SOURCE_PUBLIC_KEY = 1"
            ),
            "START REPLICA".to_owned(),
        ]
    };
    sandbox.change(&begin.each_ref().map(String::as_str));
    administer(&source, &["CREATE SCHEMA replicated"]);
    let has_come = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'replicated'";
    wait_until("it is replicated", || !sandbox.source(has_come).is_empty());

    sandbox.let_seconds_pass(3);
    sandbox.change(&["UPDATE customer SET first_name = 'NEW' WHERE customer_id = 1"]);
    sandbox.let_seconds_pass(3);
    sandbox.observe(&INCREMENTAL).succeeds();
    assert_eq!(
        sandbox.figure("SELECT COUNT(*) FROM sync_state WHERE limited_by IS NOT NULL"),
        "0"
    );
    sandbox.assert_star_equals_source();
}
