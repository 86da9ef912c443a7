//! Random sequences of changes to the source, with incremental runs in between: the star stays equal to the source.
//!
//! `SAKILA_SYNC_SEQUENCES=1000 scripts/test sequences` runs this many, plus one with source restarts for every fifty. A
//! sequence that fails prints its seed and its steps; `SAKILA_SYNC_SEQUENCE=SEED` repeats it alone.

mod keys;
mod odds;
mod operations;
pub mod random;
mod rows;
mod sequence;
mod star;
mod template;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use keys::Keys;
use sequence::{Sequence, Step};
use star::SurrogateKeys;

use crate::harness::killed::{Restarted, stop};
use crate::harness::{Sandbox, Session, have_own_server, number, server};

/// For an account that cannot see in-flight transactions: longer than any transaction of a sequence stays open.
const LONG_OVERLAP: [&str; 2] = ["--overlap", "120"];
/// For an account that can see them.
const SHORT_OVERLAP: [&str; 2] = ["--overlap", "1"];

/// As many as the suite has time for.
const SEQUENCES: u64 = 24;
/// One sequence with restarts for this many without, because it needs its own server.
const SEQUENCES_PER_RESTART: u64 = 50;
/// More than there are processors, because threads wait for the server's clock and for each other's locks.
const THREADS: usize = 4;
/// The errors that the server may return: duplicate key, row locked by another session, row still referenced, or parent
/// missing. The statement then changes nothing. (MySQL 9.7 returns no error if a cascade meets a row locked by another
/// session: it changes only some of the child rows, and leaves a source with orphans and no trace of them.)
pub const REFUSALS: [u16; 6] = [1062, 1205, 1213, 1451, 1452, 1761];

#[test]
fn any_sequence_of_changes_ends_in_the_star_that_a_load_from_nothing_makes() {
    let (first, last) = match (number("SAKILA_SYNC_SEQUENCE"), number("SAKILA_SYNC_SEQUENCES")) {
        (Some(seed), _) => (seed, seed),
        (None, count) => (1, count.unwrap_or(SEQUENCES)),
    };
    let template = template::small_sakila();
    let keys = Keys::of(&template);
    let next = AtomicU64::new(first);
    let has_failed = AtomicBool::new(false);
    let play_some = || {
        while !has_failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > last {
                break;
            }
            let mut replay = Replay {
                seed,
                lines: Vec::new(),
                has_failed: &has_failed,
            };
            play(
                &template.copy(),
                &Sequence::of(seed, &keys, false),
                &mut replay,
                &mut None,
            );
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(play_some);
        }
    });
}

#[test]
fn a_sequence_goes_on_when_its_source_is_stopped_and_started_again() {
    let (first, last) = match (number("SAKILA_SYNC_SEQUENCE"), number("SAKILA_SYNC_SEQUENCES")) {
        (Some(seed), _) => (seed, seed),
        (None, count) => (1, count.unwrap_or(SEQUENCES).div_ceil(SEQUENCES_PER_RESTART)),
    };
    have_own_server();
    let template = template::small_sakila();
    let keys = Keys::of(&template);
    // The restarted server runs until the next restart.
    let mut restarted = None;
    for seed in first..=last {
        let mut replay = Replay {
            seed,
            lines: Vec::new(),
            has_failed: &AtomicBool::new(false),
        };
        play(
            &template.copy(),
            &Sequence::of(seed, &keys, true),
            &mut replay,
            &mut restarted,
        );
    }
}

/// The steps so far, printed on failure.
struct Replay<'a> {
    seed: u64,
    lines: Vec<String>,
    has_failed: &'a AtomicBool,
}

impl Replay<'_> {
    fn note(&mut self, step: &Step) {
        self.lines.push(step.to_string());
    }

    /// Adds the outcome to the last line.
    fn note_outcome(&mut self, outcome: Result<u64, u16>) {
        let line = self.lines.last_mut().unwrap();
        let outcome = match outcome {
            Ok(rows) => format!(" -- {rows} rows"),
            Err(error) if REFUSALS.contains(&error) => format!(" -- refused: error {error}"),
            Err(error) => panic!("error {error} in {line}"),
        };
        line.push_str(&outcome);
    }
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.has_failed.store(true, Ordering::Relaxed);
            let (seed, lines) = (self.seed, self.lines.join("\n"));
            eprintln!("SAKILA_SYNC_SEQUENCE={seed} repeats what has failed here:\n{lines}");
        }
    }
}

fn play(sandbox: &Sandbox, sequence: &Sequence, replay: &mut Replay<'_>, restarted: &mut Option<Restarted>) {
    let options = sequence.options;
    let run = |arguments: &[&str]| {
        if sequence.sees_in_flight_transactions {
            sandbox.observe(&[arguments, &SHORT_OVERLAP, options].concat())
        } else {
            sandbox.run(&[arguments, &LONG_OVERLAP, options].concat())
        }
    };
    sandbox.make_observer();
    replay.lines.push(format!(
        "-- options: {options:?}; the account sees what is in flight: {}",
        sequence.sees_in_flight_transactions
    ));
    sandbox.run(&["init"]).succeeds();
    run(&["full-load"]).succeeds();
    let mut surrogate_keys = SurrogateKeys::default();
    surrogate_keys.see(sandbox);
    let [mut main, mut late] = [open_session(sandbox), open_session(sandbox)];
    for step in &sequence.steps {
        replay.note(step);
        match step {
            Step::Main(statement) => replay.note_outcome(main.attempt(statement)),
            Step::Late(statement) => replay.note_outcome(late.attempt(statement)),
            Step::Restart => {
                *restarted = Some(stop(&server()).start_again());
                [main, late] = [open_session(sandbox), open_session(sandbox)];
            }
            Step::Sync { at_rest, verifies } => {
                if *at_rest {
                    sandbox.wait_until_at_rest();
                }
                if *verifies {
                    run(&["incremental"]).succeeds();
                    sandbox.assert_star_equals_source();
                } else {
                    let unverified = run(&["incremental", "--verify-budget", "0"]);
                    assert!([0, 1].contains(&unverified.code), "{unverified:#?}");
                }
                surrogate_keys.see(sandbox);
            }
        }
    }
    assert_equals_new_star(sandbox, options);
}

fn open_session(sandbox: &Sandbox) -> Session<'_> {
    let session = sandbox.open_session();
    session.change(&[
        "SET SESSION innodb_lock_wait_timeout = 1",
        "SET SESSION lock_wait_timeout = 1",
        // Locks fewer rows.
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ]);
    session
}

/// Loads the source into another file, and compares every row.
fn assert_equals_new_star(sandbox: &Sandbox, options: &[&str]) {
    let file = sandbox.folder().join("new.db");
    let target = ["--target", file.to_str().unwrap()];
    sandbox.run(&[&["init"], &target[..]].concat()).succeeds();
    sandbox.run(&[&["full-load"], &target[..], options].concat()).succeeds();
    let (grown, new) = (star::rows(sandbox, &sandbox.target()), star::rows(sandbox, &file));
    for (table, new) in &new {
        let grown = &grown[table];
        let missing: Vec<_> = new.iter().filter(|row| !grown.contains(row)).collect();
        let extra: Vec<_> = grown.iter().filter(|row| !new.contains(row)).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{table}: a new star also has {missing:#?}, and lacks {extra:#?}"
        );
        assert_eq!(grown.len(), new.len(), "{table} holds rows twice");
    }
}
