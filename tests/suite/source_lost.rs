//! Loss of the source during a run: temporary faults are waited out, permanent ones stop the run immediately.

use std::process::{Child, Stdio};

use crate::harness::killed::kill;
use crate::harness::outcome::has_event;
use crate::harness::prometheus::{Process, wait_until, without_target};
use crate::harness::proxy::{Fault, Proxy};
use crate::harness::{READER, Run, Sandbox, have_own_server, server};
use crate::running::wait_for;
use crate::signals::{hold_payments, wait_until_payments_are_wanted};

/// Small pages, one reader: much of a load is done before any fault.
const SMALL_PAGES: [&str; 5] = ["--batch-size", "500", "--workers", "1", "-v"];

/// Runs a command that connects through the proxy, with a metrics file.
pub fn run_through(sandbox: &Sandbox, proxy: &Proxy, arguments: &[&str]) -> Run {
    let url = sandbox
        .url()
        .replace(&format!(":{}/", server().port), &format!(":{}/", proxy.port));
    let mut command = sandbox.command(arguments);
    command
        .env("SAKILA_SYNC_SOURCE", url)
        .env("SAKILA_SYNC_METRICS_FILE", sandbox.folder().join("run.prom"));
    Run::of(command)
}

fn retries(sandbox: &Sandbox) -> String {
    let metrics = without_target(&std::fs::read_to_string(sandbox.folder().join("run.prom")).unwrap());
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("sakila_sync_retries_total{reason=\"source_failed\"} "));
    line.unwrap_or("0").to_owned()
}

/// A load that has begun to read rentals.
fn load_under_way(sandbox: &Sandbox) -> (Child, impl std::io::Read) {
    sandbox.run(&["init"]).succeeds();
    start_load(sandbox)
}

fn start_load(sandbox: &Sandbox) -> (Child, impl std::io::Read) {
    let mut command = sandbox.command(&["full-load"]);
    command.args(SMALL_PAGES).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let log = wait_for(&mut child, "table=\"fact_rental\"");
    (child, log)
}

/// A query for the ids of the run's connections.
fn connections_of_the_run(sandbox: &Sandbox) -> String {
    format!(
        "SELECT CAST(ID AS CHAR) FROM {} WHERE USER = '{READER}' AND DB = '{}'",
        sandbox.connections(),
        sandbox.schema()
    )
}

fn ends_well(mut child: Child, mut log: impl std::io::Read) -> String {
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    rest
}

#[test]
fn a_connection_that_is_cut_in_the_middle_of_a_page_costs_no_more_than_a_pause() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::to(server().port);
    sandbox.run(&["init"]).succeeds();
    proxy.plant(Fault::Cut, 1_000_000);
    let run = run_through(&sandbox, &proxy, &[["full-load"].as_slice(), &SMALL_PAGES].concat()).succeeds();
    assert!(proxy.has_struck());
    assert!(run.has_logged("RETRYING") && run.has_logged("LOAD_RESUMED"), "{run:#?}");
    assert_eq!(retries(&sandbox), "1");
    sandbox.assert_star_equals_source();

    for command in ["incremental", "repair", "validate"] {
        sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id <= 5000"]);
        let deep: &[&str] = if command == "validate" {
            &["--all", "--deep"]
        } else {
            &[]
        };
        proxy.plant(Fault::Cut, 100_000);
        let run = run_through(&sandbox, &proxy, &[[command].as_slice(), deep].concat()).succeeds();
        assert!(proxy.has_struck(), "{command}");
        assert!(run.has_logged("RETRYING"), "{run:#?}");
        if command != "validate" {
            sandbox.assert_star_equals_source();
        }
    }
}

#[test]
fn a_server_that_says_nothing_any_more_counts_as_lost_after_the_time_that_it_is_given() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::to(server().port);
    sandbox.run(&["init"]).succeeds();
    for (command, bytes) in [("full-load", 1_000_000), ("incremental", 30_000)] {
        sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id <= 5000"]);
        proxy.plant(Fault::Stall, bytes);
        let run = run_through(&sandbox, &proxy, &[command, "--read-timeout", "2s", "-v"]).succeeds();
        assert!(proxy.has_struck(), "{command}");
        assert!(run.has_logged("RETRYING") && run.stderr.contains("2s"), "{run:#?}");
        sandbox.assert_star_equals_source();
    }
}

#[test]
fn statements_that_are_given_up_keep_no_connections_of_the_source() {
    let sandbox = Sandbox::loaded();
    let locking = sandbox.open_session();
    locking.change(&["LOCK TABLES rental WRITE"]);
    let mut command = sandbox.command(&["incremental", "--every", "100ms", "--read-timeout", "1s", "--quiet"]);
    let sync = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let failed = "SELECT COUNT(*) FROM sync_run WHERE status = 'failed'";
    wait_until("five runs have failed", || {
        sandbox.figure(failed).parse::<u32>().unwrap() >= 5
    });
    // The lock is still held, so the server must have ended the connections that waited for it.
    wait_until("only the last run is connected", || {
        sandbox.source(&connections_of_the_run(&sandbox)).len() <= 1
    });
    locking.change(&["UNLOCK TABLES"]);
    drop(sync);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_run_gives_up_when_its_pauses_are_used_up_and_loses_nothing() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::to(server().port);
    sandbox.run(&["init"]).succeeds();
    proxy.plant(Fault::Cut, 1_000_000);
    let arguments = [["full-load", "--retry-for", "0"].as_slice(), &SMALL_PAGES].concat();
    run_through(&sandbox, &proxy, &arguments).fails_with(3, "SOURCE_LOST");
    assert_eq!(retries(&sandbox), "0");
    assert_eq!(
        sandbox.figure("SELECT status FROM sync_run WHERE command = 'full-load'"),
        "failed"
    );
    let kept: u64 = sandbox.figure("SELECT COUNT(*) FROM fact_rental").parse().unwrap();
    assert!(kept > 0, "nothing of the load was kept");
    sandbox.run(&["full-load"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_statement_that_is_killed_is_run_again() {
    let sandbox = Sandbox::new();
    let (child, log) = load_under_way(&sandbox);
    let running = format!("{} AND COMMAND <> 'Sleep'", connections_of_the_run(&sandbox));
    // Between two statements there is nothing to kill.
    let killer = sandbox.open_session();
    let mut killed = false;
    while !killed {
        for id in sandbox.source(&running) {
            killed |= killer.attempt(&format!("KILL QUERY {id}")).is_ok();
        }
    }
    ends_well(child, log);
    sandbox.assert_star_equals_source();
}

#[test]
fn connections_that_are_killed_are_made_again() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    // One of the connections waits for a result: a run need not notice the loss of the others.
    let payments = hold_payments(&sandbox);
    let (child, log) = start_load(&sandbox);
    wait_until_payments_are_wanted(&sandbox);
    let killer = sandbox.open_session();
    for id in sandbox.source(&connections_of_the_run(&sandbox)) {
        // A connection that is already gone cannot be killed.
        let _ = killer.attempt(&format!("KILL {id}"));
    }
    payments.change(&["UNLOCK TABLES"]);
    let rest = ends_well(child, log);
    assert!(has_event(&rest, "RETRYING"), "{rest}");
    sandbox.assert_star_equals_source();
}

#[test]
fn a_server_that_is_killed_and_started_again_is_waited_for() {
    let server = have_own_server();
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    // A statement is in progress: between two statements, a load may find the server up again and notice nothing.
    let _payments = hold_payments(&sandbox);
    let (child, log) = start_load(&sandbox);
    wait_until_payments_are_wanted(&sandbox);
    let killed = kill(&server);
    let _restarted = killed.start_again();
    let rest = ends_well(child, log);
    assert!(has_event(&rest, "RETRYING"), "{rest}");
    sandbox.assert_star_equals_source();
}

#[test]
fn a_server_without_a_connection_to_spare_is_waited_for_and_one_that_turns_read_only_is_none_to_wait_for() {
    have_own_server();
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    sandbox.change(&["SET GLOBAL max_connections = 10"]);
    let others: Vec<_> = (0..9).map(|_| sandbox.open_session()).collect();
    let mut command = sandbox.command(&["full-load"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = wait_for(&mut child, "code=\"RETRYING\"");
    drop(others);
    // A failover may leave a read-only server, which is sufficient for the sync.
    sandbox.change(&["SET GLOBAL read_only = ON"]);
    ends_well(child, log);
    sandbox.assert_star_equals_source();
}

#[test]
fn whatever_reads_a_single_snapshot_is_content_with_a_single_connection() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[
        "CREATE USER IF NOT EXISTS loner@'%' WITH MAX_USER_CONNECTIONS 1",
        "GRANT SELECT ON `sakila\\_%`.* TO loner@'%'",
        // One change with a new timestamp, one without, and a new row with an old timestamp.
        "UPDATE payment SET amount = amount + 1 WHERE payment_id = 7",
        "UPDATE rental SET return_date = return_date + INTERVAL 1 DAY, last_update = last_update WHERE rental_id = 9",
        "INSERT INTO film_actor (actor_id, film_id, last_update) SELECT actor_id, 1, '2006-02-15' FROM actor \
         WHERE actor_id NOT IN (SELECT actor_id FROM film_actor WHERE film_id = 1) LIMIT 1",
    ]);
    let alone = |arguments: &[&str]| Run::of(sandbox.as_account("loner", arguments));
    for command in [
        &["incremental", "--retry-for", "0"][..],
        &["incremental", "--dry-run", "--retry-for", "0"],
        &["explain", "fact_payment", "7"],
        &["status"],
        &["validate", "--all"],
    ] {
        let run = alone(command).succeeds();
        assert!(!run.has_logged("SOURCE_NOT_REACHED"), "{}", run.stderr);
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn a_password_that_has_expired_stops_a_run_at_once() {
    have_own_server();
    let sandbox = Sandbox::loaded();
    sandbox.change(&[&format!("ALTER USER {READER}@'%' PASSWORD EXPIRE")]);
    for command in ["full-load", "incremental", "validate"] {
        let run = sandbox.run(&[command]).fails_with(3, "SOURCE_PASSWORD_EXPIRED");
        assert!(!run.has_logged("RETRYING"), "{run:#?}");
    }
    sandbox.change(&[&format!("ALTER USER {READER}@'%' IDENTIFIED BY 'not-a-secret'")]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_source_that_was_never_there_is_not_waited_for() {
    let sandbox = Sandbox::loaded();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("mysql://{READER}@{nobody}/sakila");
    let run = sandbox
        .run(&["incremental", "--source", &url])
        .fails_with(3, "SOURCE_UNREACHABLE");
    assert!(!run.has_logged("RETRYING"), "{run:#?}");
}
