//! A load reads each row once and compares its pages with the final snapshot by digests. Any difference between a page
//! and the snapshot is found, whether a fault or a change without a trace caused it.

use crate::harness::{Run, Sandbox};

/// A load with small pages and a fault in one of its tables.
fn load_with(fault: &str) -> (Sandbox, Run) {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let mut command = sandbox.command(&["full-load", "--batch-size", "1000", "-v"]);
    command.env("FAILPOINTS", fault);
    (sandbox, Run::of(command))
}

/// Whether payments had to be re-read.
fn second_read(run: &Run) -> bool {
    run.stderr.contains("re-read for its totals")
}

/// A load during which these changes are made between the last page and the final snapshot.
fn load_during(changes: &[&str]) -> (Sandbox, Run) {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let load = ["full-load", "--batch-size", "1000", "-v"];
    let run = sandbox.run_held(&load, "pages-held", || sandbox.change(changes));
    (sandbox, run)
}

#[test]
fn each_row_of_a_source_at_rest_is_read_once_and_its_digests_are_baselines() {
    let (sandbox, run) = load_with("");
    let run = run.succeeds();
    assert!(!second_read(&run), "{}", run.stderr);
    assert!(!run.stderr.contains("changed since"), "{}", run.stderr);
    // Each page is read once, and rows without a timestamp again.
    let pages = run
        .stderr
        .lines()
        .filter(|line| line.contains("page read") && line.contains("fact_payment"));
    assert_eq!(pages.count(), 17, "{}", run.stderr);
    assert!(run.stderr.contains("table=\"fact_payment\" ranges=0"), "{}", run.stderr);
    sandbox.assert_star_equals_source();
    assert_eq!(
        sandbox.figure("SELECT COUNT(*) FROM sync_verification WHERE digest IS NULL"),
        "0"
    );
}

#[test]
fn a_page_that_was_skipped_cut_or_read_twice_is_made_good() {
    for fault in [
        "page-skipped=return(fact_payment)",
        "page-cut=return(fact_payment)",
        "page-doubled=return(fact_payment)",
        "page-cut=return(dim_customer)",
        "page-skipped=return(fact_rental)",
    ] {
        let (sandbox, run) = load_with(fault);
        run.succeeds();
        sandbox.assert_star_equals_source();
        sandbox.run(&["validate", "--all", "--deep"]).succeeds();
    }
}

#[test]
fn what_changes_without_a_trace_between_a_page_and_the_closing_snapshot_is_found() {
    for changes in [
        // One row, and two rows that exchange their values.
        &["UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 5000"][..],
        &[
            "UPDATE payment SET amount = amount + 3, last_update = last_update WHERE payment_id = 5001",
            "UPDATE payment SET amount = amount - 3, last_update = last_update WHERE payment_id = 5002",
        ],
        // Rows that are deleted, inserted, and change their key.
        &[
            "DELETE FROM payment WHERE payment_id BETWEEN 7000 AND 7010",
            "UPDATE rental SET rental_id = 70000, last_update = last_update WHERE rental_id = 50",
        ],
        // Rows that facts look up, and rows that dimensions join.
        &[
            "UPDATE inventory SET store_id = 3 - store_id, last_update = last_update WHERE inventory_id < 20",
            "UPDATE staff SET store_id = 3 - store_id, last_update = last_update WHERE staff_id = 1",
        ],
        &[
            "UPDATE city SET city = 'Elsewhere', last_update = last_update WHERE city_id < 50",
            "UPDATE rental SET inventory_id = 77, last_update = last_update WHERE rental_id IN (60, 4000)",
        ],
        // Rows that facts look up, and without which facts are quarantined.
        &[
            "SET foreign_key_checks = 0",
            "DELETE FROM staff WHERE staff_id = 2",
            "SET foreign_key_checks = 1",
        ],
    ] {
        let (sandbox, run) = load_during(changes);
        run.succeeds();
        sandbox.assert_star_equals_source();
        sandbox.run(&["validate", "--all"]).succeeds();
    }
}

#[test]
fn only_what_was_added_up_with_what_has_changed_is_read_a_second_time() {
    let (sandbox, run) = load_during(&[
        "UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 5000",
        "INSERT INTO payment (customer_id, staff_id, amount, payment_date) VALUES (1, 1, 3.33, '2005-06-01 10:00:00')",
        "UPDATE rental SET return_date = return_date + INTERVAL 1 DAY WHERE rental_id = 9",
    ]);
    let run = run.succeeds();
    assert!(!second_read(&run), "{}", run.stderr);
    sandbox.assert_star_equals_source();
}

#[test]
fn a_column_that_is_mapped_wrong_is_found_by_the_totals_or_by_the_deep_comparison() {
    let (sandbox, run) = load_with("row-mapped-wrong=return(fact_payment.amount)");
    run.ends_with_code(1);
    sandbox.run(&["validate", "--all"]).ends_with_code(1);
    let (sandbox, run) = load_with("row-mapped-wrong=return(fact_payment.staff_id)");
    run.succeeds();
    sandbox.run(&["validate", "--all", "--deep"]).ends_with_code(1);
}
