//! Missing indexes on watermark columns: `init` and `status` report them, and `status --indexes` prints the script.

use crate::harness::Sandbox;

#[test]
fn missing_indexes_are_one_line_and_a_script_that_creates_them() {
    let sandbox = Sandbox::new();
    let advised = "missing indexes: 5 on 4 tables (`sakila-sync status --indexes` prints them)";
    let init = sandbox.run(&["init"]).succeeds();
    assert!(init.stdout.contains(advised), "{init:#?}");
    sandbox.run(&["full-load"]).succeeds();
    let status = sandbox.run(&["status"]).succeeds();
    assert!(status.stdout.contains(advised), "{status:#?}");

    let script = sandbox.run(&["status", "--indexes"]).succeeds().stdout;
    // A table of a hundred rows needs no index.
    assert!(!script.contains("idx_country_last_update"), "{script}");
    let rows = sandbox.source_figure("SELECT FORMAT(COUNT(*), 0) FROM payment");
    assert!(script.contains(&format!("-- payment: {rows} rows")), "{script}");
    let statements: Vec<&str> = script
        .split(';')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect();
    assert_eq!(statements.len(), 5, "{script}");
    sandbox.change(&statements);
    let script = sandbox.run(&["status", "--indexes"]).succeeds().stdout;
    assert_eq!(script, "-- no index is missing\n");
    // With the index, change detection scans only the changed rows.
    sandbox.change(&["UPDATE payment SET amount = 4.44 WHERE payment_id BETWEEN 10 AND 19"]);
    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(
        sandbox.figure("SELECT rows_scanned FROM sync_state WHERE source_table = 'payment'"),
        "10"
    );
    sandbox.assert_star_equals_source();
}
