//! The progress of a run: counters that the stages increment and that the terminal and the metrics read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::metrics::{self, catalogue};
use crate::pipeline::flow::BatchCounts;
use crate::pipeline::stages::{Lap, Stage, Stages};

/// The counters of one run.
#[derive(Default)]
pub struct Progress {
    pub stages: Arc<Stages>,
    tables: Mutex<Vec<Arc<TableProgress>>>,
    work: Mutex<Option<Work>>,
}

/// Work after the pages, which is counted in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Creating index `number`, counted from 1, of `count`.
    Index { number: usize, count: usize },
    /// The catch-up pass and the reconciliation.
    CatchUp,
}

/// The counters of one target table.
pub struct TableProgress {
    pub table: &'static str,
    /// The rows of the source, by its own estimate; 0 if unknown.
    pub expected: AtomicU64,
    pub read: AtomicU64,
    pub written: AtomicU64,
    began: Instant,
    /// The duration, once the table is finished.
    took: OnceLock<Duration>,
}

impl Progress {
    /// The counters of `table`, created when first requested.
    pub(crate) fn table(&self, table: &'static str) -> Arc<TableProgress> {
        let mut tables = self.tables.lock().expect("no holder of this lock panics");
        if let Some(found) = tables.iter().find(|known| known.table == table) {
            return Arc::clone(found);
        }
        let made = Arc::new(TableProgress {
            table,
            expected: AtomicU64::new(0),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            began: Instant::now(),
            took: OnceLock::new(),
        });
        tables.push(Arc::clone(&made));
        made
    }

    /// Sets the current work after the pages.
    pub(crate) fn begin_work(&self, work: Work) {
        *self.work.lock().expect("no holder of this lock panics") = Some(work);
    }

    /// The work after the pages, once it has begun.
    pub fn work(&self) -> Option<Work> {
        *self.work.lock().expect("no holder of this lock panics")
    }

    /// Begins to measure a stage.
    pub(crate) fn lap(&self, stage: Stage) -> Lap {
        Lap::begin(Arc::clone(&self.stages), stage)
    }

    /// All tables that have begun, in the order in which they began.
    pub fn tables(&self) -> Vec<Arc<TableProgress>> {
        self.tables.lock().expect("no holder of this lock panics").clone()
    }
}

impl TableProgress {
    /// Marks the table as finished.
    pub(crate) fn finish(&self) {
        let _ = self.took.set(self.began.elapsed());
    }

    pub fn is_finished(&self) -> bool {
        self.took.get().is_some()
    }

    /// The time since the table began, until it was finished.
    pub fn seconds(&self) -> f64 {
        self.took
            .get()
            .copied()
            .unwrap_or_else(|| self.began.elapsed())
            .as_secs_f64()
    }

    /// Sets the expected number of rows.
    pub(crate) fn expect(&self, rows: u64) {
        self.expected.store(rows, Ordering::Relaxed);
    }

    /// Adds a page of `rows` rows and about `bytes` bytes.
    pub(crate) fn add_page(&self, rows: u64, bytes: u64) {
        self.read.fetch_add(rows, Ordering::Relaxed);
        metrics::page_read(self.table, rows, bytes);
    }

    /// Adds the counts of a written batch.
    pub(crate) fn add_written(&self, counts: BatchCounts) {
        let written = counts.inserted + counts.updated + counts.deleted;
        self.written.fetch_add(written, Ordering::Relaxed);
        metrics::batch_written(self.table);
        for (counter, rows) in [
            (catalogue::ROWS_INSERTED_TOTAL, counts.inserted),
            (catalogue::ROWS_UPDATED_TOTAL, counts.updated),
            (catalogue::ROWS_DELETED_TOTAL, counts.deleted),
            (catalogue::ROWS_UNCHANGED_TOTAL, counts.unchanged),
            (catalogue::ROWS_QUARANTINED_TOTAL, counts.quarantined),
        ] {
            metrics::count_rows(counter, self.table, rows);
        }
    }
}
