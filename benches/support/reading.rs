//! Measures reading and transforming of the facts alone: the writer discards the rows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sakila_sync::sakila;
use star_sync::pipeline::plan::{PlannedRanges, Planner};
use star_sync::pipeline::progress::Progress;
use star_sync::pipeline::write::{WriteMode, Writer};
use star_sync::pipeline::{self, Pipeline};
use star_sync::stop;
use star_sync::target::TargetReader;

use super::facts::{Facts, Opened};
use super::loaded::Loaded;

/// The program's default for `--workers`.
const READERS: usize = 2;
/// One per reader. The program opens two more: one for the planner, and one for a snapshot.
const CONNECTIONS: u32 = 2;
/// The program's default for `--batch-size`.
const ROWS_PER_PAGE: u64 = 10_000;

/// Reads and maps all rentals and payments, as a load into an empty target does.
pub async fn read_and_transform(sides: &Loaded) -> Duration {
    let opened = Opened::new(sides, CONNECTIONS).await;
    let (_request, stop) = stop::stop();
    let (mut elapsed, mut rows) = (Duration::ZERO, 0);
    for table in ["fact_rental", "fact_payment"].map(Facts::table) {
        let planner = Planner {
            source: opened.source.reader(),
            target: TargetReader::Empty,
            estimated_rows: sides.source.figures.rows().unsigned_abs() / 2,
            rows: ROWS_PER_PAGE,
        };
        let pages = PlannedRanges::new(table, planner, None).all().await;
        let pipeline = Pipeline {
            workers: READERS,
            reader: opened.reader(true),
            writer: Writer::new(sakila::star(), WriteMode::CompareOnly, 0, None),
            fill_lookups_of: vec![table],
            described: 0,
            progress: Arc::new(Progress::default()),
            stop: &stop,
        };
        let jobs = pipeline::jobs_of(table, pages.expect("the source can be read"));
        let began = Instant::now();
        let outcome = pipeline.run(jobs).await.expect("the source can be read");
        elapsed += began.elapsed();
        rows += outcome.tables[table.name].counts.inserted;
    }
    assert_eq!(rows, sides.source.figures.rows().unsigned_abs());
    opened.source.close().await.expect("nothing uses it");
    elapsed
}
