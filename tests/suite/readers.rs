//! Readers of the star during a run see consistent states and are not kept waiting.
//!
//! Two readers poll the file with plain SQL from before a run's beginning until after its end: one on a connection that
//! stays open, and one that opens the file for each poll, as a report does. SQLite does not wait for locks on their
//! connections, so that each refusal shows. A refused reader retries immediately; the time until it succeeds is its
//! lock-out.

mod reader;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reader::{Reader, State, Watched, look_within, open};

use crate::harness::Sandbox;

/// No reader may be locked out for longer than the shortest usual default timeout: 5 s in Python's sqlite3.
const LONGEST_LOCK_OUT: Duration = Duration::from_secs(5);
/// A reader with fewer polls during a run has not seen enough of it.
const FEWEST_POLLS: usize = 25;

impl Watched {
    fn before(&self) -> &State {
        &self.states[0]
    }

    fn after(&self) -> &State {
        self.states.last().unwrap()
    }

    /// Holds for every run: a watermark never advances before the rows that it covers.
    fn assert_watermarks_are_not_ahead_of_the_rows(&self) {
        for state in &self.states {
            assert!(
                state.watermarks == self.before().watermarks || state == self.after(),
                "{}: watermarks of after the run, and {} instead of {}",
                self.name,
                state.figures,
                self.after().figures
            );
        }
    }

    /// Holds for a run that is one transaction.
    fn assert_nothing_between(&self) {
        let (before, after) = (self.before(), self.after());
        assert_ne!(before.watermarks, after.watermarks, "{}", self.name);
        assert_ne!(before.figures, after.figures, "{}", self.name);
        assert_eq!(self.states, [before.clone(), after.clone()], "{}", self.name);
    }
}

/// Runs a command while both readers poll.
fn watch(sandbox: &Sandbox, command: &[&str]) -> [Watched; 2] {
    let file = sandbox.target();
    let (is_running, has_ended) = (AtomicBool::new(false), AtomicBool::new(false));
    // One after the other: the first reader of the file sets up its shared memory and locks out others meanwhile, with
    // or without a run.
    let readers = [true, false].map(|stays_open| {
        let mut reader = Reader::new(&file, stays_open);
        reader.poll();
        reader
    });
    let read = |mut reader: Reader| {
        while !has_ended.load(Ordering::SeqCst) {
            let began_within = is_running.load(Ordering::SeqCst);
            reader.poll();
            if began_within && is_running.load(Ordering::SeqCst) {
                reader.watched.polls += 1;
            }
        }
        reader.poll();
        reader.watched
    };
    thread::scope(|scope| {
        let read = &read;
        let readers = readers.map(|reader| scope.spawn(move || read(reader)));
        is_running.store(true, Ordering::SeqCst);
        let began = Instant::now();
        let run = sandbox.run(command);
        let (took, ended) = (began.elapsed(), Instant::now());
        is_running.store(false, Ordering::SeqCst);
        has_ended.store(true, Ordering::SeqCst);
        let watched = readers.map(|reader| reader.join().unwrap());
        run.succeeds();
        for Watched {
            name,
            states,
            polls,
            refusals,
            longest_lock_out,
            longest_poll,
            saw_last,
        } in &watched
        {
            println!(
                "{} of {took:.1?}, {name}: {polls} polls, {} states, {refusals} refusals, locked out for at most \
                 {longest_lock_out:.1?}, a poll took at most {longest_poll:.1?}; the run ended {:.1?} after its last commit",
                command[0],
                states.len(),
                ended.saturating_duration_since(*saw_last),
            );
            assert!(*polls >= FEWEST_POLLS, "{name}: {polls} polls only");
            assert!(*longest_lock_out < LONGEST_LOCK_OUT, "{name}: {longest_lock_out:?}");
            assert!(!name.ends_with("open") || *refusals == 0, "{name}: {refusals} refusals");
        }
        watched
    })
}

/// The changes of a day, and more: new rows with new parents in new years, deleted rows and parents, changed places and
/// copies.
const CHANGES: [&str; 15] = [
    "INSERT INTO customer (customer_id, store_id, first_name, last_name, address_id, create_date) \
     SELECT customer_id + 1000, store_id, first_name, last_name, address_id, NOW() FROM customer WHERE customer_id < 200",
    "INSERT INTO film (film_id, title, language_id) SELECT film_id + 2000, title, language_id FROM film WHERE film_id < 100",
    "INSERT INTO inventory (film_id, store_id) SELECT film_id, 1 FROM film WHERE film_id > 2000",
    "INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id) \
     SELECT '2031-05-05', (SELECT MAX(inventory_id) FROM inventory), customer_id, 1 FROM customer WHERE customer_id > 1000",
    "INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date) \
     SELECT customer_id, staff_id, rental_id, 3.33, '2032-06-06' FROM rental WHERE rental_date = '2031-05-05'",
    "UPDATE payment SET amount = amount + 1 WHERE payment_id % 3 = 0",
    "UPDATE rental SET return_date = rental_date + INTERVAL 9 DAY WHERE rental_id % 3 = 0",
    "UPDATE city SET city = CONCAT('New ', city_id % 7) WHERE city_id % 2 = 0",
    "UPDATE inventory SET store_id = 3 - store_id WHERE inventory_id % 5 = 0",
    "DELETE FROM payment WHERE customer_id % 20 = 7 AND customer_id < 600",
    "DELETE FROM rental WHERE customer_id % 20 = 7 AND customer_id < 600",
    "DELETE FROM customer WHERE customer_id % 20 = 7 AND customer_id < 600",
    "DELETE FROM rental WHERE rental_id % 50 = 0",
    "DELETE film_actor FROM film_actor WHERE film_id % 10 = 0",
    "INSERT INTO film_actor (actor_id, film_id) SELECT 1, film_id FROM film WHERE film_id > 2000",
];

#[test]
fn whoever_reads_during_a_first_load_sees_no_row_without_those_it_refers_to() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    for watched in watch(&sandbox, &["full-load", "--batch-size", "20"]) {
        watched.assert_watermarks_are_not_ahead_of_the_rows();
        assert!(watched.before().figures.starts_with("0 rentals"));
        assert!(
            watched.states.len() > 10,
            "{}: it was loaded at one stroke",
            watched.name
        );
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn whoever_reads_during_a_load_on_what_is_loaded_sees_no_row_without_those_it_refers_to() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&CHANGES);
    for watched in watch(&sandbox, &["full-load", "--batch-size", "100"]) {
        watched.assert_watermarks_are_not_ahead_of_the_rows();
        assert_ne!(watched.before().watermarks, watched.after().watermarks);
        assert!(
            watched.states.len() > 10,
            "{}: it was loaded at one stroke",
            watched.name
        );
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn whoever_reads_during_an_incremental_run_sees_the_star_of_before_or_of_after() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&CHANGES);
    for watched in watch(&sandbox, &["incremental", "--batch-size", "100"]) {
        watched.assert_nothing_between();
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn whoever_reads_during_a_repair_sees_the_star_of_before_or_of_after() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&CHANGES);
    sandbox.change(&["UPDATE payment SET amount = amount + 2, last_update = last_update WHERE payment_id % 7 = 0"]);
    sandbox.tamper("DELETE FROM fact_rental WHERE rental_id % 11 = 0");
    for watched in watch(&sandbox, &["repair", "--batch-size", "100"]) {
        watched.assert_nothing_between();
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn a_report_that_reads_on_through_a_whole_run_sees_what_it_began_with() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&CHANGES);
    let mut connection = open(&sandbox.target()).unwrap();
    let report = connection.transaction().unwrap();
    let before = look_within(&report, "a report").unwrap();
    let began = Instant::now();
    sandbox.run(&["incremental"]).succeeds();
    println!("incremental beside a report that reads on: {:.1?}", began.elapsed());
    assert_eq!(look_within(&report, "a report").unwrap(), before);
    report.finish().unwrap();
    let after = look_within(&connection.transaction().unwrap(), "a report").unwrap();
    assert_ne!(after, before);
    drop(connection);
    // The run could not remove its log, because the report was reading it; the next run removes it.
    let log = sandbox.folder().join("analytics.db-wal");
    assert!(log.exists());
    sandbox.run(&["incremental"]).succeeds();
    assert!(!log.exists());
    sandbox.assert_star_equals_source();
}
