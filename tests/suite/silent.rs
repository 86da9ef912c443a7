//! Changes without a trace: cascades, updates that keep `last_update`, replaced rows, deletes. A modified table is
//! verified, and differences are corrected in the same run. One test per kind of change.

use serde_json::{Value, json};

use crate::harness::outcome::rows_read_to_sync;
use crate::harness::{Run, Sandbox};

/// Changes a loaded star's source without a trace. One incremental run must apply all changes.
fn is_found(changes: &[&str]) {
    let sandbox = Sandbox::verified();
    let keys = sandbox.surrogate_keys();
    sandbox.change(changes);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
    let mut kept = sandbox.surrogate_keys();
    kept.sort_unstable();
    let changed = keys.iter().filter(|key| kept.binary_search(key).is_err()).count();
    assert!(changed < 5, "surrogate keys stay: {changed} have changed");
}

#[test]
fn an_update_that_keeps_last_update() {
    is_found(&["UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 5"]);
}

#[test]
fn an_update_of_each_dimension_that_keeps_last_update() {
    is_found(&[
        "UPDATE film SET title = 'SILENT', last_update = last_update WHERE film_id = 7",
        "UPDATE actor SET first_name = 'SILENT', last_update = last_update WHERE actor_id = 7",
        "UPDATE category SET name = 'SILENT', last_update = last_update WHERE category_id = 7",
        "UPDATE customer SET active = 1 - active, last_update = last_update WHERE customer_id = 7",
    ]);
}

#[test]
fn an_update_of_a_joined_table_that_keeps_last_update() {
    is_found(&[
        "UPDATE city SET city = 'SILENT', last_update = last_update WHERE city_id < 50",
        "UPDATE language SET name = 'SILENT', last_update = last_update WHERE language_id = 1",
        "UPDATE inventory SET store_id = 3 - store_id, last_update = last_update WHERE inventory_id < 20",
        "UPDATE staff SET store_id = 3 - store_id, last_update = last_update WHERE staff_id = 1",
    ]);
}

#[test]
fn a_deleted_rental_whose_payment_moves_to_its_staff_members_store_beside_an_ordinary_payment() {
    is_found(&[
        "DELETE FROM rental WHERE rental_id = 100",
        "UPDATE payment SET amount = 9.99 WHERE payment_id = 200",
    ]);
}

#[test]
fn a_changed_key_and_what_it_takes_along() {
    is_found(&["UPDATE rental SET rental_id = 70000, last_update = last_update WHERE rental_id = 50"]);
}

#[test]
fn one_row_deleted_and_another_inserted_with_an_old_stamp() {
    is_found(&[
        "DELETE FROM payment WHERE payment_id = 33",
        "INSERT INTO payment (payment_id, customer_id, staff_id, amount, payment_date, last_update) \
         VALUES (65000, 1, 1, 3.33, '2025-05-05 10:00:00', '2020-01-01 00:00:00')",
        "DELETE FROM film_actor WHERE actor_id = 1 ORDER BY film_id LIMIT 1",
        "INSERT INTO film_actor SELECT 1, MIN(film_id), '2020-01-01 00:00:00' FROM film WHERE film_id NOT IN \
         (SELECT film_id FROM film_actor WHERE actor_id = 1)",
    ]);
}

#[test]
fn rows_restored_with_their_old_stamps() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[
        "CREATE TABLE kept AS SELECT * FROM payment WHERE payment_id BETWEEN 100 AND 150",
        "DELETE FROM payment WHERE payment_id BETWEEN 100 AND 150",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
    sandbox.change(&["INSERT INTO payment SELECT * FROM kept"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_table_that_is_truncated_and_filled_again_with_another_row() {
    is_found(&[
        "CREATE TABLE kept AS SELECT * FROM payment",
        "UPDATE kept SET amount = amount + 1, last_update = last_update WHERE payment_id = 5",
        "TRUNCATE TABLE payment",
        "INSERT INTO payment SELECT * FROM kept",
    ]);
}

/// On MariaDB, TRUNCATE does not set UPDATE_TIME.
#[test]
fn a_looked_up_table_that_is_truncated() {
    let sandbox = Sandbox::verified();
    sandbox.drop_foreign_keys();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.change(&["TRUNCATE TABLE inventory"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn findings_are_distinguished() {
    let sandbox = Sandbox::verified();
    sandbox.change(&[
        "UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 5",
        "UPDATE payment SET amount = amount + 1 WHERE payment_id = 6",
    ]);
    let report = sandbox.json(&["incremental"]);
    let payment = report["tables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|table| table["table"] == "fact_payment")
        .unwrap();
    assert_eq!(rows_read_to_sync(payment), 1);
    assert_eq!(payment["updated"], 2);
    assert_eq!(payment["found"], 1);
    // The digest of the other range shows that it is unchanged.
    let first_range = sandbox.figure("SELECT MIN(up_to) FROM sync_verification WHERE target_table = 'fact_payment'");
    assert_eq!(
        payment["verified_row_by_row"].to_string(),
        sandbox.source_figure(&format!(
            "SELECT COUNT(*) FROM payment WHERE payment_id <= {first_range}"
        ))
    );
    assert_eq!(report["verification"]["backlog_ranges"], 0);
}

/// Payments in small ranges, each verified by a run and with a digest.
fn verified_in_small_ranges() -> Sandbox {
    let sandbox = Sandbox::loaded();
    sandbox.wait_until_at_rest();
    sandbox.run(&["full-load", "--batch-size", "1000"]).succeeds();
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 7"]);
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(
        sandbox.figure("SELECT COUNT(*) FROM sync_verification WHERE target_table = 'fact_payment' AND digest IS NULL"),
        "0"
    );
    sandbox
}

fn payments_compared(sandbox: &Sandbox) -> u64 {
    let report = sandbox.json(&["incremental"]);
    assert_eq!(report["verification"]["backlog_ranges"], 0);
    let tables = report["tables"].as_array().unwrap();
    let payment = tables.iter().find(|table| table["table"] == "fact_payment");
    payment.unwrap()["verified_row_by_row"].as_u64().unwrap()
}

#[test]
fn of_verified_ranges_only_those_are_read_that_have_changed() {
    let sandbox = verified_in_small_ranges();
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 5000"]);
    sandbox.wait_until_at_rest();
    let compared = payments_compared(&sandbox);
    assert!((1..=1_000).contains(&compared), "{compared}");
    sandbox.assert_star_equals_source();
}

#[test]
fn amounts_that_are_exchanged_beside_an_ordinary_change_are_found() {
    let sandbox = verified_in_small_ranges();
    sandbox.change(&[
        // One gains what the other loses, in the same range and without a trace.
        "UPDATE payment SET amount = amount + 3, last_update = last_update WHERE payment_id = 5001",
        "UPDATE payment SET amount = amount - 3, last_update = last_update WHERE payment_id = 5002",
        "UPDATE payment SET staff_id = 3 - staff_id, last_update = last_update WHERE payment_id = 9000",
        "UPDATE payment SET amount = amount + 1 WHERE payment_id = 5003",
    ]);
    let compared = payments_compared(&sandbox);
    assert!((1..=2_000).contains(&compared), "{compared}");
    sandbox.assert_star_equals_source();
    // The digests that the run saved are current, so the next silent change is found.
    sandbox.change(&["UPDATE payment SET rental_id = NULL, last_update = last_update WHERE payment_id = 12000"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_silent_change_of_a_table_that_is_only_looked_up_is_found_although_digests_are_equal() {
    let sandbox = verified_in_small_ranges();
    sandbox
        .change(&["UPDATE inventory SET store_id = 3 - store_id, last_update = last_update WHERE inventory_id = 77"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
    sandbox.change(&["UPDATE city SET city = 'Elsewhere', last_update = last_update WHERE city_id = 10"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_budget_of_nothing_leaves_the_table_unproven_and_the_next_run_goes_on_there() {
    let sandbox = Sandbox::verified();
    sandbox.change(&["UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 5"]);
    sandbox.wait_until_at_rest();
    let report = sandbox.json(&["incremental", "--verify-budget", "0"]);
    // Two pages of 10,000 payments.
    assert_eq!(report["verification"]["backlog_ranges"], 2);
    let backlog = || sandbox.json(&["status"])["verification"]["backlog_ranges"].clone();
    assert_eq!(backlog(), 2);
    // The table is at rest now; that it is not verified yet is remembered.
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
    assert_eq!(backlog(), 0);
}

#[test]
fn a_silent_change_is_reached_however_small_the_budget_and_however_busy_the_source() {
    let sandbox = Sandbox::loaded();
    sandbox.wait_until_at_rest();
    sandbox.run(&["full-load", "--batch-size", "200"]).succeeds();
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental", "--verify-budget", "100%"]).succeeds();
    // In the last table, where nothing else changes.
    sandbox.change(&["UPDATE payment SET amount = 77.77, last_update = last_update WHERE payment_id = 15000"]);
    let found = "SELECT COUNT(*) FROM fact_payment WHERE payment_id = 15000 AND amount = 77.77";
    let mut runs = 0;
    while sandbox.figure(found) == "0" {
        runs += 1;
        assert!(runs < 40, "not found after {runs} runs");
        sandbox.change(&[&format!(
            "UPDATE rental SET staff_id = 3 - staff_id WHERE rental_id % 1000 = {runs}"
        )]);
        sandbox.run(&["incremental", "--verify-budget", "1ms"]).succeeds();
    }
}

#[test]
fn ranges_whose_sums_differ_come_first() {
    let sandbox = Sandbox::loaded();
    sandbox.wait_until_at_rest();
    let small = ["full-load", "--batch-size", "100"];
    sandbox.run(&small).succeeds();
    sandbox.change(&["UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 15000"]);
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental", "--verify-budget", "0"]).succeeds();
    // By age it would be among the last of 160 ranges; the log names the pages in the order in which they were read.
    let run = sandbox.run(&["incremental", "--batch-size", "100", "-v"]).succeeds();
    let first: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.contains("page read") && line.contains("fact_payment"))
        .take(20)
        .collect();
    let range = sandbox.figure(
        "SELECT 'keys (' || (SELECT MAX(up_to) FROM sync_verification b WHERE b.target_table = p.target_table AND b.up_to < p.up_to) \
         || ', ' || MIN(up_to) || ']' FROM sync_verification p WHERE target_table = 'fact_payment' AND up_to >= 15000",
    );
    assert!(
        first.iter().any(|line| line.contains(&range)),
        "{range} is not among the first: {first:#?}"
    );
    sandbox.assert_star_equals_source();
}

#[test]
fn a_table_that_has_not_moved_is_not_read() {
    let sandbox = Sandbox::verified();
    let report = sandbox.json(&["incremental"]);
    for table in report["tables"].as_array().unwrap() {
        assert_eq!(
            (&table["read"], &table["verified_row_by_row"]),
            (&0.into(), &0.into()),
            "{table}"
        );
    }
    assert_eq!(report["reconciliation"].as_array().unwrap().len(), 0);
}

#[test]
fn what_grows_at_the_end_of_a_table_is_cut_into_ranges() {
    let sandbox = Sandbox::loaded();
    sandbox.wait_until_at_rest();
    sandbox.run(&["full-load", "--batch-size", "1000"]).succeeds();
    let ranges = "SELECT COUNT(*) FROM sync_verification WHERE target_table = 'fact_payment'";
    let before: i64 = sandbox.figure(ranges).parse().unwrap();
    sandbox.change(&[
        "INSERT INTO payment (payment_id, customer_id, staff_id, amount, payment_date) \
         SELECT payment_id + 20000, customer_id, staff_id, amount, payment_date FROM payment WHERE payment_id <= 5000",
    ]);
    sandbox.run(&["incremental", "--batch-size", "1000"]).succeeds();
    let after: i64 = sandbox.figure(ranges).parse().unwrap();
    assert!((4..=6).contains(&(after - before)), "{before} ranges became {after}");
    sandbox.assert_star_equals_source();
}

#[test]
fn a_fact_keeps_its_key_when_its_dimension_changes_its_own_unseen() {
    let sandbox = Sandbox::verified();
    let keys = "SELECT rental_id || '=' || fact_rental_key FROM fact_rental WHERE rental_id < 2000";
    let before = sandbox.star(keys);
    // The rentals are read because of their own timestamps; the new keys of their customers leave no trace.
    sandbox.change(&[
        "UPDATE customer SET customer_id = customer_id + 1000, last_update = last_update WHERE customer_id < 200",
        "UPDATE rental SET return_date = rental_date + INTERVAL 1 DAY WHERE rental_id < 2000",
    ]);
    // Without a budget, nothing shows that the customers' old rows must be deleted: they remain, and the run reports
    // it.
    for (budget, code) in [("0", 1), ("10", 0)] {
        sandbox
            .run(&["incremental", "--verify-budget", budget])
            .ends_with_code(code);
        assert_eq!(sandbox.star(keys), before);
    }
    sandbox.assert_star_equals_source();
    sandbox.change(&[
        "UPDATE customer SET customer_id = customer_id + 1000, last_update = last_update WHERE customer_id < 400",
    ]);
    sandbox.run(&["full-load", "--batch-size", "500"]).succeeds();
    assert_eq!(sandbox.star(keys), before);
    sandbox.assert_star_equals_source();
}

/// The number of rows of all tables that a run has verified row by row.
fn compared(sandbox: &Sandbox, arguments: &[&str]) -> u64 {
    let report = sandbox.json(arguments);
    let tables = report["tables"].as_array().unwrap().iter();
    tables.map(|table| table["verified_row_by_row"].as_u64().unwrap()).sum()
}

#[test]
fn of_a_looked_up_table_exactly_what_hangs_on_its_silently_changed_rows_is_compared() {
    let sandbox = Sandbox::verified();
    let rentals: u64 = sandbox
        .source_figure("SELECT COUNT(*) FROM rental WHERE inventory_id = 77")
        .parse()
        .unwrap();
    sandbox.change(&[
        "UPDATE inventory SET store_id = 3 - store_id, last_update = last_update WHERE inventory_id = 77",
        // An ordinary change in the same range.
        "UPDATE inventory SET film_id = film_id WHERE inventory_id = 78",
        "UPDATE inventory SET last_update = NOW() WHERE inventory_id = 79",
    ]);
    // The rentals of the item, and their payments.
    let rows = compared(&sandbox, &["incremental"]);
    assert!(rows <= 4 * rentals, "{rows} rows of {rentals} rentals");
    sandbox.assert_star_equals_source();
    sandbox.change(&["UPDATE city SET city = 'Elsewhere', last_update = last_update WHERE city_id = 10"]);
    assert!(compared(&sandbox, &["incremental"]) <= 10);
    sandbox.assert_star_equals_source();
    // The run recorded the state that it read.
    sandbox.wait_until_at_rest();
    assert_eq!(compared(&sandbox, &["incremental"]), 0);
}

#[test]
fn rows_of_a_joined_table_that_are_exchanged_for_others_without_a_trace_are_found() {
    let sandbox = Sandbox::verified();
    sandbox.drop_foreign_keys();
    sandbox.run(&["incremental"]).succeeds();
    let extent = "SELECT CONCAT(COUNT(*), ' ', MAX(city_id)) FROM city";
    let before = sandbox.source_figure(extent);
    sandbox.change(&["UPDATE city SET city_id = 0, last_update = last_update WHERE city_id = 10"]);
    assert_eq!(sandbox.source_figure(extent), before);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_statement_that_moves_no_update_time_is_found_by_digest() {
    // Exchanged partitions and tablespaces set no UPDATE_TIME on either server, TRUNCATE sets none on MariaDB. Here the
    // target is manipulated to record that nothing was modified.
    let sandbox = Sandbox::verified();
    sandbox.change(&[
        "UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 5",
        "UPDATE inventory SET store_id = 3 - store_id, last_update = last_update WHERE inventory_id = 77",
    ]);
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental", "--verify-budget", "0"]).succeeds();
    sandbox.tamper("UPDATE sync_state SET modified_run = NULL");
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_change_that_is_taken_back_without_a_trace_before_it_was_verified_is_found() {
    let sandbox = Sandbox::verified();
    let city = sandbox.source_figure("SELECT city FROM city WHERE city_id = 5");
    let stamp = sandbox.source_figure("SELECT CAST(last_update AS CHAR) FROM city WHERE city_id = 5");
    // The watermarks pass the changes, so that no later run re-reads them by their timestamps.
    let sync = |budget| {
        sandbox.wait_until_at_rest();
        sandbox
            .run(&["incremental", "--overlap", "1", "--verify-budget", budget])
            .succeeds();
    };
    sandbox.change(&[
        "UPDATE payment SET amount = amount + 1 WHERE payment_id = 10",
        "UPDATE city SET city = 'Elsewhere' WHERE city_id = 5",
    ]);
    sync("0");
    sandbox.assert_star_equals_source();
    sandbox.change(&[
        "UPDATE payment SET amount = amount - 1, last_update = last_update WHERE payment_id = 10",
        &format!("UPDATE city SET city = '{city}', last_update = '{stamp}' WHERE city_id = 5"),
    ]);
    sync("100%");
    sandbox.assert_star_equals_source();
}

#[test]
fn what_a_repair_has_compared_is_verified_by_later_runs_although_nothing_seems_to_be_modified() {
    let sandbox = Sandbox::verified();
    sandbox.run(&["repair"]).succeeds();
    sandbox.change(&["UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 5"]);
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental", "--verify-budget", "0"]).succeeds();
    sandbox.tamper("UPDATE sync_state SET modified_run = NULL");
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

/// Loaded, and the last run found a mismatch: the star's amount of payment 10 is too high by one.
fn with_a_mismatch() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    sandbox.run(&["full-load", "--batch-size", "1000"]).succeeds();
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    // Two payments of one day in different key ranges: the source's change is applied, and the star's shows in the
    // totals of the day.
    sandbox.change(&[
        "UPDATE payment SET payment_date = (SELECT day FROM (SELECT payment_date AS day FROM payment WHERE payment_id = 10) \
         AS other) WHERE payment_id = 16000",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.tamper("UPDATE fact_payment SET amount = ROUND(amount + 1, 2) WHERE payment_id = 10");
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 16000"]);
    sandbox.run(&["incremental"]).ends_with_code(1);
    sandbox
}

#[test]
fn what_a_mismatch_has_shown_is_corrected_by_the_next_run() {
    let sandbox = with_a_mismatch();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_mismatch_that_comes_from_a_row_of_another_table_is_corrected_there() {
    let sandbox = Sandbox::verified();
    let rental = sandbox.source_figure("SELECT rental_id FROM payment WHERE payment_id = 100");
    sandbox.tamper(&format!(
        "UPDATE fact_rental SET store_key = 3 - store_key WHERE rental_id = {rental}"
    ));
    // Its store is that of the rental.
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 100"]);
    sandbox.run(&["incremental"]).ends_with_code(1);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_mismatch_that_comes_from_the_mapping_is_not_resolved_by_mapping_again() {
    let sandbox = Sandbox::verified();
    let incremental = |arguments: &[&str]| {
        let mut command = sandbox.command(&[&["incremental"], arguments].concat());
        command.env("FAILPOINTS", "row-mapped-wrong=return(fact_payment.amount)");
        Run::of(command)
    };
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 100"]);
    incremental(&[]).ends_with_code(1);
    for _ in 0..2 {
        incremental(&["--verify-budget", "100%"]).ends_with_code(1);
    }
    sandbox.run(&["incremental", "--verify-budget", "100%"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn status_tells_a_mismatch_until_a_run_ends_well_although_that_leaves_no_row() {
    let sandbox = with_a_mismatch();
    let status = sandbox.json(&["status"]);
    assert_eq!(status["last_mismatch"]["command"], "incremental", "{status}");
    let id = &status["last_mismatch"]["id"];
    // A run that fails has compared nothing.
    let mut failing = sandbox.command(&["incremental", "--retry-for", "0"]);
    failing.env("SAKILA_SYNC_SOURCE", "mysql://reader@127.0.0.1:1/sakila");
    Run::of(failing).ends_with_code(3);
    assert_eq!(&sandbox.json(&["status"])["last_mismatch"]["id"], id);
    // A run that verifies nothing does not resolve the mismatch, and every such run reports it.
    for _ in 0..2 {
        let run = sandbox.run(&["incremental", "--verify-budget", "0"]).ends_with_code(1);
        assert!(run.verdict().contains("and not resolved since"), "{run:#?}");
        assert_eq!(&sandbox.json(&["status"])["last_mismatch"]["id"], id);
    }
    let succeeded = "SELECT MAX(run_id) FROM sync_success";
    assert!(sandbox.figure(succeeded).parse::<i64>().unwrap() < id.as_i64().unwrap());
    sandbox.tamper("UPDATE fact_payment SET amount = ROUND(amount - 1, 2) WHERE payment_id = 10");
    sandbox.run(&["incremental"]).succeeds();
    let status = sandbox.json(&["status"]);
    assert!(status["last_mismatch"].is_null(), "{status}");
    let runs = status["runs"].as_array().unwrap();
    let newest_done = runs.iter().find(|run| run["status"] == "done").unwrap();
    assert!(newest_done["id"].as_i64() < id.as_i64(), "{status}");
}

#[test]
fn a_mismatch_that_is_not_resolved_is_not_forgotten_with_old_runs() {
    let sandbox = with_a_mismatch();
    let id = sandbox.json(&["status"])["last_mismatch"]["id"].clone();
    for _ in 0..3 {
        sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 15000"]);
        let run = ["incremental", "--verify-budget", "0", "--keep-runs", "1", "--json"];
        let run: Value = serde_json::from_str(&sandbox.run(&run).ends_with_code(1).stdout).unwrap();
        assert_eq!(
            (&run["verdict"]["unresolved_run"], &run["verdict"]["mismatches"]),
            (&id, &json!(0))
        );
    }
    assert_eq!(sandbox.json(&["status"])["last_mismatch"]["id"], id);
    sandbox.run(&["repair", "--keep-runs", "1"]).succeeds();
    assert!(sandbox.json(&["status"])["last_mismatch"].is_null());
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM sync_run"), "1");
}

/// A budget that is used up before anything is verified.
const NO_TIME: [&str; 5] = ["incremental", "--batch-size", "1000", "--verify-budget", "1ms"];

/// Runs with hardly any time until the star equals the source again: each run has to resume where the last one stopped.
fn is_found_little_by_little(sandbox: &Sandbox) {
    for round in 0..100 {
        // Ranges of another table differ in each run.
        sandbox.change(&[&format!(
            "UPDATE customer SET first_name = 'N{round}' WHERE customer_id = 1"
        )]);
        let run = sandbox.run(&NO_TIME);
        assert!([0, 1].contains(&run.code), "{run:#?}");
        let amount = sandbox.source_figure("SELECT CAST(amount AS CHAR) FROM payment WHERE payment_id = 15005");
        if sandbox.figure("SELECT PRINTF('%.2f', amount) FROM fact_payment WHERE payment_id = 15005") == amount {
            break;
        }
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn what_a_repair_left_without_a_digest_is_verified_little_by_little() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    sandbox.run(&["full-load", "--batch-size", "1000"]).succeeds();
    sandbox.run(&["repair", "--batch-size", "1000"]).succeeds();
    sandbox.change(&["UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 15005"]);
    sandbox.wait_until_at_rest();
    is_found_little_by_little(&sandbox);
}

#[test]
fn a_mismatch_that_lasts_is_corrected_little_by_little_beside_ordinary_changes() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    sandbox.run(&["full-load", "--batch-size", "1000"]).succeeds();
    sandbox.tamper("UPDATE fact_payment SET amount = ROUND(amount + 1, 2) WHERE payment_id = 15005");
    for _ in 0..100 {
        // On the day of the difference, so that each run sees it until it is corrected.
        sandbox.change(&[
            "UPDATE payment SET amount = amount + 1, payment_date = (SELECT day FROM (SELECT payment_date AS day FROM payment \
             WHERE payment_id = 15005) AS other) WHERE payment_id = 5",
        ]);
        if sandbox.run(&NO_TIME).code == 0 {
            break;
        }
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn null_and_the_number_that_a_digest_could_take_for_it() {
    for (before, after) in [("NULL", "5"), ("5", "NULL")] {
        let sandbox = Sandbox::new();
        sandbox.change(&[&format!("UPDATE payment SET rental_id = {before} WHERE payment_id = 7")]);
        sandbox.drop_foreign_keys();
        sandbox.load();
        sandbox.wait_until_at_rest();
        sandbox.run(&["incremental"]).succeeds();
        sandbox.change(&[&format!(
            "UPDATE payment SET rental_id = {after}, last_update = last_update WHERE payment_id = 7"
        )]);
        sandbox.run(&["incremental"]).succeeds();
        sandbox.assert_star_equals_source();
    }
}

/// Renames a city and syncs the name twice without verifying the cities, then executes these statements, which leave no
/// trace.
fn is_found_after_a_city_was_renamed(statements: &[&str]) {
    let sandbox = Sandbox::verified();
    let session = sandbox.open_session();
    session.change(&[
        "SELECT city, last_update INTO @city, @stamp FROM city WHERE city_id = 10",
        "UPDATE city SET city = 'Elsewhere' WHERE city_id = 10",
    ]);
    sandbox.let_seconds_pass(3);
    for _ in 0..2 {
        sandbox
            .run(&["incremental", "--overlap", "3600", "--verify-budget", "0"])
            .succeeds();
    }
    session.change(statements);
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental", "--overlap", "1"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_looked_up_row_that_is_taken_back_before_it_was_verified() {
    is_found_after_a_city_was_renamed(&["UPDATE city SET city = @city, last_update = @stamp WHERE city_id = 10"]);
}

#[test]
fn a_looked_up_row_that_goes_before_it_was_verified() {
    is_found_after_a_city_was_renamed(&[
        "SET foreign_key_checks = 0",
        // Row count and largest key are unchanged.
        "UPDATE city SET city_id = 0, last_update = last_update WHERE city_id = 10",
    ]);
}

#[test]
fn a_fact_that_changed_silently_is_read_for_another_reason_and_changes_back() {
    let sandbox = Sandbox::verified();
    let rental = "SELECT rental_id FROM payment WHERE payment_id = 100";
    sandbox.change(&[
        "UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 100",
        // Its payments are re-read.
        &format!(
            "UPDATE rental JOIN inventory USING (inventory_id) SET store_id = 3 - store_id WHERE rental_id = ({rental})"
        ),
    ]);
    sandbox.let_seconds_pass(3);
    sandbox.run(&["incremental", "--overlap", "1", "--verify-budget", "0"]);
    sandbox.change(&["UPDATE payment SET amount = amount - 1, last_update = last_update WHERE payment_id = 100"]);
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental", "--overlap", "1"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_staff_member_who_goes_while_another_comes() {
    let sandbox = Sandbox::verified();
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        // Row count and largest key are unchanged; half of the rentals and payments lose their staff member.
        "UPDATE staff SET staff_id = 0, last_update = last_update WHERE staff_id = 1",
        "SET foreign_key_checks = 1",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn an_item_that_moves_and_moves_back_beside_a_rental_that_was_deleted() {
    let sandbox = Sandbox::verified();
    let store = "UPDATE inventory SET store_id = 3 - store_id, last_update = last_update WHERE inventory_id = 100";
    let rental = "SELECT MIN(rental_id) FROM rental WHERE inventory_id = 100";
    let other =
        format!("DELETE FROM rental WHERE rental_id = 1 + ({rental})").replace(rental, &sandbox.source_figure(rental));
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        store,
        &other,
        "SET foreign_key_checks = 1",
    ]);
    sandbox.run(&["incremental", "--verify-budget", "0"]);
    sandbox.change(&[store]);
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}
