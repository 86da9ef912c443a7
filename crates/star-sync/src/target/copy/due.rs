//! Decides whether to make a copy after a run: only if the target has changed since the last copy, and not more often
//! than configured. Both are read from the copy itself, so the interval also applies across processes, as with cron.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use sea_orm::ConnectionTrait;

use crate::error::{Doing, Result};
use crate::target::bookkeeping::{history, source_identity};
use crate::target::copy::Request;
use crate::target::copy::file::{self, Header};
use crate::target::open_to_read;

/// Whether the copy is missing, or is outdated or made with other settings and not younger than `every`.
pub async fn is_due(request: &Request<'_>, every: Duration) -> Result<bool> {
    let Request { star, target, copy, .. } = request;
    // An unreadable file is not a copy; making one reports the cause.
    let is_copy = |header: &Header| header.application_id == star.names.copy_application_id();
    let Some(header) = file::header(copy).ok().flatten().filter(is_copy) else {
        return Ok(true);
    };
    let readers = open_to_read(target, star, 1).await?;
    let version = version(&readers, request).await;
    readers.close().await.target(|| "closing the file".to_owned())?;
    // A modification time in the future gives no age.
    let made = copy.metadata().and_then(|found| found.modified()).ok();
    let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
    Ok(needs_another(&header, version?, age, every))
}

fn needs_another(header: &Header, target_version: i32, age: Option<Duration>, every: Duration) -> bool {
    header.version != target_version && age.is_none_or(|age| age >= every)
}

/// The state of the target and the settings that a copy is made with, as a number in its header. The number of the last
/// run is not sufficient, because a target that is recreated or restored from a backup reuses run numbers.
pub(crate) async fn version<C: ConnectionTrait>(connection: &C, request: &Request<'_>) -> Result<i32> {
    let target = source_identity::digest_seed(connection).await?;
    let state = history::last_change(connection).await?;
    let mut hasher = DefaultHasher::new();
    (target, state, request.mode, request.without).hash(&mut hasher);
    let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
    // SQLite's header has 32 bits for this number.
    Ok(i32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_copy_is_needed_when_the_target_has_changed_and_the_pace_allows_it() {
        let header = Header {
            application_id: 0,
            version: 7,
        };
        let minute = Duration::from_mins(1);
        let needs = |version, age| needs_another(&header, version, age, minute);
        assert!(!needs(7, Some(Duration::from_hours(1))));
        assert!(!needs(8, Some(Duration::from_secs(59))));
        assert!(needs(8, Some(minute)));
        assert!(needs(8, None));
    }
}
