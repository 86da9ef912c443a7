//! Validation while the source is being written to: no false alarms, and no missed differences.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::prometheus::Process;
use crate::harness::{Run, Sandbox, number, send};

/// Validations per test run. The variable below sets another number, such as a thousand.
const VALIDATIONS: u64 = 20;
/// How often a long test reports its progress.
const REPORT_EVERY: u64 = 50;
const VALIDATIONS_VARIABLE: &str = "SAKILA_SYNC_TEST_VALIDATIONS";

/// Starts a command that runs until the end of the test.
fn start(mut command: Command) -> Process {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    Process(command.spawn().unwrap())
}

fn stop(mut process: Process) {
    send("-INT", &process.0);
    process.0.wait().unwrap();
}

/// A Sakila of scale 2 with continuous business activity.
fn busy() -> (Sandbox, Process) {
    let sandbox = Sandbox::empty();
    sandbox.administer(&["seed", "--scale", "2"]).succeeds();
    sandbox.load();
    let business = start(sandbox.as_administrator(&["seed", "mutate", "--every", "700ms"]));
    (sandbox, business)
}

fn report(run: &Run) -> serde_json::Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error} in {run:#?}"))
}

#[test]
fn a_validation_beside_a_busy_source_raises_no_false_alarm() {
    let (sandbox, business) = busy();
    let sync = start(sandbox.command(&["incremental", "--every", "2s"]));
    let count = number(VALIDATIONS_VARIABLE).unwrap_or(VALIDATIONS);
    let (mut alarms, mut pending) = (Vec::new(), 0);
    for validation in 0..count {
        let arguments = match validation % 10 {
            0 => &["validate", "--all", "--deep", "--json"][..],
            1..5 => &["validate", "--all", "--json"],
            _ => &["validate", "--json"],
        };
        let run = sandbox.run(arguments);
        let report = report(&run);
        pending += u64::from(report["verdict"]["code"] == "OK_PENDING");
        if run.code != 0 {
            alarms.push(format!("{} {}\n{}", arguments.join(" "), run.stdout, run.stderr));
        }
        let done = validation + 1;
        if done % REPORT_EVERY == 0 || done == count {
            let _ = writeln!(
                std::io::stderr(),
                "{done} validations beside business: {} false alarms, {pending} with pending rows",
                alarms.len()
            );
        }
    }
    stop(business);
    stop(sync);
    assert!(alarms.is_empty(), "{} of {count}: {}", alarms.len(), alarms.join("\n"));
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn no_planted_difference_hides_behind_a_busy_source() {
    let (sandbox, business) = busy();
    let is_told = || (0..3).all(|_| sandbox.run(&["validate", "--all"]).code == 1);
    for damage in [
        "UPDATE fact_payment SET amount = amount + 1 WHERE payment_id = KEY",
        "UPDATE fact_rental SET store_key = 3 - store_key WHERE rental_id = KEY",
        "DELETE FROM fact_rental WHERE rental_id = (SELECT MAX(rental_id) FROM fact_rental)",
        "DELETE FROM dim_customer WHERE customer_id = KEY",
        "INSERT INTO fact_payment (payment_id, date_key_paid, customer_key, store_key, staff_id, amount, run_id) \
         SELECT 64000, date_key_paid, customer_key, store_key, staff_id, amount, 0 FROM fact_payment \
         WHERE payment_id = KEY",
    ] {
        // Business may change a row after the run that last wrote it; the damage then counts as pending, so try several
        // keys.
        let found = (11..14).any(|key| {
            sandbox.tamper(&damage.replace("KEY", &key.to_string()));
            let found = is_told();
            sandbox.run(&["repair"]).succeeds();
            found
        });
        assert!(found, "{damage}");
    }
    let found = (15..18).any(|key| {
        sandbox.change(&[&format!(
            "UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = {key}"
        )]);
        is_told()
    });
    assert!(found, "a silent change");
    // A row that business changed and a run has written since, both in a second of their own.
    stop(business);
    sandbox.run(&["repair"]).succeeds();
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 20"]);
    sandbox.let_seconds_pass(2);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 1 WHERE payment_id = 20");
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 21"]);
    let run = sandbox.run(&["validate", "--all"]).ends_with_code(1);
    assert_eq!(run.verdict_code(), "MISMATCH");
    let run = sandbox.run(&["explain", "fact_payment", "20"]).ends_with_code(1);
    assert_eq!(run.verdict_code(), "ROW_UNTRACKED");
    sandbox.run(&["repair"]).succeeds();
    sandbox.assert_star_equals_source();
    assert_eq!(sandbox.run(&["validate", "--all"]).succeeds().verdict_code(), "OK");
}
