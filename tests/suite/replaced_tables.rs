//! Changes by statements that do not set `UPDATE_TIME`: those on partitions and on tablespaces. Each statement is
//! really executed; one incremental run must apply its changes.

use std::fs;

use crate::harness::server::server;
use crate::harness::{Sandbox, have_own_server};

/// Loaded and at rest. Payments below 8,000 are in a separate partition.
fn partitioned() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.drop_foreign_keys();
    sandbox.change(&["ALTER TABLE payment PARTITION BY RANGE (payment_id) \
                      (PARTITION low VALUES LESS THAN (8000), PARTITION high VALUES LESS THAN MAXVALUE)"]);
    at_rest(sandbox)
}

fn at_rest(sandbox: Sandbox) -> Sandbox {
    sandbox.load();
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    sandbox
}

/// Changes the source with these statements, and syncs once.
fn is_brought(sandbox: &Sandbox, statements: &[&str]) {
    sandbox.change(statements);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_partition_that_is_truncated() {
    let sandbox = partitioned();
    is_brought(&sandbox, &["ALTER TABLE payment TRUNCATE PARTITION low"]);
    assert_eq!(sandbox.figure("SELECT MIN(payment_id) FROM fact_payment"), "8000");
}

#[test]
fn a_partition_that_is_dropped() {
    let sandbox = partitioned();
    is_brought(&sandbox, &["ALTER TABLE payment DROP PARTITION low"]);
    assert_eq!(sandbox.figure("SELECT MIN(payment_id) FROM fact_payment"), "8000");
}

#[test]
fn a_partition_that_is_exchanged_for_a_table_with_as_many_rows() {
    let sandbox = partitioned();
    sandbox.change(&[
        "CREATE TABLE other LIKE payment",
        "ALTER TABLE other REMOVE PARTITIONING",
        "INSERT INTO other SELECT * FROM payment WHERE payment_id < 8000",
        // The sum of the amounts is unchanged.
        "UPDATE other SET amount = amount + 1, last_update = last_update WHERE payment_id = 10",
        "UPDATE other SET amount = amount - 1, last_update = last_update WHERE payment_id = 11",
    ]);
    sandbox.wait_until_at_rest();
    is_brought(
        &sandbox,
        &["ALTER TABLE payment EXCHANGE PARTITION low WITH TABLE other"],
    );
}

#[test]
fn partitions_that_are_reorganized_change_nothing() {
    let sandbox = partitioned();
    is_brought(
        &sandbox,
        &[
            "ALTER TABLE payment REORGANIZE PARTITION low INTO \
             (PARTITION lowest VALUES LESS THAN (4000), PARTITION low VALUES LESS THAN (8000))",
            "ALTER TABLE payment REBUILD PARTITION high",
        ],
    );
    assert_eq!(
        sandbox.json(&["status"])["runs"][0]["command"],
        "full-load",
        "it left a run"
    );
}

/// Discards the tablespace of a table and imports that of `other`, which has the same columns and indexes.
fn import_tablespace(sandbox: &Sandbox, table: &str) {
    let folder = server().folder().join("data").join(sandbox.schema());
    let session = sandbox.open_session();
    session.change(&["FLUSH TABLES other FOR EXPORT"]);
    for suffix in ["ibd", "cfg"] {
        fs::copy(folder.join(format!("other.{suffix}")), sandbox.folder().join(suffix)).unwrap();
    }
    session.change(&["UNLOCK TABLES"]);
    sandbox.change(&[&format!("ALTER TABLE {table} DISCARD TABLESPACE")]);
    for suffix in ["ibd", "cfg"] {
        fs::copy(sandbox.folder().join(suffix), folder.join(format!("{table}.{suffix}"))).unwrap();
    }
    is_brought(sandbox, &[&format!("ALTER TABLE {table} IMPORT TABLESPACE")]);
}

#[test]
fn the_tablespace_of_a_fact_that_is_exchanged_for_another_with_as_many_rows() {
    have_own_server();
    let sandbox = Sandbox::new();
    sandbox.drop_foreign_keys();
    let sandbox = at_rest(sandbox);
    sandbox.change(&[
        "CREATE TABLE other LIKE payment",
        "INSERT INTO other SELECT * FROM payment",
        "UPDATE other SET amount = amount + 1, last_update = last_update WHERE payment_id = 10",
        "UPDATE other SET amount = amount - 1, last_update = last_update WHERE payment_id = 11",
    ]);
    sandbox.wait_until_at_rest();
    import_tablespace(&sandbox, "payment");
}

#[test]
fn the_tablespace_of_a_table_that_is_looked_up() {
    have_own_server();
    let sandbox = Sandbox::new();
    sandbox.drop_foreign_keys();
    let sandbox = at_rest(sandbox);
    sandbox.change(&[
        "CREATE TABLE other LIKE city",
        "INSERT INTO other SELECT * FROM city",
        "UPDATE other SET city = 'Elsewhere', last_update = last_update WHERE city_id = 300",
    ]);
    sandbox.wait_until_at_rest();
    import_tablespace(&sandbox, "city");
}
