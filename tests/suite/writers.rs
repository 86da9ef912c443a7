//! Concurrent writers: the source is written to while it is loaded and synced; after the writers stop, one incremental
//! run makes the star equal to it.
//!
//! The writers are two `seed mutate` at full speed, and direct ones with a session each: changes with new timestamps,
//! cascading deletes, changes that keep `last_update`, and transactions that stay open for seconds before they commit
//! their old timestamps. `SAKILA_SYNC_SOAK_SCALE` (1) sets the size, and `SAKILA_SYNC_SOAK_SECONDS` (10) the time of
//! the endless sync.

mod statements;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use statements::{CASCADING, OPEN, SILENT};

use crate::harness::prometheus::{Process, wait_until};
use crate::harness::{DEADLINE, Run, Sandbox, have_own_server, number, send, server};
use crate::running::wait_for;
use crate::sequences::REFUSALS;
use crate::sequences::random::Random;

/// The pause between two statements of a direct writer.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a transaction stays open: longer than the shortest safety lag used here.
const OPEN_FOR: Duration = Duration::from_secs(4);

/// Counts of changes made to the source.
#[derive(Default)]
struct Done {
    rows: AtomicU64,
    late_commits: AtomicU64,
    /// A business day that meets locks of another session is repeated.
    days_refused: AtomicU64,
}

/// Stops the writers when dropped, also if a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A source that is being written to.
struct Source<'a> {
    sandbox: &'a Sandbox,
    highest_key: u64,
    stop: AtomicBool,
    done: Done,
}

impl<'a> Source<'a> {
    fn seeded(sandbox: &'a Sandbox) -> Self {
        let scale = number("SAKILA_SYNC_SOAK_SCALE").unwrap_or(1).to_string();
        sandbox
            .administer(&["seed", "--scale", &scale, "--until", "2026-01-01"])
            .succeeds();
        let highest_key = sandbox.source_figure("SELECT CAST(MAX(rental_id) AS CHAR) FROM rental");
        Self {
            sandbox,
            highest_key: highest_key.parse().unwrap(),
            stop: AtomicBool::new(false),
            done: Done::default(),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Runs one business day after the other at full speed.
    fn mutate(&self, log: &Path) {
        while !self.is_stopped() {
            let mut command = self
                .sandbox
                .as_administrator(&["seed", "mutate", "--every", "1ms", "--quiet"]);
            command.stdout(Stdio::null()).stderr(File::create(log).unwrap());
            let mut days = Process(command.spawn().unwrap());
            while !self.is_stopped() && days.0.try_wait().unwrap().is_none() {
                thread::sleep(PAUSE);
            }
            if let Some(status) = days.0.try_wait().unwrap() {
                let said = fs::read_to_string(log).unwrap();
                let is_refusal = REFUSALS.iter().any(|error| said.contains(&error.to_string()));
                assert!(is_refusal, "{status}: {said}");
                self.done.days_refused.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// Executes statements one by one, each in its own transaction.
    fn write(&self, seed: u64, statements: &[&str]) {
        let mut random = Random::of(seed);
        let session = self.sandbox.open_session();
        while !self.is_stopped() {
            let statement = self.draw(&mut random, statements);
            self.count(session.attempt(&statement), &statement);
            thread::sleep(PAUSE);
        }
    }

    /// Transactions that set timestamps and commit them much later.
    fn write_late(&self, seed: u64) {
        let mut random = Random::of(seed);
        let session = self.sandbox.open_session();
        while !self.is_stopped() {
            session.change(&["START TRANSACTION"]);
            for _ in 0..8 {
                let statement = self.draw(&mut random, &OPEN);
                self.count(session.attempt(&statement), &statement);
            }
            let opened = Instant::now();
            while opened.elapsed() < OPEN_FOR {
                thread::sleep(PAUSE);
            }
            session.change(&["COMMIT"]);
            self.done.late_commits.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn draw(&self, random: &mut Random, statements: &[&str]) -> String {
        let key = 1 + random.below(self.highest_key);
        random.pick(statements).replace('?', &key.to_string())
    }

    fn count(&self, outcome: Result<u64, u16>, statement: &str) {
        match outcome {
            Ok(rows) => drop(self.done.rows.fetch_add(rows, Ordering::SeqCst)),
            Err(error) => assert!(REFUSALS.contains(&error), "error {error} in {statement}"),
        }
    }

    /// Progress so far: business days and rows of direct writers.
    fn progress(&self) -> (u64, u64) {
        let days = "SELECT CAST(business_days AS CHAR) FROM sakila_sync_seed";
        let days = self.sandbox.source_figure(days).parse().unwrap();
        (days, self.done.rows.load(Ordering::SeqCst))
    }
}

/// Runs an endless sync for the time of the soak, or on a slow machine until it has run twice. Returns the runs that
/// changed something.
fn sync_for_a_while(sandbox: &Sandbox, mut command: Command) -> Vec<Value> {
    let time = Duration::from_secs(number("SAKILA_SYNC_SOAK_SECONDS").unwrap_or(10));
    let [printed, said] = ["sync.json", "sync.log"].map(|name| sandbox.folder().join(name));
    command
        .stdout(File::create(&printed).unwrap())
        .stderr(File::create(&said).unwrap());
    let mut sync = Process(command.spawn().unwrap());
    let began = Instant::now();
    let has_run_twice = || fs::read_to_string(&printed).unwrap().lines().count() > 1;
    while began.elapsed() < time || !has_run_twice() {
        let said = || fs::read_to_string(&said).unwrap();
        assert!(sync.0.try_wait().unwrap().is_none(), "it has ended: {}", said());
        assert!(began.elapsed() < time + DEADLINE, "no two runs: {}", said());
        thread::sleep(PAUSE);
    }
    send("-TERM", &sync.0);
    assert_eq!(sync.0.wait().unwrap().code(), Some(0));
    let printed = fs::read_to_string(&printed).unwrap();
    let runs = printed.lines().map(|line| serde_json::from_str(line).unwrap());
    let runs: Vec<Value> = runs.collect();
    let failed = runs.iter().find(|run| !run["error"].is_null());
    assert!(failed.is_none(), "{failed:#?} {}", fs::read_to_string(&said).unwrap());
    runs
}

/// The sum of one figure over all tables of a run.
fn sum(run: &Value, figure: &str) -> u64 {
    let tables = run["tables"].as_array().unwrap();
    tables.iter().map(|table| table[figure].as_u64().unwrap()).sum()
}

fn tell(name: &str, run: &Value) {
    println!(
        "{name}: {}, {:.1} s, {} rows read, {} inserted, {} updated, {} deleted, {} found by comparing",
        run["status"].as_str().unwrap(),
        run["seconds"].as_f64().unwrap(),
        sum(run, "read"),
        sum(run, "inserted"),
        sum(run, "updated"),
        sum(run, "deleted"),
        sum(run, "found"),
    );
}

/// Loads and syncs a source while it is written to, followed by one last run, whose budget lets verification find
/// silent changes. `command` makes a sync's command. Returns the load and the runs beside the writers.
fn soak(
    source: &Source,
    writers: &[&(dyn Fn() + Sync)],
    command: &dyn Fn(&[&str]) -> Command,
    last_budget: &[&str],
) -> Vec<Value> {
    let json = |arguments: &[&str]| -> Value {
        let run = Run::of(command(&[arguments, &["--json"]].concat()));
        assert!([0, 1].contains(&run.code), "{run:#?}");
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error} in {run:#?}"))
    };
    let sandbox = source.sandbox;
    sandbox.run(&["init"]).succeeds();
    let beside_writers = thread::scope(|scope| {
        let stop = Stop(&source.stop);
        for writer in writers {
            scope.spawn(writer);
        }
        wait_until("all writers are at work", || source.progress().1 > 20);
        let began = source.progress();
        let load = json(&["full-load", "--batch-size", "100"]);
        tell("full-load", &load);
        let loaded = source.progress();
        println!(
            "meanwhile: {} business days, {} rows of direct writers",
            loaded.0 - began.0,
            loaded.1 - began.1
        );
        assert!(loaded.1 > began.1, "nothing was written during the load");

        let runs = sync_for_a_while(sandbox, command(&["incremental", "--every", "1s", "--json"]));
        let differing = runs.iter().filter(|run| run["status"] != "done").count();
        let longest = runs
            .iter()
            .map(|run| run["seconds"].as_f64().unwrap())
            .fold(0.0, f64::max);
        let total = |figure| -> u64 { runs.iter().map(|run| sum(run, figure)).sum() };
        println!(
            "incremental --every 1s: {} runs with changes, {differing} of them with differences, {} rows inserted, {} \
             updated, {} deleted, {} found by comparing; the longest took {longest:.1} s",
            runs.len(),
            total("inserted"),
            total("updated"),
            total("deleted"),
            total("found"),
        );
        assert!(runs.len() > 1);
        // Some changes that no run has read yet.
        let (_, seen) = source.progress();
        wait_until("more is written", || source.progress().1 > seen);
        let ended = source.progress();
        println!(
            "meanwhile: {} business days, {} rows of direct writers, {} late commits, {} days refused",
            ended.0 - loaded.0,
            ended.1 - loaded.1,
            source.done.late_commits.load(Ordering::SeqCst),
            source.done.days_refused.load(Ordering::SeqCst),
        );
        drop(stop);
        [vec![load], runs].concat()
    });
    let last = json(&[&["incremental"], last_budget].concat());
    tell("one incremental after the writers", &last);
    assert_eq!(last["status"], "done");
    sandbox.assert_star_equals_source();
    let failed = "SELECT COUNT(*) FROM sync_run WHERE status = 'failed'";
    assert_eq!(sandbox.figure(failed), "0");
    beside_writers
}

#[test]
fn whatever_writes_meanwhile_one_incremental_run_after_it_makes_the_star_equal() {
    let sandbox = Sandbox::empty();
    let source = Source::seeded(&sandbox);
    let log = |name: &str| sandbox.folder().join(name);
    soak(
        &source,
        &[
            &|| source.mutate(&log("mutate-1.log")),
            &|| source.mutate(&log("mutate-2.log")),
            &|| source.write(1, &OPEN),
            &|| source.write(2, &CASCADING),
            &|| source.write(3, &SILENT),
            &|| source.write_late(4),
        ],
        &|arguments| {
            let mut command = sandbox.command(arguments);
            // The account does not see in-flight transactions.
            command.env("SAKILA_SYNC_OVERLAP", "120");
            command
        },
        &["--verify-budget", "600"],
    );
}

#[test]
fn stamps_alone_suffice_where_open_transactions_are_seen() {
    have_own_server();
    let sandbox = Sandbox::empty();
    let source = Source::seeded(&sandbox);
    let runs = soak(
        &source,
        &[
            &|| source.write(5, &OPEN),
            &|| source.write(6, &OPEN),
            &|| source.write_late(7),
            &|| source.write_late(8),
        ],
        &|arguments| {
            let mut command = sandbox.as_administrator(arguments);
            // Shorter than transactions stay open: their late commits would be lost if they did not limit the
            // watermarks.
            command
                .env("SAKILA_SYNC_OVERLAP", "2")
                .env("SAKILA_SYNC_VERIFY_BUDGET", "0");
            command
        },
        &[],
    );
    assert!(runs.iter().all(|run| run["status"] == "done"), "{runs:#?}");
}

/// A server that cannot show a statement refuses its whole list of transactions, to every session. Therefore these
/// tests have their own server.
#[test]
fn a_statement_that_the_server_cannot_show_makes_no_run_fail() {
    have_own_server();
    let sandbox = Sandbox::loaded();
    let [writer, watcher] = [sandbox.open_session(), sandbox.open_session()];
    writer.change(&[
        "START TRANSACTION",
        "UPDATE payment SET amount = 7.77 WHERE payment_id = 1",
    ]);
    thread::scope(|scope| {
        scope.spawn(|| writer.change(&["DO SLEEP(1), '\u{1F4FC}\u{1F4FC}'"]));
        wait_until("the list is refused, as MariaDB never does", || {
            let list = watcher.attempt("SELECT * FROM information_schema.PROCESSLIST");
            server().is_mariadb || list == Err(3854)
        });
        Run::of(sandbox.as_administrator(&["incremental"])).succeeds();
    });
    writer.change(&["COMMIT"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_statement_that_the_server_cannot_show_for_long_is_waited_for_and_nothing_of_it_is_logged() {
    have_own_server();
    let sandbox = Sandbox::loaded();
    let [writer, watcher] = [sandbox.open_session(), sandbox.open_session()];
    sandbox.change(&["UPDATE payment SET amount = 7.77 WHERE payment_id = 1"]);
    let id = writer.id();
    thread::scope(|scope| {
        scope.spawn(|| writer.attempt("DO SLEEP(600), 'a secret \u{1F4FC}'"));
        // MySQL then refuses the list; MariaDB shows the statement in it.
        let under_way = format!(
            "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.PROCESSLIST WHERE ID = {id} AND COMMAND = 'Query'"
        );
        wait_until("the statement is under way", || {
            if server().is_mariadb {
                watcher.figure(&under_way) == "1"
            } else {
                watcher.attempt(&under_way) == Err(3854)
            }
        });
        if !server().is_mariadb {
            let run = Run::of(sandbox.as_administrator(&["incremental", "--retry-for", "0"]))
                .fails_with(3, "SOURCE_UNLISTED");
            assert!(!run.stderr.contains("secret"), "{run:#?}");
        }
        let mut command = sandbox.as_administrator(&["incremental"]);
        let mut run = Process(command.stderr(Stdio::piped()).spawn().unwrap());
        if !server().is_mariadb {
            wait_for(&mut run.0, "code=\"RETRYING\"");
        }
        watcher.change(&[&format!("KILL QUERY {id}")]);
        assert!(run.0.wait().unwrap().success());
    });
    sandbox.assert_star_equals_source();
}
