//! The number of threads of a command. It is tried out before any work begins, so that a system limit that is too low
//! is reported immediately, and a command that can run with fewer threads does so.

use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::cli::Command;
use crate::error::{Error, Result};

/// More threads than this gain nothing, because the single writer cannot keep up with them.
const MOST: usize = 8;
/// Stack of a thread that is started only to test the limit.
const PROBE_STACK_BYTES: usize = 64 * 1024;
/// The longest time to wait until the system no longer counts ended threads.
const LONGEST_END: Duration = Duration::from_secs(1);
/// The driver looks up host names on a separate thread.
const NAME_LOOKUP: usize = 1;
/// The transform stage and the writer.
const STAGES: usize = 2;
/// The SQLite connection that writes.
const TARGET_WRITER: usize = 1;
/// A comparison holds one connection for its transaction and runs queries on another.
const FEWEST_TARGET_READERS: u32 = 2;

/// The threads of one command, besides its main thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadPlan {
    /// Worker threads of the async runtime; 0 if it runs on the main thread.
    pub runtime: usize,
    /// Threads that map rows; 0 for a command without a pipeline.
    pub transform: usize,
    /// SQLite connections that read; each has a thread.
    pub target_readers: u32,
    /// All other threads.
    others: usize,
}

/// The kind of work of a command, which determines its number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Prints, without contacting source or target.
    Printing,
    /// One connection to the source, a few statements.
    Statements,
    /// A pipeline on one snapshot of the source, which is one connection.
    Snapshot,
    /// A pipeline with pages in parallel.
    Pages,
}

impl Work {
    pub(crate) fn for_command(command: &Command) -> Self {
        match command {
            Command::Completions { .. } | Command::Man { .. } => Self::Printing,
            Command::Init(_) | Command::Status(_) | Command::Copy(_) => Self::Statements,
            #[cfg(feature = "lake")]
            Command::Publish(_) => Self::Statements,
            Command::Incremental(_) | Command::Explain(_) => Self::Snapshot,
            Command::FullLoad(_) | Command::Repair(_) | Command::Validate(_) => Self::Pages,
        }
    }
}

impl ThreadPlan {
    /// The largest number of threads that the command can make use of on `cores` cores.
    fn preferred(work: Work, workers: usize, cores: usize) -> Self {
        let at_once = cores.min(workers).min(MOST);
        let transform = match work {
            Work::Printing | Work::Statements => 0,
            Work::Snapshot | Work::Pages => cores.min(MOST),
        };
        let target_readers = match work {
            Work::Printing => 0,
            Work::Statements => 1,
            Work::Snapshot => FEWEST_TARGET_READERS,
            // Each reader of the source queries the target's rows, and the planner queries where to split key ranges.
            Work::Pages => FEWEST_TARGET_READERS.max(u32::try_from(at_once + 1).expect("few")),
        };
        Self {
            // A single worker thread would add no parallelism over the main thread.
            runtime: if work == Work::Pages && at_once > 1 { at_once } else { 0 },
            transform,
            target_readers,
            others: match work {
                Work::Printing => 0,
                Work::Statements => NAME_LOOKUP + TARGET_WRITER,
                Work::Snapshot | Work::Pages => NAME_LOOKUP + TARGET_WRITER + STAGES,
            },
        }
    }

    /// The smallest number of threads that the command can run with.
    fn smallest(self) -> Self {
        Self {
            runtime: 0,
            transform: self.transform.min(1),
            target_readers: self.target_readers.min(FEWEST_TARGET_READERS),
            ..self
        }
    }

    /// All threads besides the main one.
    fn threads(self) -> usize {
        self.runtime + self.transform + self.target_readers as usize + self.others
    }

    /// The error for a system that does not allow that many threads.
    pub(crate) fn refused(self, cause: io::Error) -> Error {
        star_sync::Error::Threads {
            needed: self.threads() + 1,
            cause,
        }
        .into()
    }

    /// Plans as many threads as the system allows, up to what the command can make use of.
    ///
    /// # Errors
    /// If the system allows fewer than the command needs.
    pub(crate) fn reserve(work: Work, workers: u32) -> Result<Self> {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = usize::try_from(workers).expect("at most 64");
        let preferred = Self::preferred(work, workers, cores);
        if start_at_once(preferred.threads()).is_ok() {
            return Ok(preferred);
        }
        let smallest = preferred.smallest();
        start_at_once(smallest.threads()).map_err(|cause| smallest.refused(cause))?;
        warn!(
            threads = smallest.threads() + 1,
            wanted = preferred.threads() + 1,
            "the system allows few threads: this run uses as few as possible and is slower"
        );
        Ok(smallest)
    }
}

/// Starts `threads` threads that all run at the same time, ends them, and waits until the system no longer counts them.
fn start_at_once(threads: usize) -> io::Result<()> {
    let before = counted();
    let gate = Mutex::new(());
    let closed = gate.lock();
    let started = thread::scope(|scope| {
        // Dropped when this closure returns, also with an error: otherwise the started threads would wait forever.
        let _closed = closed;
        for _ in 0..threads {
            thread::Builder::new()
                .stack_size(PROBE_STACK_BYTES)
                .spawn_scoped(scope, || drop(gate.lock()))?;
        }
        Ok(())
    });
    let deadline = Instant::now() + LONGEST_END;
    while counted() > before && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    started
}

/// The threads of this process that the system counts, which may include some that have just ended.
#[cfg(target_os = "linux")]
fn counted() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Only Linux counts threads against a limit.
#[cfg(not(target_os = "linux"))]
fn counted() -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_bounded_by_cores_and_workers() {
        let many = ThreadPlan::preferred(Work::Pages, 64, 128);
        assert_eq!((many.runtime, many.transform, many.target_readers), (8, 8, 9));
        let two_cores = ThreadPlan::preferred(Work::Pages, 4, 2);
        assert_eq!(
            (two_cores.runtime, two_cores.transform, two_cores.target_readers),
            (2, 2, 3)
        );
        let one_core = ThreadPlan::preferred(Work::Pages, 4, 1);
        assert_eq!(
            (one_core.runtime, one_core.transform, one_core.target_readers),
            (0, 1, 2)
        );
        assert_eq!(ThreadPlan::preferred(Work::Printing, 4, 8).threads(), 0);
    }

    #[test]
    fn a_small_plan_needs_no_more_on_a_large_machine() {
        for (work, needed) in [
            (Work::Printing, 0),
            (Work::Statements, 3),
            (Work::Snapshot, 7),
            (Work::Pages, 7),
        ] {
            assert_eq!(ThreadPlan::preferred(work, 64, 128).smallest().threads(), needed);
        }
    }

    #[test]
    fn threads_that_were_counted_are_gone() {
        start_at_once(3).unwrap();
        start_at_once(0).unwrap();
    }
}
