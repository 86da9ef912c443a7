//! What a publication writes and what it leaves alone, by the log and the files.

use std::fs;
use std::process::Stdio;

use super::{files_below, months, newest_entry};
use crate::harness::prometheus::{Process, wait_until};
use crate::harness::{Sandbox, send};

#[test]
fn a_publication_replaces_the_months_that_have_changed_and_no_others() {
    let sandbox = Sandbox::loaded();
    let first = sandbox.publish_json();
    assert_eq!(first["up_to_date"], false);
    assert_eq!(first["tables"].as_array().unwrap().len(), 11);
    sandbox.assert_lake_equals_star();

    let payments = sandbox.lake().join("fact_payment");
    let others = files_below(&sandbox.lake().join("fact_rental"));
    sandbox.change_and_sync("UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 1");
    let check = sandbox.publish(&["--check"]).succeeds();
    let month = sandbox.month_of_payment(1);
    let pending = format!("fact_payment: changed since run 2 and not yet published: month {month}");
    assert!(check.stdout.contains(&pending), "{check:?}");
    sandbox.publish(&[]).succeeds();
    let entry = newest_entry(&payments);
    assert_eq!(months(&entry, "remove"), [month.as_str()]);
    assert_eq!(months(&entry, "add"), [month.as_str()]);
    assert_eq!(files_below(&sandbox.lake().join("fact_rental")), others);
    sandbox.assert_lake_equals_star();

    // A payment that moves to another month is gone from its old one.
    sandbox.change_and_sync("UPDATE payment SET payment_date = '1999-03-31', last_update = NOW() WHERE payment_id = 1");
    sandbox.publish(&[]).succeeds();
    let entry = newest_entry(&payments);
    assert_eq!(months(&entry, "remove"), [month.as_str()]);
    assert_eq!(months(&entry, "add"), ["199903", month.as_str()]);

    // And a month that becomes empty has no file any more.
    sandbox.change_and_sync("DELETE FROM payment WHERE payment_id = 1");
    sandbox.publish(&[]).succeeds();
    let entry = newest_entry(&payments);
    assert_eq!(
        (months(&entry, "remove"), months(&entry, "add").len()),
        (vec!["199903".to_owned()], 0)
    );
    sandbox.assert_lake_equals_star();

    let again = sandbox.publish_json();
    assert_eq!(
        (again["up_to_date"].as_bool(), again["files"].as_u64()),
        (Some(true), Some(0))
    );
}

#[test]
fn several_lakes_of_one_star_are_each_brought_up_to_date_by_themselves() {
    let sandbox = Sandbox::loaded();
    let second = sandbox.folder().join("second");
    let second = second.to_str().unwrap();
    sandbox.publish(&[]).succeeds();
    sandbox.change_and_sync("UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 1");
    sandbox.run(&["publish", "--lake", second]).succeeds();
    sandbox.change_and_sync("UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 2");
    sandbox.run(&["publish", "--lake", second]).succeeds();
    let status = sandbox.json(&["status"]);
    let backlog = |lake: &str| {
        let lakes = status["lakes"].as_array().unwrap();
        let found = lakes
            .iter()
            .find(|found| found["lake"].as_str().unwrap().ends_with(lake));
        found.unwrap()["backlog_partitions"].as_u64().unwrap()
    };
    assert!(backlog("/lake") > 0);
    assert_eq!(backlog("/second"), 0);
    sandbox.publish(&[]).succeeds();
    sandbox.assert_lake_equals_star();
    sandbox.run(&["publish", "--lake", second, "--check"]).succeeds();
}

#[test]
fn personal_data_that_is_left_out_is_in_no_file_and_comes_back_when_it_is_asked_for() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&["--without", "personal"]).succeeds();
    sandbox.assert_lake_equals_star();
    let versions = || {
        fs::read_dir(sandbox.lake().join("dim_customer/_delta_log"))
            .unwrap()
            .count()
    };
    let entry = newest_entry(&sandbox.lake().join("dim_customer"));
    let meta_data = entry.iter().find_map(|line| line.get("metaData")).unwrap();
    assert!(
        meta_data["configuration"]["star_sync.pseudonymized"]
            .as_str()
            .unwrap()
            .contains("last_name"),
        "{meta_data}"
    );
    assert_eq!(versions(), 1);
    sandbox.publish(&["--without", "personal"]).succeeds();
    assert_eq!(versions(), 1);
    sandbox.publish(&[]).succeeds();
    assert_eq!(versions(), 2);
    sandbox.assert_lake_equals_star();
}

#[test]
fn a_sync_that_repeats_publishes_between_its_runs() {
    let sandbox = Sandbox::loaded();
    let lake = sandbox.lake();
    let arguments = [
        "incremental",
        "--every",
        "200ms",
        "--publish-every",
        "200ms",
        "--lake",
        lake.to_str().unwrap(),
    ];
    let mut command = sandbox.command(&arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut repeated = Process(child);
    wait_until("the lake holds the star", || {
        lake.join("star_versions/_delta_log").is_dir()
    });
    sandbox.change(&["UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 1"]);
    let second = lake.join("fact_payment/_delta_log").join(format!("{:020}.json", 1));
    wait_until("the change is published", || second.exists());
    send("-TERM", &repeated.0);
    assert!(repeated.0.wait().unwrap().success());
    sandbox.publish(&[]).succeeds();
    sandbox.assert_lake_equals_star();
}

#[test]
fn files_that_no_version_needs_are_deleted_after_a_time() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    let leftover = sandbox
        .lake()
        .join("fact_payment/month=200505/part-of-a-killed-publication.parquet");
    fs::create_dir_all(leftover.parent().unwrap()).unwrap();
    fs::write(&leftover, "left").unwrap();
    sandbox.change_and_sync("UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 1");
    sandbox.publish(&["--vacuum"]).succeeds();
    assert!(leftover.exists(), "it is younger than seven days");
    let before = files_below(&sandbox.lake()).len();
    let vacuum = sandbox.publish(&["--vacuum", "--retain", "0"]).succeeds();
    let deleted = before - files_below(&sandbox.lake()).len();
    assert!(!leftover.exists());
    // The leftover, and the file of each partition that the change has replaced.
    assert!(deleted >= 2, "{vacuum:?}");
    sandbox.assert_lake_equals_star();
}
