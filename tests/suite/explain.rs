//! `explain` shows the source rows of one row, the run that wrote it, and whether and why both sides differ.

use crate::harness::Sandbox;

fn at_rest() -> Sandbox {
    let sandbox = Sandbox::verified();
    sandbox.let_seconds_pass(1);
    sandbox
}

/// The source tables in the explanation, in order.
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
fn a_change_of_the_source_is_distinguished_from_one_of_the_star() {
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

/// `UPDATE` of the inventory item that the rental of payment 10 refers to.
const ITEM_OF_PAYMENT_10: &str = "UPDATE inventory SET store_id = 3 - store_id WHERE inventory_id = \
     (SELECT inventory_id FROM rental JOIN payment USING (rental_id) WHERE payment_id = 10)";

#[test]
fn a_payment_is_compared_with_what_the_source_makes_of_its_rental() {
    let sandbox = at_rest();
    let explain = ["explain", "fact_payment", "10"];
    let rental = sandbox.figure("SELECT rental_id FROM fact_payment WHERE payment_id = 10");
    // Another program changed the rental, which does not make the payment wrong.
    let other_store = format!("UPDATE fact_rental SET store_key = 3 - store_key WHERE rental_id = {rental}");
    sandbox.tamper(&other_store);
    assert_eq!(sandbox.run(&explain).succeeds().verdict_code(), "ROW_OK");
    sandbox.run(&["explain", "fact_rental", &rental]).ends_with_code(1);
    sandbox.tamper(&other_store);
    // The rental's item changed in the source, and the payment with it.
    sandbox.change(&[ITEM_OF_PAYMENT_10]);
    let pending = sandbox.run(&explain).succeeds();
    assert_eq!(pending.verdict_code(), "ROW_PENDING");
    assert!(pending.stdout.contains("store_key: source "), "{pending:#?}");
    // A new rental with its payment; the star has neither.
    sandbox.change(&[
        "INSERT INTO rental (rental_id, rental_date, inventory_id, customer_id, staff_id) \
         SELECT 70000, NOW(), MIN(inventory_id), 1, 2 FROM inventory WHERE store_id = 1",
        "INSERT INTO payment (payment_id, customer_id, staff_id, rental_id, amount, payment_date) \
         VALUES (63000, 1, 2, 70000, 1, NOW())",
    ]);
    let new = sandbox.json(&["explain", "fact_payment", "63000"]);
    assert_eq!(new["verdict"]["code"], "ROW_PENDING");
    sandbox.run(&["incremental"]).succeeds();
    let loaded = sandbox.figure("SELECT store_key FROM fact_payment WHERE payment_id = 63000");
    let columns = new["difference"]["columns"].as_array().unwrap();
    let store = columns.iter().find(|column| column["column"] == "store_key").unwrap();
    assert_eq!(store["source"].as_str().unwrap(), loaded);
    sandbox.assert_star_equals_source();
}

#[test]
fn what_leaves_no_newer_change_timestamp_is_pending_where_counts_tell() {
    let sandbox = at_rest();
    // Restored with its old change timestamp.
    sandbox.change(&[
        "INSERT INTO payment (payment_id, customer_id, staff_id, amount, payment_date, last_update) \
         VALUES (63000, 1, 1, 5, '2025-12-01', '2025-12-01')",
    ]);
    let validated = sandbox.run(&["validate", "--all"]).succeeds();
    assert_eq!(validated.verdict_code(), "OK_PENDING");
    assert_eq!(
        sandbox.run(&["validate", "--all", "--deep"]).succeeds().verdict_code(),
        "OK_PENDING"
    );
    assert_eq!(
        sandbox
            .run(&["explain", "fact_payment", "63000"])
            .succeeds()
            .verdict_code(),
        "ROW_PENDING"
    );
    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(
        sandbox
            .run(&["explain", "fact_payment", "63000"])
            .succeeds()
            .verdict_code(),
        "ROW_OK"
    );
    // The payment of a deleted rental loses its rental and keeps its old change timestamp.
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    let rental = sandbox.figure("SELECT rental_id FROM fact_payment WHERE payment_id = 10");
    sandbox.change(&[&format!("DELETE FROM rental WHERE rental_id = {rental}")]);
    assert_eq!(
        sandbox.run(&["validate", "--all"]).succeeds().verdict_code(),
        "OK_PENDING"
    );
    assert_eq!(
        sandbox
            .run(&["explain", "fact_payment", "10"])
            .succeeds()
            .verdict_code(),
        "ROW_PENDING"
    );
    // A row that another program deleted from the star does not count as new in the source.
    sandbox.run(&["incremental"]).succeeds();
    sandbox.tamper("DELETE FROM fact_payment WHERE payment_id = 12");
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 11"]);
    sandbox.run(&["validate", "--all"]).ends_with_code(1);
    let explained = sandbox.run(&["explain", "fact_payment", "12"]).ends_with_code(1);
    assert_eq!(explained.verdict_code(), "ROW_UNTRACKED");
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
