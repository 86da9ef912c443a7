//! Full loads: repeated, after an interruption, and on a target that another program has damaged.

use crate::harness::Sandbox;
use crate::harness::outcome::rows_read_to_sync;

#[test]
fn a_second_full_load_writes_only_what_differs() {
    let sandbox = Sandbox::loaded();
    let keys = sandbox.surrogate_keys();
    sandbox.change(&[
        "UPDATE film SET title = 'SILENT', last_update = last_update WHERE film_id = 3",
        "UPDATE payment SET amount = 0.01, last_update = last_update WHERE payment_id = 9",
        "DELETE FROM payment WHERE payment_id = 10",
    ]);
    let result = sandbox.json(&["full-load"]);
    let totals = |name: &str| -> u64 {
        result["tables"]
            .as_array()
            .unwrap()
            .iter()
            .map(|table| table[name].as_u64().unwrap())
            .sum()
    };
    assert_eq!(
        (totals("inserted"), totals("updated"), totals("deleted")),
        (0, 2, 1),
        "{result}"
    );
    sandbox.assert_star_equals_source();
    let kept: Vec<_> = keys.into_iter().filter(|key| !key.starts_with("payment 10=")).collect();
    assert!(sandbox.holds_all_of(&kept), "a surrogate key has changed");
}

#[test]
fn a_full_load_mends_a_damaged_star() {
    let sandbox = Sandbox::loaded();
    for statement in [
        "DELETE FROM fact_rental WHERE rental_id % 7 = 0",
        "UPDATE fact_payment SET amount = amount + 1 WHERE payment_id % 11 = 0",
        "INSERT INTO fact_payment SELECT NULL, 900000 + payment_id, date_key_paid, customer_key, store_key, staff_id, \
         amount, rental_id, film_key, 0 FROM fact_payment WHERE payment_id < 50",
        "DELETE FROM bridge_film_actor WHERE actor_key % 5 = 0",
        "INSERT INTO dim_actor VALUES (NULL, 999999, 'NO', 'ONE', '2006-01-01 00:00:00', 0)",
        "UPDATE dim_customer SET city = 'Nowhere' WHERE customer_id % 3 = 0",
    ] {
        sandbox.tamper(statement);
    }
    sandbox.run(&["full-load"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_load_goes_on_behind_the_intervals_that_were_finished() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    // Payments that cannot be read (a subquery that returns several rows): the load fails after the rentals.
    sandbox.change(&[
        "RENAME TABLE payment TO payment_away",
        "CREATE VIEW payment AS SELECT payment_id, customer_id, staff_id, rental_id, payment_date, last_update, \
         (SELECT amount FROM payment_away) AS amount FROM payment_away",
    ]);
    sandbox.run(&["full-load", "--batch-size", "1000"]).ends_with_code(3);
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM fact_rental"), "16044");
    sandbox.run(&["incremental"]).ends_with_code(3);

    sandbox.change(&["DROP VIEW payment", "RENAME TABLE payment_away TO payment"]);
    let result = sandbox.json(&["full-load", "--batch-size", "1000"]);
    let rentals = result["tables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|table| table["table"] == "fact_rental")
        .unwrap();
    assert_eq!(rows_read_to_sync(rentals), 0, "what was loaded is not loaded again");
    sandbox.assert_star_equals_source();
    let runs = sandbox.star("SELECT command || ' ' || status FROM sync_run WHERE command = 'full-load'");
    assert_eq!(runs, ["full-load done", "full-load failed"]);
}

#[test]
fn the_first_error_of_the_writer_stops_all_stages_and_names_table_and_keys() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    sandbox.tamper(
        "CREATE TRIGGER refuse BEFORE INSERT ON fact_rental WHEN NEW.rental_id = 5000 \
         BEGIN SELECT RAISE(ABORT, 'refused'); END",
    );
    let arguments = ["full-load", "--batch-size", "100", "--workers", "4"];
    let run = sandbox.run(&arguments).fails_with(3, "TARGET_FAILED");
    for word in ["fact_rental, keys (", "refused"] {
        assert!(run.stderr.contains(word), "no {word:?} in {run:#?}");
    }
    sandbox.tamper("DROP TRIGGER refuse");
    sandbox.run(&arguments).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn pages_of_any_size_and_any_number_of_workers_load_the_same() {
    for arguments in [
        ["full-load", "--batch-size", "97", "--workers", "5"],
        ["full-load", "--batch-size", "1000000", "--workers", "1"],
    ] {
        let sandbox = Sandbox::new();
        sandbox.run(&["init"]).succeeds();
        sandbox.run(&arguments).succeeds();
        sandbox.assert_star_equals_source();
    }
}

#[test]
fn wider_keys_of_either_sign_and_keys_beyond_32_bits_load() {
    let sandbox = Sandbox::new();
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "ALTER TABLE payment MODIFY payment_id BIGINT NOT NULL AUTO_INCREMENT, DROP FOREIGN KEY fk_payment_rental, \
         MODIFY rental_id INT UNSIGNED NULL",
        "ALTER TABLE rental MODIFY rental_id INT UNSIGNED NOT NULL AUTO_INCREMENT",
        "UPDATE payment SET payment_id = 9000000000 WHERE payment_id = 1",
        "UPDATE payment SET payment_id = -3 WHERE payment_id = 3",
        "UPDATE rental SET rental_id = 4000000000 WHERE rental_id = 76",
        "UPDATE payment SET rental_id = 4000000000 WHERE rental_id = 76",
    ]);
    sandbox.run(&["init"]).succeeds();
    sandbox.run(&["full-load"]).succeeds();
    sandbox.assert_star_equals_source();
    sandbox.change(&["UPDATE payment SET amount = 1.23 WHERE payment_id IN (9000000000, -3)"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn integers_of_any_type_load_and_a_retyped_column_stops_every_run_before_it_writes() {
    let sandbox = Sandbox::new();
    sandbox.change(&["ALTER TABLE film MODIFY length SMALLINT, MODIFY release_year INT UNSIGNED"]);
    sandbox.run(&["init"]).succeeds();
    sandbox.run(&["full-load"]).succeeds();
    sandbox.assert_star_equals_source();

    sandbox.change(&[
        "ALTER TABLE film MODIFY length VARCHAR(10)",
        "UPDATE film SET title = 'NEW' WHERE film_id = 1",
    ]);
    for command in ["incremental", "full-load", "validate"] {
        let run = sandbox.run(&[command]).fails_with(3, "SOURCE_UNFIT");
        assert!(run.stderr.contains("film.length"), "{run:#?}");
    }
    sandbox.change(&["ALTER TABLE film MODIFY length SMALLINT UNSIGNED"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn an_impossible_date_is_rejected_without_its_value_and_fills_no_calendar() {
    let sandbox = Sandbox::new();
    sandbox.change(&[
        "SET sql_mode = ''",
        "UPDATE rental SET return_date = '9999-12-31' WHERE rental_id = 1",
        "UPDATE rental SET rental_date = '2022-00-00' WHERE rental_id = 2",
    ]);
    sandbox.run(&["init"]).succeeds();
    assert_eq!(
        sandbox.figure("SELECT MIN(date) || ' ' || MAX(date) FROM dim_date"),
        "2022-01-01 2025-12-31"
    );
    sandbox.run(&["full-load"]).succeeds();
    let rejects = sandbox.star("SELECT key || ' ' || code FROM sync_reject WHERE source_table = 'rental'");
    assert_eq!(rejects, ["1 DATE_INVALID", "2 DATE_INVALID"]);
}

#[test]
fn an_incremental_run_waits_for_a_full_load_to_be_finished() {
    let sandbox = Sandbox::loaded();
    // The state of an interrupted load: its changes have not reached every table.
    sandbox.tamper("UPDATE sync_state SET load_watermark = strftime('%Y-%m-%d %H:%M:%S', 'now')");
    sandbox.run(&["incremental"]).fails_with(3, "NOT_LOADED");
    sandbox.run(&["full-load"]).succeeds();
    sandbox.run(&["incremental"]).succeeds();
}

#[test]
fn an_empty_sakila_loads() {
    let sandbox = Sandbox::new();
    sandbox.change(&["SET foreign_key_checks = 0"]);
    for table in [
        "payment",
        "rental",
        "inventory",
        "film_actor",
        "film_category",
        "film",
        "actor",
        "category",
        "customer",
        "store",
        "staff",
        "address",
        "city",
        "country",
        "language",
    ] {
        sandbox.change(&[&format!("DELETE FROM {table}")]);
    }
    sandbox.run(&["init"]).succeeds();
    sandbox.run(&["full-load"]).succeeds();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.run(&["validate", "--all"]).succeeds();
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM fact_payment"), "0");
}

#[test]
fn at_rest_the_one_file_is_the_whole_database() {
    let sandbox = Sandbox::loaded();
    let files: Vec<_> = sandbox
        .folder()
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(files, ["analytics.db"]);
    assert_eq!(sandbox.figure("PRAGMA journal_mode"), "wal");
}

#[test]
fn the_indexes_that_reports_need_are_there_after_a_load() {
    let sandbox = Sandbox::loaded();
    let indexed = sandbox.star(
        "SELECT t.name || '.' || c.name FROM sqlite_master t JOIN pragma_index_list(t.name) i \
         JOIN pragma_index_info(i.name) c WHERE t.type = 'table' AND i.origin = 'c' AND t.name NOT LIKE 'sqlite%'",
    );
    assert_eq!(
        indexed,
        [
            "bridge_film_actor.actor_key",
            "bridge_film_category.category_key",
            "fact_payment.customer_key",
            "fact_payment.date_key_paid",
            "fact_payment.film_key",
            "fact_payment.store_key",
            "fact_rental.customer_key",
            "fact_rental.date_key_rented",
            "fact_rental.date_key_returned",
            "fact_rental.film_key",
            "fact_rental.store_key",
        ]
    );
}
