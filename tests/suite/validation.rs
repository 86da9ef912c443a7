//! What `validate` finds, and what it says where there is nothing to find.

use crate::harness::Sandbox;

#[test]
fn a_period_without_rows_says_so_and_names_the_newest_date() {
    let sandbox = Sandbox::loaded();
    let run = sandbox.run(&["validate"]).succeeds();
    for newest in [
        "fact_rental: its newest date is 2006-02-14",
        "fact_payment: its newest date is 2006-02-14",
    ] {
        assert!(run.stdout.contains(newest), "{run:#?}");
    }
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
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 1 WHERE date_key_paid = 20050525");
    sandbox
        .run(&["validate", "--from", "2005-05-26", "--to", "2006-02-14"])
        .succeeds();
    sandbox
        .run(&["validate", "--from", "2005-05-25", "--to", "2005-05-25"])
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
fn missing_rows_orphans_and_nulls_are_found() {
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
fn the_figures_of_the_official_sakila_stand_side_by_side() {
    let sandbox = Sandbox::loaded();
    let result = sandbox.json(&["validate", "--all"]);
    let totals: Vec<String> = result["totals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|total| {
            assert_eq!(total["source"], total["target"]);
            format!(
                "{} {} {}: {}",
                total["table"], total["measure"], total["store_id"], total["source"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        totals,
        [
            "fact_rental rows 1: 7923",
            "fact_rental rows 2: 8121",
            "fact_payment rows 1: 7926",
            "fact_payment rows 2: 8123",
            "fact_payment cents 1: 3368676",
            "fact_payment cents 2: 3372975",
        ]
    );
}

#[test]
fn a_difference_that_an_incremental_run_cannot_mend_is_not_forgotten_by_the_next_one() {
    let sandbox = Sandbox::loaded();
    sandbox.run(&["incremental"]).succeeds();
    // Payment 1 is of the same day as payment 2 is moved to: the day is compared, and the planted cent shows.
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 0.01 WHERE payment_id = 1");
    sandbox.change(&[
        "UPDATE payment p JOIN (SELECT payment_date FROM payment WHERE payment_id = 1) one \
         SET p.payment_date = one.payment_date WHERE p.payment_id = 2",
    ]);
    let run = sandbox.run(&["incremental"]).ends_with_code(1);
    assert!(run.stdout.contains("source and target DIFFER"), "{run:#?}");
    let proven = "SELECT COUNT(*) FROM sync_state WHERE update_time IS NOT NULL";
    assert_eq!(sandbox.figure(proven), "0");
    sandbox.run(&["full-load"]).succeeds();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}
