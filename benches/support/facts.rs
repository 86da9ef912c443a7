//! Inputs for the stages of the pipeline: pages of rentals and payments of any size, and target files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value as Cell;
use sakila_sync::sakila;
use sea_orm::{DatabaseConnection, Value};
use sqlx::{AssertSqlSafe, MySqlPool};
use star_sync::declare::key_range::KeyRange;
use star_sync::declare::lookup::Lookups;
use star_sync::declare::period::Period;
use star_sync::declare::star::Years;
use star_sync::declare::table::Table;
use star_sync::pipeline::flow::{Batch, BatchCounts, Job, Late, Page};
use star_sync::pipeline::lookup::LookupSource;
use star_sync::pipeline::page_digest::PageDigestPlans;
use star_sync::pipeline::read::{LookupPlan, Reader};
use star_sync::pipeline::transform::{TransformOutput, transform};
use star_sync::source;
use star_sync::target::{self, TargetReader, calendar};
use star_sync_cli::config;

use super::loaded::Loaded;

const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// A loaded star with its source, opened as a load opens them.
pub struct Facts {
    pub sides: Loaded,
    /// A target as `init` creates it: the tables, without secondary indexes, and the calendar.
    pub empty: PathBuf,
    pub opened: Opened,
    pub years: Years,
}

/// Both sides as the pipeline reads them, with all lookups that facts need.
pub struct Opened {
    pub source: source::Source,
    readers: DatabaseConnection,
    lookups: Lookups,
}

impl Opened {
    /// A source and its loaded star, with `connections` connections to each.
    pub async fn new(sides: &Loaded, connections: u32) -> Self {
        let access = config::parse_source(&sides.source.plain_url, sides.source.password.clone()).expect("it is a URL");
        let source = source::Source::connect(&access, connections, READ_TIMEOUT).await;
        let readers = target::open_to_read(&sides.star(), sakila::star(), connections).await;
        let (source, readers) = (source.expect("it was seeded"), readers.expect("it was loaded"));
        let lookups = lookups(&source, &TargetReader::Committed(readers.clone())).await;
        Self {
            source,
            readers,
            lookups,
        }
    }

    /// A reader with all lookups loaded. For an empty target it reads only the source.
    pub fn reader(&self, is_target_empty: bool) -> Reader {
        Reader {
            source: self.source.reader(),
            target: if is_target_empty {
                TargetReader::Empty
            } else {
                TargetReader::Committed(self.readers.clone())
            },
            lookups: LookupPlan::Complete(self.lookups.clone()),
            period: Period::All,
            digest_plans: PageDigestPlans::new(),
        }
    }
}

impl Facts {
    /// Loads the star first.
    pub async fn load(sides: Loaded) -> Self {
        sides.run(&["init"]);
        let empty = sides.folder.path().join("empty.db");
        std::fs::copy(sides.star(), &empty).expect("there is room for another star");
        sides.full_load();
        let opened = Opened::new(&sides, 1).await;
        Self {
            years: years(&opened.readers).await,
            sides,
            empty,
            opened,
        }
    }

    /// A table of the star.
    pub fn table(name: &str) -> &'static Table {
        sakila::star().table(name).expect("the star has such a table")
    }

    /// The first `rows` rows of a table.
    pub async fn job(&self, table: &'static Table, rows: usize) -> Job {
        let up_to = key_at(&self.sides.source.pool, table, rows - 1).await;
        let up_to = Some(up_to.expect("the source has more rows"));
        Job::new(table, KeyRange::Between { after: None, up_to })
    }

    pub async fn page(&self, job: &Job, is_target_empty: bool) -> Page {
        let page = self.opened.reader(is_target_empty).read(job.clone()).await;
        page.expect("both sides can be read")
    }

    /// The cells of the first `rows` rows of a table, as the star should contain them.
    pub async fn cells(&self, table: &'static Table, rows: usize) -> Vec<Value> {
        let page = self.page(&self.job(table, rows).await, true).await;
        let batch = transform(page, &mut TransformOutput::default(), 0).expect("the rows are sound");
        assert_eq!(batch.counts.inserted, rows as u64);
        batch.inserts.into_iter().flatten().collect()
    }
}

/// All lookups that facts need.
async fn lookups(source: &source::Source, target: &TargetReader) -> Lookups {
    let lookup_source = LookupSource::new(sakila::star(), source.reader(), target.clone());
    let mut lookups = Lookups::default();
    let uses = ["fact_rental", "fact_payment"].map(|name| &Facts::table(name).lookups);
    let loaded = lookup_source.load(uses.into_iter().flatten(), &mut lookups).await;
    loaded.expect("both sides can be read");
    lookups
}

async fn years(readers: &DatabaseConnection) -> Years {
    let years = calendar::years(readers, sakila::star().calendar.as_ref()).await;
    years.expect("the star can be read")
}

async fn key_at(pool: &MySqlPool, table: &Table, offset: usize) -> Option<i64> {
    let (key, from) = (table.page_key.expect("facts have integer keys"), table.source_table);
    let sql = format!("SELECT CAST({key} AS SIGNED) FROM {from} ORDER BY {key} LIMIT 1 OFFSET {offset}");
    let key = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(pool).await;
    key.expect("the source can be read")
}

/// Cuts cells into batches of new rows.
pub fn batches(table: &'static Table, cells: &[Value], rows: usize) -> Vec<Batch> {
    let width = table.columns.len();
    let batches = cells.chunks(rows * width).zip(0..);
    let batch = |(cells, sequence): (&[Value], u64)| Batch {
        job: Job {
            table,
            key_range: KeyRange::ALL,
            sequence: Some(sequence),
        },
        inserts: vec![cells.to_vec()],
        updates: Vec::new(),
        deletes: Vec::new(),
        rejected: Vec::new(),
        counts: BatchCounts {
            inserted: (cells.len() / width) as u64,
            ..BatchCounts::default()
        },
        lookup_changed: Vec::new(),
        changed: Vec::new(),
        dates: None,
        days: BTreeSet::new(),
        partitions: BTreeSet::new(),
        differences: Vec::new(),
        late: Late::new(),
        page_digest: None,
    };
    batches.map(batch).collect()
}

/// Writes the rows with one prepared statement per row, in one transaction without fsync, into a file without secondary
/// indexes.
pub fn write_row_by_row(file: &Path, table: &Table, rows: &[Vec<Cell>]) -> rusqlite::Result<()> {
    let mut connection = rusqlite::Connection::open(file)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -16384")?;
    let transaction = connection.transaction()?;
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let places = vec!["?"; names.len()].join(", ");
    let (name, names) = (table.name, names.join(", "));
    let mut insert = transaction.prepare(&format!("INSERT INTO {name} ({names}) VALUES ({places})"))?;
    for row in rows {
        insert.execute(rusqlite::params_from_iter(row))?;
    }
    drop(insert);
    transaction.commit()
}

/// The same cells as rows of rusqlite values.
pub fn rows_of(table: &Table, cells: &[Value]) -> Vec<Vec<Cell>> {
    let cell = |value: &Value| match value {
        Value::BigInt(number) => number.map_or(Cell::Null, Cell::Integer),
        Value::Int(number) => number.map_or(Cell::Null, |number| Cell::Integer(number.into())),
        Value::Double(number) => number.map_or(Cell::Null, Cell::Real),
        _ => unreachable!("facts have cells of no other type"),
    };
    let rows = cells.chunks_exact(table.columns.len());
    rows.map(|cells| cells.iter().map(cell).collect()).collect()
}
