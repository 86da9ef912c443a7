//! Deletes files that no reader needs any more: those that neither the current version of a table names nor any version
//! that was current within a time.

use std::time::Duration;

use serde::Serialize;
use star_sync::declare::star::Star;

use crate::checkpoint::before_now;
use crate::error::{Error, Result};
use crate::layout;
use crate::log;
use crate::store::Lake;
use crate::versions;

/// What was deleted.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub files: usize,
    pub bytes: u64,
}

/// Deletes from all tables of the star.
///
/// # Errors
/// What keeps the lake from being read or deleted from. What was deleted is needed by no reader.
pub async fn run(star: &Star, lake: &Lake, retain: Duration) -> Result<Report> {
    let oldest = before_now(retain);
    let mut report = Report::default();
    let mut is_empty = true;
    let tables = layout::tables(star, &[]);
    for table in tables.iter().map(|table| table.name).chain([versions::TABLE]) {
        let Some(state) = log::load(lake, table).await? else {
            continue;
        };
        is_empty = false;
        let folder = format!("{table}/");
        for object in lake.list(&lake.path(table)).await? {
            let path = lake.relative(&object.location);
            let path = path.strip_prefix(&folder).unwrap_or(&path);
            if path.starts_with("_delta_log/") || state.files.contains_key(path) {
                continue;
            }
            let removed = state.removed.get(path).and_then(|remove| remove.deletion_timestamp);
            // One that no version names was left by a publication that was killed, or belongs to one at work.
            let last_needed = removed.unwrap_or(0).max(object.last_modified.timestamp_millis());
            if last_needed <= oldest {
                lake.delete(&object.location).await?;
                report.files += 1;
                report.bytes += object.size;
            }
        }
    }
    if is_empty {
        return Err(Error::NotPublished {
            lake: lake.name.clone(),
        });
    }
    Ok(report)
}
