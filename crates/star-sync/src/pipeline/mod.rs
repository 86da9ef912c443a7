//! Readers, the transform stage and the writer, with bounded channels between them.
//!
//! ```text
//! jobs ──▶ reader × workers ──▶ transform (rayon) ──▶ writer
//!     tokio channel     tokio channel       crossbeam channel
//! ```
//!
//! Readers are tasks. The transform stage and the writer have a thread each, because mapping rows blocks and because
//! the writer's SQLite must not delay readers. Channels are short, so memory use stays constant even if the writer is
//! slow. A closed channel means that there is no more work. The first error is kept, closes all channels and is
//! reported.
//!
//! `plan`, `read`, `transform`, `write`, `lookup` and `page_digest` are public only for the benchmarks.

pub(crate) mod compare;
pub mod databases;
mod differences;
pub mod flow;
pub mod lookup;
pub mod page_digest;
pub(crate) mod pages;
pub mod plan;
pub mod progress;
pub mod read;
mod stage_thread;
pub mod stages;
pub mod transform;
pub mod write;

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::declare::key_range::KeyRange;
use crate::declare::lookup::KeyMap;
use crate::declare::table::Table;
use crate::error::{Error, Result};
use crate::metrics;
use crate::pipeline::flow::{Batch, Job, Page, TableOutcomes};
use crate::pipeline::progress::Progress;
use crate::pipeline::read::Reader;
use crate::pipeline::stage_thread::StageThread;
use crate::pipeline::stages::{Lap, Stage};
use crate::pipeline::transform::{TransformOutput, transform};
use crate::pipeline::write::Writer;
use crate::stop::Stop;

/// The number of pages, or batches, that can wait between two stages.
const CHANNEL_LENGTH: usize = 2;

/// The receiver of jobs. It is closed when there are no more.
pub(crate) type Jobs = mpsc::Receiver<Job>;

/// The outcome of one run of the pipeline.
pub struct PipelineOutcome {
    pub tables: TableOutcomes,
    /// The lookups that these tables filled.
    pub lookups: TransformOutput,
}

/// The first error of any stage.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    fn set(&self, error: Error) {
        let mut first = self.0.lock().expect("no holder of this lock panics");
        first.get_or_insert(error);
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().expect("no holder of this lock panics").take()
    }

    fn is_set(&self) -> bool {
        self.0.lock().expect("no holder of this lock panics").is_some()
    }
}

/// Creates a channel for as many jobs as the readers can use.
pub(crate) fn jobs(workers: usize) -> (mpsc::Sender<Job>, Jobs) {
    mpsc::channel(workers * 2)
}

/// Returns a channel with key ranges that are known in advance.
pub fn jobs_of(table: &'static Table, key_ranges: Vec<KeyRange>) -> Jobs {
    let (sender, receiver) = mpsc::channel(key_ranges.len().max(1));
    for key_range in key_ranges {
        let sent = sender.try_send(Job::new(table, key_range));
        sent.expect("the channel was made long enough");
    }
    receiver
}

/// The three stages, set up for one set of jobs.
pub struct Pipeline<'a> {
    /// The number of readers.
    pub workers: usize,
    pub reader: Reader,
    pub writer: Writer,
    /// Tables whose filled lookups are collected; they are complete only if the jobs cover the whole table.
    pub fill_lookups_of: Vec<&'static Table>,
    /// The most differing rows per page to describe.
    pub described: usize,
    pub progress: Arc<Progress>,
    pub stop: &'a Stop,
}

impl Pipeline<'_> {
    /// Runs jobs until there are no more.
    ///
    /// # Errors
    /// The first error of any stage. After a stop request no further job begins; jobs in progress are written, and the
    /// error is `Stopped`.
    pub async fn run(self, jobs: Jobs) -> Result<PipelineOutcome> {
        let failure = Failure::default();
        let (page_sender, pages) = mpsc::channel(CHANNEL_LENGTH);
        let (batch_sender, batches) = crossbeam_channel::bounded(CHANNEL_LENGTH);

        let mapping_lookups = self
            .fill_lookups_of
            .iter()
            .flat_map(|table| &table.filled_lookups)
            .map(|filled| (filled.lookup, KeyMap::default()))
            .collect();
        let to_fill = self.reader.digest_plans.values().filter_map(|plan| plan.to_fill());
        let output = TransformOutput {
            mapping_lookups,
            totals_lookups: to_fill.collect(),
        };
        let task = TransformTask {
            output,
            described: self.described,
            failure: failure.clone(),
            lap: self.progress.lap(Stage::Transform),
        };
        let transform = spawn_transform(pages, batch_sender, task).await?;
        let writer = spawn_writer(batches, self.writer, failure.clone(), Arc::clone(&self.progress)).await?;

        let mut readers = JoinSet::new();
        let task = ReaderTask {
            jobs: Arc::new(tokio::sync::Mutex::new(jobs)),
            reader: self.reader,
            pages: page_sender,
            failure: failure.clone(),
            progress: self.progress,
            stop: self.stop.clone(),
        };
        for _ in 0..self.workers {
            readers.spawn(task.clone().run());
        }
        drop(task);
        while let Some(joined) = readers.join_next().await {
            if joined.is_err() {
                failure.set(Error::Panicked { stage: "reader" });
            }
        }
        let output = result_of(transform, &failure).await;
        let tables = result_of(writer, &failure).await;
        if let Some(error) = failure.take() {
            return Err(error);
        }
        if self.stop.is_requested() {
            return Err(Error::Stopped);
        }
        match (tables.flatten(), output) {
            (Some(tables), Some(lookups)) => Ok(PipelineOutcome { tables, lookups }),
            _ => unreachable!("a stage without a result has left its error"),
        }
    }
}

/// The result of a stage's thread; `None` after a panic, which becomes the run's error.
async fn result_of<T>(stage: StageThread<T>, failure: &Failure) -> Option<T> {
    stage.join().await.map_err(|error| failure.set(error)).ok()
}

/// One of the readers.
#[derive(Clone)]
struct ReaderTask {
    jobs: Arc<tokio::sync::Mutex<Jobs>>,
    reader: Reader,
    pages: mpsc::Sender<Page>,
    failure: Failure,
    progress: Arc<Progress>,
    stop: Stop,
}

impl ReaderTask {
    async fn run(self) {
        let mut lap = self.progress.lap(Stage::Reader);
        while !self.stop.is_requested() && !self.failure.is_set() {
            let Some(job) = self.jobs.lock().await.recv().await else {
                return;
            };
            lap.waited();
            let table = job.table.name;
            let progress = self.progress.table(table);
            match self.reader.read(job).await {
                Ok(page) => {
                    lap.worked();
                    progress.add_page(page.rows.len() as u64, page.rows.bytes());
                    if self.pages.send(page).await.is_err() {
                        return;
                    }
                    lap.waited();
                }
                Err(error) => return self.failure.set(error),
            }
        }
    }
}

/// The state of the transform stage.
struct TransformTask {
    output: TransformOutput,
    described: usize,
    failure: Failure,
    lap: Lap,
}

async fn spawn_transform(
    mut pages: mpsc::Receiver<Page>,
    batches: crossbeam_channel::Sender<Batch>,
    task: TransformTask,
) -> Result<StageThread<TransformOutput>> {
    let TransformTask {
        mut output,
        described,
        failure,
        mut lap,
    } = task;
    StageThread::spawn("transform", move || {
        while let Some(page) = pages.blocking_recv() {
            lap.waited();
            metrics::queue_depth("pages", pages.len());
            match transform(page, &mut output, described) {
                Ok(batch) => {
                    lap.worked();
                    if batches.send(batch).is_err() {
                        break;
                    }
                    lap.waited();
                }
                Err(error) => {
                    failure.set(error);
                    break;
                }
            }
        }
        output
    })
    .await
}

async fn spawn_writer(
    batches: crossbeam_channel::Receiver<Batch>,
    mut writer: Writer,
    failure: Failure,
    progress: Arc<Progress>,
) -> Result<StageThread<Option<TableOutcomes>>> {
    let runtime = tokio::runtime::Handle::current();
    StageThread::spawn("writer", move || {
        let mut lap = progress.lap(Stage::Writer);
        let write_all = || -> Result<TableOutcomes> {
            for batch in &batches {
                lap.waited();
                metrics::queue_depth("batches", batches.len());
                let table = progress.table(batch.job.table.name);
                let counts = runtime.block_on(writer.write(batch))?;
                table.add_written(counts);
                lap.worked();
            }
            lap.waited();
            // Finished batches are committed even if another stage has failed: each batch is complete in itself.
            let outcomes = runtime.block_on(writer.finish());
            lap.worked();
            outcomes
        };
        write_all().map_err(|error| failure.set(error)).ok()
    })
    .await
}
