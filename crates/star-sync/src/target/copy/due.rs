//! Whether a copy is to be made after a run: if the target has changed since, and not more often than is asked for.
//! Both stand in the copy itself, so that runs of different processes, as from cron, keep the pace too.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use sea_orm::ConnectionTrait;

use crate::error::{Doing, Result};
use crate::target::bookkeeping::{history, source_identity};
use crate::target::copy::Request;
use crate::target::copy::file::{self, Header};
use crate::target::open_to_read;

/// Whether the copy is missing, or is of another state of the target or made with other settings, and is not younger
/// than `every`.
pub async fn is_due(request: &Request<'_>, every: Duration) -> Result<bool> {
    let Request { star, target, copy, .. } = request;
    // What cannot be read is no copy: making one says why.
    let is_copy = |header: &Header| header.application_id == star.names.copy_application_id();
    let Some(header) = file::header(copy).ok().flatten().filter(is_copy) else {
        return Ok(true);
    };
    let readers = open_to_read(target, star, 1).await?;
    let version = version(&readers, request).await;
    readers.close().await.target(|| "closing the file".to_owned())?;
    // A time in the future is no age.
    let made = copy.metadata().and_then(|found| found.modified()).ok();
    let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
    Ok(needs_another(&header, version?, age, every))
}

fn needs_another(header: &Header, target_version: i32, age: Option<Duration>, every: Duration) -> bool {
    header.version != target_version && age.is_none_or(|age| age >= every)
}

/// What a copy holds, as a number in its header: the state of the target, and the settings. The number of the last run
/// would not do, because a target that is made anew or restored from a backup counts its runs again.
pub(crate) async fn version<C: ConnectionTrait>(connection: &C, request: &Request<'_>) -> Result<i32> {
    let target = source_identity::digest_seed(connection).await?;
    let state = history::last_change(connection).await?;
    let mut hasher = DefaultHasher::new();
    (target, state, request.mode, request.without).hash(&mut hasher);
    let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
    // SQLite's header has 32 bits for it.
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
