//! Quarantine: a row that cannot be loaded for a while returns under its old surrogate key.

use crate::harness::Sandbox;
use crate::harness::outcome::rows_read_to_sync;
use crate::kills::dies_at;

const INCREMENTAL: [&str; 1] = ["incremental"];

/// Changes the source without foreign key checks, as a restore or a careless script does.
fn change(sandbox: &Sandbox, statements: &[&str]) {
    let unchecked = [
        &["SET foreign_key_checks = 0"],
        statements,
        &["SET foreign_key_checks = 1"],
    ]
    .concat();
    sandbox.change(&unchecked);
}

fn quarantined(sandbox: &Sandbox, source_table: &str) -> u64 {
    let count = format!("SELECT COUNT(*) FROM sync_reject WHERE source_table = '{source_table}'");
    sandbox.figure(&count).parse().unwrap()
}

/// Each distinct reason, as `table code`.
fn reasons(sandbox: &Sandbox) -> Vec<String> {
    sandbox.star("SELECT DISTINCT source_table || ' ' || code FROM sync_reject")
}

/// The surrogate keys of all rows except this one.
fn keys_without(sandbox: &Sandbox, row: &str) -> Vec<String> {
    let mut keys = sandbox.surrogate_keys();
    keys.retain(|key| !key.starts_with(&format!("{row}=")));
    keys
}

/// A parent that is moved to another key for a while.
struct Parent {
    table: &'static str,
    key: &'static str,
    /// The tables whose dependent rows are quarantined meanwhile.
    takes_along: &'static [&'static str],
}

const PARENTS: [Parent; 7] = [
    Parent {
        table: "customer",
        key: "5",
        takes_along: &["rental", "payment"],
    },
    Parent {
        table: "film",
        key: "9",
        takes_along: &["rental", "payment"],
    },
    Parent {
        table: "store",
        key: "2",
        takes_along: &["rental", "payment"],
    },
    Parent {
        table: "staff",
        key: "1",
        takes_along: &["rental", "payment"],
    },
    Parent {
        table: "inventory",
        key: "7",
        takes_along: &["rental"],
    },
    Parent {
        table: "rental",
        key: "100",
        takes_along: &[],
    },
    Parent {
        table: "language",
        key: "1",
        takes_along: &["film", "rental", "payment"],
    },
];

#[test]
fn all_that_hangs_on_a_parent_that_vanishes_returns_under_its_own_keys() {
    let sandbox = Sandbox::loaded();
    let commands: [&[&str]; 3] = [&["incremental"], &["full-load"], &["repair"]];
    let mut command = commands.iter().cycle();
    for Parent {
        table,
        key,
        takes_along,
    } in PARENTS
    {
        // The parent itself leaves the source, so it counts as another row when it returns.
        let keys = keys_without(&sandbox, &format!("{table} {key}"));
        let id = format!("{table}_id");
        // Some of these columns are TINYINT UNSIGNED.
        let hidden = if ["store", "staff", "language"].contains(&table) {
            250
        } else {
            60_000
        };
        change(
            &sandbox,
            &[&format!("UPDATE {table} SET {id} = {hidden} WHERE {id} = {key}")],
        );
        sandbox.run(command.next().unwrap()).succeeds();
        for taken in takes_along {
            assert!(quarantined(&sandbox, taken) > 0, "no {taken} without {table} {key}");
        }
        sandbox.assert_star_equals_source();
        change(
            &sandbox,
            &[&format!("UPDATE {table} SET {id} = {key} WHERE {id} = {hidden}")],
        );
        sandbox.run(command.next().unwrap()).succeeds();
        assert_eq!(reasons(&sandbox), Vec::<String>::new(), "after {table} {key} is back");
        assert!(sandbox.holds_all_of(&keys), "{table} {key} has cost others their keys");
        sandbox.assert_star_equals_source();
    }
}

#[test]
fn a_dimension_that_is_quarantined_returns_under_its_key_and_so_do_its_facts() {
    let sandbox = Sandbox::loaded();
    let keys = sandbox.surrogate_keys();
    // The address of a store, and the address of a customer.
    for parent in [
        "store USING (address_id) WHERE store_id = 1",
        "customer USING (address_id) WHERE customer_id = 5",
    ] {
        for command in ["incremental", "full-load", "repair"] {
            change(
                &sandbox,
                &[
                    "CREATE TABLE hidden AS SELECT address_id FROM address LIMIT 0",
                    &format!("INSERT INTO hidden SELECT address_id FROM address JOIN {parent}"),
                    "UPDATE address JOIN hidden USING (address_id) SET address.address_id = 9999",
                ],
            );
            sandbox.run(&[command]).succeeds();
            assert!(quarantined(&sandbox, "payment") > 0, "{command}");
            change(
                &sandbox,
                &[
                    "UPDATE address SET address_id = (SELECT address_id FROM hidden) WHERE address_id = 9999",
                    "DROP TABLE hidden",
                ],
            );
            sandbox.run(&[command]).succeeds();
            assert_eq!(reasons(&sandbox), Vec::<String>::new(), "{command}");
            assert_eq!(sandbox.surrogate_keys(), keys, "{command}");
        }
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn another_reason_keeps_the_key_and_so_does_a_value_that_cannot_be_loaded() {
    let sandbox = Sandbox::loaded();
    let keys = sandbox.surrogate_keys();
    let reason = |code: &str| {
        sandbox.run(&INCREMENTAL).succeeds();
        let of_rental = "SELECT code FROM sync_reject WHERE source_table = 'rental' AND key = '100'";
        assert_eq!(sandbox.star(of_rental), [code]);
    };
    sandbox.change(&[
        "CREATE TABLE kept AS SELECT rental_id, rental_date, customer_id, inventory_id FROM rental WHERE rental_id = 100",
        "UPDATE rental SET rental_date = '1850-01-01 00:00:00' WHERE rental_id = 100",
    ]);
    reason("DATE_INVALID");
    change(
        &sandbox,
        &["UPDATE rental SET customer_id = 9999, rental_date = '2020-01-01 00:00:00' WHERE rental_id = 100"],
    );
    reason("MISSING_PARENT");
    change(
        &sandbox,
        &[
            "UPDATE rental JOIN kept USING (rental_id) SET rental.customer_id = kept.customer_id, rental.inventory_id = 99999",
        ],
    );
    reason("MISSING_PARENT");
    sandbox.change(&["UPDATE rental JOIN kept USING (rental_id) \
         SET rental.rental_date = kept.rental_date, rental.inventory_id = kept.inventory_id"]);
    sandbox.run(&INCREMENTAL).succeeds();
    assert_eq!(reasons(&sandbox), Vec::<String>::new());
    assert_eq!(sandbox.surrogate_keys(), keys);
    sandbox.assert_star_equals_source();
}

#[test]
fn the_key_of_a_quarantined_row_that_leaves_the_source_is_given_to_none() {
    let sandbox = Sandbox::loaded();
    let of_payment = "SELECT fact_payment_key FROM fact_payment WHERE payment_id = 100";
    let highest = "SELECT MAX(fact_payment_key) FROM fact_payment";
    let (old, before) = (sandbox.figure(of_payment), sandbox.figure(highest));
    sandbox.change(&[
        "CREATE TABLE kept AS SELECT * FROM payment WHERE payment_id = 100",
        "UPDATE payment SET payment_date = '1850-01-01 00:00:00' WHERE payment_id = 100",
    ]);
    sandbox.run(&INCREMENTAL).succeeds();
    let kept = "SELECT surrogate_key FROM sync_reject WHERE source_table = 'payment' AND key = '100'";
    assert_eq!(sandbox.figure(kept), old);
    sandbox.change(&["DELETE FROM payment WHERE payment_id = 100"]);
    sandbox.run(&INCREMENTAL).succeeds();
    assert_eq!(sandbox.star(kept), Vec::<String>::new());
    sandbox.change(&["INSERT INTO payment SELECT * FROM kept"]);
    sandbox.run(&INCREMENTAL).succeeds();
    let (new, before): (i64, i64) = (sandbox.figure(of_payment).parse().unwrap(), before.parse().unwrap());
    assert!(new > before, "{new} was given before {before}");
    sandbox.assert_star_equals_source();
}

#[test]
fn a_run_that_dies_costs_no_row_its_key() {
    let sandbox = Sandbox::loaded();
    let keys = keys_without(&sandbox, "customer 5");
    let moments: [(&str, &str); 5] = [
        ("incremental", "before-catch-up-commit"),
        ("full-load", "pages-written"),
        ("full-load", "before-catch-up-pass"),
        ("full-load", "before-catch-up-commit"),
        ("repair", "before-catch-up-commit"),
    ];
    for (command, failpoint) in moments {
        for rename in [
            "UPDATE customer SET customer_id = 9999 WHERE customer_id = 5",
            "UPDATE customer SET customer_id = 5 WHERE customer_id = 9999",
        ] {
            change(&sandbox, &[rename]);
            dies_at(&sandbox, &[command], failpoint, 0);
            sandbox.run(&[command]).succeeds();
            sandbox.assert_star_equals_source();
        }
        assert!(sandbox.holds_all_of(&keys), "{command} that dies at {failpoint}");
    }
}

#[test]
fn a_dry_run_leaves_keys_and_quarantine_as_they_were() {
    let sandbox = Sandbox::loaded();
    let rejects = "SELECT source_table || key || code || COALESCE(surrogate_key, '-') FROM sync_reject";
    change(
        &sandbox,
        &["UPDATE customer SET customer_id = 9999 WHERE customer_id = 5"],
    );
    sandbox.run(&INCREMENTAL).succeeds();
    let (keys, before) = (sandbox.surrogate_keys(), sandbox.star(rejects));
    change(
        &sandbox,
        &["UPDATE customer SET customer_id = 5 WHERE customer_id = 9999"],
    );
    for command in ["incremental", "repair"] {
        sandbox.run(&[command, "--dry-run"]);
        assert_eq!(sandbox.surrogate_keys(), keys, "{command}");
        assert_eq!(sandbox.star(rejects), before, "{command}");
    }
}

#[test]
fn rows_that_wait_for_their_parent_are_not_read_by_runs_in_which_it_cannot_have_appeared() {
    let sandbox = Sandbox::loaded();
    change(
        &sandbox,
        &["UPDATE customer SET customer_id = customer_id + 60000 WHERE customer_id BETWEEN 5 AND 9"],
    );
    sandbox.wait_until_at_rest();
    sandbox.run(&INCREMENTAL).succeeds();
    assert!(quarantined(&sandbox, "rental") > 20);
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 77"]);
    let result = sandbox.json(&["incremental", "--verify-budget", "0"]);
    let read = |table: &str| {
        let tables = result["tables"].as_array().unwrap();
        let of_table = tables.iter().find(|row| row["table"] == table).unwrap();
        rows_read_to_sync(of_table)
    };
    assert_eq!(read("fact_rental"), 0, "{result}");
    // A payment whose quarantined rental is deleted counts at its staff member's store.
    let keys = sandbox.star(
        "SELECT source_table || ' ' || key || '=' || surrogate_key FROM sync_reject WHERE source_table = 'payment'",
    );
    change(
        &sandbox,
        &[
            "UPDATE payment JOIN rental USING (rental_id) SET payment.customer_id = 1 WHERE rental.customer_id BETWEEN 5 AND 9",
            "DELETE FROM rental WHERE customer_id BETWEEN 5 AND 9",
        ],
    );
    sandbox.run(&INCREMENTAL).succeeds();
    assert_eq!(quarantined(&sandbox, "rental"), 0);
    assert!(!keys.is_empty() && sandbox.holds_all_of(&keys));
    sandbox.assert_star_equals_source();
}
