//! How far a run is: counters that the stages add to and that the terminal and the metrics read.

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
    /// Creating an index, counted from 1, of so many.
    Index { number: usize, count: usize },
    /// The catch-up pass and the reconciliation.
    CatchUp,
}

/// The counters of one target table.
pub struct TableProgress {
    pub table: &'static str,
    /// Rows that the source has, by its own estimate; 0 if unknown.
    pub expected: AtomicU64,
    pub read: AtomicU64,
    pub written: AtomicU64,
    began: Instant,
    /// How long it took, once it is finished.
    took: OnceLock<Duration>,
}

impl Progress {
    /// The counters of `table`, made when first asked for.
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

    /// Notes what is done after the pages.
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

    /// All tables that have begun, in that order.
    pub fn tables(&self) -> Vec<Arc<TableProgress>> {
        self.tables.lock().expect("no holder of this lock panics").clone()
    }
}

impl TableProgress {
    /// Notes that the table is at its end.
    pub(crate) fn finish(&self) {
        let _ = self.took.set(self.began.elapsed());
    }

    pub fn is_finished(&self) -> bool {
        self.took.get().is_some()
    }

    /// Since it began, until it was finished.
    pub fn seconds(&self) -> f64 {
        self.took
            .get()
            .copied()
            .unwrap_or_else(|| self.began.elapsed())
            .as_secs_f64()
    }

    /// Notes how many rows there are likely to be.
    pub(crate) fn expect(&self, rows: u64) {
        self.expected.store(rows, Ordering::Relaxed);
    }

    /// A page has come, of about so many bytes.
    pub(crate) fn add_page(&self, rows: u64, bytes: u64) {
        self.read.fetch_add(rows, Ordering::Relaxed);
        metrics::page_read(self.table, rows, bytes);
    }

    /// Adds what became of the rows of a batch.
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
