//! The limit on open files, which include sockets and SQLite's files. It is raised before any work begins. A limit that
//! cannot be raised far enough is reported immediately, so that the command does not fail in the middle of its work.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::Result;
use crate::threads::ThreadPlan;

/// Standard streams, files of the runtime, the lock, and files that are opened briefly.
const OF_ANY_COMMAND: u64 = 12;
/// One connection for the planner and one for a snapshot.
const BESIDE_WORKERS: u64 = 2;
/// A SQLite connection opens the database, its write-ahead log and the log's index.
const OF_TARGET_CONNECTION: u64 = 3;

/// The largest number of files that a command with this plan has open at the same time.
fn needed(plan: ThreadPlan, workers: u32) -> u64 {
    let target_connections = u64::from(plan.target_readers) + 1;
    let sources = u64::from(workers) + BESIDE_WORKERS;
    OF_ANY_COMMAND + sources + OF_TARGET_CONNECTION * target_connections
}

/// Raises the limit on open files to what the command needs.
///
/// # Errors
/// If the system's hard limit is lower than that.
pub(crate) fn reserve(plan: ThreadPlan, workers: u32) -> Result<()> {
    let needed = needed(plan, workers);
    let limit = getrlimit(Resource::Nofile);
    // `None` means unlimited.
    let (current, maximum) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    if current >= needed {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    if maximum < needed || setrlimit(Resource::Nofile, raised).is_err() {
        return Err(star_sync::Error::Files { needed, limit: maximum }.into());
    }
    Ok(())
}
