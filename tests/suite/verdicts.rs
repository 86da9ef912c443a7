//! Verdicts state what was checked, and how much of it is pending, quarantined or not compared.

use serde_json::Value;

use crate::harness::{Sandbox, have_own_server};

/// A star whose source is at rest, and was so at the last sync.
fn at_rest() -> Sandbox {
    let sandbox = Sandbox::loaded();
    settle(&sandbox);
    sandbox
}

/// Syncs once all tables are at rest, so that the next change is distinguished from earlier ones.
fn settle(sandbox: &Sandbox) {
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.let_seconds_pass(1);
}

fn code(report: &Value) -> &str {
    report["verdict"]["code"].as_str().unwrap_or_else(|| panic!("{report}"))
}

fn number(report: &Value, field: &str) -> u64 {
    report["verdict"][field].as_u64().unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn an_ok_counts_its_checks() {
    let sandbox = at_rest();
    let run = sandbox.run(&["validate", "--all"]).succeeds();
    // For each table, row count and integrity; the calendar; for each store, the numbers of rentals and of payments,
    // and the amounts of payments.
    let tables = sandbox.figure(
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name <> 'dim_date' \
         AND (name LIKE 'dim%' OR name LIKE 'fact%' OR name LIKE 'bridge%')",
    );
    let checks = 2 * tables.parse::<u64>().unwrap() + 1 + 2 * 3;
    assert_eq!(run.verdict(), format!("OK: {checks} of {checks} checks match [OK]"));
    let report = sandbox.json(&["validate", "--all", "--deep"]);
    assert_eq!(number(&report, "checks"), checks + tables.parse::<u64>().unwrap());
    assert_eq!(number(&report, "matching"), number(&report, "checks"));
}

#[test]
fn pending_rows_are_part_of_the_verdict_and_a_mismatch_if_asked() {
    let sandbox = at_rest();
    sandbox.change(&[
        "UPDATE payment SET amount = amount + 5 WHERE payment_id IN (21, 22)",
        "DELETE FROM payment WHERE payment_id = 23",
    ]);
    let run = sandbox.run(&["validate", "--all"]).succeeds();
    assert!(
        run.verdict()
            .starts_with("OK, but 3 rows changed since the last sync (run incremental)"),
        "{run:#?}"
    );
    assert_eq!(run.verdict_code(), "OK_PENDING");
    let report = sandbox.json(&["validate", "--all", "--no-pending"]);
    assert_eq!((code(&report), number(&report, "pending_rows")), ("MISMATCH", 3));
    sandbox.run(&["validate", "--all", "--no-pending"]).ends_with_code(1);
    // After changed and deleted payments, a change that only a dimension shows.
    sandbox.run(&["incremental"]).succeeds();
    sandbox.change(&["UPDATE film SET title = 'ANOTHER' WHERE film_id = 7"]);
    sandbox.run(&["validate", "--all", "--no-pending"]).ends_with_code(1);
    let report = sandbox.json(&["validate", "--all"]);
    assert_eq!((code(&report), number(&report, "pending_rows")), ("OK_PENDING", 1));
    sandbox.run(&["incremental"]).succeeds();
    // Rows that are re-read within the safety lag are equal, and therefore not pending.
    let run = sandbox.run(&["validate", "--all", "--no-pending"]).succeeds();
    assert_eq!(run.verdict_code(), "OK");
}

#[test]
fn a_period_without_facts_compares_no_fact_and_a_dimension_none_the_less() {
    let sandbox = at_rest();
    let report = sandbox.json(&["validate", "--from", "1999-01-01", "--to", "1999-12-31"]);
    assert_eq!(code(&report), "NOTHING_COMPARED");
    assert_eq!(number(&report, "mismatches"), 0);
    assert!(number(&report, "matching") > 0, "{report}");
    sandbox.tamper("DELETE FROM dim_film WHERE film_id = 1000");
    let report = sandbox.json(&["validate", "--from", "1999-01-01", "--to", "1999-12-31"]);
    assert_eq!(code(&report), "MISMATCH");
}

#[test]
fn a_run_that_compared_nothing_does_not_say_that_both_sides_match() {
    let sandbox = at_rest();
    sandbox.tamper("DELETE FROM fact_payment WHERE payment_id = 99");
    let run = sandbox.run(&["incremental"]).succeeds();
    assert_eq!(
        run.verdict(),
        "nothing changed; nothing was compared [UNCHANGED]",
        "{run:#?}"
    );
    sandbox.run(&["validate", "--all"]).ends_with_code(1);
}

#[test]
fn a_run_that_leaves_modified_tables_unverified_says_so() {
    let sandbox = at_rest();
    let budget = ["incremental", "--verify-budget", "0", "--json"];
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 99"]);
    sandbox.change(&[
        "UPDATE payment SET amount = amount + 1, last_update = last_update - INTERVAL 1 DAY WHERE payment_id = 98",
    ]);
    sandbox.run(&budget).succeeds();
    let report = sandbox.json(&["incremental", "--verify-budget", "0"]);
    assert!(["UNVERIFIED", "OK"].contains(&code(&report)), "{report}");
    assert!(number(&report, "backlog_ranges") > 0, "{report}");
    let run = sandbox.run(&["incremental", "--verify-budget", "100%"]).succeeds();
    assert!(!run.verdict().contains("still to be verified"), "{run:#?}");
    sandbox.assert_star_equals_source();
}

#[test]
fn quarantined_rows_are_named_in_every_verdict() {
    let sandbox = at_rest();
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "INSERT INTO rental (rental_id, rental_date, inventory_id, customer_id, staff_id) \
         VALUES (50000, '2025-08-01 10:00:00', 1, 7777, 1)",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    for arguments in [&["validate", "--all"][..], &["incremental"], &["repair", "--dry-run"]] {
        let run = sandbox.run(arguments).succeeds();
        assert!(run.verdict().contains("1 row is quarantined"), "{run:#?}");
    }
    // The totals of the source include quarantined rows.
    let totals = &sandbox.json(&["validate", "--all"])["totals"];
    let of_rentals = |field: &str| -> i64 {
        let totals = totals.as_array().unwrap().iter();
        let rows = totals.filter(|total| total["table"] == "fact_rental" && total["measure"] == "rows");
        rows.map(|total| total[field].as_i64().unwrap()).sum()
    };
    let rentals: i64 = sandbox.source_figure("SELECT COUNT(*) FROM rental").parse().unwrap();
    assert_eq!((of_rentals("source"), of_rentals("quarantined")), (rentals, 1));
}

#[test]
fn a_dry_run_says_what_would_be() {
    let sandbox = at_rest();
    let dry = |command: &str, exit_code| {
        let run = sandbox.run(&[command, "--dry-run"]).ends_with_code(exit_code);
        run.verdict_code().to_owned()
    };
    assert_eq!(dry("incremental", 0), "WOULD_NOT_CHANGE");
    assert_eq!(dry("repair", 0), "WOULD_NOT_CHANGE");
    sandbox.change(&["UPDATE payment SET amount = amount + 5 WHERE payment_id = 21"]);
    assert_eq!(dry("incremental", 0), "WOULD_CHANGE");
    assert_eq!(dry("repair", 1), "WOULD_CHANGE");
}

#[test]
fn rows_that_another_program_inserts_or_deletes_show_whatever_the_source_does() {
    let sandbox = at_rest();
    for (damage, unexpected_rows) in [
        (
            "INSERT INTO fact_payment (payment_id, date_key_paid, customer_key, store_key, staff_id, amount, run_id) \
             SELECT 64000, date_key_paid, customer_key, store_key, staff_id, amount, 0 FROM fact_payment WHERE payment_id = 14",
            1,
        ),
        ("DELETE FROM fact_payment WHERE payment_id = 31", -1),
    ] {
        // Other rows are deleted and changed meanwhile: the planted difference could be mistaken for one of them.
        sandbox.change(&[
            "DELETE FROM payment ORDER BY payment_id DESC LIMIT 2",
            "UPDATE payment SET amount = amount + 1 WHERE payment_id = 31",
        ]);
        let report = sandbox.json(&["validate", "--all"]);
        assert_eq!(code(&report), "OK_PENDING", "{report}");
        sandbox.tamper(damage);
        let report = sandbox.json(&["validate", "--all"]);
        assert_eq!(code(&report), "MISMATCH", "{damage}: {report}");
        let tables = report["tables"].as_array().unwrap();
        let payment = tables.iter().find(|table| table["rows"]["table"] == "fact_payment");
        assert_eq!(payment.unwrap()["unexpected_rows"], unexpected_rows, "{damage}");
        let report = sandbox.json(&["incremental"]);
        assert_eq!(code(&report), "OK", "{damage}");
        sandbox.assert_star_equals_source();
        settle(&sandbox);
    }
}

#[test]
fn a_row_deleted_in_the_second_of_the_last_sync_is_pending() {
    let sandbox = at_rest();
    // The last sync, and changes of the table before and after it, all in one second.
    for payment in 201..=230 {
        sandbox.change(&[&format!(
            "UPDATE payment SET amount = amount + 1 WHERE payment_id = {payment}"
        )]);
        sandbox.run(&["incremental"]).succeeds();
        sandbox.change(&[&format!("DELETE FROM payment WHERE payment_id = {payment}")]);
        let report = sandbox.json(&["validate", "--all"]);
        assert_eq!(code(&report), "OK_PENDING", "{payment}: {report}");
        let explained = sandbox.json(&["explain", "fact_payment", &payment.to_string()]);
        assert_eq!(code(&explained), "ROW_PENDING", "{payment}: {explained}");
    }
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 1 WHERE payment_id = 11");
    sandbox.run(&["validate", "--all"]).ends_with_code(1);
    sandbox.run(&["explain", "fact_payment", "11"]).ends_with_code(1);
}

#[test]
fn a_period_ends_today_by_the_date_of_the_server() {
    have_own_server();
    let sandbox = Sandbox::loaded();
    // At offsets of half a day in both directions, one zone has another date than UTC.
    for zone in ["+12:30", "-12:30", "SYSTEM"] {
        sandbox.change(&[&format!("SET GLOBAL time_zone = '{zone}'")]);
        let session = sandbox.open_session();
        // The driver has set the session to UTC.
        session.change(&["SET time_zone = @@global.time_zone"]);
        let today = || session.figure("SELECT CAST(CURDATE() AS CHAR)");
        let (before, report) = (today(), sandbox.json(&["validate", "--days", "1"]));
        let open_ended = sandbox.json(&["validate", "--from", "2024-01-01"]);
        let after = today();
        for report in [&report, &open_ended] {
            let to = report["to"].as_str().unwrap();
            assert!(to == before || to == after, "{zone}: {to}, {before}, {after}");
        }
        assert_eq!(report["from"], report["to"]);
        assert_eq!(open_ended["from"], "2024-01-01");
    }
}
