//! How many threads a command may use. All of them are asked for before any work begins, so that a system that grants
//! too few says so at once, and a command that can do with fewer does.

use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::cli::Command;
use crate::error::{Error, Result};

/// More threads than this gain nothing: the writer, which is one, cannot keep up with them.
const MOST: usize = 8;
/// What a thread that only waits to be counted needs.
const PROBE_STACK_BYTES: usize = 64 * 1024;
/// A thread that ends is gone in less, on any machine.
const LONGEST_END: Duration = Duration::from_secs(1);
/// The driver looks up host names on a thread of its own.
const NAME_LOOKUP: usize = 1;
/// The transform stage and the writer.
const STAGES: usize = 2;
/// SQLite's connection that writes.
const TARGET_WRITER: usize = 1;
/// A comparison holds one connection for its transaction and asks questions on another.
const FEWEST_TARGET_READERS: u32 = 2;

/// The threads of one command, besides its main thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadPlan {
    /// Threads of the async runtime; with none, the main thread does its work.
    pub runtime: usize,
    /// Threads that map rows; none for a command that has no pipeline.
    pub transform: usize,
    /// SQLite's connections that read, of which each has a thread.
    pub target_readers: u32,
    /// All other threads.
    others: usize,
}

/// What a command does, as far as its threads go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Prints what it knows.
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
    /// As many threads as the command has use for on so many cores.
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
            // Readers of the source ask for what the target holds, the planner for where to cut.
            Work::Pages => FEWEST_TARGET_READERS.max(u32::try_from(at_once + 1).expect("few")),
        };
        Self {
            // With one there is no parallelism to win: the main thread can as well do its work.
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

    /// As few threads as the command can do with.
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

    /// The error of a system that does not grant them.
    pub(crate) fn refused(self, cause: io::Error) -> Error {
        star_sync::Error::Threads {
            needed: self.threads() + 1,
            cause,
        }
        .into()
    }

    /// The plan of a command, of threads that the system grants.
    ///
    /// # Errors
    /// If it grants fewer than the command can do with.
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

/// Starts so many threads that all live at the same time, and waits until the system no longer counts them.
fn start_at_once(threads: usize) -> io::Result<()> {
    let before = counted();
    let gate = Mutex::new(());
    let closed = gate.lock();
    let started = thread::scope(|scope| {
        // Nothing that was started may wait for a gate that is left closed by an error.
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

/// The threads of this process that the system counts: one that has ended may still be among them.
#[cfg(target_os = "linux")]
fn counted() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Only Linux has a limit that counts threads.
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
