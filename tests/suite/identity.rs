//! The source stays the one that the star was made from, or the run stops and says what has changed.

use crate::harness::proxy::Proxy;
use crate::harness::{Run, Sandbox, server};
use crate::kills::dies_at;
use crate::source_lost::run_through;

impl Run {
    fn refuses_because(self, words: &str) {
        let run = self.ends_with_code(3);
        for word in [words, "the source is not the one", "full-load --accept-source"] {
            assert!(run.stderr.contains(word), "no {word:?} in {run:#?}");
        }
    }
}

/// Both loads refuse; an accepting full load takes it, and all is as ever.
fn is_asked_about(sandbox: &Sandbox, words: &str) {
    let before = sandbox.figure("SELECT COUNT(*) || ' ' || SUM(amount) FROM fact_payment");
    sandbox.run(&["incremental"]).refuses_because(words);
    sandbox.run(&["full-load"]).refuses_because(words);
    assert_eq!(
        sandbox.figure("SELECT COUNT(*) || ' ' || SUM(amount) FROM fact_payment"),
        before
    );
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
    // As if another one now answered at the same address.
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
    // As if the last run had been an hour from now.
    sandbox.tamper("UPDATE sync_state SET observed_at = datetime(observed_at, '+1 hour')");
    is_asked_about(&sandbox, "its clock stands at ");
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
