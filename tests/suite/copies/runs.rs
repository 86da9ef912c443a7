//! Copies that `incremental --copy-to` makes after its runs.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use super::all_rows;
use crate::harness::listener::Listener;
use crate::harness::prometheus::{Process, wait_until};
use crate::harness::{Run, Sandbox, send};

#[test]
fn runs_copy_what_they_changed_and_not_more_often_than_is_asked_for() {
    let sandbox = Sandbox::loaded();
    let copy = sandbox.copy_path();
    let sync = |every: &str| {
        let arguments = ["incremental", "--copy-to", "readers.db", "--copy-every", every];
        let document = sandbox.json(&arguments);
        assert_eq!(document["status"], "done", "{document}");
        !document["copy"].is_null()
    };
    let change = || sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 1"]);
    assert!(sync("1h"), "there was none");
    assert!(!sync("0"), "nothing has changed");
    change();
    assert!(!sync("1h"), "the copy is younger than that");
    assert!(sync("0"), "what changed before is copied now");
    assert!(!sync("0"), "nothing has changed");
    let amount = "SELECT printf('%.2f', amount) FROM payments WHERE payment_id = 1";
    assert_eq!(sandbox.query(&copy, amount), sandbox.star(amount));

    change();
    let dry = sandbox.json(&[
        "incremental",
        "--dry-run",
        "--copy-to",
        "readers.db",
        "--copy-every",
        "0",
    ]);
    assert!(dry["copy"].is_null(), "{dry}");
    let run = sandbox.run(&[
        "incremental",
        "--copy-to",
        "readers.db",
        "--copy-every",
        "0",
        "--copy-mode",
        "0444",
    ]);
    let line = format!("copied to {}", copy.display());
    assert!(run.succeeds().stdout.contains(&line), "no {line}");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o444);

    // A failed copy does not undo the run, and the next run makes the copy.
    change();
    let blocked = ["incremental", "--copy-to", "nowhere/readers.db"];
    sandbox.run(&blocked).fails_with(3, "COPY_FILE");
    sandbox.assert_star_equals_source();
    fs::create_dir(sandbox.folder().join("nowhere")).unwrap();
    sandbox.run(&blocked).succeeds();
    assert_eq!(
        sandbox.query(&sandbox.folder().join("nowhere/readers.db"), amount),
        sandbox.star(amount)
    );
}

#[test]
fn a_run_that_finds_a_mismatch_leaves_the_copy_as_it_was() {
    let sandbox = Sandbox::loaded();
    sandbox.make_copy(&[]).succeeds();
    let before = fs::read(sandbox.copy_path()).unwrap();
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 5 WHERE payment_id = 1");
    sandbox.change(&["INSERT INTO payment (customer_id, staff_id, amount, payment_date) \
         SELECT customer_id, staff_id, 1, payment_date FROM payment WHERE payment_id = 1"]);
    let sync = [
        "incremental",
        "--copy-to",
        "readers.db",
        "--copy-every",
        "0",
        "--verify-budget",
        "0",
    ];
    let run = sandbox.run(&sync).ends_with_code(1);
    assert!(run.stderr.contains("COPY_KEPT"), "{run:#?}");
    // The next run finds nothing, because it does not verify that row.
    let run = sandbox.run(&sync).ends_with_code(1);
    assert!(run.stderr.contains("COPY_KEPT"), "{run:#?}");
    assert_eq!(fs::read(sandbox.copy_path()).unwrap(), before);
    sandbox.run(&["repair"]).succeeds();
    sandbox.run(&sync).succeeds();
    assert_ne!(fs::read(sandbox.copy_path()).unwrap(), before);
}

#[test]
fn a_sync_that_goes_on_copies_what_its_runs_change() {
    let sandbox = Sandbox::loaded();
    let sync = [
        "incremental",
        "--every",
        "1",
        "--json",
        "--copy-to",
        "readers.db",
        "--copy-every",
        "0",
    ];
    let mut command = sandbox.command(&sync);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next_copy = || {
        let copied = lines.find(|line| line.as_ref().unwrap().contains("\"copy\":{"));
        assert!(copied.is_some(), "the sync has ended");
    };
    next_copy();
    let titles = "SELECT COUNT(*) FROM rentals WHERE title = 'ANOTHER'";
    assert_eq!(sandbox.query(&sandbox.copy_path(), titles), ["0"]);
    sandbox.change(&["UPDATE film SET title = 'ANOTHER'"]);
    next_copy();
    assert_eq!(
        sandbox.query(&sandbox.copy_path(), titles),
        sandbox.star("SELECT COUNT(*) FROM rentals")
    );
    send("-TERM", &child);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_copy_that_fails_between_runs_is_reported_until_one_succeeds_and_no_run_fails_with_it() {
    let sandbox = Sandbox::loaded();
    let service = Listener::start("200 OK");
    let mut command = sandbox.command(&["incremental", "--every", "200ms", "--copy-every", "0"]);
    command
        .args(["--copy-to", "nowhere/readers.db"])
        .env("SAKILA_SYNC_PING", format!("http://{}/id", service.address));
    let log = sandbox.folder().join("log");
    let sync = command
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn();
    let sync = Process(sync.unwrap());
    wait_until("the failure is told", || {
        let requests = service.requests();
        requests.iter().any(|request| request.body.contains("error[COPY_FILE]"))
    });
    raise(&sandbox, 1);
    let amount = "SELECT CAST(amount AS CHAR) FROM payment WHERE payment_id = 1";
    let applied = "SELECT printf('%.2f', amount) FROM fact_payment WHERE payment_id = 1";
    wait_until("runs go on", || {
        sandbox.figure(applied) == sandbox.source_figure(amount)
    });
    assert_eq!(service.lines().last().unwrap(), "POST /id/fail");
    fs::create_dir(sandbox.folder().join("nowhere")).unwrap();
    wait_until("all is well again", || service.lines().last().unwrap() == "POST /id");
    assert!(sandbox.folder().join("nowhere/readers.db").exists());
    assert!(!fs::read_to_string(log).unwrap().contains("RUN_FAILED"));
    drop(sync);
}

/// Runs a sync that copies when a copy is due. Returns whether it copied.
fn copies(sandbox: &Sandbox) -> bool {
    let sync = ["incremental", "--copy-to", "readers.db", "--copy-every", "0"];
    !sandbox.json(&sync)["copy"].is_null()
}

fn assert_copied(sandbox: &Sandbox) {
    assert!(copies(sandbox));
    assert_eq!(
        sandbox.query(&sandbox.copy_path(), "SELECT SUM(amount_cents) FROM payments"),
        sandbox.source("SELECT CAST(SUM(amount) * 100 AS SIGNED) FROM payment")
    );
    assert!(!copies(sandbox), "nothing has changed");
}

fn raise(sandbox: &Sandbox, payment: u32) {
    let raise = "UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id =";
    sandbox.change(&[&format!("{raise} {payment}")]);
}

#[test]
fn a_target_that_counts_its_runs_again_is_copied_again() {
    let sandbox = Sandbox::loaded();
    let target = sandbox.target();
    let last_run = || sandbox.figure("SELECT MAX(id) FROM sync_run");
    assert_copied(&sandbox);
    let loaded = last_run();
    // The target is created anew.
    fs::remove_file(&target).unwrap();
    raise(&sandbox, 1);
    sandbox.load();
    assert_eq!(last_run(), loaded);
    assert_copied(&sandbox);

    // The target is restored from a backup.
    let backup = sandbox.folder().join("backup");
    fs::copy(&target, &backup).unwrap();
    raise(&sandbox, 2);
    assert_copied(&sandbox);
    let changed = last_run();
    fs::copy(&backup, &target).unwrap();
    raise(&sandbox, 3);
    // The start of a run is recorded in whole seconds.
    sandbox.let_seconds_pass(1);
    assert_copied(&sandbox);
    assert_eq!(last_run(), changed);
}

#[test]
fn a_calendar_that_was_corrected_is_copied() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper(
        "UPDATE dim_date SET month = 1 + month % 12 WHERE date_key = (SELECT MAX(date_key_paid) FROM fact_payment)",
    );
    sandbox.make_copy(&[]).succeeds();
    sandbox.run(&["repair"]).succeeds();
    assert!(copies(&sandbox));
    let days = |file: &Path| all_rows(&sandbox, file, "dim_date");
    assert_eq!(days(&sandbox.copy_path()), days(&sandbox.target()));
}

#[test]
fn settings_of_the_environment_are_those_of_the_options() {
    let sandbox = Sandbox::loaded();
    let copy = sandbox.copy_path();
    let made = || copy.metadata().unwrap().modified().unwrap();
    let sync = |every: Option<&str>| {
        let mut command = sandbox.command(&["incremental"]);
        command.env("SAKILA_SYNC_COPY_TO", "readers.db");
        command.env("SAKILA_SYNC_COPY_MODE", "0604");
        if let Some(every) = every {
            command.env("SAKILA_SYNC_COPY_EVERY", every);
        }
        Run::of(command).succeeds();
    };
    sync(None);
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o604);
    raise(&sandbox, 1);
    let first = SystemTime::now() - Duration::from_secs(20);
    File::open(&copy).unwrap().set_modified(first).unwrap();
    sync(None);
    assert_eq!(made(), first, "by default a copy stands for a minute");
    sync(Some("10s"));
    assert!(made() > first);
    raise(&sandbox, 2);
    let older = SystemTime::now() - Duration::from_secs(61);
    File::open(&copy).unwrap().set_modified(older).unwrap();
    sync(None);
    assert!(made() > older);
}
