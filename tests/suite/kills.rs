//! SIGKILL, or death at a failpoint: the star is consistent at every moment, and the same command succeeds when
//! repeated.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::harness::outcome::rows_read_to_sync;
use crate::harness::{Sandbox, number, send};
use crate::sequences::random::Random;

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// Changes of every kind: inserted, deleted and moved rows, and rows whose parents change.
const CHANGES: [&str; 6] = [
    "UPDATE payment SET amount = amount + 1 WHERE payment_id % 7 = 1",
    "DELETE FROM payment WHERE payment_id BETWEEN 300 AND 320",
    "DELETE FROM rental WHERE rental_id BETWEEN 400 AND 420",
    "UPDATE customer SET first_name = 'ANOTHER' WHERE customer_id % 5 = 1",
    "UPDATE city SET city = 'Elsewhere' WHERE city_id % 9 = 1",
    "INSERT INTO rental (rental_id, rental_date, inventory_id, customer_id, staff_id) \
     SELECT rental_id + 20000, rental_date + INTERVAL 10 YEAR, inventory_id, customer_id, staff_id FROM rental WHERE rental_id <= 500",
];

const ROWS_THAT_WERE_LOADED: &str = "SELECT (SELECT COUNT(*) FROM dim_film) + (SELECT COUNT(*) FROM dim_actor) \
    + (SELECT COUNT(*) FROM dim_category) + (SELECT COUNT(*) FROM dim_store) + (SELECT COUNT(*) FROM dim_staff) + (SELECT COUNT(*) FROM dim_customer) \
    + (SELECT COUNT(*) FROM bridge_film_actor) + (SELECT COUNT(*) FROM bridge_film_category) \
    + (SELECT COUNT(*) FROM fact_rental) + (SELECT COUNT(*) FROM fact_payment)";

/// Runs a command until it dies at a failpoint, which it first passes `after` times.
pub fn dies_at(sandbox: &Sandbox, arguments: &[&str], failpoint: &str, after: u32) {
    let mut command = sandbox.command(arguments);
    let action = if after == 0 {
        "return".to_owned()
    } else {
        format!("{after}*off->return")
    };
    command.env("FAILPOINTS", format!("{failpoint}={action}"));
    let ended = command.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    let log = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(
        ended.status.signal(),
        Some(SIGABRT),
        "{arguments:?} does not come to {failpoint}: {log}"
    );
    assert_sound(sandbox);
}

/// The number of rows without a change timestamp: the catch-up pass of a load re-reads them.
fn without_time(sandbox: &Sandbox) -> u64 {
    let customers = sandbox.source_figure("SELECT COUNT(*) FROM customer WHERE last_update IS NULL");
    let payments = sandbox.source_figure("SELECT COUNT(*) FROM payment WHERE last_update IS NULL");
    customers.parse::<u64>().unwrap() + payments.parse::<u64>().unwrap()
}

/// The guarantees to readers, whatever has happened.
fn assert_sound(sandbox: &Sandbox) {
    assert_eq!(sandbox.star("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(
        sandbox.star("SELECT \"table\" FROM pragma_foreign_key_check"),
        Vec::<String>::new()
    );
}

#[test]
fn a_program_that_dies_anywhere_in_a_first_load_goes_on_where_it_was() {
    let load = ["full-load", "--batch-size", "500", "--workers", "2"];
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    // Failpoints of one load, in the order in which it reaches them: each attempt resumes the load and gets further.
    for (failpoint, after) in [
        ("load-watermark-noted", 0),
        ("before-commit", 0),
        ("after-commit", 0),
        ("before-commit", 1),
        ("after-commit", 2),
        ("pages-written", 0),
        ("index-created", 0),
        ("index-created", 2),
        ("before-catch-up-pass", 0),
        ("before-watermarks", 0),
        ("before-catch-up-commit", 0),
    ] {
        dies_at(&sandbox, &load, failpoint, after);
        let loaded = sandbox.figure("SELECT COUNT(*) FROM sync_state WHERE last_updated IS NOT NULL");
        assert_eq!(
            loaded, "0",
            "{failpoint}: a watermark advanced without the rows that it stands for"
        );
        assert_eq!(
            sandbox.figure("SELECT SUM(rows_inserted) FROM sync_run"),
            sandbox.figure(ROWS_THAT_WERE_LOADED),
            "{failpoint}: the history tells of other rows"
        );
        sandbox.run(&["incremental"]).fails_with(3, "NOT_LOADED");
    }
    let report = sandbox.json(&load);
    let read: u64 = report["tables"].as_array().unwrap().iter().map(rows_read_to_sync).sum();
    assert_eq!(read, without_time(&sandbox), "all pages had been written: {report}");
    assert_eq!(report["resumed"]["rows_reread"], 0);
    sandbox.assert_star_equals_source();
    // Once the rows are committed, only cleanup remains.
    sandbox.change(&CHANGES);
    dies_at(&sandbox, &load, "before-checkpoint", 0);
    sandbox.assert_star_equals_source();
}

#[test]
fn a_load_that_goes_on_compares_what_it_had_written() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let load = ["full-load", "--batch-size", "500", "--workers", "2"];
    // Dies before the fourth commit: three commits of eight batches each are kept.
    dies_at(&sandbox, &load, "before-commit", 3);
    let kept: u64 = [
        "dim_film",
        "dim_actor",
        "dim_category",
        "dim_store",
        "dim_staff",
        "dim_customer",
    ]
    .into_iter()
    .chain([
        "bridge_film_actor",
        "bridge_film_category",
        "fact_rental",
        "fact_payment",
    ])
    .map(|table| {
        sandbox
            .figure(&format!("SELECT COUNT(*) FROM {table}"))
            .parse::<u64>()
            .unwrap()
    })
    .sum();
    assert!(kept > 0, "nothing was kept");
    // The kept rows were read before these changes, which no timestamp shows.
    sandbox.change(&[
        "UPDATE film SET title = CONCAT('Q ', film_id), last_update = last_update WHERE film_id < 20",
        "UPDATE actor SET first_name = 'Q', last_update = last_update WHERE actor_id = 1",
        "UPDATE inventory SET store_id = 3 - store_id, last_update = last_update WHERE inventory_id < 50",
        "UPDATE rental SET customer_id = IF(rental_id = 1, 3, 4), last_update = last_update WHERE rental_id IN (1, 2)",
    ]);
    let report = sandbox.json(&load);
    let read: u64 = sandbox
        .figure("SELECT rows_read FROM sync_run ORDER BY id DESC LIMIT 1")
        .parse()
        .unwrap();
    let all: u64 = ["film", "actor", "category", "store", "staff", "customer"]
        .into_iter()
        .chain(["film_actor", "film_category", "rental", "payment"])
        .map(|table| {
            sandbox
                .source_figure(&format!("SELECT COUNT(*) FROM {table}"))
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert!(report["resumed"]["rows_reread"].as_u64().unwrap() < kept, "{report:#}");
    // Kept rows are verified, the others loaded; rows that look up a changed row are re-read.
    assert!(read >= all + without_time(&sandbox), "{report:#}");
    assert!(
        report["verdict"]["rows_verified_row_by_row"].as_u64().unwrap() > 0,
        "{report:#}"
    );
    sandbox.assert_star_equals_source();
}

#[test]
fn a_program_that_dies_anywhere_in_a_run_that_brings_changes_leaves_all_of_them_or_none() {
    let sandbox = Sandbox::loaded();
    sandbox.wait_until_at_rest();
    let watermark = "SELECT last_updated || ' ' || last_synced FROM sync_state WHERE source_table = 'payment'";
    let totals = "SELECT COUNT(*) || ' ' || CAST(ROUND(SUM(amount) * 100) AS INTEGER) FROM fact_payment";
    for command in ["incremental", "repair"] {
        sandbox.change(&CHANGES[..5]);
        let before = (sandbox.figure(watermark), sandbox.figure(totals));
        for failpoint in ["before-watermarks", "before-catch-up-commit", "before-commit"] {
            dies_at(&sandbox, &[command], failpoint, 0);
            assert_eq!(
                (sandbox.figure(watermark), sandbox.figure(totals)),
                before,
                "{failpoint}"
            );
        }
        dies_at(&sandbox, &[command], "after-commit", 0);
        assert_ne!(sandbox.figure(watermark), before.0);
        sandbox.assert_star_equals_source();
        dies_at(&sandbox, &[command], "before-checkpoint", 0);
        sandbox.assert_star_equals_source();
        sandbox.run(&[command]).succeeds();
        sandbox.assert_star_equals_source();
    }
}

#[test]
fn a_program_that_dies_in_a_full_load_of_a_star_that_has_rows_keeps_it_sound() {
    let sandbox = Sandbox::loaded();
    let load = ["full-load", "--batch-size", "500", "--workers", "2"];
    sandbox.change(&CHANGES);
    sandbox.tamper("DELETE FROM fact_payment WHERE payment_id BETWEEN 3000 AND 3100");
    sandbox.tamper("UPDATE dim_film SET title = 'ANOTHER' WHERE film_id % 3 = 1");
    for (failpoint, after) in [
        ("load-watermark-noted", 0),
        ("before-commit", 1),
        ("after-commit", 3),
        ("pages-written", 0),
        ("before-watermarks", 0),
        ("before-catch-up-commit", 0),
    ] {
        dies_at(&sandbox, &load, failpoint, after);
    }
    sandbox.run(&load).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn changes_before_a_later_full_load_are_pending_until_it_has_finished() {
    let sandbox = Sandbox::verified();
    sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id = 10"]);
    // The table signatures that the load records must come from tables at rest.
    sandbox.wait_until_at_rest();
    dies_at(&sandbox, &["full-load"], "load-watermark-noted", 0);
    let validated = sandbox.run(&["validate", "--all", "--deep"]).succeeds();
    assert_eq!(validated.verdict_code(), "OK_PENDING");
    let explained = sandbox.run(&["explain", "fact_payment", "10"]).succeeds();
    assert_eq!(explained.verdict_code(), "ROW_PENDING");
    let status = sandbox.run(&["status"]).succeeds();
    assert!(status.stdout.contains("a full load is not finished"), "{status:#?}");
    sandbox.run(&["full-load"]).succeeds();
    let status = sandbox.run(&["status"]).succeeds();
    assert!(!status.stdout.contains("a full load is not finished"), "{status:#?}");
    sandbox.assert_star_equals_source();
}

#[test]
fn a_program_that_dies_while_it_makes_or_migrates_the_file_makes_it_when_run_again() {
    let sandbox = Sandbox::new();
    for failpoint in ["before-migrations", "in-a-migration"] {
        dies_at(&sandbox, &["init"], failpoint, 0);
    }
    sandbox.load();
    sandbox.assert_star_equals_source();

    sandbox.lose_the_views();
    for failpoint in ["before-backup", "before-migrations", "in-a-migration"] {
        dies_at(&sandbox, &["init"], failpoint, 0);
    }
    sandbox.run(&["init"]).succeeds();
    sandbox.run(&["incremental"]).succeeds();
    assert_ne!(
        sandbox.star("SELECT name FROM sqlite_master WHERE type = 'view'"),
        Vec::<String>::new()
    );
    sandbox.assert_star_equals_source();
}

/// The number of kills, or the scale of the load; the long form uses 100 and 5.
fn long_form(variable: &str, short: u32) -> u32 {
    std::env::var(variable).map_or(short, |number| number.parse().unwrap())
}

#[test]
fn a_load_that_is_killed_again_and_again_ends_with_the_star_that_it_would_have_made() {
    let sandbox = Sandbox::empty();
    let kills = long_form("SAKILA_SYNC_KILLS", 8);
    let scale = long_form("SAKILA_SYNC_KILLS_SCALE", 1).to_string();
    sandbox
        .administer(&["seed", "--scale", &scale, "--seed", "3"])
        .succeeds();
    let seed = number("SAKILA_SYNC_KILLS_SEED").unwrap_or(1);
    println!("moments drawn from SAKILA_SYNC_KILLS_SEED={seed}");
    let mut random = Random::of(seed);
    let (mut killed, mut finished) = (0, 0);
    let mut longest_milliseconds = 2_000;
    sandbox.run(&["init"]).succeeds();
    while killed < kills {
        let began = Instant::now();
        let mut child = spawn(&sandbox, &["full-load"]);
        let patience = Duration::from_millis(random.below(longest_milliseconds));
        let ended = loop {
            if let Some(ended) = child.try_wait().unwrap() {
                break ended;
            }
            if began.elapsed() >= patience {
                send("-KILL", &child);
                break child.wait().unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_sound(&sandbox);
        if is_killed(ended) {
            killed += 1;
            continue;
        }
        assert_eq!(ended.code(), Some(0));
        sandbox.assert_star_equals_source();
        finished += 1;
        longest_milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap();
        for file in std::fs::read_dir(sandbox.folder()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        sandbox.run(&["init"]).succeeds();
    }
    sandbox.run(&["full-load"]).succeeds();
    sandbox.assert_star_equals_source();
    println!("killed {killed} times, finished {finished} times in between");
}

fn spawn(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    let mut command = sandbox.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn is_killed(ended: ExitStatus) -> bool {
    ended.signal() == Some(SIGKILL)
}
