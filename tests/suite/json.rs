//! Snapshots of the shape of every `--json` document described in docs/json.md (`cargo insta review` shows changes).
//! Removing a field or changing its meaning raises `schema_version`.

use serde_json::{Value, json};

use crate::harness::Sandbox;

/// Fields whose values differ from run to run.
const VARYING: [&str; 28] = [
    "bytes",
    "bytes_received",
    "finished",
    "from",
    "lag_seconds",
    "last_success",
    "last_update",
    "watermark",
    "watermark_after_run",
    "last_synced",
    "backlog_age_seconds",
    "rows_scanned",
    "rows_per_second",
    "rows_verified_by_digest",
    "schema",
    "seconds",
    "waiting_seconds",
    "busy_seconds",
    "server",
    "source_clock",
    "source_identity",
    "source_server",
    "started",
    "statement",
    "target",
    "to",
    "until",
    // Rows within the safety lag are read as changed and not counted here; their number depends on the moment.
    "rows_verified_row_by_row",
];

/// The document with its varying values replaced by their types, and lists cut to their first item.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let varies = VARYING.contains(&name.as_str()) && !value.is_null();
                // In comparisons `target` is a number that does not vary.
                let value = match value {
                    Value::String(_) if varies => json!("<text>"),
                    Value::Number(_) if varies && name != "target" => json!("<number>"),
                    // Names of files and servers.
                    Value::String(text) if text.contains('/') => json!("<text>"),
                    value => shape(value),
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(items) if items.len() > 1 => {
            json!([shape(&items[0]), format!("<and {} more>", items.len() - 1)])
        }
        Value::Array(items) => items.iter().map(shape).collect(),
        value => value.clone(),
    }
}

#[test]
fn the_documents_keep_their_shape() {
    let sandbox = Sandbox::new();
    sandbox.wait_until_at_rest();
    insta::assert_json_snapshot!("error", shape(&sandbox.json(&["status"])));
    insta::assert_json_snapshot!("init", shape(&sandbox.json(&["init"])));
    // The load can then record when each table was modified.
    sandbox.wait_until_at_rest();
    // Pages of several readers are written in the order in which they arrive, which shows in the surrogate keys.
    insta::assert_json_snapshot!("full_load", shape(&sandbox.json(&["full-load", "--workers", "1"])));
    sandbox.change(&[
        "UPDATE payment SET amount = 1.23 WHERE payment_id = 1",
        "SET foreign_key_checks = 0",
        "INSERT INTO rental (rental_id, rental_date, inventory_id, customer_id, staff_id) \
         VALUES (50000, '2025-08-01 10:00:00', 1, 7777, 1)",
    ]);
    // A change in the same second as a run may be pending after it.
    sandbox.let_seconds_pass(1);
    insta::assert_json_snapshot!("incremental", shape(&sandbox.json(&["incremental"])));
    insta::assert_json_snapshot!("status", shape(&sandbox.json(&["status"])));
    // On MariaDB it takes longer until a run can tell which changes it has read.
    sandbox.wait_until_at_rest();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 0.01 WHERE payment_id = 1");
    insta::assert_json_snapshot!("validate", shape(&sandbox.json(&["validate", "--all"])));
    insta::assert_json_snapshot!("validate_deep", shape(&sandbox.json(&["validate", "--all", "--deep"])));
    insta::assert_json_snapshot!("explain", shape(&sandbox.json(&["explain", "fact_payment", "1"])));
    let copy = ["copy", "readers.db", "--without", "personal"];
    insta::assert_json_snapshot!("copy", shape(&sandbox.json(&copy)));
    insta::assert_json_snapshot!("repair_dry_run", shape(&sandbox.json(&["repair", "--dry-run"])));
    // The seeded history ends before the last 30 days.
    insta::assert_json_snapshot!("validate_empty_period", shape(&sandbox.json(&["validate"])));
}

#[test]
fn the_documents_of_seed_keep_their_shape() {
    let sandbox = Sandbox::empty();
    let document = |arguments: &[&str]| {
        let run = sandbox.administer(arguments).succeeds();
        shape(&serde_json::from_str(&run.stdout).unwrap())
    };
    insta::assert_json_snapshot!("seed", document(&["seed", "--until", "2026-01-01", "--json"]));
    insta::assert_json_snapshot!("demo", shape(&crate::tour::demo_document()));
    insta::assert_json_snapshot!("seed_mutate", document(&["seed", "mutate", "--json"]));
}
