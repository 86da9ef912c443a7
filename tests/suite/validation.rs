//! What `validate` finds, and what it says where there is nothing to find.

use crate::harness::Sandbox;

#[test]
fn a_period_without_rows_says_so_and_names_the_newest_date() {
    let sandbox = Sandbox::loaded();
    let run = sandbox.run(&["validate"]).succeeds();
    for (fact, newest) in [
        ("fact_rental", "SELECT CAST(DATE(MAX(rental_date)) AS CHAR) FROM rental"),
        (
            "fact_payment",
            "SELECT CAST(DATE(MAX(payment_date)) AS CHAR) FROM payment",
        ),
    ] {
        let newest = sandbox.source_figure(newest);
        assert!(
            run.stdout.contains(&format!("{fact}: its newest date is {newest}")),
            "{run:#?}"
        );
        assert!(run.verdict().contains(&newest), "{run:#?}");
    }
    assert_eq!(run.verdict_code(), "NOTHING_COMPARED");
    // A day that no calendar has is none to name, and no reason to fail.
    sandbox.change(&[
        "SET sql_mode = ''",
        "UPDATE payment SET payment_date = '9998-00-10' WHERE payment_id = 1",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    let run = sandbox.run(&["validate"]).succeeds();
    assert!(run.stdout.contains("fact_payment, and the source has none"), "{run:#?}");
}

#[test]
fn a_period_may_reach_as_far_as_dates_go() {
    let sandbox = Sandbox::loaded();
    sandbox
        .run(&["validate", "--from", "0001-01-01", "--to", "9999-12-31"])
        .succeeds();
    sandbox.run(&["validate", "--days", "1000000"]).succeeds();
}

#[test]
fn totals_outside_the_period_are_not_counted() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 1 WHERE date_key_paid = 20240615");
    sandbox
        .run(&["validate", "--from", "2024-06-16", "--to", "2025-12-31"])
        .succeeds();
    sandbox
        .run(&["validate", "--from", "2024-06-15", "--to", "2024-06-15"])
        .ends_with_code(1);
}

#[test]
fn a_tolerance_allows_a_small_difference_and_no_larger_one() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 0.05 WHERE payment_id = 1");
    sandbox.run(&["validate", "--all", "--tolerance", "5"]).succeeds();
    sandbox
        .run(&["validate", "--all", "--tolerance", "4"])
        .ends_with_code(1);
}

#[test]
fn any_store_and_day_that_the_star_has_is_added_up() {
    // Numbers that do not fit into the one by which a whole table is grouped.
    for (damage, store, day) in [
        (
            "UPDATE dim_store SET store_id = 68719476736 WHERE store_id = 2",
            68_719_476_736_i64,
            20_240_615,
        ),
        ("UPDATE dim_store SET store_id = -1 WHERE store_id = 2", -1, 20_240_615),
        (
            "UPDATE fact_payment SET date_key_paid = 134217728 WHERE date_key_paid = 20240615",
            2,
            134_217_728,
        ),
    ] {
        let sandbox = Sandbox::loaded();
        sandbox.tamper(damage);
        let run = sandbox.run(&["validate", "--all", "--json"]).ends_with_code(1);
        let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let days = report["differing_days"].as_array().unwrap().iter();
        let cents: Vec<String> = days
            .filter(|figure| figure["table"] == "fact_payment" && figure["measure"] == "cents")
            .filter(|figure| figure["group"] == store && figure["date_key"] == day)
            .map(|figure| figure["target"].to_string())
            .collect();
        let expected = sandbox.figure(&format!(
            "SELECT CAST(SUM(ROUND(amount * 100)) AS INTEGER) FROM fact_payment JOIN dim_store USING (store_key) \
             WHERE store_id = {store} AND date_key_paid = {day}"
        ));
        assert_eq!(cents, [expected], "{damage}: {report:#}");
    }
}

#[test]
fn missing_rows_and_orphans_are_found() {
    for damage in [
        "DELETE FROM dim_film WHERE film_id = 1",
        "DELETE FROM bridge_film_category WHERE film_key = 1",
        "UPDATE fact_rental SET customer_key = 123456 WHERE rental_id = 5",
        "DELETE FROM fact_rental WHERE rental_id = 5",
    ] {
        let sandbox = Sandbox::loaded();
        sandbox.tamper(damage);
        sandbox.run(&["validate", "--days", "1"]).ends_with_code(1);
    }
}

#[test]
fn keys_that_repeat_orphans_and_nulls_are_counted_and_each_is_enough_to_differ() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper("CREATE TABLE sound AS SELECT * FROM fact_payment");
    // No row comes or goes, and no payment moves to another store: the counts and totals of both sides stay alike.
    for (damage, code, unsound) in [
        ("UPDATE fact_payment SET staff_id = staff_id", 0, [0, 0, 0]),
        (
            "UPDATE fact_payment SET payment_id = payment_id / 3 * 3 WHERE payment_id BETWEEN 9 AND 14",
            1,
            [2, 0, 0],
        ),
        (
            "UPDATE fact_payment SET customer_key = 123456 WHERE payment_id BETWEEN 9 AND 12",
            1,
            [0, 4, 0],
        ),
        (
            "UPDATE fact_payment SET customer_key = NULL WHERE payment_id BETWEEN 9 AND 11",
            1,
            [0, 0, 3],
        ),
    ] {
        // A table made of a query has no constraints: its own would keep the damage out.
        sandbox.tamper("DROP TABLE fact_payment");
        sandbox.tamper("CREATE TABLE fact_payment AS SELECT * FROM sound");
        sandbox.tamper(damage);
        let run = sandbox.run(&["validate", "--all", "--json"]).ends_with_code(code);
        let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        for table in report["tables"].as_array().unwrap() {
            let name = &table["rows"]["table"];
            let expected = if name == "fact_payment" { unsound } else { [0, 0, 0] };
            let found = [&table["duplicates"], &table["orphans"], &table["nulls"]];
            assert_eq!(found, expected, "{damage}: {name}");
        }
    }
}

#[test]
fn a_difference_that_an_incremental_run_may_not_look_for_is_not_forgotten_by_the_next_one() {
    let sandbox = Sandbox::loaded();
    sandbox.run(&["incremental"]).succeeds();
    // Payment 1 is of the same day as payment 2 is moved to: the day is compared, and the planted cent shows.
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 0.01 WHERE payment_id = 1");
    sandbox.change(&[
        "UPDATE payment p JOIN (SELECT payment_date FROM payment WHERE payment_id = 1) one \
         SET p.payment_date = one.payment_date WHERE p.payment_id = 2",
    ]);
    let report = sandbox.json(&["incremental", "--verify-budget", "0"]);
    assert_eq!(report["verdict"]["code"], "MISMATCH");
    let proven = "SELECT COUNT(*) FROM sync_state WHERE settled_signature IS NOT NULL";
    assert_eq!(sandbox.figure(proven), "0");
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}
