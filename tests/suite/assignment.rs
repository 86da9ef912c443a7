//! The assignment's five tests: each command does its task, run as the compiled binary.

use crate::harness::{Sandbox, TABLES};

const LAST_RUN: &str = "SELECT command || ' ' || status || ': ' || rows_inserted || ' inserted, ' || rows_updated || \
                        ' updated, ' || rows_deleted || ' deleted' FROM sync_run ORDER BY id DESC LIMIT 1";
/// Dimensions and facts with rows written by the last run, and the number of these rows.
const WRITTEN_BY_LAST_RUN: &str = "SELECT name || ': ' || COUNT(*) FROM (SELECT 'dim_film' AS name, run_id FROM dim_film \
     UNION ALL SELECT 'dim_actor', run_id FROM dim_actor UNION ALL SELECT 'dim_category', run_id FROM dim_category \
     UNION ALL SELECT 'dim_store', run_id FROM dim_store UNION ALL SELECT 'dim_staff', run_id FROM dim_staff UNION ALL SELECT 'dim_customer', run_id FROM dim_customer \
     UNION ALL SELECT 'fact_rental', run_id FROM fact_rental UNION ALL SELECT 'fact_payment', run_id FROM fact_payment) \
     WHERE run_id = (SELECT MAX(id) FROM sync_run) GROUP BY name";

#[test]
fn init_creates_the_database_and_its_tables() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();

    let tables = sandbox.star("SELECT name FROM sqlite_master WHERE type = 'table'");
    for table in TABLES
        .iter()
        .map(|table| table.name)
        .chain(["sync_state", "sync_run", "sync_reject"])
    {
        assert!(
            tables.iter().any(|made| made == table),
            "{table} is missing in {tables:?}"
        );
    }
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM sync_state"), "15");
    // The rentals and payments fall into four whole years, one of them a leap year.
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM dim_date"), "1461");
    assert_eq!(
        sandbox.figure("SELECT MIN(date) || ' ' || MAX(date) FROM dim_date"),
        "2022-01-01 2025-12-31"
    );
}

#[test]
fn full_load_brings_all_of_sakila() {
    let sandbox = Sandbox::loaded();

    sandbox.assert_star_equals_source();
    let figure = |sql| sandbox.figure(sql);
    assert_eq!(figure("SELECT COUNT(*) FROM fact_rental"), "16044");
    assert_eq!(
        figure("SELECT COUNT(*) || ' ' || SUM(amount = 0) FROM fact_payment"),
        "16049 24"
    );
    let open = sandbox.source_figure("SELECT CAST(COUNT(*) AS CHAR) FROM rental WHERE return_date IS NULL");
    assert_eq!(figure("SELECT COUNT(*) FROM open_rentals"), open);
    // As in Sakila's own view sales_by_store, plus the payments without a rental, at their staff member's store.
    let revenue = sandbox.source(
        "SELECT CONCAT(store, ' ', month, ': ', COUNT(*), ' = ', SUM(amount)) FROM \
         (SELECT COALESCE(i.store_id, t.store_id) AS store, DATE_FORMAT(p.payment_date, '%Y-%m') AS month, p.amount \
          FROM payment p JOIN staff t ON t.staff_id = p.staff_id \
          LEFT JOIN rental r ON r.rental_id = p.rental_id LEFT JOIN inventory i ON i.inventory_id = r.inventory_id) \
         payments GROUP BY store, month",
    );
    let view = "SELECT store_id || ' ' || printf('%d-%02d', year, month) || ': ' || payments || ' = ' || \
                printf('%.2f', revenue) FROM revenue_by_store_and_month";
    assert_eq!(sandbox.star(view), revenue);
    let dimensions = "SELECT (SELECT COUNT(*) FROM dim_film) || ' ' || (SELECT COUNT(*) FROM dim_actor) || ' ' || \
                      (SELECT COUNT(*) FROM dim_category) || ' ' || (SELECT COUNT(*) FROM dim_customer) || ' ' || \
                      (SELECT COUNT(*) FROM dim_store) || ' ' || (SELECT COUNT(*) FROM bridge_film_actor) || ' ' || \
                      (SELECT COUNT(*) FROM bridge_film_category)";
    assert_eq!(figure(dimensions), "1000 200 16 599 2 5462 1000");
}

#[test]
fn incremental_brings_new_rows() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[
        "INSERT INTO customer (store_id, first_name, last_name, address_id, active, create_date) \
         VALUES (1, 'ZOË', 'BRZĘCZYSZCZYKIEWICZ', 5, 1, NOW())",
        "SET @customer = LAST_INSERT_ID()",
        "INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id) VALUES (NOW(), 367, @customer, 1)",
        "SET @rental = LAST_INSERT_ID()",
        "INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date) \
         VALUES (@customer, 1, @rental, 6.99, NOW())",
    ]);

    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(
        sandbox.figure(LAST_RUN),
        "incremental done: 3 inserted, 0 updated, 0 deleted"
    );
    assert_eq!(
        sandbox.star(WRITTEN_BY_LAST_RUN),
        ["dim_customer: 1", "fact_payment: 1", "fact_rental: 1"]
    );
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM fact_rental"), "16045");
    assert_eq!(
        sandbox.figure("SELECT first_name FROM dim_customer WHERE last_name = 'BRZĘCZYSZCZYKIEWICZ'"),
        "ZOË"
    );
    sandbox.assert_star_equals_source();
}

#[test]
fn incremental_updates_changed_rows() {
    let sandbox = Sandbox::loaded();
    let keys = sandbox.surrogate_keys();
    let open = sandbox.source_figure("SELECT CAST(MIN(rental_id) AS CHAR) FROM rental WHERE return_date IS NULL");
    sandbox.change(&[
        "UPDATE film SET title = 'ACADEMY DINOSAUR II', rating = NULL WHERE film_id = 1",
        &format!("UPDATE rental SET return_date = rental_date + INTERVAL 15 DAY WHERE rental_id = {open}"),
        "UPDATE payment SET amount = 9.99 WHERE payment_id = 1",
    ]);

    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(
        sandbox.figure(LAST_RUN),
        "incremental done: 0 inserted, 3 updated, 0 deleted"
    );
    assert_eq!(
        sandbox.star(WRITTEN_BY_LAST_RUN),
        ["dim_film: 1", "fact_payment: 1", "fact_rental: 1"]
    );
    assert_eq!(
        sandbox.figure("SELECT title FROM dim_film WHERE film_id = 1"),
        "ACADEMY DINOSAUR II"
    );
    let days = format!("SELECT rental_duration_days FROM fact_rental WHERE rental_id = {open}");
    assert_eq!(sandbox.figure(&days), "15");
    assert!(sandbox.holds_all_of(&keys), "a surrogate key has changed");
    sandbox.assert_star_equals_source();
}

#[test]
fn validate_confirms_consistency_and_finds_a_planted_difference() {
    let sandbox = Sandbox::loaded();
    sandbox.run(&["validate", "--all"]).succeeds();

    let store_and_day = sandbox.source_figure(
        "SELECT CONCAT(store_id, ' ', DATE(payment_date)) FROM payment JOIN rental USING (rental_id) \
         JOIN inventory USING (inventory_id) WHERE payment_id = 1",
    );
    let (store, day) = store_and_day.split_once(' ').unwrap();
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 0.01 WHERE payment_id = 1");
    sandbox.run(&["validate", "--all"]).ends_with_code(1);
    let result = sandbox.json(&["validate", "--from", day, "--to", day]);
    assert_eq!(result["verdict"]["code"], "MISMATCH");
    let days = result["differing_days"].as_array().unwrap();
    assert_eq!(days.len(), 1, "{days:?}");
    assert_eq!(days[0]["table"], "fact_payment");
    assert_eq!(days[0]["measure"], "cents");
    assert_eq!(days[0]["group"].to_string(), store);
    assert_eq!(days[0]["date_key"].to_string(), day.replace('-', ""));
    let source = sandbox.source_figure(&format!(
        "SELECT CAST(CAST(SUM(p.amount) * 100 AS SIGNED) AS CHAR) FROM payment p JOIN staff t ON t.staff_id = p.staff_id \
         LEFT JOIN rental r ON r.rental_id = p.rental_id LEFT JOIN inventory i ON i.inventory_id = r.inventory_id \
         WHERE COALESCE(i.store_id, t.store_id) = {store} AND DATE(p.payment_date) = '{day}'"
    ));
    let target = sandbox.figure(&format!(
        "SELECT CAST(SUM(ROUND(amount * 100)) AS INTEGER) FROM fact_payment JOIN dim_store USING (store_key) \
         JOIN dim_date ON date_key = date_key_paid WHERE store_id = {store} AND date = '{day}'"
    ));
    assert_eq!(days[0]["source"].to_string(), source);
    assert_eq!(days[0]["target"].to_string(), target);
    assert_eq!(target.parse::<i64>().unwrap() - source.parse::<i64>().unwrap(), 1);
}
