//! A publication that is killed, two at once, and places that are no lake of this star.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use star_sync::target::sqlite::lock::Lock;

use super::{files_below, newest_entry};
use crate::harness::listener::Listener;
use crate::harness::prometheus::{Process, wait_until};
use crate::harness::{Run, Sandbox};
use crate::kills::dies_at;

#[test]
fn a_publication_that_is_killed_anywhere_is_completed_by_the_next_one() {
    let sandbox = Sandbox::loaded();
    for (failpoint, after) in [
        ("before-lake-files", 0),
        ("lake-files-written", 0),
        ("lake-table-committed", 0),
        ("lake-table-committed", 9),
        ("lake-tables-committed", 0),
        ("before-publication-noted", 0),
    ] {
        sandbox.change_and_sync(
            "UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id IN (1, 400, 900)",
        );
        let lake = sandbox.lake();
        dies_at(
            &sandbox,
            &["publish", "--lake", lake.to_str().unwrap()],
            failpoint,
            after,
        );
        sandbox.publish(&[]).succeeds();
        sandbox.assert_lake_equals_star();
        // It is also recorded in `star_versions`.
        let versions = newest_entry(&lake.join("star_versions"));
        let noted = versions.iter().find_map(|line| line["txn"]["version"].as_u64());
        let run = sandbox.figure("SELECT MAX(last_run) FROM sync_partition");
        assert_eq!(noted.unwrap().to_string(), run, "{failpoint}");
    }
}

#[test]
fn a_publication_that_is_killed_at_any_moment_is_completed_by_the_next_one() {
    const KILLS: u32 = 8;
    const CHANGE: &str = "UPDATE payment SET amount = amount + 0.01, last_update = NOW()";
    let sandbox = Sandbox::loaded();
    let lake = sandbox.lake();
    sandbox.publish(&[]).succeeds();
    sandbox.change_and_sync(CHANGE);
    let began = Instant::now();
    sandbox.publish(&[]).succeeds();
    // Moments that are spread over as long as such a publication takes.
    let took = began.elapsed();
    let mut killed = 0;
    for kill in 1..=KILLS {
        sandbox.change_and_sync(CHANGE);
        let mut child = sandbox
            .command(&["publish", "--lake", lake.to_str().unwrap()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(took * kill / KILLS);
        let _ = child.kill();
        killed += u32::from(child.wait().unwrap().signal().is_some());
        sandbox.publish(&[]).succeeds();
        sandbox.assert_lake_equals_star();
    }
    println!("{killed} of {KILLS} publications were killed before they ended");
    assert!(killed >= KILLS / 4);
}

#[test]
fn one_publishes_at_a_time_and_no_run_changes_what_is_being_published() {
    let sandbox = Sandbox::loaded();
    let lock = Lock::acquire(&sandbox.target(), "publish").unwrap();
    sandbox.publish(&[]).fails_with(3, "TARGET_BUSY");
    sandbox.run(&["incremental"]).fails_with(3, "TARGET_BUSY");
    drop(lock);
    sandbox.publish(&[]).succeeds();
}

#[test]
fn what_is_no_lake_of_this_star_is_refused_and_left_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.publish(&[]).fails_with(3, "TARGET_MISSING");
    sandbox.run(&["init"]).succeeds();
    sandbox.publish(&[]).fails_with(3, "NOT_LOADED");
    assert!(!sandbox.lake().exists());
    sandbox.run(&["full-load"]).succeeds();
    for location in ["", "ftp://server/lake"] {
        sandbox
            .run(&["publish", "--lake", location])
            .fails_with(2, "LAKE_LOCATION_INVALID");
    }
    sandbox
        .run(&["publish", "--check", "--lake", "absent"])
        .fails_with(3, "LAKE_MISSING");
    let file = sandbox.folder().join("file");
    fs::write(&file, "").unwrap();
    sandbox
        .run(&["publish", "--lake", file.to_str().unwrap()])
        .fails_with(2, "LAKE_LOCATION_INVALID");

    fs::create_dir_all(sandbox.lake()).unwrap();
    fs::write(sandbox.lake().join("thesis.docx"), "years of work").unwrap();
    sandbox.publish(&[]).fails_with(3, "LAKE_FOREIGN");
    sandbox.publish(&["--force"]).fails_with(3, "LAKE_FOREIGN");
    assert_eq!(fs::read_dir(sandbox.lake()).unwrap().count(), 1);
    fs::remove_file(sandbox.lake().join("thesis.docx")).unwrap();
    fs::create_dir(sandbox.lake().join("dim_film")).unwrap();
    fs::write(sandbox.lake().join("dim_film/2019.csv"), "no Delta table").unwrap();
    sandbox.publish(&[]).fails_with(3, "LAKE_FOREIGN");
    fs::remove_dir_all(sandbox.lake().join("dim_film")).unwrap();
    // What a killed publication of another target leaves is no reason to refuse.
    let killed = sandbox
        .lake()
        .join("dim_film/part-6fa459ea-ee8a-3ca4-894e-db77e160355e.zstd.parquet");
    fs::create_dir(killed.parent().unwrap()).unwrap();
    fs::write(killed, "left").unwrap();
    sandbox.publish(&[]).succeeds();
    sandbox.assert_lake_equals_star();

    // Without any credentials for it.
    let mut bucket = sandbox.command(&["publish", "--lake", "s3://no-such-bucket-of-ours/lake"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        bucket.env_remove(name);
    }
    // The metadata endpoint, from which a machine in a cloud gets credentials. Nothing answers at this address.
    bucket.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9");
    crate::harness::Run::of(bucket).fails_with(3, "LAKE_DENIED");
    sandbox.assert_star_equals_source();
    sandbox.assert_lake_equals_star();
}

#[test]
fn a_lake_that_another_target_or_program_has_written_to_is_replaced_only_by_force() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    let backup = sandbox.folder().join("backup.db");
    fs::copy(sandbox.target(), &backup).unwrap();

    // By another program.
    let log = sandbox.lake().join("fact_payment/_delta_log");
    let stranger = log.join(format!("{:020}.json", 1));
    fs::write(&stranger, "{\"commitInfo\":{\"operation\":\"OPTIMIZE\"}}\n").unwrap();
    sandbox.publish(&[]).fails_with(3, "LAKE_CHANGED");
    sandbox.publish(&["--force"]).succeeds();
    sandbox.assert_lake_equals_star();

    // The target is an older copy, whose next run has the number of one that the lake holds.
    sandbox.change_and_sync("UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 1");
    sandbox.publish(&[]).succeeds();
    fs::copy(&backup, sandbox.target()).unwrap();
    // A run is known by its number and the second in which it began.
    sandbox.let_seconds_pass(1);
    sandbox.publish(&[]).fails_with(3, "LAKE_RESTORED");
    sandbox.run(&["incremental"]).succeeds();
    sandbox.publish(&[]).fails_with(3, "LAKE_RESTORED");
    sandbox.publish(&["--force"]).succeeds();
    sandbox.assert_lake_equals_star();

    // Another target.
    fs::remove_file(sandbox.target()).unwrap();
    sandbox.load();
    let before = files_below(&sandbox.lake());
    sandbox.publish(&[]).fails_with(3, "LAKE_OTHER_STAR");
    assert_eq!(files_below(&sandbox.lake()), before);
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM sync_publication"), "0");
    sandbox.publish(&["--check"]).fails_with(3, "LAKE_OTHER_STAR");
    sandbox.publish(&["--force"]).succeeds();
    sandbox.assert_lake_equals_star();
}

#[test]
fn a_restored_target_is_reported_although_its_history_does_not_go_back_to_the_run_of_the_lake() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    let backup = sandbox.folder().join("backup.db");
    fs::copy(sandbox.target(), &backup).unwrap();
    let change = |payment: u32| {
        let change = "UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id =";
        sandbox.change(&[&format!("{change} {payment}")]);
        sandbox.run(&["incremental", "--keep-runs", "1"]).succeeds();
    };
    change(1);
    sandbox.publish(&[]).succeeds();
    fs::copy(&backup, sandbox.target()).unwrap();
    change(2);
    change(3);
    sandbox.publish(&[]).fails_with(3, "LAKE_RESTORED");
    // `--force` replaces all tables, not only `fact_payment`, which shows that the target was restored.
    let versions = |table: &str| {
        fs::read_dir(sandbox.lake().join(table).join("_delta_log"))
            .unwrap()
            .count()
    };
    let before = versions("dim_actor");
    sandbox.publish(&["--force"]).succeeds();
    assert_eq!(versions("dim_actor"), before + 1);
    sandbox.assert_lake_equals_star();
}

#[test]
fn a_lake_that_may_not_be_written_to_stays_as_it_is() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    // Another program has written to the table that is published last.
    let log = sandbox.lake().join("fact_payment/_delta_log");
    fs::write(log.join(format!("{:020}.json", 1)), "{\"commitInfo\":{}}\n").unwrap();
    let before = files_below(&sandbox.lake());
    sandbox.change_and_sync("UPDATE actor SET first_name = 'NEW', last_update = NOW() WHERE actor_id = 1");
    sandbox.publish(&[]).fails_with(3, "LAKE_CHANGED");
    assert_eq!(files_below(&sandbox.lake()), before);
    sandbox.assert_star_equals_source();
}

#[test]
fn a_program_that_writes_the_next_version_first_is_reported() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    sandbox.change_and_sync("UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 1");
    let lake = sandbox.lake();
    let publish = ["publish", "--lake", lake.to_str().unwrap()];
    let publication = sandbox.run_held(&publish, "lake-files-held", || {
        let log = lake.join("fact_payment/_delta_log");
        fs::write(log.join(format!("{:020}.json", 1)), "{\"commitInfo\":{}}\n").unwrap();
    });
    publication.fails_with(3, "LAKE_CONFLICT");
}

#[test]
fn a_healthcheck_service_hears_how_publications_end() {
    let sandbox = Sandbox::loaded();
    let service = Listener::start("200 OK");
    let url = format!("http://{}/id", service.address);
    sandbox.publish(&["--ping", &url]).succeeds();
    let entry = sandbox.lake().join("fact_payment/_delta_log/00000000000000000001.json");
    fs::write(entry, "{").unwrap();
    sandbox.publish(&["--ping", &url]).fails_with(3, "LAKE_DAMAGED");
    assert_eq!(service.lines(), ["POST /id", "POST /id/fail"]);
}

#[test]
fn publications_that_fail_between_runs_are_reported_until_one_succeeds() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    let entry = sandbox.lake().join("fact_payment/_delta_log/00000000000000000001.json");
    fs::write(&entry, "{").unwrap();
    let service = Listener::start("200 OK");
    let mut command = sandbox.command(&["incremental", "--every", "200ms", "--publish-every", "200ms", "--quiet"]);
    command
        .arg("--lake")
        .arg(sandbox.lake())
        .env("SAKILA_SYNC_PING", format!("http://{}/id", service.address));
    let sync = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_until("the failure is told", || {
        let requests = service.requests();
        requests
            .iter()
            .any(|request| request.body.contains("error[LAKE_DAMAGED]"))
    });
    // Runs succeed meanwhile.
    let checked = "SELECT finished FROM sync_success WHERE command = 'incremental'";
    let before = sandbox.figure(checked);
    wait_until("another run has ended", || sandbox.figure(checked) != before);
    assert_eq!(service.lines().last().unwrap(), "POST /id/fail");
    fs::remove_file(&entry).unwrap();
    wait_until("all is well again", || service.lines().last().unwrap() == "POST /id");
    drop(sync);
}

#[test]
fn a_log_that_lacks_an_entry_or_cannot_be_read_is_reported() {
    let sandbox = Sandbox::loaded();
    for payment in 1..=3 {
        let change = "UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id =";
        sandbox.change_and_sync(&format!("{change} {payment}"));
        sandbox.publish(&[]).succeeds();
    }
    let entry = sandbox
        .lake()
        .join("fact_payment/_delta_log")
        .join(format!("{:020}.json", 1));
    let text = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, &text[..text.len() / 2]).unwrap();
    for arguments in [&[][..], &["--check"], &["--force"]] {
        sandbox.publish(arguments).fails_with(3, "LAKE_DAMAGED");
    }
    fs::remove_file(&entry).unwrap();
    sandbox.publish(&[]).fails_with(3, "LAKE_DAMAGED");
    fs::write(&entry, &text).unwrap();
    sandbox.publish(&[]).succeeds();
    sandbox.assert_lake_equals_star();
}

#[test]
fn two_targets_that_publish_to_one_lake_at_once_leave_the_star_of_one_of_them() {
    let (one, other) = (Sandbox::loaded(), Sandbox::loaded());
    let lake = one.lake();
    let publish = |sandbox: &Sandbox| {
        let mut command = sandbox.command(&["publish", "--lake", lake.to_str().unwrap()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let publications = [publish(&one), publish(&other)].map(|child| child.wait_with_output().unwrap());
    let is_published = publications.each_ref().map(|output| output.status.success());
    assert_eq!(
        is_published.iter().filter(|is_published| **is_published).count(),
        1,
        "{publications:?}"
    );
    let (winner, loser) = if is_published[0] {
        (&one, &other)
    } else {
        (&other, &one)
    };
    let lake = lake.to_str().unwrap();
    winner.run(&["publish", "--lake", lake, "--check"]).succeeds();
    loser.run(&["publish", "--lake", lake]).fails_with(3, "LAKE_OTHER_STAR");
    winner.run(&["publish", "--lake", lake, "--check"]).succeeds();
}

#[test]
fn a_star_that_does_not_match_its_source_is_published_only_by_force() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 5 WHERE payment_id = 1");
    sandbox.change(&["INSERT INTO payment (customer_id, staff_id, amount, payment_date) \
         SELECT customer_id, staff_id, 1, payment_date FROM payment WHERE payment_id = 1"]);
    sandbox.run(&["incremental", "--verify-budget", "0"]).ends_with_code(1);
    sandbox.publish(&[]).fails_with(3, "LAKE_MISMATCH");
    sandbox.publish(&["--force"]).succeeds();
    sandbox.run(&["repair"]).succeeds();
    sandbox.publish(&[]).succeeds();
    sandbox.assert_lake_equals_star();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_lake_that_differs_from_the_star_is_reported_by_month_and_column() {
    let sandbox = Sandbox::loaded();
    sandbox.publish(&[]).succeeds();
    let month = sandbox.month_of_payment(1);
    sandbox.tamper("UPDATE fact_payment SET amount = amount + 1 WHERE payment_id = 1");
    let check = sandbox.publish(&["--check"]).ends_with_code(1);
    assert!(
        check
            .stdout
            .contains(&format!("fact_payment, partition {month}, amount: ")),
        "{check:?}"
    );
    assert!(check.stdout.contains("MISMATCH: 1 of "), "{check:?}");
    sandbox.publish(&[]).succeeds();
    sandbox.publish(&["--check"]).ends_with_code(1);
    sandbox.publish(&["--force"]).succeeds();
    sandbox.assert_lake_equals_star();
}

#[test]
fn a_hundred_and_twenty_publications_are_summed_up_by_checkpoints() {
    let sandbox = Sandbox::loaded();
    for _ in 0..=120 {
        sandbox.tamper("UPDATE fact_payment SET amount = ROUND(amount + 0.01, 2) WHERE payment_id = 1");
        sandbox.tamper(
            "UPDATE sync_partition SET last_run = (SELECT MAX(last_run) + 1 FROM sync_partition) \
             WHERE target_table = 'fact_payment' \
             AND partition = (SELECT date_key_paid / 100 FROM fact_payment WHERE payment_id = 1)",
        );
        sandbox.publish(&[]).succeeds();
    }
    let log = sandbox.lake().join("fact_payment/_delta_log");
    for version in (10..=120).step_by(10) {
        assert!(log.join(format!("{version:020}.checkpoint.parquet")).exists());
    }
    // What a checkpoint covers is not read again.
    for version in 0..120 {
        fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    sandbox.assert_lake_equals_star();
    assert_eq!(
        newest_entry(log.parent().unwrap())
            .iter()
            .filter(|line| line.get("add").is_some())
            .count(),
        1
    );
}

/// Tests that mount a file system of limited size and fill it.
mod needs_mount {
    use super::*;

    #[test]
    #[ignore = "needs to be allowed to mount a file system"]
    fn a_full_disk_is_reported_and_the_lake_is_completed_when_there_is_room() {
        let sandbox = Sandbox::loaded();
        let lake = sandbox.lake();
        fs::create_dir(&lake).unwrap();
        let publish = sandbox.command(&["publish", "--lake", lake.to_str().unwrap()]);
        let program = publish.get_program().to_str().unwrap().to_owned();
        let script = format!(
            "mount -t tmpfs -o size=400k none {lake} && {program} publish --lake {lake}; \
             code=$?; mount -o remount,size=100m {lake}; {program} publish --lake {lake} && \
             {program} publish --lake {lake} --check && exit $code",
            lake = lake.display()
        );
        let mut command = sandbox.command(&[]);
        let mut shell = std::process::Command::new("unshare");
        shell
            .args(["--mount", "sh", "-c", &script])
            .current_dir(sandbox.folder());
        for (name, value) in command.env("SAKILA_SYNC_JSON", "0").get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let run = Run::of(shell).fails_with(3, "LAKE_FULL");
        assert!(run.stdout.contains("OK: "), "{run:?}");
        assert!(Path::new(&lake).exists());
    }
}
