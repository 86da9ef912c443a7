//! How many files a command may have open: sockets and SQLite's files count as such. The limit is raised before any
//! work begins, and a limit that cannot be raised far enough is reported at once, because a command would fail in the
//! middle of its work otherwise.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::Result;
use crate::threads::ThreadPlan;

/// Standard streams, the runtime's own, the lock, and what is opened for a moment.
const OF_ANY_COMMAND: u64 = 12;
/// The planner's connection and that of a snapshot.
const BESIDE_WORKERS: u64 = 2;
/// A connection of SQLite has the database, its log and the log's index open.
const OF_TARGET_CONNECTION: u64 = 3;

/// How many files a command with this plan has open at once, at most.
fn needed(plan: ThreadPlan, workers: u32) -> u64 {
    let target_connections = u64::from(plan.target_readers) + 1;
    let sources = u64::from(workers) + BESIDE_WORKERS;
    OF_ANY_COMMAND + sources + OF_TARGET_CONNECTION * target_connections
}

/// Makes sure that a command may have its files open.
///
/// # Errors
/// If the system's hard limit is lower.
pub(crate) fn reserve(plan: ThreadPlan, workers: u32) -> Result<()> {
    let needed = needed(plan, workers);
    let limit = getrlimit(Resource::Nofile);
    // No limit is as good as a high one.
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
