//! Comparison of every row: `validate --deep` reports, `repair` corrects, `incremental --dry-run` and `repair
//! --dry-run` predict.

use serde_json::Value;

use crate::harness::{Sandbox, TABLES};

const DAMAGE: [&str; 7] = [
    "UPDATE fact_payment SET amount = amount + 1 WHERE payment_id = 11",
    "UPDATE fact_rental SET store_key = 3 - store_key WHERE rental_id = 12",
    "DELETE FROM fact_payment WHERE payment_id = 13",
    "INSERT INTO fact_payment SELECT NULL, 64000, date_key_paid, customer_key, store_key, staff_id, amount, rental_id, film_key, 0 \
     FROM fact_payment WHERE payment_id = 14",
    "UPDATE dim_customer SET city = 'Nowhere' WHERE customer_id = 15",
    "DELETE FROM bridge_film_category WHERE film_key = 16",
    "UPDATE dim_film SET length = NULL WHERE film_id = 17",
];

fn table<'a>(list: &'a Value, name: &str) -> &'a Value {
    let tables = list.as_array().unwrap();
    tables.iter().find(|table| table["table"] == name).unwrap()
}

fn damaged() -> Sandbox {
    let sandbox = Sandbox::verified();
    for statement in DAMAGE {
        sandbox.tamper(statement);
    }
    sandbox
}

/// Bridge rows of one actor share their page key.
#[test]
fn rows_beside_a_quarantined_one_are_compared() {
    let sandbox = Sandbox::verified();
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "INSERT INTO film_actor (actor_id, film_id) VALUES (1, 9999)",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(
        sandbox.figure("SELECT COUNT(*) FROM sync_reject WHERE source_table = 'film_actor'"),
        "1"
    );
    sandbox.run(&["validate", "--all", "--deep"]).succeeds();
    let films = "SELECT film_key FROM bridge_film_actor JOIN dim_actor USING (actor_key) WHERE actor_id = 1";
    sandbox.tamper(&format!(
        "UPDATE bridge_film_actor SET film_key = (SELECT MIN(film_key) FROM dim_film WHERE film_key NOT IN ({films})) \
         WHERE film_key = (SELECT MIN(film_key) FROM ({films})) \
         AND actor_key = (SELECT actor_key FROM dim_actor WHERE actor_id = 1)"
    ));
    sandbox.run(&["validate", "--all", "--deep"]).ends_with_code(1);
}

#[test]
fn a_deep_validation_names_every_difference_by_key_and_column() {
    let sandbox = damaged();
    let amount = sandbox.source_figure("SELECT CAST(amount AS CHAR) FROM payment WHERE payment_id = 11");
    let run = sandbox
        .run(&["validate", "--deep", "--all", "--workers", "3", "--batch-size", "500"])
        .ends_with_code(1);
    for words in [
        "fact_payment 11 differs".to_owned(),
        format!("amount: source {}", amount.trim_end_matches('0').trim_end_matches('.')),
        "fact_rental 12 differs".to_owned(),
        "fact_payment 13 is missing in the target".to_owned(),
        "fact_payment 64000 is in the target and not in the source".to_owned(),
        "dim_customer 15 differs".to_owned(),
        "target Nowhere".to_owned(),
        "bridge_film_category 16 is missing in the target".to_owned(),
        "dim_film 17 differs".to_owned(),
    ] {
        assert!(run.stdout.contains(&words), "no {words:?} in {run:#?}");
    }
    let report = sandbox.json(&["validate", "--deep", "--all", "--limit", "1"]);
    let payment = table(&report["deep"], "fact_payment");
    assert_eq!(
        [
            &payment["missing"],
            &payment["extra"],
            &payment["different"],
            &payment["pending"]
        ],
        [1, 1, 1, 0]
    );
    assert_eq!(payment["examples"].as_array().unwrap().len(), 1);
    assert_eq!(
        payment["compared"].to_string(),
        sandbox.source_figure("SELECT COUNT(*) FROM payment")
    );
    // A wrong store of a rental does not make its payment wrong.
    assert_eq!(table(&report["deep"], "fact_rental")["different"], 1);
}

#[test]
fn a_deep_validation_of_a_period_compares_the_facts_of_that_period() {
    let sandbox = Sandbox::verified();
    sandbox.tamper("UPDATE fact_rental SET staff_id = 77 WHERE date_key_rented = 20251101");
    let planted = sandbox.figure("SELECT COUNT(*) FROM fact_rental WHERE staff_id = 77");
    let report = sandbox.json(&["validate", "--deep", "--from", "2025-11-01", "--to", "2025-11-01"]);
    let rental = table(&report["deep"], "fact_rental");
    assert_eq!(
        (rental["different"].to_string(), rental["compared"].to_string()),
        (planted.clone(), planted)
    );
    let elsewhere = ["validate", "--deep", "--from", "2025-11-02", "--to", "2025-12-31"];
    sandbox.run(&elsewhere).succeeds();
}

#[test]
fn a_deep_validation_of_a_period_does_not_trust_the_star_in_what_lies_outside() {
    let sandbox = Sandbox::loaded();
    // A payment in June for a rental in May: its film and store are those of the rental.
    sandbox.change(&[
        "UPDATE rental SET rental_date = '2025-05-20 10:00:00' WHERE rental_id = 10",
        "UPDATE payment SET payment_date = '2025-06-02 10:00:00', rental_id = 10 WHERE payment_id = 20",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    let june = ["validate", "--deep", "--from", "2025-06-01", "--to", "2025-06-30"];
    sandbox.run(&june).succeeds();
    // Another program changes both in the same way.
    sandbox.tamper("UPDATE fact_rental SET film_key = film_key % 900 + 1 WHERE rental_id = 10");
    sandbox.tamper("UPDATE fact_payment SET film_key = film_key % 900 + 1 WHERE payment_id = 20");
    let run = sandbox.run(&june).ends_with_code(1);
    assert!(run.stdout.contains("fact_payment 20 differs"), "{run:#?}");
    assert!(
        !run.stdout.contains("fact_rental 10 differs"),
        "not of the period: {run:#?}"
    );
    sandbox.run(&["repair"]).succeeds();
    // Only the rental is wrong, and it lies outside the period.
    sandbox.tamper("UPDATE fact_rental SET film_key = film_key % 900 + 1 WHERE rental_id = 10");
    sandbox.run(&june).succeeds();
    sandbox.run(&["validate", "--deep", "--all"]).ends_with_code(1);
}

#[test]
fn what_has_changed_since_the_last_sync_is_pending_and_no_difference() {
    let sandbox = Sandbox::verified();
    sandbox.let_seconds_pass(1);
    sandbox.change(&[
        "UPDATE payment SET amount = amount + 5 WHERE payment_id = 21",
        "INSERT INTO payment (payment_id, customer_id, staff_id, amount, payment_date) \
         VALUES (63000, 1, 1, 3.33, '2025-05-05 10:00:00')",
        "DELETE FROM payment WHERE payment_id = 22",
        "UPDATE city SET city = 'Elsewhere' WHERE city_id < 100",
        "UPDATE inventory SET store_id = 3 - store_id WHERE inventory_id < 30",
    ]);
    for arguments in [&["validate", "--all"][..], &["validate", "--all", "--deep"]] {
        let run = sandbox.run(arguments).succeeds();
        assert_eq!(run.verdict_code(), "OK_PENDING");
    }
    let report = sandbox.json(&["validate", "--all", "--deep"]);
    assert_eq!(table(&report["deep"], "fact_payment")["different"], 0);
    assert!(table(&report["deep"], "fact_payment")["pending"].as_u64().unwrap() >= 3);
    assert!(table(&report["deep"], "dim_customer")["pending"].as_u64().unwrap() > 0);
    // A difference beside pending changes is still found.
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 1 WHERE payment_id = 11");
    sandbox.run(&["validate", "--all"]).ends_with_code(1);
    sandbox.run(&["validate", "--all", "--deep"]).ends_with_code(1);
}

#[test]
fn a_repair_writes_exactly_the_rows_that_differ() {
    let sandbox = damaged();
    let dry = sandbox.run(&["repair", "--dry-run"]).ends_with_code(1);
    assert_eq!(dry.verdict_code(), "WOULD_CHANGE");
    sandbox.run(&["validate", "--all"]).ends_with_code(1);

    let before = sandbox.surrogate_keys();
    let run_before = sandbox.figure("SELECT MAX(id) FROM sync_run");
    sandbox
        .run(&["repair", "--workers", "3", "--batch-size", "500"])
        .succeeds();
    sandbox.assert_star_equals_source();
    let run = sandbox.figure("SELECT MAX(id) FROM sync_run");
    assert_ne!(run, run_before);
    let written = sandbox.star(&format!(
        "SELECT 'payment ' || payment_id FROM fact_payment WHERE run_id = {run} \
         UNION ALL SELECT 'rental ' || rental_id FROM fact_rental WHERE run_id = {run} \
         UNION ALL SELECT 'customer ' || customer_id FROM dim_customer WHERE run_id = {run} \
         UNION ALL SELECT 'film ' || film_id FROM dim_film WHERE run_id = {run}"
    ));
    assert_eq!(
        written,
        ["customer 15", "film 17", "payment 11", "payment 13", "rental 12"]
    );
    let kept: Vec<String> = before
        .into_iter()
        .filter(|key| !key.starts_with("payment 64000="))
        .collect();
    assert!(sandbox.holds_all_of(&kept));
    let dry = sandbox.run(&["repair", "--dry-run"]).succeeds();
    assert_eq!(dry.verdict_code(), "WOULD_NOT_CHANGE");
    sandbox.run(&["validate", "--all", "--deep"]).succeeds();
}

#[test]
fn a_full_load_of_one_table_writes_what_differs_in_it_and_in_what_refers_to_it() {
    let sandbox = damaged();
    sandbox.change(&["UPDATE actor SET first_name = 'NEW' WHERE actor_id = 5"]);
    let ranges = || sandbox.json(&["status"])["verification"]["ranges"].as_u64().unwrap();
    let before = ranges();
    let report = sandbox.json(&["full-load", "--table", "dim_customer"]);
    let compared = report["tables"].as_array().unwrap().iter();
    let compared: Vec<&Value> = compared
        .filter(|table| table["verified_row_by_row"] != 0)
        .map(|table| &table["table"])
        .collect();
    assert_eq!(compared, ["dim_customer", "fact_rental", "fact_payment"]);
    assert!(
        ranges() >= before,
        "what is verified of the other tables is still known"
    );
    // In other tables it applies only what an incremental run applies.
    assert_eq!(
        sandbox.figure("SELECT first_name FROM dim_actor WHERE actor_id = 5"),
        "NEW"
    );
    assert_eq!(
        sandbox.figure("SELECT length IS NULL FROM dim_film WHERE film_id = 17"),
        "1"
    );
    sandbox.run(&["full-load", "--table", "dim_film"]).succeeds();
    sandbox.assert_star_equals_source();
    sandbox.run(&["validate", "--all", "--deep"]).succeeds();
}

#[test]
fn a_full_load_of_any_table_mends_it_and_the_rows_that_are_made_with_it() {
    let sandbox = Sandbox::loaded();
    for name in TABLES
        .map(|table| table.name)
        .into_iter()
        .filter(|name| *name != "dim_date")
    {
        // Deletes the first row, so that the surrogate key which other rows reference is lost.
        sandbox.tamper(&format!(
            "DELETE FROM {name} WHERE rowid = (SELECT MIN(rowid) FROM {name})"
        ));
        if name == "fact_rental" {
            sandbox.tamper("UPDATE fact_payment SET film_key = NULL");
        }
        let changed = sandbox.json(&["full-load", "--table", name]);
        assert_eq!(changed["verdict"]["mismatches"], 0, "{name}: {changed}");
        sandbox.assert_star_equals_source();
    }
    sandbox.run(&["validate", "--all", "--deep"]).succeeds();
    for unknown in ["fact_rentals", "rental", "dim_date"] {
        sandbox.run(&["full-load", "--table", unknown]).fails_with(2, "USAGE");
    }
}

#[test]
fn one_table_is_loaded_after_a_full_load_only() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    sandbox
        .run(&["full-load", "--table", "dim_film"])
        .fails_with(3, "NOT_LOADED");
    sandbox
        .run(&["full-load", "--table", "dim_film", "--accept-source"])
        .ends_with_code(2);
}

#[test]
fn a_dry_run_foretells_what_a_run_does_and_writes_nothing() {
    let sandbox = Sandbox::verified();
    sandbox.change(&[
        "UPDATE payment SET amount = amount + 5 WHERE payment_id = 21",
        "DELETE FROM payment WHERE payment_id = 22",
        "INSERT INTO actor (actor_id, first_name, last_name) VALUES (999, 'NEW', 'ONE')",
    ]);
    let all = "SELECT COUNT(*) || ' ' || SUM(amount) || ' ' || (SELECT COUNT(*) FROM dim_actor) || ' ' \
               || (SELECT COUNT(*) FROM sync_run) || ' ' || (SELECT GROUP_CONCAT(last_updated) FROM sync_state) FROM fact_payment";
    let before = sandbox.figure(all);
    let foretold = sandbox.json(&["incremental", "--dry-run"]);
    assert_eq!(sandbox.figure(all), before);
    let done = sandbox.json(&["incremental"]);
    assert_eq!(foretold["tables"], done["tables"]);
    assert_eq!(foretold["dry_run"], true);
    let payment = table(&foretold["tables"], "fact_payment");
    assert_eq!(
        [&payment["inserted"], &payment["updated"], &payment["deleted"]],
        [0, 1, 1]
    );
    assert_eq!(table(&foretold["tables"], "dim_actor")["inserted"], 1);
    let moved: i64 = foretold["totals_changed"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["measure"] == "cents")
        .map(|line| line["after"].as_i64().unwrap() - line["before"].as_i64().unwrap())
        .sum();
    let total = |amounts: &str| amounts.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 100.0;
    #[expect(clippy::cast_precision_loss, reason = "a few dollars")]
    let moved = moved as f64;
    assert!((total(&sandbox.figure(all)) - total(&before) - moved).abs() < 0.5);
    sandbox.assert_star_equals_source();
}

#[test]
fn a_cell_that_another_program_left_in_another_type_is_a_difference_and_is_mended() {
    let sandbox = Sandbox::verified();
    for statement in [
        "UPDATE fact_rental SET staff_id = 'nobody' WHERE rental_id = 12",
        "UPDATE fact_rental SET rental_duration_days = 2.5 WHERE rental_id = 13",
        "UPDATE fact_payment SET amount = 'much, too much; or not' WHERE payment_id = 11",
        "UPDATE dim_actor SET last_name = CAST(x'ff41' AS TEXT) WHERE actor_id = 3",
        "UPDATE dim_actor SET first_name = 'A' || char(0, 10) || 'B,;' WHERE actor_id = 4",
    ] {
        sandbox.tamper(statement);
    }
    let run = sandbox.run(&["validate", "--deep", "--all"]).ends_with_code(1);
    for words in [
        "fact_rental 12 differs",
        "fact_rental 13 differs",
        "fact_payment 11 differs",
        "dim_actor 3 differs",
        "dim_actor 4 differs",
    ] {
        assert!(run.stdout.contains(words), "no {words:?} in {run:#?}");
    }
    sandbox.run(&["repair"]).succeeds();
    sandbox.assert_star_equals_source();
    sandbox.run(&["validate", "--deep", "--all"]).succeeds();
}

#[test]
fn amounts_are_compared_to_the_last_bit() {
    let sandbox = Sandbox::verified();
    let tamper = |others: &[&str]| {
        for (other, payment) in others.iter().zip(11..) {
            let statement = format!("UPDATE fact_payment SET amount = {other} WHERE payment_id = {payment}");
            sandbox.tamper(&statement);
        }
    };
    let others = ["amount * 1.0000000000000002", "-amount - 1", "amount + 0.005"];
    tamper(&others);
    let report = sandbox.json(&["validate", "--deep", "--all", "--limit", "10"]);
    let payment = table(&report["deep"], "fact_payment");
    assert_eq!(payment["different"], others.len());
    for (first, payment) in payment["examples"].as_array().unwrap().iter().zip(11..) {
        assert_eq!(first["key"], payment);
        assert_eq!(first["columns"][0]["column"], "amount");
    }
    // These amounts exceed what the totals of a validation can add up.
    tamper(&["1e300", "-1e17", "92233720368547758.07"]);
    sandbox.run(&["repair"]).succeeds();
    sandbox.assert_star_equals_source();
}

/// Calendar days that another program has deleted, changed and inserted.
const CALENDAR_DAMAGE: [&str; 3] = [
    "DELETE FROM dim_date WHERE date_key = (SELECT MIN(date_key_rented) FROM fact_rental)",
    "UPDATE dim_date SET month = 2, date = '1999-01-01' WHERE date_key = (SELECT MAX(date_key_paid) FROM fact_payment)",
    "INSERT INTO dim_date SELECT 20259999, 'none', year, quarter, month, day_of_month, day_of_week, is_weekend, month_name, \
     day_name FROM dim_date LIMIT 1",
];

#[test]
fn a_calendar_that_another_program_has_changed_is_reported_and_corrected() {
    let sandbox = Sandbox::loaded();
    let whole = sandbox.star("SELECT * FROM dim_date ORDER BY 1");
    for mend in [
        &["repair"][..],
        &["full-load"],
        &["full-load", "--table", "dim_category"],
    ] {
        sandbox.tamper(&CALENDAR_DAMAGE.join(";"));
        let report: Value =
            serde_json::from_str(&sandbox.run(&["validate", "--all", "--json"]).ends_with_code(1).stdout).unwrap();
        assert_eq!(report["calendar"]["differing_days"], 3);
        if mend == ["repair"] {
            let dry = sandbox.json(&["repair", "--dry-run"]);
            assert_eq!(
                (&dry["calendar_days_corrected"], &dry["verdict"]["code"]),
                (&3.into(), &"WOULD_CHANGE".into())
            );
        }
        sandbox.run(mend).succeeds();
        assert_eq!(sandbox.star("SELECT * FROM dim_date ORDER BY 1"), whole, "{mend:?}");
        assert!(sandbox.star("PRAGMA foreign_key_check").is_empty());
        sandbox.run(&["validate", "--all"]).succeeds();
    }
}

/// What another program may leave in a bridge if its SQLite does not enforce foreign keys.
const ORPHANS: [&str; 3] = [
    "INSERT INTO bridge_film_category SELECT 77777, category_key FROM dim_category LIMIT 1",
    "DELETE FROM dim_film WHERE film_id = 10",
    "DELETE FROM dim_actor WHERE actor_id = 3",
];

#[test]
fn rows_of_a_bridge_whose_parent_another_program_deleted_are_reported_and_deleted() {
    let sandbox = Sandbox::loaded();
    for orphans in ORPHANS {
        for mend in [&["repair"][..], &["full-load"]] {
            sandbox.tamper(orphans);
            assert!(!sandbox.star("PRAGMA foreign_key_check").is_empty(), "{orphans}");
            sandbox.run(&["validate"]).ends_with_code(1);
            if mend == ["repair"] {
                let dry = sandbox.run(&["repair", "--dry-run", "--json"]).ends_with_code(1);
                assert!(dry.stdout.contains("WOULD_CHANGE"), "{dry:#?}");
            }
            sandbox.run(mend).succeeds();
            assert!(
                sandbox.star("PRAGMA foreign_key_check").is_empty(),
                "{mend:?}: {orphans}"
            );
            sandbox.run(&["validate", "--all", "--deep"]).succeeds();
        }
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn facts_whose_parent_is_gone_on_both_sides_do_not_keep_a_full_load_from_ending() {
    for mend in ["full-load", "repair"] {
        let sandbox = Sandbox::loaded();
        sandbox.change(&[
            "SET foreign_key_checks = 0",
            "DELETE FROM customer WHERE customer_id = 7",
        ]);
        sandbox.tamper("DELETE FROM dim_customer WHERE customer_id = 7");
        assert!(!sandbox.star("PRAGMA foreign_key_check").is_empty());
        sandbox.run(&[mend]).succeeds();
        assert!(sandbox.star("PRAGMA foreign_key_check").is_empty());
        assert_eq!(
            sandbox.figure("SELECT COUNT(*) FROM sync_reject WHERE source_table = 'rental'"),
            sandbox.source_figure("SELECT COUNT(*) FROM rental WHERE customer_id = 7")
        );
        sandbox.run(&["validate", "--all", "--deep"]).succeeds();
    }
}

#[test]
fn an_incremental_run_does_not_call_a_bridge_with_orphans_equal() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper(ORPHANS[0]);
    sandbox.change(&["UPDATE film_category SET category_id = 2 WHERE film_id = 20"]);
    sandbox.run(&["incremental"]).ends_with_code(1);
}
