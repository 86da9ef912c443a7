//! Changes of thousands of rows at a time, which are read, compared and written in other ways than a few rows.

use serde_json::Value;

use crate::harness::outcome::rows_read_to_sync;
use crate::harness::{Run, Sandbox};

/// Without verification: change timestamps, counts and joins must suffice.
const INCREMENTAL: [&str; 3] = ["incremental", "--verify-budget", "0"];

fn of_table<'a>(report: &'a Value, table: &str) -> &'a Value {
    let tables = report["tables"].as_array().unwrap();
    tables.iter().find(|line| line["table"] == table).unwrap()
}

#[test]
fn most_of_the_rentals_move_to_other_items_and_a_run_of_payments_changes() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[
        "UPDATE IGNORE rental SET inventory_id = 1 + (inventory_id + 2000) % 4581 WHERE rental_id % 3 > 0",
        "UPDATE payment SET amount = amount + 0.01 WHERE payment_id BETWEEN 1000 AND 7999",
        "UPDATE inventory SET store_id = 3 - store_id WHERE inventory_id % 100 = 7",
        "DELETE FROM payment WHERE payment_id BETWEEN 5000 AND 5004",
    ]);
    let mut command = sandbox.command(&INCREMENTAL);
    command.env("RUST_LOG", "debug");
    let run = Run::of(command).succeeds();
    // With this many rentals to look up, the whole inventory is read, once.
    let line = "lookups loaded whole table=\"inventory\" columns=\"film_id, store_id\"";
    assert_eq!(run.stderr.matches(line).count(), 1, "{}", run.stderr);
    sandbox.assert_star_equals_source();
}

#[test]
fn a_rental_that_only_lasts_longer_leaves_its_payments_alone() {
    let sandbox = Sandbox::loaded();
    let rentals = "rental_id BETWEEN 500 AND 999 AND return_date IS NOT NULL";
    let number = sandbox.source_figure(&format!("SELECT CAST(COUNT(*) AS CHAR) FROM rental WHERE {rentals}"));
    sandbox.change(&[&format!(
        "UPDATE rental SET return_date = return_date + INTERVAL 1 DAY WHERE {rentals}"
    )]);
    let report = sandbox.json(&INCREMENTAL);
    assert_eq!(of_table(&report, "fact_rental")["updated"].to_string(), number);
    assert_eq!(rows_read_to_sync(of_table(&report, "fact_payment")), 0);
    sandbox.assert_star_equals_source();
}

#[test]
fn few_changes_on_days_of_many_rows_are_compared_by_themselves_and_a_wrong_one_is_found() {
    let sandbox = Sandbox::empty();
    sandbox.administer(&["seed", "--scale", "4"]).succeeds();
    sandbox.load();
    // Simulates another program that changes rows just written.
    sandbox.tamper(
        "CREATE TRIGGER skew AFTER UPDATE OF amount ON fact_payment WHEN NEW.payment_id = 40000 \
         BEGIN UPDATE fact_payment SET amount = amount + 5 WHERE payment_id = NEW.payment_id; END",
    );
    let payments = "payment_id % 100 = 0";
    sandbox.change(&[&format!("UPDATE payment SET amount = amount + 0.01 WHERE {payments}")]);
    let report = sandbox.json(&INCREMENTAL);
    assert_eq!(report["status"], "mismatch");
    let by_store: Vec<&Value> = report["reconciliation"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["table"] == "fact_payment" && line["date_key"].is_null() && !line["group"].is_null())
        .collect();
    let sum = |measure: &str, side: &str| -> i64 {
        let lines = by_store.iter().filter(|line| line["measure"] == measure);
        lines.map(|line| line[side].as_i64().unwrap()).sum()
    };
    let changed = sandbox.source_figure(&format!(
        "SELECT CONCAT(COUNT(*), ' ', CAST(SUM(amount) * 100 AS SIGNED)) FROM payment WHERE {payments}"
    ));
    assert_eq!(format!("{} {}", sum("rows", "source"), sum("cents", "source")), changed);
    assert_eq!(sum("rows", "target"), sum("rows", "source"));
    assert_eq!(sum("cents", "target"), sum("cents", "source") + 500);

    sandbox.tamper("DROP TRIGGER skew");
    sandbox.run(&["repair"]).succeeds();
    sandbox.assert_star_equals_source();
}
