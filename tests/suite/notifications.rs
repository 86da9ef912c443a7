//! Notifications of a run's outcome without Prometheus: a healthcheck service (`--ping`) and a command
//! (`--on-failure`).

use std::fs;
use std::process::Stdio;

use crate::harness::http::free_port;
use crate::harness::listener::Listener;
use crate::harness::prometheus::{Process, wait_until};
use crate::harness::{Sandbox, send};

/// Must not be shown, because it allows anyone to send pings.
const SECRET: &str = "5ba7b810";

#[test]
fn a_healthcheck_service_hears_of_success_mismatch_and_failure() {
    let sandbox = Sandbox::new();
    let service = Listener::start("200 OK");
    let url = format!("http://{}/{SECRET}?rid=1", service.address);
    sandbox.run(&["init"]).succeeds();
    sandbox.run(&["full-load", "--ping", &url]).succeeds();
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 1 WHERE payment_id = 3");
    sandbox.run(&["validate", "--all", "--ping", &url]).ends_with_code(1);
    sandbox.change(&["ALTER TABLE film RENAME TO film_away"]);
    let failed = sandbox.run(&["incremental", "--ping", &url, "-v"]).ends_with_code(3);
    assert_eq!(
        service.lines(),
        [
            format!("POST /{SECRET}?rid=1"),
            format!("POST /{SECRET}/fail?rid=1"),
            format!("POST /{SECRET}/fail?rid=1"),
        ]
    );
    let bodies: Vec<String> = service.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies[0], "sakila-sync full-load: done\n");
    assert!(
        bodies[1].starts_with("sakila-sync validate: error[MISMATCH]: "),
        "{bodies:?}"
    );
    assert!(
        bodies[2].contains("error[SOURCE_UNFIT]: ") && bodies[2].contains("\nhint: "),
        "{bodies:?}"
    );
    assert!(!failed.stderr.contains(SECRET), "{failed:#?}");
    // A dry run and `init --check` send no notification.
    sandbox
        .run(&["incremental", "--dry-run", "--ping", &url])
        .ends_with_code(3);
    sandbox.run(&["init", "--check", "--ping", &url]).ends_with_code(3);
    assert_eq!(service.requests().len(), 3);
}

#[test]
fn init_tells_only_that_it_has_failed() {
    let sandbox = Sandbox::new();
    let service = Listener::start("200 OK");
    let url = format!("http://{}/{SECRET}", service.address);
    sandbox.run(&["init", "--ping", &url]).succeeds();
    sandbox.change(&["ALTER TABLE film RENAME TO film_away"]);
    sandbox.run(&["init", "--ping", &url]).fails_with(3, "SOURCE_UNFIT");
    assert_eq!(service.lines(), [format!("POST /{SECRET}/fail")]);
}

#[test]
fn a_service_that_does_not_answer_fails_no_run_and_its_url_is_not_shown() {
    let sandbox = Sandbox::loaded();
    let refusing = Listener::start("404 Not Found");
    for address in [format!("127.0.0.1:{}", free_port()), refusing.address.clone()] {
        let url = format!("http://{address}/{SECRET}");
        let run = sandbox.run(&["incremental", "--ping", &url]).succeeds();
        assert!(run.has_logged("PING_FAILED"), "{run:#?}");
        assert!(!run.stderr.contains(SECRET), "{run:#?}");
    }
    assert_eq!(refusing.requests().len(), 1, "what is refused is not sent again");
    let url = format!("ftp://{SECRET}");
    for arguments in [
        ["incremental", "--ping", &url],
        ["incremental", "--ping", SECRET],
        ["incremental", "--json", &url],
    ] {
        let run = sandbox.run(&arguments).ends_with_code(2);
        assert!(!format!("{run:?}").contains(SECRET), "{run:#?}");
    }
}

#[test]
fn a_command_runs_after_a_failure_and_is_told_of_it() {
    let sandbox = Sandbox::loaded();
    let told = sandbox.folder().join("told.txt");
    let hook = format!("env | grep ^FAILURE_ | sort > {}; echo heard; exit 4", told.display());
    sandbox.run(&["incremental", "--on-failure", &hook]).succeeds();
    assert!(!told.exists());
    sandbox.change(&["ALTER TABLE film RENAME TO film_away"]);
    let run = sandbox
        .run(&["incremental", "--on-failure", &hook, "--json"])
        .ends_with_code(3);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("stdout is the document alone");
    assert!(run.stderr.contains("heard"), "{run:#?}");
    assert!(run.has_logged("ON_FAILURE_FAILED"), "its own exit code shows: {run:#?}");
    let told = fs::read_to_string(told).unwrap();
    let target = sandbox.target().canonicalize().unwrap();
    for line in [
        "FAILURE_PROGRAM=sakila-sync",
        "FAILURE_COMMAND=incremental",
        "FAILURE_CODE=SOURCE_UNFIT",
        "FAILURE_COUNT=1",
        &format!("FAILURE_TARGET={}", target.display()),
        &format!("FAILURE_HINT={}", document["hint"].as_str().unwrap()),
    ] {
        assert!(told.contains(line), "no {line} in {told}");
    }
}

#[test]
fn an_endless_sync_tells_when_it_begins_to_fail_and_when_it_is_well_again() {
    let sandbox = Sandbox::loaded();
    let service = Listener::start("200 OK");
    let counts = sandbox.folder().join("counts.txt");
    let mut command = sandbox.command(&["incremental", "--every", "200ms", "--quiet"]);
    command
        .env("SAKILA_SYNC_PING", format!("http://{}/{SECRET}/", service.address))
        .env(
            "SAKILA_SYNC_ON_FAILURE",
            format!("echo $FAILURE_COUNT >> {}", counts.display()),
        );
    let mut sync = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let (well, failing) = (format!("POST /{SECRET}/"), format!("POST /{SECRET}/fail"));
    wait_until("success is told", || service.lines() == [well.clone()]);
    sandbox.change(&["ALTER TABLE film RENAME TO film_away"]);
    wait_until("two runs have failed", || {
        fs::read_to_string(&counts).is_ok_and(|counts| counts.starts_with("1\n2\n"))
    });
    sandbox.change(&["ALTER TABLE film_away RENAME TO film"]);
    wait_until("it is well again", || {
        service.lines().last() == Some(&well) && service.lines().len() > 1
    });
    // Each change of state is reported once, however many runs there were; on a slow machine a report may repeat after
    // a minute.
    let mut changes = service.lines();
    changes.dedup();
    assert_eq!(changes, [well.clone(), failing, well]);
    send("-TERM", &sync.0);
    assert_eq!(sync.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_mismatch_of_a_run_is_over_once_it_is_resolved_however_often_validations_follow() {
    let sandbox = Sandbox::loaded();
    let service = Listener::start("200 OK");
    let mut command = sandbox.command(&["incremental", "--every", "300ms", "--validate-every", "1ms", "--quiet"]);
    command
        .args([
            "--verify-budget",
            "0",
            "--ping",
            &format!("http://{}/id", service.address),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let sync = Process(command.spawn().unwrap());
    wait_until("success is told", || service.lines() == ["POST /id"]);
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 5 WHERE payment_id = 1");
    sandbox.change(&["INSERT INTO payment (customer_id, staff_id, amount, payment_date) \
         SELECT customer_id, staff_id, 1, payment_date FROM payment WHERE payment_id = 1"]);
    wait_until("the mismatch of a run is told", || {
        let requests = service.requests();
        requests
            .iter()
            .any(|request| request.body.contains("incremental: error[MISMATCH]"))
    });
    assert_eq!(service.lines().last().unwrap(), "POST /id/fail");
    // Retried, because the runs lock the target now and then.
    wait_until("it is repaired", || sandbox.run(&["repair"]).code == 0);
    wait_until("all is well again", || service.lines().last().unwrap() == "POST /id");
    drop(sync);
}
