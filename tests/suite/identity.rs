//! Source identity: if the source is not the one that the star was loaded from, the run stops and names the change.

use crate::harness::proxy::Proxy;
use crate::harness::{Run, Sandbox, server};
use crate::kills::dies_at;
use crate::source_lost::run_through;

impl Run {
    fn refuses_because(self, words: &str) {
        let run = self.ends_with_code(3);
        for word in [words, "error[SOURCE_CHANGED]", "full-load --accept-source"] {
            assert!(run.stderr.contains(word), "no {word:?} in {run:#?}");
        }
    }
}

/// Every command that compares or writes refuses; `status` shows both sources. After a full load that accepts the
/// source, every command works again.
fn is_asked_about(sandbox: &Sandbox, words: &str) {
    let all = "SELECT COUNT(*) || ' ' || SUM(amount) || ' ' || (SELECT MAX(id) FROM sync_run) || ' ' || \
               (SELECT GROUP_CONCAT(server || schema || columns) FROM sync_source) FROM fact_payment";
    let before = sandbox.figure(all);
    for arguments in [
        &["init"][..],
        &["full-load"],
        &["incremental"],
        &["incremental", "--dry-run"],
        &["repair"],
        &["repair", "--dry-run"],
        &["validate"],
        &["validate", "--all", "--deep"],
        &["explain", "fact_payment", "1"],
    ] {
        sandbox.run(arguments).refuses_because(words);
    }
    let status = sandbox.run(&["status"]).succeeds();
    assert!(status.stdout.contains(words), "{status:#?}");
    // The rows are the same, so the comparison finds nothing; a validation does not record the new source.
    let compared = sandbox.json(&["validate", "--all", "--deep", "--accept-source"]);
    assert_eq!(compared["verdict"]["mismatches"], 0, "{compared}");
    assert!(
        compared["source_identity_changes"][0].as_str().unwrap().contains(words),
        "{compared}"
    );
    assert_eq!(sandbox.figure(all), before);
    sandbox.run(&["full-load", "--accept-source"]).succeeds();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn another_server_is_asked_about() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper("UPDATE sync_source SET server = 'another one'");
    is_asked_about(&sandbox, "the server was another one and is ");
}

#[test]
fn what_was_loaded_from_one_server_is_not_gone_on_with_from_another_one() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    dies_at(&sandbox, &["full-load"], "pages-written", 0);
    // Simulates another server at the same address.
    sandbox.tamper("UPDATE sync_source SET server = 'another one'");
    sandbox
        .run(&["full-load"])
        .refuses_because("the server was another one and is ");
    let report = sandbox.json(&["full-load", "--accept-source"]);
    assert!(report["resumed"].is_null(), "{report}");
    sandbox.assert_star_equals_source();
}

#[test]
fn the_same_server_at_another_address_goes_on_with_what_was_loaded() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    dies_at(&sandbox, &["full-load"], "pages-written", 0);
    let proxy = Proxy::to(server().port);
    let load = run_through(&sandbox, &proxy, &["full-load", "--json"]).succeeds();
    let report: serde_json::Value = serde_json::from_str(&load.stdout).unwrap();
    assert!(report["resumed"].is_object(), "{report}");
    sandbox.assert_star_equals_source();
}

#[test]
fn another_schema_is_asked_about() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper("UPDATE sync_source SET schema = 'sakila_of_old'");
    is_asked_about(&sandbox, "the schema was sakila_of_old and is sakila_");
}

#[test]
fn a_retyped_column_is_asked_about_even_where_it_can_still_be_read() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&["ALTER TABLE film MODIFY length INT UNSIGNED"]);
    is_asked_about(&sandbox, "the column film.length was smallint and is int");
}

#[test]
fn a_source_that_went_back_in_time_is_asked_about() {
    let sandbox = Sandbox::loaded();
    // Moves the last run one hour into the future.
    sandbox.tamper("UPDATE sync_state SET last_synced = datetime(last_synced, '+1 hour')");
    is_asked_about(&sandbox, "the source clock is ");
}

#[test]
fn new_indexes_columns_and_tables_and_a_newest_row_that_went_are_no_change() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[
        "CREATE INDEX idx_last_update ON rental (last_update)",
        "ALTER TABLE film ADD COLUMN mood VARCHAR(10)",
        "CREATE TABLE diary (entry TEXT)",
        "DELETE FROM payment ORDER BY payment_id DESC LIMIT 1",
        "DELETE FROM rental ORDER BY last_update DESC LIMIT 1",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_wholly_different_sakila_is_refused_and_differs_where_it_is_compared_none_the_less() {
    let sandbox = Sandbox::loaded();
    let other = Sandbox::empty();
    other
        .administer(&["seed", "--seed", "2", "--until", "2026-01-01"])
        .succeeds();
    let ask = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.env("SAKILA_SYNC_SOURCE", other.url());
        Run::of(command)
    };
    for arguments in [
        &["validate", "--all", "--deep"][..],
        &["explain", "fact_payment", "10"],
        &["init"],
    ] {
        ask(arguments).refuses_because("the schema was ");
    }
    // All its rows are newer than the watermarks; still none counts as pending.
    let compared = ask(&["validate", "--all", "--accept-source"]).ends_with_code(1);
    assert_eq!(compared.verdict_code(), "MISMATCH");
    let status = ask(&["status", "--json"]).succeeds();
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["loaded_from"]["schema"], sandbox.schema());
    assert_eq!(status["source_now"]["schema"], other.schema());
    assert_eq!(status["watermarks"][0]["lag_seconds"], serde_json::Value::Null);
}
