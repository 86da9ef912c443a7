//! Unusual Sakila schemas: keys of any width, views, partitions, unrelated tables, tables without rows or keys. Each is
//! loaded, or refused by name before anything is read, and nothing stops the rest.

use crate::harness::{Sandbox, TABLES, server};

#[test]
fn keys_beyond_32_bits_load_and_those_beyond_63_are_rejected() {
    let sandbox = Sandbox::new();
    sandbox.change(&["SET sql_mode = '', foreign_key_checks = 0"]);
    sandbox.drop_foreign_keys();
    sandbox.change(&[
        "ALTER TABLE payment MODIFY payment_id BIGINT UNSIGNED NOT NULL, MODIFY customer_id BIGINT, MODIFY staff_id BIGINT, \
         MODIFY rental_id BIGINT UNSIGNED",
        "ALTER TABLE rental MODIFY rental_id BIGINT UNSIGNED NOT NULL, MODIFY customer_id BIGINT, MODIFY staff_id BIGINT",
        "ALTER TABLE customer MODIFY customer_id BIGINT NOT NULL",
        "ALTER TABLE staff MODIFY staff_id BIGINT NOT NULL",
        "ALTER TABLE store MODIFY manager_staff_id BIGINT",
        "ALTER TABLE film MODIFY film_id BIGINT UNSIGNED NOT NULL",
        "ALTER TABLE film_actor MODIFY film_id BIGINT UNSIGNED NOT NULL",
        "ALTER TABLE film_category MODIFY film_id BIGINT UNSIGNED NOT NULL",
        "ALTER TABLE inventory MODIFY film_id BIGINT UNSIGNED NOT NULL",
    ]);
    // The ids of one staff member's thousands of rows add up to more than 64 bits.
    for (table, column, old, new) in [
        ("staff", "staff_id", "1", "4611686018427387904"),
        ("rental", "staff_id", "1", "4611686018427387904"),
        ("payment", "staff_id", "1", "4611686018427387904"),
        ("customer", "customer_id", "1", "-5000000000"),
        ("rental", "customer_id", "1", "-5000000000"),
        ("payment", "customer_id", "1", "-5000000000"),
        ("film", "film_id", "1", "9223372036854775806"),
        ("film_actor", "film_id", "1", "9223372036854775806"),
        ("film_category", "film_id", "1", "9223372036854775806"),
        ("inventory", "film_id", "1", "9223372036854775806"),
    ] {
        sandbox.change(&[&format!("UPDATE {table} SET {column} = {new} WHERE {column} = {old}")]);
    }
    sandbox.load();
    sandbox.assert_star_equals_source();
    sandbox.run(&["incremental"]).succeeds();

    sandbox.change(&[
        "UPDATE payment SET payment_id = 18446744073709551615 WHERE payment_id = 1",
        "UPDATE payment SET payment_id = 9223372036854775808 WHERE payment_id = 2",
        "UPDATE payment SET rental_id = 18446744073709551615 WHERE payment_id = 3",
        "UPDATE film SET film_id = 10000000000000000000, last_update = NOW() WHERE film_id = 2",
        "UPDATE film_actor SET film_id = 10000000000000000000, last_update = NOW() WHERE film_id = 2",
        "UPDATE film_category SET film_id = 10000000000000000000, last_update = NOW() WHERE film_id = 2",
        "UPDATE inventory SET film_id = 10000000000000000000, last_update = NOW() WHERE film_id = 2",
    ]);
    let rejected = || {
        sandbox.star(
            "SELECT source_table || ' ' || key || ' ' || code FROM sync_reject \
             WHERE source_table IN ('payment', 'film', 'film_category') AND missing_parent IS NULL",
        )
    };
    let category = sandbox
        .source_figure("SELECT CAST(category_id AS CHAR) FROM film_category WHERE film_id = 10000000000000000000");
    let expected = [
        "film 10000000000000000000 VALUE_OUT_OF_RANGE".to_owned(),
        format!("film_category 10000000000000000000,{category} VALUE_OUT_OF_RANGE"),
        "payment 18446744073709551615 VALUE_OUT_OF_RANGE".to_owned(),
        "payment 3 VALUE_OUT_OF_RANGE".to_owned(),
        "payment 9223372036854775808 VALUE_OUT_OF_RANGE".to_owned(),
    ];
    for arguments in [
        &["incremental"][..],
        &["incremental"],
        &["repair"],
        &["full-load"],
        &["validate", "--all", "--deep"],
    ] {
        sandbox.run(arguments).succeeds();
        assert_eq!(rejected(), expected, "{arguments:?}");
    }
    let rentals = sandbox.source_figure(
        "SELECT CAST(COUNT(*) AS CHAR) FROM rental JOIN inventory USING (inventory_id) WHERE film_id = 10000000000000000000",
    );
    let waiting = "SELECT COUNT(*) FROM sync_reject WHERE source_table = 'rental' AND missing_parent = 'film'";
    assert_eq!(sandbox.figure(waiting), rentals);

    sandbox.change(&[
        "UPDATE payment SET payment_id = 1 WHERE payment_id = 18446744073709551615",
        "UPDATE payment SET payment_id = 2 WHERE payment_id = 9223372036854775808",
        "UPDATE payment SET rental_id = NULL WHERE payment_id = 3",
    ]);
    for table in ["film", "film_actor", "film_category", "inventory"] {
        sandbox.change(&[&format!(
            "UPDATE {table} SET film_id = 2, last_update = NOW() WHERE film_id = 10000000000000000000"
        )]);
    }
    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM sync_reject"), "0");
    sandbox.assert_star_equals_source();
}

#[test]
fn more_keys_beyond_63_bits_than_a_page_holds_are_all_rejected() {
    let sandbox = Sandbox::new();
    sandbox.change(&["SET foreign_key_checks = 0"]);
    sandbox.drop_foreign_keys();
    for table in ["film", "film_actor", "film_category", "rental", "customer", "actor"] {
        sandbox.change(&[&format!("DELETE FROM {table}")]);
    }
    sandbox.change(&[
        "DELETE FROM payment WHERE payment_id > 12",
        "ALTER TABLE payment MODIFY payment_id BIGINT UNSIGNED NOT NULL",
        "UPDATE payment SET payment_id = 9223372036854775800 + payment_id",
    ]);
    sandbox.run(&["init"]).succeeds();
    sandbox.run(&["full-load", "--batch-size", "2"]).succeeds();
    let keys = "SELECT CAST(payment_id AS CHAR) FROM payment";
    assert_eq!(
        sandbox.star("SELECT key FROM sync_reject WHERE source_table = 'payment'"),
        sandbox.source(keys)
    );
    sandbox.run(&["incremental", "--batch-size", "2"]).succeeds();
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM sync_reject"), "12");
}

#[test]
fn views_partitions_character_sets_and_strangers_in_the_schema_make_no_difference() {
    let sandbox = Sandbox::new();
    sandbox.change(&["SET sql_mode = '', foreign_key_checks = 0"]);
    sandbox.drop_foreign_keys();
    sandbox.change(&[
        "ALTER TABLE film MODIFY rating ENUM('G', 'PG', 'PG-13', 'R', 'NC-17') CHARACTER SET binary",
        "RENAME TABLE film TO film_rows",
        "CREATE VIEW film AS SELECT * FROM film_rows",
        "ALTER TABLE payment PARTITION BY HASH (payment_id) PARTITIONS 4",
        "ALTER TABLE category CONVERT TO CHARACTER SET ucs2",
        "ALTER TABLE city CONVERT TO CHARACTER SET latin1",
        "ALTER TABLE city RENAME COLUMN city TO CITY, RENAME COLUMN last_update TO Last_Update",
        "ALTER TABLE actor CONVERT TO CHARACTER SET utf8mb3",
        "ALTER TABLE customer ADD COLUMN photo LONGBLOB, ADD COLUMN home GEOMETRY",
        "UPDATE customer SET photo = x'00FF', home = ST_GeomFromText('POINT(1 2)')",
        "CREATE TABLE `no/table; of--ours ☎` (`a b` JSON, `é` BIT(7), FILM_ID INT)",
        "CREATE TABLE gone (a INT)",
        "CREATE VIEW broken AS SELECT * FROM gone",
        "DROP TABLE gone",
    ]);
    if !server().is_mariadb {
        sandbox.change(&["CREATE INDEX by_day ON rental ((DATE(rental_date)))"]);
    }
    sandbox.load();
    sandbox.assert_star_equals_source();
    sandbox.change(&[
        "UPDATE film_rows SET title = 'THROUGH A VIEW', last_update = NOW() WHERE film_id = 1",
        "UPDATE payment SET amount = 77.77, last_update = NOW() WHERE payment_id BETWEEN 1 AND 8",
        "UPDATE city SET CITY = 'Ürümqi', Last_Update = NOW() WHERE city_id = 1",
        "DELETE FROM payment WHERE payment_id = 9",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.run(&["validate", "--all", "--deep"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_schema_that_cannot_be_read_is_refused_with_all_its_faults_by_name() {
    let sandbox = Sandbox::new();
    sandbox.change(&["SET sql_mode = '', foreign_key_checks = 0"]);
    sandbox.drop_foreign_keys();
    sandbox.change(&[
        "ALTER TABLE film MODIFY title VARBINARY(255) NOT NULL",
        "ALTER TABLE payment MODIFY amount DOUBLE NOT NULL, MODIFY payment_id INT NULL, DROP PRIMARY KEY",
        "UPDATE payment SET payment_id = NULL WHERE payment_id = 1",
        "ALTER TABLE rental MODIFY rental_date DATE NOT NULL",
        "ALTER TABLE actor MODIFY last_update DATETIME NOT NULL",
        "RENAME TABLE language TO LANGUAGE",
    ]);
    let run = sandbox.run(&["init"]).fails_with(3, "SOURCE_UNFIT");
    for problem in [
        "film.title",
        "payment.amount",
        "payment.payment_id",
        "rental.rental_date",
        "actor.last_update",
        "language",
        "LANGUAGE",
    ] {
        assert!(run.stderr.contains(problem), "no {problem:?} in {run:#?}");
    }
    assert!(!sandbox.target().exists());
}

#[test]
fn tables_without_rows_load_and_so_does_a_source_that_loses_all_of_them() {
    let sandbox = Sandbox::new();
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "DELETE FROM category",
        "DELETE FROM film_actor",
        "DELETE FROM staff",
    ]);
    sandbox.load();
    sandbox.assert_star_equals_source();
    let mut orphans = sandbox.source(
        "SELECT CONCAT('rental ', rental_id, ' MISSING_PARENT staff') FROM rental \
         UNION SELECT CONCAT('payment ', payment_id, ' MISSING_PARENT staff') FROM payment \
         UNION SELECT CONCAT('film_category ', film_id, ',', category_id, ' MISSING_PARENT category') \
         FROM film_category",
    );
    orphans.sort_unstable();
    let rejects =
        sandbox.star("SELECT source_table || ' ' || key || ' ' || code || ' ' || missing_parent FROM sync_reject");
    assert!(!rejects.is_empty() && rejects == orphans, "{rejects:?} {orphans:?}");
    for table in sandbox.source("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()") {
        sandbox.change(&[&format!("DELETE FROM {table}")]);
    }
    sandbox.run(&["incremental"]).succeeds();
    for table in TABLES.iter().map(|table| table.name).filter(|name| *name != "dim_date") {
        assert_eq!(sandbox.figure(&format!("SELECT COUNT(*) FROM {table}")), "0", "{table}");
    }
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM sync_reject"), "0");
    sandbox.run(&["validate", "--all", "--deep"]).succeeds();
}

#[test]
fn rows_that_share_a_key_are_reported_as_a_difference() {
    let sandbox = Sandbox::new();
    sandbox.change(&[
        "ALTER TABLE payment MODIFY payment_id INT NOT NULL, DROP PRIMARY KEY",
        "INSERT INTO payment SELECT * FROM payment WHERE payment_id = 1",
    ]);
    sandbox.run(&["init"]).succeeds();
    let run = sandbox.run(&["full-load"]).ends_with_code(1);
    assert!(run.stdout.contains("fact_payment"), "{run:#?}");
    let payments = "SELECT CAST(COUNT(DISTINCT payment_id) AS CHAR) FROM payment";
    assert_eq!(
        sandbox.figure("SELECT COUNT(*) FROM fact_payment"),
        sandbox.source_figure(payments)
    );
}
