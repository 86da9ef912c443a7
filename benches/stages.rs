//! Benchmarks the stages of the pipeline separately, in rows per second, with a private MySQL server and SQLite files.
//!
//! ```text
//! SAKILA_SYNC_MYSQLD=mysqld cargo bench --bench stages
//! cargo bench --bench stages -- writer
//! ```
//!
//! Reader and writer are compared with floors: fetching the driver's rows without decoding, and rusqlite with a
//! prepared statement per row.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use futures_util::TryStreamExt;
use sakila_sync::sakila;
use sea_orm::sea_query::MysqlQueryBuilder;
use sqlx::AssertSqlSafe;
use star_sync::declare::lookup::KeyMap;
use star_sync::declare::row::Columns;
use star_sync::declare::table::Table;
use star_sync::pipeline::flow::Batch;
use star_sync::pipeline::transform::{TransformOutput, transform};
use star_sync::pipeline::write::{WriteMode, Writer};
use star_sync::target::{ForeignKeys, Target, statement};
use support::facts::{self, Facts};
use support::figures;
use support::loaded::Loaded;
use support::source::Servers;
use tokio::runtime::Runtime;

mod support;

/// Enough rows for the largest page.
const SCALE: u32 = 10;
const FACTS: [&str; 2] = ["fact_rental", "fact_payment"];
/// Rows per page, and therefore per batch.
const PAGES: [usize; 3] = [1_000, 10_000, 50_000];
const ROWS_PER_STATEMENT: [usize; 4] = [1, 100, 500, 1_000];
/// Rows written per measurement, for every batch size.
const ROWS_TO_WRITE: usize = 50_000;

fn main() {
    let mut criterion = Criterion::default()
        .configure_from_args()
        .without_plots()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    let servers = Servers::start(None, &[]);
    let runtime = Runtime::new().expect("a runtime starts");
    let facts = runtime.block_on(async { Facts::load(Loaded::new(servers.source(None, SCALE).await)).await });
    transform_pages(&mut criterion, &runtime, &facts);
    build_statements(&mut criterion, &runtime, &facts);
    write_batches(&mut criterion, &runtime, &facts);
    read_pages(&mut criterion, &runtime, &facts);
    criterion.final_summary();
}

/// A group of measurements that take milliseconds each.
fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

/// Maps rows, with lookups loaded, for an empty target and for one that already holds the same rows. Mapping consumes
/// its page, so each iteration reads a new one, which takes several times longer than what is measured.
fn transform_pages(criterion: &mut Criterion, runtime: &Runtime, facts: &Facts) {
    for (what, is_target_empty) in [("map", true), ("map and compare", false)] {
        let mut group = group(criterion, &format!("transform: {what}"));
        group.measurement_time(Duration::from_millis(1_500));
        for (name, rows) in FACTS.iter().flat_map(|name| PAGES.map(|rows| (*name, rows))) {
            let job = runtime.block_on(facts.job(Facts::table(name), rows));
            let publishes = Facts::table(name).filled_lookups.iter();
            let published = publishes.map(|publish| (publish.lookup, KeyMap::default()));
            let mut output = TransformOutput {
                mapping_lookups: published.collect(),
                ..TransformOutput::default()
            };
            group.throughput(Throughput::Elements(rows as u64));
            group.bench_function(BenchmarkId::new(name, rows), |bencher| {
                bencher.iter_batched(
                    || runtime.block_on(facts.page(&job, is_target_empty)),
                    |page| {
                        let batch = transform(page, &mut output, 0).expect("the rows are sound");
                        let unchanged = if is_target_empty { 0 } else { rows as u64 };
                        assert_eq!((batch.counts.read, batch.counts.unchanged), (rows as u64, unchanged));
                        batch
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

/// Builds the text of an INSERT, and binds values to a cached one.
fn build_statements(criterion: &mut Criterion, runtime: &Runtime, facts: &Facts) {
    let table = Facts::table("fact_rental");
    let mut group = criterion.benchmark_group("statement");
    group.measurement_time(Duration::from_millis(500));
    for rows in ROWS_PER_STATEMENT {
        let values = runtime.block_on(facts.cells(table, rows));
        let sql = statement::upsert(table, Columns::ALL, rows, 1);
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new("upsert", rows), |bencher| {
            bencher.iter(|| statement::upsert(table, Columns::ALL, rows, 1));
        });
        group.bench_function(BenchmarkId::new("bind", rows), |bencher| {
            bencher.iter_batched(
                || values.clone(),
                |values| statement::bind(&sql, values),
                BatchSize::LargeInput,
            );
        });
    }
}

/// Writes the same rows in batches of several sizes, and row by row.
fn write_batches(criterion: &mut Criterion, runtime: &Runtime, facts: &Facts) {
    let mut group = group(criterion, "writer");
    group.throughput(Throughput::Elements(ROWS_TO_WRITE as u64));
    for name in FACTS {
        let table = Facts::table(name);
        let cells = runtime.block_on(facts.cells(table, ROWS_TO_WRITE));
        for rows in PAGES {
            group.bench_function(BenchmarkId::new(format!("{name} in batches of"), rows), |bencher| {
                bencher.iter_custom(|iterations| {
                    let write = |file: &Path| {
                        let batches = facts::batches(table, &cells, rows);
                        runtime.block_on(write_all(file, batches, facts))
                    };
                    times(iterations, facts, table, write)
                });
            });
        }
        let rows = facts::rows_of(table, &cells);
        group.bench_function(format!("{name} row by row with rusqlite"), |bencher| {
            bencher.iter_custom(|iterations| {
                let write = |file: &Path| {
                    let began = Instant::now();
                    facts::write_row_by_row(file, table, &rows).expect("the file can be written");
                    began.elapsed()
                };
                times(iterations, facts, table, write)
            });
        });
    }
}

/// The time to write into empty files. Checks that each contains all rows afterwards.
fn times(iterations: u64, facts: &Facts, table: &Table, write: impl Fn(&Path) -> Duration) -> Duration {
    let file: PathBuf = facts.empty.with_file_name("written.db");
    let count = format!("SELECT COUNT(*) FROM {}", table.name);
    let one = |_| {
        std::fs::copy(&facts.empty, &file).expect("there is room for another star");
        let duration = write(&file);
        assert_eq!(usize::try_from(figures::number(&file, &count)), Ok(ROWS_TO_WRITE));
        duration
    };
    (0..iterations).map(one).sum()
}

/// Writes like a first load: without fsync, and with a commit every few batches.
async fn write_all(file: &Path, batches: Vec<Batch>, facts: &Facts) -> Duration {
    let target = Target::open(file, sakila::star(), ForeignKeys::CheckedAtEnd, 1).await;
    let target = target.expect("it is a star");
    target.write_without_syncing().await.expect("it can be tuned");
    let mode = WriteMode::CommitEveryFewBatches(target.writer.clone());
    let mut writer = Writer::new(sakila::star(), mode, 1, facts.years);
    let began = Instant::now();
    for batch in batches {
        writer.write(batch).await.expect("the file can be written");
    }
    writer.finish().await.expect("the file can be written");
    let duration = began.elapsed();
    target.close().await.expect("it can be closed");
    duration
}

/// Reads pages for an empty target, and the same columns without decoding or storing them.
fn read_pages(criterion: &mut Criterion, runtime: &Runtime, facts: &Facts) {
    let mut group = group(criterion, "reader");
    let pool = &facts.sides.source.pool;
    let reader = facts.opened.reader(true);
    for (name, rows) in FACTS.iter().flat_map(|name| PAGES.map(|rows| (*name, rows))) {
        let table = Facts::table(name);
        let job = runtime.block_on(facts.job(table, rows));
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new(name, rows), |bencher| {
            bencher.iter_batched(
                || job.clone(),
                |job| {
                    let page = runtime.block_on(reader.read(job)).expect("the source can be read");
                    assert_eq!(page.rows.len(), rows);
                    page
                },
                BatchSize::PerIteration,
            );
        });
        let select = (table.select)()
            .cond_where(job.key_range.contains(&table.source_page_key()))
            .to_string(MysqlQueryBuilder);
        group.bench_function(BenchmarkId::new(format!("{name} undecoded"), rows), |bencher| {
            bencher.iter(|| {
                let read = runtime.block_on(async {
                    let mut page = sqlx::query(AssertSqlSafe(select.as_str())).fetch(pool);
                    let mut read = 0;
                    while page.try_next().await.expect("the source can be read").is_some() {
                        read += 1;
                    }
                    read
                });
                assert_eq!(read, rows);
            });
        });
    }
}
