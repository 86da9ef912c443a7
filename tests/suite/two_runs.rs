//! One run at a time: a second one names the running process and its start time, and a dead process blocks nothing.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use crate::harness::prometheus::{Process, wait_until};
use crate::harness::{Sandbox, send};
use crate::running::wait_for;

/// The number of times in a text, such as `2026-01-31 23:59:59 UTC`.
fn times(text: &str) -> usize {
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC").unwrap();
    time.find_iter(text).count()
}

#[test]
fn whichever_run_is_at_work_a_second_one_stops_at_once_and_says_who_and_since_when() {
    let sandbox = Sandbox::loaded();
    for (first, name) in [
        (&["incremental"][..], "incremental"),
        (&["repair"], "repair"),
        (&["incremental", "--every", "1h"], "incremental"),
    ] {
        // Keeps the run in progress.
        let writer = sandbox.other_program("BEGIN IMMEDIATE");
        let mut run = sandbox.start(first);
        sandbox.wait_until_locked_by(&run);
        for second in ["incremental", "repair", "full-load", "init"] {
            let holder = format!("{name}, process {}, ", run.0.id());
            let second = sandbox.run(&[second]).fails_with(3, "TARGET_BUSY");
            assert_eq!(times(&second.stderr), 1, "{second:#?}");
            assert!(second.stderr.contains(&holder), "{second:#?}");
        }
        writer.execute_batch("COMMIT").unwrap();
        if first.len() > 1 {
            send("-TERM", &run.0);
        }
        assert!(run.0.wait().unwrap().success(), "{first:?}");
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn a_sync_that_repeats_tells_who_is_at_work_and_comes_back_when_it_is_over() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 1"]);
    let writer = sandbox.other_program("BEGIN IMMEDIATE");
    let mut first = sandbox.start(&["incremental"]);
    sandbox.wait_until_locked_by(&first);
    let log = sandbox.folder().join("log");
    let mut command = sandbox.command(&["incremental", "--every", "1s"]);
    let command = command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
    let mut second = Process(command.spawn().unwrap());
    let holder = format!("incremental, process {}, ", first.0.id());
    wait_until("the second has told who is at work", || {
        std::fs::read_to_string(&log).unwrap().contains(&holder)
    });
    writer.execute_batch("COMMIT").unwrap();
    assert!(first.0.wait().unwrap().success());
    let amount =
        || sandbox.figure("SELECT CAST(ROUND(amount * 100) AS INTEGER) FROM fact_payment WHERE payment_id = 2");
    let before = amount();
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 2"]);
    wait_until("the second has its turn", || amount() != before);
    send("-TERM", &second.0);
    assert!(second.0.wait().unwrap().success());
    sandbox.assert_star_equals_source();
}

#[test]
fn the_lock_file_of_a_killed_process_holds_nobody_up() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let mut command = sandbox.command(&["full-load", "--batch-size", "10", "--workers", "1", "-v"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut killed = Process(child);
    let mut log = wait_for(&mut killed.0, "table=\"fact_rental\"");
    send("-KILL", &killed.0);
    assert_eq!(killed.0.wait().unwrap().code(), None, "it has not ended by itself");
    log.read_to_string(&mut String::new()).unwrap();
    assert!(
        sandbox
            .lock_holder()
            .contains(&format!("full-load, process {}, ", killed.0.id()))
    );
    sandbox.run(&["full-load"]).succeeds();
    assert_eq!(sandbox.lock_holder(), "");
    sandbox.assert_star_equals_source();
}
