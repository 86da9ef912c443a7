//! The write-ahead log beside the file: emptied when a run ends, and limited in size while another program reads.
//!
//! A program with an open transaction still reads the state as of its beginning. Until it ends, SQLite cannot copy
//! later changes into the file, and appends every run to the log. So a run that cannot empty the log reports which
//! processes block it, and a run that finds the log too large does not begin.

use std::collections::BTreeSet;
use std::path::Path;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tracing::warn;

use crate::error::{Doing, Error, Result};
use crate::target::sqlite::place::beside;
use crate::target::sqlite::pragma;

/// A log is too large to append to if it is larger than both this and the file itself.
const BOUND_BYTES: u64 = 64 * 1024 * 1024;

/// Copies the log into the file and empties it, waiting for other programs as long as for any lock. Returns whether it
/// succeeded.
pub(crate) async fn empty(writer: &DatabaseConnection) -> Result<bool> {
    let doing = || "checkpointing".to_owned();
    let statement = Statement::from_string(writer.get_database_backend(), pragma::CHECKPOINT);
    let row = writer.query_one_raw(statement).await.target(doing)?;
    // The first of (busy, frames in the log, frames copied).
    let is_busy = row.map_or(Ok(0), |row| row.try_get_by_index::<i32>(0)).target(doing)?;
    Ok(is_busy == 0)
}

/// Empties the log, or warns if it cannot: the run can end anyway.
pub(crate) async fn empty_if_possible(path: &Path, writer: &DatabaseConnection) -> Result<()> {
    if !empty(writer).await? {
        warn!(
            code = "TARGET_LOG_KEPT",
            log_bytes = bytes(&beside(path, "-wal")),
            held_by = holders(path),
            "the write-ahead log cannot be emptied and grows until another program ends its transaction on the target"
        );
    }
    Ok(())
}

/// Empties the log, or fails.
pub(crate) async fn empty_or_fail(path: &Path, writer: &DatabaseConnection) -> Result<()> {
    if empty(writer).await? {
        Ok(())
    } else {
        Err(log_not_emptied(path))
    }
}

/// Fails if the log is too large and cannot be emptied now.
pub(crate) async fn refuse_endless(path: &Path, writer: &DatabaseConnection) -> Result<()> {
    let (file_bytes, log_bytes) = sizes_bytes(path);
    if log_bytes <= BOUND_BYTES.max(file_bytes) {
        return Ok(());
    }
    empty_or_fail(path, writer).await
}

fn log_not_emptied(path: &Path) -> Error {
    Error::TargetLogHeld {
        path: path.to_owned(),
        mebibytes: bytes(&beside(path, "-wal")).div_ceil(1024 * 1024),
        holders: holders(path),
    }
}

/// The sizes of the file and of its log.
pub fn sizes_bytes(path: &Path) -> (u64, u64) {
    (bytes(path), bytes(&beside(path, "-wal")))
}

/// The size of a file; 0 if there is none.
fn bytes(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

/// The other processes with a transaction on the database, as far as the operating system reports them.
fn holders(path: &Path) -> String {
    let holders = transactions(&beside(path, "-shm"));
    if holders.is_empty() {
        "an unknown process".to_owned()
    } else {
        Vec::from_iter(holders).join(", ")
    }
}

/// The processes that hold a transaction's lock in SQLite's shared memory, each with its program's name.
#[cfg(target_os = "linux")]
fn transactions(shared_memory: &Path) -> BTreeSet<String> {
    use std::os::unix::fs::MetadataExt;

    /// The bytes that SQLite locks for the writer, for a checkpoint, for recovery, and for five kinds of readers. The
    /// byte after them is not included: every process that has the file open locks it.
    const LOCKS: std::ops::RangeInclusive<u64> = 120..=127;

    let (Ok(locks), Ok(file)) = (procfs::locks(), shared_memory.metadata()) else {
        return BTreeSet::new();
    };
    let device = (libc::major(file.dev()), libc::minor(file.dev()));
    let own = i32::try_from(std::process::id()).ok();
    locks
        .into_iter()
        .filter(|lock| (lock.devmaj, lock.devmin) == device && lock.inode == file.ino())
        .filter(|lock| {
            let last = lock.offset_last.unwrap_or(u64::MAX);
            lock.offset_first <= *LOCKS.end() && last >= *LOCKS.start()
        })
        .filter_map(|lock| lock.pid.filter(|pid| Some(*pid) != own))
        .map(|pid| {
            let program = procfs::process::Process::new(pid).and_then(|process| process.stat());
            match program {
                Ok(program) => format!("{} (process {pid})", program.comm),
                Err(_) => format!("process {pid}"),
            }
        })
        .collect()
}

/// Only Linux reports the holders of a lock.
#[cfg(not(target_os = "linux"))]
fn transactions(_shared_memory: &Path) -> BTreeSet<String> {
    BTreeSet::new()
}
