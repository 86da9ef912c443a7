//! What a publication writes and what it leaves unchanged, according to the log and the files.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use super::{files_below, months, newest_entry};
use crate::harness::prometheus::{Process, wait_until};
use crate::harness::{Run, Sandbox, send};

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

    // A payment that moves to another month is removed from its old one.
    sandbox.change_and_sync("UPDATE payment SET payment_date = '1999-03-31', last_update = NOW() WHERE payment_id = 1");
    sandbox.publish(&[]).succeeds();
    let entry = newest_entry(&payments);
    assert_eq!(months(&entry, "remove"), [month.as_str()]);
    assert_eq!(months(&entry, "add"), ["199903", month.as_str()]);

    // A month that becomes empty loses its file.
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

/// `engines_find_no_personal_data_that_is_left_out` checks with other engines that the names are in no file.
#[test]
fn personal_data_that_was_left_out_stays_out_if_a_publication_forgets_to() {
    let sandbox = Sandbox::loaded();
    let table = sandbox.lake().join("dim_customer");
    let versions = || fs::read_dir(table.join("_delta_log")).unwrap().count();
    sandbox.publish(&[]).succeeds();
    sandbox.publish(&["--without", "last_name"]).succeeds();
    assert_eq!(versions(), 2);
    sandbox.publish(&["--without", "personal"]).succeeds();
    sandbox.assert_lake_equals_star();
    let entry = newest_entry(&table);
    let meta_data = entry.iter().find_map(|line| line.get("metaData")).unwrap();
    assert_eq!(
        meta_data["configuration"]["star_sync.pseudonymized"],
        "first_name,last_name"
    );
    assert_eq!(versions(), 3);
    sandbox.publish(&["--without", "personal"]).succeeds();
    for forgetful in [&[][..], &["--without", "last_name"], &["--force"]] {
        sandbox.publish(forgetful).fails_with(3, "LAKE_PERSONAL");
    }
    assert_eq!(versions(), 3);
    sandbox.assert_lake_equals_star();
}

#[test]
fn a_month_of_many_rows_is_several_files() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper("UPDATE fact_payment SET date_key_paid = (SELECT MIN(date_key_paid) FROM fact_payment)");
    sandbox.tamper(
        "DELETE FROM sync_partition WHERE target_table = 'fact_payment' AND partition > \
                    (SELECT MIN(date_key_paid) / 100 FROM fact_payment)",
    );
    let lake = sandbox.lake();
    let mut command = sandbox.command(&["publish", "--lake", lake.to_str().unwrap()]);
    command.env("FAILPOINTS", "lake-file-rows=return(8192)");
    Run::of(command).succeeds();
    let month = sandbox.month_of_payment(1);
    let payments: usize = sandbox.source_figure("SELECT COUNT(*) FROM payment").parse().unwrap();
    let entry = newest_entry(&lake.join("fact_payment"));
    let files = payments.div_ceil(8192);
    assert!(files > 1);
    assert_eq!(months(&entry, "add"), vec![month.as_str(); files]);
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
fn a_file_is_kept_as_long_after_it_was_replaced_as_is_asked_for_however_old_it_is() {
    const DAYS_RETAINED: u64 = 7;
    let day = Duration::from_hours(24);
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    let payments = sandbox.lake().join("fact_payment");
    let month = payments.join(format!("month={}", sandbox.month_of_payment(1)));
    let [old]: [PathBuf; 1] = files_below(&month).try_into().unwrap();
    fs::File::open(&old)
        .unwrap()
        .set_modified(SystemTime::now() - 30 * day)
        .unwrap();
    sandbox.change_and_sync("UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 1");
    sandbox.publish(&["--vacuum"]).succeeds();
    assert!(old.exists(), "it was replaced a moment ago");

    // Backdates the replacement by some days.
    let entry = payments.join("_delta_log").join(format!("{:020}.json", 1));
    let text = fs::read_to_string(&entry).unwrap();
    let removed = newest_entry(&payments)
        .into_iter()
        .find_map(|line| line.get("remove").cloned())
        .unwrap();
    let replaced_at = removed["deletionTimestamp"].as_u64().unwrap();
    for (days, is_kept) in [(DAYS_RETAINED - 1, true), (DAYS_RETAINED + 1, false)] {
        let earlier = replaced_at - u64::try_from((u32::try_from(days).unwrap() * day).as_millis()).unwrap();
        fs::write(&entry, text.replace(&replaced_at.to_string(), &earlier.to_string())).unwrap();
        sandbox.publish(&["--vacuum"]).succeeds();
        assert_eq!(old.exists(), is_kept, "{days} days after it was replaced");
    }
    sandbox.assert_lake_equals_star();
}

#[test]
fn status_and_metrics_tell_of_the_lake_and_a_publication_that_fails_does_not_end_the_runs() {
    let sandbox = Sandbox::loaded();
    let lake = sandbox.lake();
    let sync = |milliseconds: &str| {
        let mut command = sandbox.command(&["incremental", "--every", milliseconds, "--publish-every", milliseconds]);
        command.env("SAKILA_SYNC_LAKE", &lake);
        command.env("SAKILA_SYNC_LAKE_WITHOUT", "personal");
        command.args(["--metrics-file", "metrics.prom"]);
        Process(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    };
    // A folder with an unrelated file in it, which is removed later.
    fs::create_dir_all(&lake).unwrap();
    let thesis = lake.join("thesis.docx");
    fs::write(&thesis, "years of work").unwrap();
    let mut repeated = sync("200ms");
    let mut log = BufReader::new(repeated.0.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("LAKE_FOREIGN")));
    fs::remove_file(&thesis).unwrap();
    assert!(log.any(|line| line.unwrap().contains(" published ")));
    send("-TERM", &repeated.0);
    assert!(repeated.0.wait().unwrap().success());
    let metrics = fs::read_to_string(sandbox.folder().join("metrics.prom")).unwrap();
    for name in [
        "files_written_total",
        "bytes_written_total",
        "last_publication_timestamp_seconds",
    ] {
        let sample = format!("sakila_sync_lake_{name}{{");
        let line = metrics.lines().find(|line| line.starts_with(&sample));
        let line = line.unwrap_or_else(|| panic!("no {name}"));
        assert!(line.contains(lake.to_str().unwrap()) && !line.ends_with(" 0"), "{line}");
    }
    let entry = newest_entry(&lake.join("dim_staff"));
    let meta_data = entry.iter().find_map(|line| line.get("metaData")).unwrap();
    assert_eq!(
        meta_data["configuration"]["star_sync.pseudonymized"],
        "first_name,last_name"
    );
    let status = sandbox.run(&["status"]).succeeds();
    assert!(status.stdout.contains(lake.to_str().unwrap()), "{status:?}");
}

#[test]
fn files_that_no_version_needs_are_deleted_after_a_time() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    // Leftovers of killed publications: a file that no version names, and two unfinished ones. And a file of another
    // program.
    let month = sandbox.lake().join("fact_payment/month=200505");
    fs::create_dir_all(&month).unwrap();
    let name = "part-6fa459ea-ee8a-3ca4-894e-db77e160355e.zstd.parquet";
    let leftovers = [
        month.join(name),
        month.join(format!("{name}#1")),
        sandbox.lake().join("fact_payment/_delta_log/_last_checkpoint#2"),
    ];
    let stranger = month.join("2019.csv");
    for file in leftovers.iter().chain([&stranger]) {
        fs::write(file, "left").unwrap();
    }
    sandbox.change_and_sync("UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 1");
    sandbox.publish(&["--vacuum"]).succeeds();
    assert!(
        leftovers.iter().all(|file| file.exists()),
        "they are younger than seven days"
    );
    let before = files_below(&sandbox.lake()).len();
    let vacuum = sandbox.publish(&["--vacuum", "--retain", "0"]).succeeds();
    let deleted = before - files_below(&sandbox.lake()).len();
    assert!(!leftovers.iter().any(|file| file.exists()));
    assert!(stranger.exists());
    // The leftovers, and the file of each partition that the change replaced.
    assert!(deleted > leftovers.len(), "{vacuum:?}");
    sandbox.assert_lake_equals_star();
}
