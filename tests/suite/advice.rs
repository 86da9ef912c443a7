//! Where no index serves a watermark, `init` and `status` say what it costs and what would help.

use crate::harness::Sandbox;

#[test]
fn a_missing_index_is_told_with_its_cost_and_the_statement_that_makes_it() {
    let sandbox = Sandbox::new();
    let statement = |stdout: &str| {
        let line = stdout
            .lines()
            .find(|line| line.contains("idx_payment_last_update"))
            .map(str::to_owned);
        line.map(|line| line.split(": ").nth(1).unwrap().trim_end_matches(';').to_owned())
    };
    let init = sandbox.run(&["init"]).succeeds();
    assert!(statement(&init.stdout).is_some(), "{init:#?}");
    // A table of a hundred rows is gone through in no time.
    assert!(!init.stdout.contains("idx_country_last_update"), "{init:#?}");
    sandbox.run(&["full-load"]).succeeds();
    let status = sandbox.run(&["status"]).succeeds();
    let cost = format!(
        "payment, {} rows:",
        sandbox.source_figure("SELECT FORMAT(COUNT(*), 0) FROM payment")
    );
    assert!(status.stdout.contains(&cost), "no {cost} in {status:#?}");

    sandbox.change(&[&statement(&status.stdout).unwrap()]);
    assert_eq!(statement(&sandbox.run(&["status"]).succeeds().stdout), None);
    // With the index a look goes through what has changed, and nothing else.
    sandbox.change(&["UPDATE payment SET amount = 4.44 WHERE payment_id BETWEEN 10 AND 19"]);
    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(
        sandbox.figure("SELECT rows_scanned FROM sync_state WHERE source_table = 'payment'"),
        "10"
    );
    sandbox.assert_star_equals_source();
}
