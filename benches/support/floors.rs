//! Floors: the minimal cost of each part of a load, measured shortly after the loads. Reading without decoding, writing
//! with rusqlite, creating the indexes.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use sqlx::{AssertSqlSafe, Row};

use super::figures::Figures;
use super::source::Source;

/// Rows that are held in memory between reading and writing.
const ROWS_PER_SLICE: i64 = 100_000;
/// Keys of one page.
const KEYS_PER_PAGE: i64 = 10_000;
/// The program's settings while it creates indexes.
const INDEXING: &str = "PRAGMA cache_size = -4096; PRAGMA threads = 0";
/// As in the program.
const ROWS_PER_STATEMENT: usize = 500;
const COLUMNS: [(&str, &str, &str); 2] = [
    (
        "rental",
        "rental_id",
        "rental_id, rental_date, inventory_id, customer_id, return_date, staff_id",
    ),
    (
        "payment",
        "payment_id",
        "payment_id, customer_id, staff_id, rental_id, amount, payment_date",
    ),
];

/// Seconds of each part.
#[derive(Clone, Copy, Debug)]
pub struct Floors {
    /// The duration of `read`.
    pub read: f64,
    /// Writing the same facts in prepared statements of as many rows as the program's, in transactions without fsync,
    /// with their unique index.
    pub write: f64,
    /// Creating all secondary indexes of the star in a file that has none.
    pub index: f64,
}

impl Floors {
    /// Measures all three. `star` is a loaded target.
    pub async fn measure(source: &Source, star: &Path) -> Self {
        let read = read(source).await.as_secs_f64();
        let folder = tempfile::tempdir().expect("there is room for another star");
        let (write, index) = write(star, &folder.path().join("floor.db")).expect("a star can be copied");
        Self {
            read,
            write: write.as_secs_f64(),
            index: index.as_secs_f64(),
        }
    }
}

/// Reads the columns that a load reads of rentals and payments, on two connections, without decoding.
pub async fn read(source: &Source) -> Duration {
    let mut pages = Vec::new();
    for (table, key, columns) in COLUMNS {
        let ends = format!("SELECT CAST(MIN({key}) AS SIGNED), CAST(MAX({key}) AS SIGNED) FROM {table}");
        let row = sqlx::query(AssertSqlSafe(ends)).fetch_one(&source.pool).await;
        let row = row.expect("the source can be read");
        let (mut after, last): (i64, i64) = (row.get::<i64, _>(0) - 1, row.get(1));
        let sql = format!("SELECT {columns} FROM {table} WHERE {key} > ? AND {key} <= ?");
        while after < last {
            pages.push((sql.clone(), after, after + KEYS_PER_PAGE));
            after += KEYS_PER_PAGE;
        }
    }
    let began = Instant::now();
    let halves = (0..2).map(|half| {
        let pages: Vec<_> = pages.iter().skip(half).step_by(2).cloned().collect();
        let pool = source.pool.clone();
        tokio::spawn(async move {
            let mut rows = 0_u64;
            for (sql, after, up_to) in pages {
                let mut page = sqlx::query(AssertSqlSafe(sql)).bind(after).bind(up_to).fetch(&pool);
                while page.try_next().await.expect("the source can be read").is_some() {
                    rows += 1;
                }
            }
            rows
        })
    });
    let mut rows = 0;
    for half in halves.collect::<Vec<_>>() {
        rows += half.await.expect("reading does not panic");
    }
    assert_eq!(rows, source.figures.rows().unsigned_abs());
    began.elapsed()
}

/// Reads all columns of both facts of a star, on one thread per fact.
pub fn scan(star: &Path, facts: &Figures) -> Duration {
    let began = Instant::now();
    let rows: i64 = std::thread::scope(|scope| {
        let scans = ["fact_rental", "fact_payment"].map(|table| scope.spawn(move || scan_table(star, table)));
        let rows = scans.map(|scan| scan.join().expect("scanning does not panic"));
        rows.into_iter()
            .sum::<rusqlite::Result<i64>>()
            .expect("a star can be read")
    });
    assert_eq!(rows, facts.rows());
    began.elapsed()
}

fn scan_table(star: &Path, table: &str) -> rusqlite::Result<i64> {
    let connection = Connection::open(star)?;
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
    let width = statement.column_count();
    let mut rows = statement.query([])?;
    let mut number = 0;
    while let Some(row) = rows.next()? {
        for column in 0..width {
            black_box(row.get_ref(column)?);
        }
        number += 1;
    }
    Ok(number)
}

fn insert(table: &str, width: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; width].join(", "));
    format!("INSERT INTO {table} VALUES {}", vec![row; rows].join(", "))
}

fn write(star: &Path, copy: &Path) -> rusqlite::Result<(Duration, Duration)> {
    let from = Connection::open(star)?;
    let mut to = Connection::open(copy)?;
    to.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF")?;
    let ddl = |kind: &str| -> rusqlite::Result<Vec<String>> {
        let select = "SELECT sql FROM sqlite_master WHERE type = ? AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%'";
        let mut statement = from.prepare(select)?;
        statement.query_map([kind], |row| row.get(0))?.collect()
    };
    for table in ddl("table")? {
        to.execute_batch(&table)?;
    }
    let mut writing = Duration::ZERO;
    for (table, key) in [("fact_rental", "fact_rental_key"), ("fact_payment", "fact_payment_key")] {
        let mut after = 0_i64;
        loop {
            let select = format!("SELECT * FROM {table} WHERE {key} > {after} ORDER BY {key} LIMIT {ROWS_PER_SLICE}");
            let mut statement = from.prepare(&select)?;
            let width = statement.column_count();
            let cells = |row: &rusqlite::Row<'_>| (0..width).map(|column| row.get(column)).collect();
            let rows: Vec<Vec<Value>> = statement.query_map([], cells)?.collect::<rusqlite::Result<_>>()?;
            let Some(Value::Integer(last)) = rows.last().map(|row| row[0].clone()) else {
                break;
            };
            after = last;
            let began = Instant::now();
            let transaction = to.transaction()?;
            let mut full = transaction.prepare(&insert(table, width, ROWS_PER_STATEMENT))?;
            for rows in rows.chunks(ROWS_PER_STATEMENT) {
                let values = params_from_iter(rows.iter().flatten());
                if rows.len() == ROWS_PER_STATEMENT {
                    full.execute(values)?;
                } else {
                    transaction.execute(&insert(table, width, rows.len()), values)?;
                }
            }
            drop(full);
            transaction.commit()?;
            writing += began.elapsed();
        }
    }
    to.execute_batch(INDEXING)?;
    let began = Instant::now();
    for index in ddl("index")? {
        to.execute_batch(&index)?;
    }
    Ok((writing, began.elapsed()))
}
