//! `explain` tells of one row what it is made of, who wrote it, and whether and why both sides differ.

use crate::harness::Sandbox;

fn at_rest() -> Sandbox {
    let sandbox = Sandbox::loaded();
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.let_seconds_pass(1);
    sandbox
}

/// The source tables that are named, in order.
fn tables(explanation: &serde_json::Value) -> Vec<&str> {
    let rows = explanation["source_rows"].as_array().unwrap();
    rows.iter().map(|row| row["table"].as_str().unwrap()).collect()
}

#[test]
fn a_row_that_is_right_is_shown_with_all_that_it_is_made_of() {
    let sandbox = at_rest();
    let payment = sandbox.json(&["explain", "fact_payment", "10"]);
    assert_eq!(payment["verdict"]["code"], "ROW_OK");
    let mut behind = tables(&payment);
    assert_eq!(behind.remove(0), "payment");
    for table in ["customer", "staff", "rental", "inventory", "film"] {
        assert!(behind.contains(&table), "no {table} in {behind:?}");
    }
    assert_eq!(payment["written_by"]["command"], "full-load");
    assert_eq!(payment["watermark_after_run"], payment["watermark"]);
    assert_eq!(
        payment["target_row"]["fact_payment_key"].as_str().unwrap(),
        sandbox.figure("SELECT fact_payment_key FROM fact_payment WHERE payment_id = 10")
    );
    let customer = sandbox.json(&["explain", "dim_customer", "10"]);
    assert_eq!(tables(&customer), ["customer", "address", "city", "country"]);
}

#[test]
fn a_change_of_the_source_is_told_from_one_of_the_star() {
    let sandbox = at_rest();
    sandbox.change(&["UPDATE city SET city = 'Elsewhere'"]);
    let pending = sandbox.run(&["explain", "dim_customer", "10"]).succeeds();
    assert_eq!(pending.verdict_code(), "ROW_PENDING");
    for words in ["newer than the watermark", "city: source Elsewhere"] {
        assert!(pending.stdout.contains(words), "no {words:?} in {pending:#?}");
    }
    sandbox.change(&["UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 10"]);
    let silent = sandbox.run(&["explain", "fact_payment", "10"]).ends_with_code(1);
    assert_eq!(silent.verdict_code(), "ROW_UNTRACKED");
    sandbox.tamper("UPDATE dim_film SET title = 'TAMPERED' WHERE film_id = 10");
    let tampered = sandbox.run(&["explain", "dim_film", "10"]).ends_with_code(1);
    assert_eq!(tampered.verdict_code(), "ROW_MISMATCH");
    assert!(tampered.stdout.contains("target TAMPERED"), "{tampered:#?}");
}

#[test]
fn a_row_that_cannot_be_loaded_says_why() {
    let sandbox = at_rest();
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "INSERT INTO rental (rental_id, rental_date, inventory_id, customer_id, staff_id) \
         VALUES (50000, '2025-08-01 10:00:00', 1, 7777, 1)",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    let rejected = sandbox.run(&["explain", "fact_rental", "50000"]).succeeds();
    assert_eq!(rejected.verdict_code(), "ROW_QUARANTINED");
    assert!(
        rejected.stdout.contains("customer 7777 does not exist"),
        "{rejected:#?}"
    );
    let nowhere = sandbox.run(&["explain", "fact_rental", "59999"]).succeeds();
    assert_eq!(nowhere.verdict_code(), "ROW_ABSENT");
    let unknown = sandbox.run(&["explain", "bridge_film_actor", "1"]).ends_with_code(2);
    assert!(unknown.stderr.contains("possible values: dim_film"), "{unknown:#?}");
}
