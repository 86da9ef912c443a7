//! `seed` and `seed mutate`: a realistic Sakila, reproducible from its settings, that never overwrites other data.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::harness::{Run, Sandbox, send};

/// Tables with the columns that are equal in two schemas of the same settings. Change timestamps are left out: on
/// business days the server's clock sets them.
const CONTENTS: [(&str, &str); 16] = [
    ("country", "country_id, country"),
    ("city", "city_id, city, country_id"),
    (
        "address",
        "address_id, address, district, city_id, postal_code, phone, ST_AsText(location)",
    ),
    ("store", "store_id, manager_staff_id, address_id"),
    (
        "staff",
        "staff_id, first_name, last_name, address_id, email, store_id, username",
    ),
    (
        "customer",
        "customer_id, store_id, first_name, last_name, email, address_id, active, create_date",
    ),
    ("language", "language_id, name"),
    ("category", "category_id, name"),
    (
        "film",
        "film_id, title, description, release_year, language_id, original_language_id, rental_duration, rental_rate, \
         length, replacement_cost, rating, special_features",
    ),
    ("film_text", "film_id, title, description"),
    ("actor", "actor_id, first_name, last_name"),
    ("film_actor", "actor_id, film_id"),
    ("film_category", "film_id, category_id"),
    ("inventory", "inventory_id, film_id, store_id"),
    (
        "rental",
        "rental_id, rental_date, inventory_id, customer_id, return_date, staff_id",
    ),
    (
        "payment",
        "payment_id, customer_id, staff_id, rental_id, amount, payment_date",
    ),
];

impl Sandbox {
    /// One digest per table, of the columns in `CONTENTS`.
    fn digests(&self) -> Vec<String> {
        CONTENTS
            .iter()
            .map(|(table, columns)| self.digest(table, columns))
            .collect()
    }

    /// One digest per table, of every column.
    fn whole_digests(&self) -> Vec<String> {
        let columns_of = |table: &str| {
            let columns = self.source(&format!(
                "SELECT IF(DATA_TYPE = 'geometry', CONCAT('ST_AsText(', COLUMN_NAME, ')'), \
                 CONCAT('COALESCE(', COLUMN_NAME, ', ''NULL'')')) FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'"
            ));
            columns.join(", ")
        };
        CONTENTS
            .iter()
            .map(|(table, _)| self.digest(table, &columns_of(table)))
            .collect()
    }

    fn digest(&self, table: &str, columns: &str) -> String {
        self.source_figure(&format!(
            "SELECT CONCAT('{table} ', COUNT(*), ' ', SUM(CRC32(CONCAT_WS('|', {columns})))) FROM {table}"
        ))
    }

    fn count(&self, sql: &str) -> i64 {
        self.source_figure(&format!("SELECT CAST(({sql}) AS CHAR)"))
            .parse()
            .unwrap()
    }
}

#[test]
fn the_same_settings_give_the_same_rows_however_many_write_them() {
    let sandbox = Sandbox::empty();
    let seed = |arguments: &[&str]| {
        let mut all = vec!["seed", "--until", "2026-01-01"];
        all.extend(arguments);
        sandbox.administer(&all).succeeds();
        sandbox.whole_digests()
    };
    let first = seed(&["--workers", "1"]);
    assert_eq!(first, seed(&["--workers", "5", "--replace"]));
    let other_seed = seed(&["--seed", "2", "--replace"]);
    assert!(
        first
            .iter()
            .zip(&other_seed)
            .filter(|(one, other)| one != other)
            .count()
            > 8
    );
}

#[test]
fn scale_1_has_the_official_numbers_of_rows() {
    let sandbox = Sandbox::new();
    let rows: Vec<i64> = CONTENTS
        .iter()
        .map(|(table, _)| sandbox.count(&format!("SELECT COUNT(*) FROM {table}")))
        .collect();
    // In the order of CONTENTS, country to payment.
    let official = [
        109, 600, 603, 2, 2, 599, 6, 16, 1_000, 1_000, 200, 5_462, 1_000, 4_581, 16_044, 16_049,
    ];
    assert_eq!(rows, official);
}

#[test]
fn a_larger_scale_widens_the_keys_that_need_it_and_loads() {
    let sandbox = Sandbox::empty();
    sandbox
        .administer(&["seed", "--scale", "11", "--until", "2026-01-01"])
        .succeeds();
    for (table, rows) in [
        ("rental", 11 * 16_044),
        ("payment", 11 * 16_049),
        ("customer", 11 * 599),
        ("film", 1_100),
        ("actor", 220),
    ] {
        assert_eq!(sandbox.count(&format!("SELECT COUNT(*) FROM {table}")), rows, "{table}");
    }
    let types = "SELECT CONCAT(TABLE_NAME, ' ', DATA_TYPE) FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME = CONCAT(TABLE_NAME, '_id')";
    let types = sandbox.source(types);
    for expected in ["customer smallint", "payment int", "rental int"] {
        assert!(
            types.iter().any(|found| found == expected),
            "no {expected} in {types:?}"
        );
    }
    sandbox.load();
    sandbox.assert_star_equals_source();
}

#[test]
fn it_is_as_in_life() {
    let sandbox = Sandbox::new();
    let at_least = |sql: &str, least: i64| {
        let found = sandbox.count(sql);
        assert!(found >= least, "{found} of {sql}");
    };
    at_least("SELECT COUNT(*) FROM rental WHERE return_date IS NULL", 50);
    at_least("SELECT COUNT(*) FROM customer WHERE active = 0", 15);
    at_least("SELECT COUNT(*) FROM customer WHERE last_update IS NULL", 3);
    at_least(
        "SELECT COUNT(*) FROM customer WHERE CHAR_LENGTH(last_name) <> LENGTH(last_name)",
        10,
    );
    at_least(
        "SELECT COUNT(*) FROM film WHERE film_id NOT IN (SELECT film_id FROM inventory)",
        42,
    );
    at_least(
        "SELECT COUNT(*) FROM film WHERE film_id NOT IN (SELECT film_id FROM film_actor)",
        3,
    );
    at_least("SELECT MAX(rental_id) - COUNT(*) FROM rental", 20);
    at_least("SELECT COUNT(DISTINCT last_update) FROM rental", 10_000);
    at_least(
        "SELECT COUNT(*) FROM rental JOIN inventory USING (inventory_id) JOIN staff USING (staff_id) \
         WHERE staff.store_id <> inventory.store_id",
        5_000,
    );
    at_least(
        "SELECT COUNT(*) FROM rental WHERE rental_date BETWEEN '2025-12-02' AND '2026-01-01'",
        200,
    );
    // A skewed distribution: the busiest customer and the most popular film have several times the average.
    at_least(
        "SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM rental GROUP BY customer_id) c",
        3 * 16_044 / 599,
    );
    at_least(
        "SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM rental JOIN inventory USING (inventory_id) GROUP BY film_id) f",
        3 * 16_044 / 1_000,
    );
    assert_eq!(sandbox.count("SELECT COUNT(*) FROM payment WHERE rental_id IS NULL"), 5);
    assert_eq!(sandbox.count("SELECT COUNT(*) FROM payment WHERE amount = 0"), 24);

    let never = |sql: &str| assert_eq!(sandbox.count(sql), 0, "{sql}");
    // No copy is rented twice at the same time, no customer rents before they exist, nothing lies in the future.
    never(
        "SELECT COUNT(*) FROM rental a JOIN rental b ON b.inventory_id = a.inventory_id AND b.rental_id > a.rental_id \
         AND (a.return_date IS NULL OR b.rental_date < a.return_date)",
    );
    never("SELECT COUNT(*) FROM customer WHERE last_update < create_date");
    never("SELECT COUNT(*) FROM rental JOIN customer USING (customer_id) WHERE create_date > rental_date");
    never(
        "SELECT COUNT(*) FROM rental WHERE GREATEST(rental_date, COALESCE(return_date, rental_date), last_update) \
         > '2026-01-02'",
    );
}

#[test]
fn every_foreign_key_holds() {
    let sandbox = Sandbox::new();
    let keys = sandbox.source(
        "SELECT CONCAT_WS(' ', TABLE_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME) \
         FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL",
    );
    assert_eq!(keys.len(), 22);
    for key in keys {
        let [table, column, parent, parent_column] = key.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{key}");
        };
        let orphans = format!(
            "SELECT COUNT(*) FROM {table} c LEFT JOIN {parent} p ON p.{parent_column} = c.{column} \
             WHERE c.{column} IS NOT NULL AND p.{parent_column} IS NULL"
        );
        assert_eq!(sandbox.count(&orphans), 0, "{key}");
    }
}

mod needs_dump {
    use crate::harness::Sandbox;

    #[test]
    #[ignore = "needs the official dump, in the folder that SAKILA_DUMP_DIR names"]
    fn the_layout_is_the_official_one() {
        let official = Sandbox::official();
        let seeded = Sandbox::new();
        let columns = "SELECT CONCAT_WS('|', t.TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, \
                       COALESCE(COLUMN_DEFAULT, '-'), EXTRA) FROM information_schema.TABLES t \
                       JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME \
                       WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' \
                       AND t.TABLE_NAME <> 'sakila_sync_seed' AND COLUMN_NAME <> 'location'";
        let indexes = "SELECT CONCAT_WS('|', TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE, INDEX_TYPE) \
                       FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() \
                       AND TABLE_NAME <> 'sakila_sync_seed' AND INDEX_NAME <> 'idx_location'";
        // MariaDB says NO ACTION for RESTRICT where a key was added to an existing table; they mean the same.
        let foreign_keys = "SELECT CONCAT_WS('|', r.TABLE_NAME, r.CONSTRAINT_NAME, r.REFERENCED_TABLE_NAME, UPDATE_RULE, \
                            REPLACE(DELETE_RULE, 'NO ACTION', 'RESTRICT')) FROM information_schema.REFERENTIAL_CONSTRAINTS r \
                            WHERE CONSTRAINT_SCHEMA = DATABASE()";
        for shape in [columns, indexes, foreign_keys] {
            let expected = official.source(shape);
            assert!(expected.len() >= 22);
            assert_eq!(seeded.source(shape), expected);
        }
        // The dump omits the locations if it takes the server for an old version.
        let location = "SELECT CONCAT(c.DATA_TYPE, ' ', s.INDEX_TYPE) FROM information_schema.COLUMNS c \
                        JOIN information_schema.STATISTICS s USING (TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME) \
                        WHERE c.TABLE_SCHEMA = DATABASE() AND c.COLUMN_NAME = 'location'";
        assert_eq!(seeded.source(location), ["geometry SPATIAL"]);
    }
}

#[test]
fn a_day_that_cannot_be_stored_or_has_not_come_is_rejected_before_anything_is_dropped() {
    let sandbox = Sandbox::new();
    let before = sandbox.digests();
    for (until, exit_code, code) in [
        ("2038-01-20", 2, "USAGE"),
        ("0001-01-01", 2, "USAGE"),
        ("2037-12-31", 3, "SEED_REFUSED"),
    ] {
        let run = sandbox
            .administer(&["seed", "--replace", "--until", until])
            .ends_with_code(exit_code);
        // The command-line parser has no error codes.
        let found = run.error_code();
        assert_eq!(found.as_deref().unwrap_or("USAGE"), code, "{run:#?}");
    }
    assert_eq!(sandbox.digests(), before);
}

#[test]
fn what_an_account_lacks_is_found_before_the_rows_are_written() {
    let sandbox = Sandbox::empty();
    sandbox.change(&[
        "CREATE USER IF NOT EXISTS clerk@'%'",
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON *.* TO clerk@'%'",
    ]);
    Run::of(sandbox.as_account("clerk", &["seed"])).fails_with(3, "SEED_FAILED");
    assert_eq!(sandbox.source("SHOW TABLES"), ["sakila_sync_seed"]);

    sandbox.administer(&["seed"]).fails_with(3, "SEED_REFUSED");
    // Simulates a run that was killed while it tested its privileges.
    sandbox.change(&["CREATE TABLE sakila_sync_probe (id INT PRIMARY KEY)"]);
    sandbox.administer(&["seed", "--replace"]).succeeds();
}

#[test]
fn an_account_that_may_open_one_connection_is_refused_at_once() {
    let sandbox = Sandbox::empty();
    sandbox.change(&[
        "CREATE USER IF NOT EXISTS lone_clerk@'%' WITH MAX_USER_CONNECTIONS 1",
        "GRANT ALL ON *.* TO lone_clerk@'%'",
    ]);
    Run::of(sandbox.as_account("lone_clerk", &["seed"])).fails_with(3, "SEED_REFUSED");
    assert_eq!(sandbox.source("SHOW TABLES").len(), 0);
}

#[test]
fn two_seeds_at_once_do_not_mix() {
    let sandbox = Sandbox::new();
    let mut first = sandbox
        .as_administrator(&["seed", "--replace", "--scale", "3"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let holder = "SELECT CAST(COALESCE(IS_USED_LOCK(CONCAT('sakila_sync_seed:', DATABASE())), 0) AS CHAR)";
    while sandbox.source_figure(holder) == "0" {}
    sandbox.administer(&["seed", "--replace"]).fails_with(3, "SEED_REFUSED");
    assert!(first.wait().unwrap().success());
    assert_eq!(sandbox.count("SELECT COUNT(*) FROM rental"), 3 * 16_044);
}

#[test]
fn what_seed_has_not_made_is_refused_and_left_alone() {
    let sandbox = Sandbox::empty();
    sandbox.change(&["CREATE TABLE film (diary TEXT)", "INSERT INTO film VALUES ('dear')"]);
    for arguments in [["seed", "--scale", "1"].as_slice(), &["seed", "--replace"]] {
        let run = sandbox.administer(arguments).fails_with(3, "SEED_REFUSED");
        assert!(run.stderr.contains(" film"), "{run:#?}");
    }
    sandbox.administer(&["seed", "mutate"]).fails_with(3, "SEED_REFUSED");
    assert_eq!(sandbox.source("SELECT diary FROM film"), ["dear"]);
    assert_eq!(sandbox.source("SHOW TABLES").len(), 1);
}

#[test]
fn a_seeded_schema_is_replaced_only_when_asked_and_only_what_was_seeded() {
    let sandbox = Sandbox::new();
    let before = sandbox.digests();
    let run = sandbox
        .administer(&["seed", "--seed", "9"])
        .fails_with(3, "SEED_REFUSED");
    assert!(run.stderr.contains("--replace"), "{run:#?}");
    sandbox.change(&["CREATE TABLE diary (entry TEXT)", "INSERT INTO diary VALUES ('dear')"]);
    let run = sandbox
        .administer(&["seed", "--seed", "9", "--replace"])
        .fails_with(3, "SEED_REFUSED");
    assert!(run.stderr.contains("diary"), "{run:#?}");
    assert_eq!(sandbox.digests(), before);
    assert_eq!(sandbox.source("SELECT entry FROM diary"), ["dear"]);

    sandbox.change(&["DROP TABLE diary"]);
    sandbox.administer(&["seed", "--seed", "9", "--replace"]).succeeds();
    assert_ne!(sandbox.digests(), before);
}

#[test]
fn an_account_that_may_only_read_is_told_what_is_missing() {
    let sandbox = Sandbox::new();
    for arguments in [["seed", "--replace"], ["seed", "mutate"]] {
        sandbox.run(&arguments).fails_with(3, "SEED_FAILED");
    }
}

#[test]
fn history_ends_today_unless_said_otherwise_so_that_the_last_30_days_hold_rows() {
    let sandbox = Sandbox::empty();
    sandbox.administer(&["seed"]).succeeds();
    sandbox.load();
    let result = sandbox.json(&["validate"]);
    assert_eq!(result["verdict"]["code"], "OK");
    let totals = result["totals"].as_array().unwrap();
    assert_eq!(totals.len(), 6, "{result}");
    for total in totals {
        assert!(total["source"].as_i64().unwrap() > 100, "{total}");
    }
}

#[test]
fn business_days_change_a_little_of_everything_the_same_way_each_time_and_the_star_follows() {
    let sandboxes = [Sandbox::new(), Sandbox::new()];
    let [first, _] = &sandboxes;
    let before = first.digests();
    first.load();
    for sandbox in &sandboxes {
        let mut last_prices = String::new();
        for day in 1..=3 {
            let run = sandbox.administer(&["seed", "mutate", "--json"]).succeeds();
            let result: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(result["number"], day);
            assert_eq!(result["date"], format!("2026-01-0{day}"));
            for change in result["changes"].as_array().unwrap() {
                assert!(change["rows"].as_u64().unwrap() > 0, "{change}");
            }
            let prices = sandbox.digest("film", "film_id, rental_rate");
            assert_ne!(std::mem::replace(&mut last_prices, prices.clone()), prices, "day {day}");
        }
    }
    let after = first.digests();
    assert_eq!(after, sandboxes[1].digests());
    let untouched: Vec<_> = before.iter().filter(|digest| after.contains(digest)).collect();
    assert_eq!(
        untouched.len(),
        5,
        "only country, category, store, staff and actor: {untouched:?}"
    );

    first.run(&["incremental"]).succeeds();
    first.assert_star_equals_source();
}

#[test]
fn days_that_have_come_to_today_still_bring_rentals_back() {
    let sandbox = Sandbox::empty();
    sandbox.administer(&["seed"]).succeeds();
    // More days than it takes to return all initially open rentals.
    let open = sandbox.count("SELECT COUNT(*) FROM rental WHERE return_date IS NULL");
    let mut returned = 0;
    for _ in 0..open / 10 + 5 {
        let run = sandbox.administer(&["seed", "mutate", "--json"]).succeeds();
        let result: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let mut changes = result["changes"].as_array().unwrap().iter();
        let returns = changes.find(|change| change["kind"] == "returned rentals").unwrap();
        returned = returns["rows"].as_u64().unwrap();
    }
    assert!(returned >= 5, "{returned}");
    assert_eq!(
        sandbox.count("SELECT COUNT(*) FROM rental WHERE return_date <= rental_date"),
        0
    );
    assert_eq!(
        sandbox.count("SELECT COUNT(*) FROM rental WHERE return_date > UTC_TIMESTAMP()"),
        0
    );
}

#[test]
fn days_end_when_nobody_reads_them_any_more() {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .as_administrator(&["seed", "mutate", "--every", "50ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn days_go_on_until_they_are_stopped() {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .as_administrator(&["seed", "mutate", "--every", "50ms", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for number in 1..=3 {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended by itself");
        let day: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(day["number"], number, "{line}");
    }
    send("-TERM", &child);
    output.read_to_string(&mut String::new()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
