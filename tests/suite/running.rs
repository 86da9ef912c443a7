//! What is visible and possible during a run: metrics, logs, signals, a second run.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::harness::http::{free_port, get};
use crate::harness::outcome::rows_read_to_sync;
use crate::harness::prometheus::without_target;
use crate::harness::proxy::Proxy;
use crate::harness::{Sandbox, send, server};
use crate::source_lost::run_through;

/// A full load with pages so small that it takes a while.
fn start_slow_load(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    sandbox.run(&["init"]).succeeds();
    let mut command = sandbox.command(&["full-load", "--batch-size", "10", "--workers", "1", "-v"]);
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads the log until a line contains `word`; the run is then in progress.
pub fn wait_for(child: &mut Child, word: &str) -> BufReader<std::process::ChildStderr> {
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let (mut said, mut line) = (String::new(), String::new());
    while !line.contains(word) {
        said.push_str(&line);
        line.clear();
        assert!(
            log.read_line(&mut line).unwrap() > 0,
            "the run ended before it said {word:?}: {said}"
        );
    }
    log
}

#[test]
fn metrics_are_served_while_a_load_runs() {
    let sandbox = Sandbox::new();
    let port = free_port();
    let mut child = start_slow_load(&sandbox, &["--metrics-addr", &port]);
    let mut log = wait_for(&mut child, "table=\"fact_payment\"");

    let metrics = without_target(&get(&format!("127.0.0.1:{port}"), "/metrics").unwrap());
    for name in [
        "sakila_sync_rows_read_total{table=\"dim_film\"} 1000",
        "sakila_sync_rows_inserted_total{table=\"dim_film\"} 1000",
        "sakila_sync_rows_per_second{table=\"fact_rental\",direction=\"written\"} ",
    ] {
        assert!(metrics.contains(name), "no {name} in {metrics}");
    }
    log.read_to_string(&mut String::new()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn metrics_tell_what_is_still_to_be_compared() {
    let sandbox = Sandbox::loaded();
    sandbox.run(&["full-load", "--batch-size", "20"]).succeeds();
    sandbox.wait_until_at_rest();
    sandbox.change(&["UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 1"]);
    sandbox.let_seconds_pass(1);
    let port = free_port();
    let arguments = ["incremental", "--metrics-addr", &port, "-v"];
    let mut command = sandbox.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // In an incremental run, a page with a key range is one that is verified.
    let mut log = wait_for(&mut child, "key_range=keys (");
    let metrics = without_target(&get(&format!("127.0.0.1:{port}"), "/metrics").unwrap());
    let value = |name: &str| -> f64 {
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}"))
            .parse()
            .unwrap()
    };
    assert!(value("sakila_sync_verification_backlog_ranges") > 100.0, "{metrics}");
    assert!(value("sakila_sync_verification_backlog_age_seconds") > 0.0, "{metrics}");
    log.read_to_string(&mut String::new()).unwrap();
    assert!(child.wait().unwrap().success());
    sandbox.assert_star_equals_source();
}

#[test]
fn a_run_tells_how_many_bytes_the_source_has_sent_and_how_many_rows_digests_have_verified() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::to(server().port);
    sandbox.run(&["init"]).succeeds();
    let rows_of_facts = "SELECT (SELECT COUNT(*) FROM rental) + (SELECT COUNT(*) FROM payment)";
    let rows_of_facts: u64 = sandbox.source_figure(rows_of_facts).parse().unwrap();
    let run = |arguments: &[&str]| {
        let before = proxy.bytes_passed();
        let run = run_through(&sandbox, &proxy, arguments).succeeds();
        let sent = proxy.bytes_passed() - before;
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let received = report["bytes_received"].as_u64().unwrap();
        // Neither the log-in nor anything after the count is included.
        assert!((received..received + 20_000).contains(&sent), "{received} of {sent}");
        assert!(
            report["rows_verified_by_digest"].as_u64().unwrap() >= rows_of_facts,
            "{report}"
        );
        received
    };
    let loading = run(&["full-load", "--json"]);
    let noted = "SELECT bytes_received FROM sync_run WHERE command = 'full-load'";
    assert_eq!(sandbox.figure(noted), loading.to_string());

    sandbox.wait_until_at_rest();
    let syncing = run(&["incremental", "--verify-budget", "100%", "--json"]);
    assert!(syncing < loading / 10, "{syncing} and {loading}");
    let metrics = without_target(&std::fs::read_to_string(sandbox.folder().join("run.prom")).unwrap());
    let line = format!("sakila_sync_last_run_source_bytes{{command=\"incremental\"}} {syncing}\n");
    assert!(metrics.contains(&line), "{line} is not in {metrics}");
}

#[test]
fn an_interrupted_load_keeps_what_is_finished_and_goes_on_when_run_again() {
    for signal in ["-INT", "-TERM"] {
        let sandbox = Sandbox::new();
        let mut child = start_slow_load(&sandbox, &[]);
        let mut log = wait_for(&mut child, "table=\"fact_rental\"");
        send(signal, &child);
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
        assert_eq!(
            sandbox.figure("SELECT status FROM sync_run WHERE command = 'full-load'"),
            "stopped"
        );
        let kept: u64 = sandbox.figure("SELECT COUNT(*) FROM fact_rental").parse().unwrap();
        assert!(kept < 16_044, "the load was over before the signal");

        let result = sandbox.json(&["full-load"]);
        let read = |table: &str| {
            let tables = result["tables"].as_array().unwrap();
            rows_read_to_sync(tables.iter().find(|line| line["table"] == table).unwrap())
        };
        assert_eq!(read("dim_film"), 0, "what was finished is not loaded again");
        assert!(read("fact_rental") <= 16_044 - kept + 10);
        sandbox.assert_star_equals_source();
    }
}

#[test]
fn a_second_run_stops_at_once_and_says_who_is_at_work() {
    let sandbox = Sandbox::new();
    let mut child = start_slow_load(&sandbox, &[]);
    // A run that has read a page holds the lock.
    let mut log = wait_for(&mut child, "key_range=keys (");
    for command in ["full-load", "incremental", "init"] {
        let second = sandbox.run(&[command]).fails_with(3, "TARGET_BUSY");
        let holder = format!("full-load, process {}, ", child.id());
        assert!(second.stderr.contains(&holder), "{second:#?}");
    }
    // Read-only commands are allowed.
    sandbox.run(&["status"]).succeeds();
    log.read_to_string(&mut String::new()).unwrap();
    assert!(child.wait().unwrap().success());
    sandbox.assert_star_equals_source();
}

#[test]
fn logs_can_be_json_a_line_an_event() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["init", "--log-format", "json"]).succeeds();
    let mut events = run
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert!(events.any(|event| event["code"] == "TARGET_MIGRATED"), "{run:#?}");
}
