//! A reader of the star: polls with plain SQL, each poll in one read transaction, and records the results.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};

/// Every column that refers to a row of another table.
const REFERENCES: [(&str, &str, &str); 13] = [
    ("fact_rental", "date_key_rented", "dim_date.date_key"),
    ("fact_rental", "date_key_returned", "dim_date.date_key"),
    ("fact_rental", "film_key", "dim_film.film_key"),
    ("fact_rental", "store_key", "dim_store.store_key"),
    ("fact_rental", "customer_key", "dim_customer.customer_key"),
    ("fact_payment", "date_key_paid", "dim_date.date_key"),
    ("fact_payment", "customer_key", "dim_customer.customer_key"),
    ("fact_payment", "store_key", "dim_store.store_key"),
    ("fact_payment", "film_key", "dim_film.film_key"),
    ("bridge_film_actor", "film_key", "dim_film.film_key"),
    ("bridge_film_actor", "actor_key", "dim_actor.actor_key"),
    ("bridge_film_category", "film_key", "dim_film.film_key"),
    ("bridge_film_category", "category_key", "dim_category.category_key"),
];
const WATERMARKS: &str = "SELECT group_concat(source_table || ' ' || COALESCE(last_updated, '-'), ', ' ORDER BY source_table) \
                       FROM sync_state";
/// Counts, cents, and figures that change with an update of a rental or of a dimension.
const FIGURES: &str = "SELECT (SELECT COUNT(*) || ' rentals of ' || COALESCE(SUM(rental_duration_days), 0) || ' days, ' \
                       FROM fact_rental) || (SELECT COUNT(*) || ' payments of ' \
                       || COALESCE(SUM(CAST(ROUND(amount * 100) AS INTEGER)), 0) || ' cents, ' FROM fact_payment) \
                       || (SELECT COUNT(DISTINCT city) || ' cities, ' FROM dim_customer) \
                       || (SELECT COUNT(*) || ' roles' FROM bridge_film_actor)";

/// The star as one read transaction shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub watermarks: String,
    pub figures: String,
}

/// The results of a reader.
pub struct Watched {
    pub name: &'static str,
    /// Each state once, in the order seen: the first is that before the run, the last that after it.
    pub states: Vec<State>,
    /// Polls that began and ended during the run.
    pub polls: usize,
    pub refusals: usize,
    pub longest_lock_out: Duration,
    pub longest_poll: Duration,
    /// When the last state was first seen.
    pub saw_last: Instant,
}

pub struct Reader<'a> {
    file: &'a Path,
    stays_open: bool,
    connection: Option<Connection>,
    pub watched: Watched,
}

impl<'a> Reader<'a> {
    /// A reader with a connection that stays open, or with a new one per poll.
    pub fn new(file: &'a Path, stays_open: bool) -> Self {
        let name = if stays_open {
            "a connection that stays open"
        } else {
            "a connection a poll"
        };
        let watched = Watched {
            name,
            states: Vec::new(),
            polls: 0,
            refusals: 0,
            longest_lock_out: Duration::ZERO,
            longest_poll: Duration::ZERO,
            saw_last: Instant::now(),
        };
        Self {
            file,
            stays_open,
            connection: None,
            watched,
        }
    }

    /// Reads the star once, retrying as often as necessary.
    pub fn poll(&mut self) {
        let asked = Instant::now();
        let mut began = asked;
        let state = loop {
            match self.look() {
                Ok(state) => break state,
                Err(error) if is_refusal(&error) => self.watched.refusals += 1,
                Err(error) => panic!("{}: {error}", self.watched.name),
            }
            assert!(asked.elapsed() < crate::harness::DEADLINE, "{}", self.watched.name);
            thread::yield_now();
            began = Instant::now();
        };
        let watched = &mut self.watched;
        watched.longest_lock_out = watched.longest_lock_out.max(began - asked);
        watched.longest_poll = watched.longest_poll.max(asked.elapsed());
        if watched.states.last() != Some(&state) {
            watched.states.push(state);
            watched.saw_last = Instant::now();
        }
    }

    fn look(&mut self) -> rusqlite::Result<State> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(self.file)?,
        };
        let state = look(&connection, self.watched.name)?;
        self.connection = Some(connection).filter(|_| self.stays_open);
        Ok(state)
    }
}

/// Opens the file for reading, without waiting for locks.
pub fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

fn is_refusal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// In one read transaction: checks that all referenced rows exist, and returns the watermarks and the facts' figures.
fn look(connection: &Connection, reader: &str) -> rusqlite::Result<State> {
    look_within(&connection.unchecked_transaction()?, reader)
}

/// The same in an existing transaction.
pub fn look_within(transaction: &Transaction<'_>, reader: &str) -> rusqlite::Result<State> {
    let text = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, String>(0));
    let state = State {
        watermarks: text(WATERMARKS)?,
        figures: text(FIGURES)?,
    };
    let violations = "SELECT COUNT(*) || ' rows lack what they refer to: ' || COALESCE(group_concat(DISTINCT \"table\" \
                      || ' its ' || parent), '') FROM pragma_foreign_key_check";
    let found = text(violations)?;
    assert!(found.starts_with("0 "), "{reader}: {found} with {state:?}");
    for (table, column, referred) in REFERENCES {
        let (parent, key) = referred.split_once('.').unwrap();
        let orphans: i64 = transaction.query_row(
            &format!("SELECT COUNT(*) FROM {table} WHERE {column} NOT IN (SELECT {key} FROM {parent})"),
            [],
            |row| row.get(0),
        )?;
        assert_eq!(
            orphans, 0,
            "{reader}: rows of {table} whose {column} is not there, with {state:?}"
        );
    }
    Ok(state)
}
