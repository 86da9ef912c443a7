//! Whether a copy is to be made after a run: if the target has changed since, and not more often than is asked for.
//! Both stand in the copy itself, so that runs of different processes, as from cron, keep the pace too.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::declare::star::Star;
use crate::error::{Doing, Result};
use crate::target::bookkeeping::history;
use crate::target::copy::file::{self, Header};
use crate::target::open_to_read;

/// Whether the copy is missing, or lacks rows of the target and is not younger than `every`.
pub async fn is_due(star: &Star, target: &Path, copy: &Path, every: Duration) -> Result<bool> {
    // What cannot be read is no copy: making one says why.
    let is_copy = |header: &Header| header.application_id == star.names.copy_application_id();
    let Some(header) = file::header(copy).ok().flatten().filter(is_copy) else {
        return Ok(true);
    };
    let readers = open_to_read(target, star, 1).await?;
    let last_change = history::last_change(&readers).await;
    readers.close().await.target(|| "closing the file".to_owned())?;
    // A time in the future is no age.
    let made = copy.metadata().and_then(|found| found.modified()).ok();
    let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
    Ok(needs_another(&header, version_of(last_change?), age, every))
}

fn needs_another(header: &Header, target_version: i32, age: Option<Duration>, every: Duration) -> bool {
    header.version != target_version && age.is_none_or(|age| age >= every)
}

/// The run that a copy stands for, as its header holds it.
pub(crate) fn version_of(run_id: i64) -> i32 {
    // The lower bits differ between runs that follow each other.
    i32::try_from(run_id & i64::from(i32::MAX)).unwrap_or_default()
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

    #[test]
    fn runs_in_sequence_have_different_versions() {
        assert_eq!(version_of(7), 7);
        assert_ne!(version_of(i64::from(i32::MAX) + 1), version_of(i64::from(i32::MAX) + 2));
    }
}
