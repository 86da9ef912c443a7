//! Every change of the source reaches all dependent rows of the star in one incremental run.

use crate::harness::Sandbox;
use crate::harness::outcome::rows_read_to_sync;

/// Without verification: change timestamps, counts and joins must suffice.
const INCREMENTAL: [&str; 3] = ["incremental", "--verify-budget", "0"];

/// Loads, changes, syncs, and compares every row.
fn follows(statements: &[&str]) -> Sandbox {
    let sandbox = Sandbox::loaded();
    sandbox.change(statements);
    sandbox.run(&INCREMENTAL).succeeds();
    sandbox.assert_star_equals_source();
    sandbox
}

#[test]
fn a_renamed_city_and_country_reach_customers_and_stores() {
    let sandbox = follows(&[
        "UPDATE country JOIN city USING (country_id) JOIN address USING (city_id) JOIN store USING (address_id) \
         SET country = 'Kanada' WHERE store_id = 1",
        "UPDATE city JOIN address USING (city_id) JOIN store USING (address_id) \
         SET city = 'Lethbridge on the Oldman' WHERE store_id = 1",
    ]);
    assert_eq!(
        sandbox.figure("SELECT city || ', ' || country FROM dim_store WHERE store_id = 1"),
        "Lethbridge on the Oldman, Kanada"
    );
}

#[test]
fn an_address_that_moves_takes_its_customers_along() {
    follows(&["UPDATE address SET city_id = 1 WHERE address_id = 5"]);
}

#[test]
fn a_renamed_language_reaches_every_film_in_it() {
    let sandbox = follows(&["UPDATE language SET name = 'Esperanto' WHERE language_id = 1"]);
    assert_eq!(
        sandbox.figure("SELECT COUNT(*) FROM dim_film WHERE language = 'Esperanto'"),
        sandbox.source_figure("SELECT CAST(COUNT(*) AS CHAR) FROM film WHERE language_id = 1")
    );
}

#[test]
fn an_inventory_item_that_moves_takes_its_rentals_and_their_payments_along() {
    follows(&[
        "UPDATE inventory SET store_id = 3 - store_id WHERE inventory_id <= 50",
        "UPDATE inventory SET film_id = 7 WHERE inventory_id = 60",
    ]);
}

#[test]
fn a_renamed_staff_member_is_followed_and_touches_no_fact() {
    let sandbox = follows(&["UPDATE staff SET first_name = 'MIKA', active = 0 WHERE staff_id = 1"]);
    let written = "SELECT (SELECT COUNT(*) FROM fact_payment WHERE run_id = r) || ' ' || \
                   (SELECT COUNT(*) FROM fact_rental WHERE run_id = r) || ' ' || \
                   (SELECT COUNT(*) FROM dim_staff WHERE run_id = r) FROM (SELECT MAX(id) AS r FROM sync_run)";
    assert_eq!(sandbox.figure(written), "0 0 1");
}

#[test]
fn a_payment_keeps_the_rental_id_of_a_rental_that_is_gone_and_loses_its_film() {
    let sandbox = Sandbox::loaded();
    sandbox.drop_foreign_keys();
    let id = sandbox.source_figure("SELECT CAST(MIN(rental_id) AS CHAR) FROM payment");
    sandbox.change(&[&format!("DELETE FROM rental WHERE rental_id = {id}")]);
    sandbox.run(&INCREMENTAL).succeeds();
    sandbox.assert_star_equals_source();
    let payments = format!("SELECT COUNT(*) || ' ' || COUNT(film_key) FROM fact_payment WHERE rental_id = {id}");
    let expected = sandbox.source_figure(&format!(
        "SELECT CONCAT(COUNT(*), ' 0') FROM payment WHERE rental_id = {id}"
    ));
    assert_eq!(sandbox.figure(&payments), expected);
}

#[test]
fn staff_who_move_take_their_payments_without_a_rental_along() {
    let sandbox = follows(&["UPDATE staff SET store_id = 2 WHERE staff_id = 1"]);
    let payments = sandbox.source("SELECT CAST(payment_id AS CHAR) FROM payment WHERE rental_id IS NULL");
    assert_eq!(payments.len(), 5);
    let stores = "SELECT DISTINCT s.store_id FROM fact_payment p JOIN dim_store s ON s.store_key = p.store_key \
                  WHERE p.payment_id IN";
    // The other staff member has always worked there.
    assert_eq!(sandbox.star(&format!("{stores} ({})", payments.join(", "))), ["2"]);
}

#[test]
fn actors_categories_and_links_come_and_go() {
    follows(&[
        "INSERT INTO actor (first_name, last_name) VALUES ('GRETA', 'GARBO')",
        "INSERT INTO film_actor (actor_id, film_id) SELECT LAST_INSERT_ID(), film_id FROM film WHERE film_id <= 3",
        "UPDATE actor SET last_name = 'DEE' WHERE actor_id = 2",
        "INSERT INTO category (name) VALUES ('Film Noir')",
        "UPDATE film_category SET category_id = LAST_INSERT_ID() WHERE film_id IN (5, 6)",
        "UPDATE category SET name = 'Deed' WHERE category_id = 1",
        "DELETE FROM film_actor WHERE actor_id = 3 ORDER BY film_id LIMIT 1",
        "UPDATE film_actor SET film_id = 1010 WHERE actor_id = 4 ORDER BY film_id LIMIT 1",
    ]);
}

#[test]
fn customers_and_stores_change() {
    follows(&[
        "UPDATE customer SET active = 0, address_id = 6 WHERE customer_id = 10",
        "UPDATE store SET address_id = 5 WHERE store_id = 2",
        "INSERT INTO customer (store_id, first_name, last_name, address_id, create_date, last_update) \
         VALUES (1, 'NO', 'TIME', 5, NOW(), NULL)",
    ]);
}

#[test]
fn deleted_rows_leave_and_their_dependants_move() {
    let sandbox = Sandbox::loaded();
    let keys = sandbox.surrogate_keys();
    sandbox.change(&[
        // Sets rental_id of the rental's payments to NULL and touches no payment's last_update.
        "DELETE FROM rental WHERE rental_id IN (1, 2, 16084)",
        "DELETE FROM payment WHERE payment_id IN (100, 101)",
        "DELETE FROM film_category WHERE film_id = 1",
    ]);
    sandbox.run(&INCREMENTAL).succeeds();
    sandbox.assert_star_equals_source();
    let kept = keys
        .into_iter()
        .filter(|key| {
            ![
                "rental 1=",
                "rental 2=",
                "rental 16084=",
                "payment 100=",
                "payment 101=",
            ]
            .iter()
            .any(|gone| key.starts_with(gone))
        })
        .collect::<Vec<_>>();
    assert!(sandbox.holds_all_of(&kept), "a surrogate key has changed");
}

#[test]
fn a_film_with_all_that_hangs_on_it_goes() {
    let sandbox = follows(&[
        "DELETE p FROM payment p JOIN rental r USING (rental_id) JOIN inventory i USING (inventory_id) WHERE i.film_id = 1",
        "DELETE r FROM rental r JOIN inventory i USING (inventory_id) WHERE i.film_id = 1",
        "DELETE FROM inventory WHERE film_id = 1",
        "DELETE FROM film_actor WHERE film_id = 1",
        "DELETE FROM film_category WHERE film_id = 1",
        "DELETE FROM film WHERE film_id = 1",
    ]);
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM dim_film"), "999");
}

#[test]
fn a_changed_key_is_a_new_row_and_the_old_one_goes() {
    follows(&[
        "UPDATE payment SET payment_id = 60000 WHERE payment_id = 5",
        "UPDATE customer SET customer_id = 5000 WHERE customer_id = 9",
        "UPDATE rental SET rental_id = 200000, last_update = NOW() WHERE rental_id = 77",
    ]);
}

#[test]
fn a_changed_key_of_a_dimension_takes_its_facts_along_though_they_show_no_change() {
    for key in [
        "customer SET customer_id = 5000 WHERE customer_id = 9",
        "film SET film_id = 5000 WHERE film_id = 9",
    ] {
        follows(&[&format!("UPDATE {key}")]);
    }
}

#[test]
fn dates_outside_the_calendar_extend_it_without_gaps() {
    let sandbox = follows(&[
        "UPDATE payment SET payment_date = '1999-12-31 23:59:59' WHERE payment_id = 1",
        "UPDATE rental SET return_date = '2028-02-29 00:00:00' WHERE return_date IS NULL ORDER BY rental_id LIMIT 1",
    ]);
    assert_eq!(
        sandbox.figure("SELECT MIN(date_key) || ' ' || MAX(date_key) FROM dim_date"),
        "19990101 20281231"
    );
    let gaps = "SELECT COUNT(*) FROM dim_date WHERE date(date, '+1 day') NOT IN (SELECT date FROM dim_date)";
    assert_eq!(sandbox.figure(gaps), "1", "only the last day has no next one");
}

#[test]
fn rows_that_vanish_from_joined_tables_are_missed_by_all_that_was_made_from_them() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "DELETE FROM inventory WHERE inventory_id <= 10",
        "SET foreign_key_checks = 1",
    ]);
    sandbox.run(&INCREMENTAL).succeeds();
    sandbox.assert_star_equals_source();
    sandbox.run(&["validate", "--all"]).succeeds();

    // Store 1 is in this city: all rows that depend on it are quarantined, down to the last rental and its payment.
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "DELETE city FROM city JOIN address USING (city_id) JOIN store USING (address_id) WHERE store_id = 1",
        "SET foreign_key_checks = 1",
    ]);
    sandbox.run(&INCREMENTAL).succeeds();
    sandbox.run(&["validate", "--all"]).succeeds();
    let rejected = sandbox.star("SELECT DISTINCT source_table FROM sync_reject");
    for table in ["payment", "rental", "store"] {
        assert!(rejected.iter().any(|name| name == table), "no {table} in {rejected:?}");
    }
}

#[test]
fn a_changed_key_of_a_staff_member_reaches_both_facts() {
    follows(&["UPDATE staff SET staff_id = 9 WHERE staff_id = 2"]);
}

#[test]
fn changes_whose_counts_cancel_do_not_hide_each_other() {
    follows(&[
        "UPDATE film SET film_id = 30000 WHERE film_id = 1",
        "DELETE FROM film_category WHERE film_id = 500",
        "UPDATE actor SET actor_id = 3000 WHERE actor_id = 7",
        "DELETE FROM film_actor WHERE actor_id = 9 ORDER BY film_id LIMIT 1",
    ]);
}

#[test]
fn rows_that_share_a_timestamp_are_neither_lost_nor_copied_again() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&["INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id) VALUES (NOW(), 1, 1, 1)"]);
    sandbox.run(&INCREMENTAL).succeeds();
    // A row with the same timestamp, or one within the safety lag, must still be found.
    sandbox.change(&[
        "INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id, last_update) \
         SELECT NOW(), 2, 2, 1, MAX(last_update) FROM rental",
    ]);
    let result = sandbox.json(&INCREMENTAL);
    let rentals = result["tables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|table| table["table"] == "fact_rental")
        .unwrap();
    assert_eq!(rentals["inserted"], 1);
    assert_eq!(
        rentals["unchanged"], 1,
        "the row of the overlap is read again and left as it is"
    );
    sandbox.assert_star_equals_source();
}

#[test]
fn a_rerun_with_nothing_changed_reads_and_writes_nothing() {
    let sandbox = Sandbox::loaded();
    sandbox.run(&INCREMENTAL).succeeds();
    let before = sandbox.star("SELECT * FROM (SELECT payment_id || '|' || fact_payment_key FROM fact_payment)");
    let result = sandbox.json(&INCREMENTAL);
    let timeless = sandbox.source_figure("SELECT CAST(COUNT(*) AS CHAR) FROM customer WHERE last_update IS NULL");
    for table in result["tables"].as_array().unwrap() {
        for count in ["inserted", "updated", "deleted"] {
            assert_eq!(table[count], 0, "{table}");
        }
        // Rows without a change timestamp are re-read until their table is known to be at rest.
        let read = rows_read_to_sync(table);
        let may_be_read = if table["table"] == "dim_customer" {
            timeless.parse().unwrap()
        } else {
            0
        };
        assert!(read <= may_be_read, "{table}");
    }
    assert_eq!(
        before,
        sandbox.star("SELECT * FROM (SELECT payment_id || '|' || fact_payment_key FROM fact_payment)")
    );
}

#[test]
fn a_last_update_in_the_future_holds_nothing_up() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&["UPDATE actor SET first_name = 'SOON', last_update = '2037-01-01 00:00:00' WHERE actor_id = 1"]);
    sandbox.run(&INCREMENTAL).succeeds();
    sandbox.change(&["UPDATE actor SET first_name = 'NOW' WHERE actor_id = 2"]);
    sandbox.run(&INCREMENTAL).succeeds();
    sandbox.assert_star_equals_source();
    let watermark = sandbox.figure("SELECT last_updated FROM sync_state WHERE source_table = 'actor'");
    assert!(watermark.as_str() < "2037", "{watermark}");
}

#[test]
fn an_orphan_is_rejected_with_its_reason_and_loads_when_its_parent_appears() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "INSERT INTO rental (rental_id, rental_date, inventory_id, customer_id, staff_id) \
         VALUES (50000, '2024-08-01 10:00:00', 1, 7777, 1)",
        "INSERT INTO payment (payment_id, customer_id, staff_id, rental_id, amount, payment_date) \
         VALUES (50000, 7777, 1, 50000, 4.99, '2024-08-01 10:00:00')",
        // Its rental does not exist: it counts at its staff member's store.
        "INSERT INTO payment (payment_id, customer_id, staff_id, rental_id, amount, payment_date) \
         VALUES (50001, 1, 2, 99999, 1.99, '2024-08-01 10:00:00')",
        "SET foreign_key_checks = 1",
    ]);
    let result = sandbox.json(&INCREMENTAL);
    assert_eq!(result["status"], "done", "{result}");
    let rejects =
        sandbox.star("SELECT source_table || ' ' || key || ' ' || code || ' ' || missing_parent FROM sync_reject");
    assert_eq!(
        rejects,
        [
            "payment 50000 PARENT_QUARANTINED rental",
            "rental 50000 MISSING_PARENT customer"
        ]
    );
    sandbox.run(&["validate", "--all"]).succeeds();

    sandbox.change(&[
        "INSERT INTO customer (customer_id, store_id, first_name, last_name, address_id, create_date) \
         VALUES (7777, 1, 'LATE', 'ARRIVAL', 5, NOW())",
    ]);
    sandbox.run(&INCREMENTAL).succeeds();
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM sync_reject"), "0");
    sandbox.assert_star_equals_source();
}

#[test]
fn a_parent_that_vanishes_takes_its_facts_out_of_the_star() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "DELETE FROM customer WHERE customer_id = 5",
        "SET foreign_key_checks = 1",
    ]);
    sandbox.run(&INCREMENTAL).succeeds();
    let rentals = &sandbox.source("SELECT CAST(COUNT(*) AS CHAR) FROM rental WHERE customer_id = 5")[0];
    assert_eq!(
        &sandbox.figure("SELECT COUNT(*) FROM sync_reject WHERE source_table = 'rental'"),
        rentals
    );
    sandbox.run(&["validate", "--all"]).succeeds();
    sandbox.assert_star_equals_source();
}
