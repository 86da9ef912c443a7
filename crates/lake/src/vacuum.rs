//! Deletes files that no reader needs any more: files that are neither in the current version of a table nor in any
//! version that was current within the retention time.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use star_sync::declare::star::Star;
use uuid::Uuid;

use crate::checkpoint::{LAST_CHECKPOINT, before_now};
use crate::error::{Error, Result};
use crate::layout;
use crate::log;
use crate::store::{Lake, folder_error};
use crate::versions;

/// What was deleted.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub files: usize,
    pub bytes: u64,
}

/// Deletes unneeded files from all tables of the star.
///
/// # Errors
/// If the lake cannot be read, or a file cannot be deleted. Files deleted before the error were not needed by any
/// reader.
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
            let removed = state.removed.get(path);
            if state.files.contains_key(path) || !(removed.is_some() || is_data_file(path)) {
                continue;
            }
            let removed = removed.and_then(|remove| remove.deletion_timestamp);
            // A file that is in no version is left over from a killed publication, or belongs to one in progress.
            let last_needed = removed.unwrap_or(0).max(object.last_modified.timestamp_millis());
            if last_needed <= oldest {
                lake.delete(&object.location).await?;
                report.files += 1;
                report.bytes += object.size;
            }
        }
        if let Some(lake_folder) = lake.folder() {
            let folder = lake_folder.join(table);
            let deleted = delete_unfinished(&folder, oldest, &mut report);
            deleted.map_err(|cause| folder_error(&folder, "deleting unfinished files", cause))?;
        }
    }
    if is_empty {
        return Err(Error::NotPublished {
            lake: lake.name.clone(),
        });
    }
    Ok(report)
}

/// Whether the name is one that publications give to data files.
pub(crate) fn is_data_file(path: &str) -> bool {
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    let unique = name
        .strip_prefix("part-")
        .and_then(|name| name.strip_suffix(".parquet"));
    unique.is_some_and(|unique| Uuid::parse_str(unique.trim_end_matches(".zstd")).is_ok())
}

/// Deletes files that a killed publication to a folder left unfinished. The store writes a file as `NAME#1`, which it
/// does not list, and then renames it.
fn delete_unfinished(folder: &Path, oldest: i64, report: &mut Report) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // Deleted in the meantime, for example a temporary file of another program.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            found => found?,
        };
        if metadata.is_dir() {
            delete_unfinished(&entry.path(), oldest, report)?;
            continue;
        }
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.rsplit_once('#'));
        let is_unfinished = name.is_some_and(|(name, number)| {
            number.bytes().all(|digit| digit.is_ascii_digit()) && (is_data_file(name) || is_log_file(name))
        });
        let modified = DateTime::<Utc>::from(metadata.modified()?);
        if is_unfinished && modified.timestamp_millis() <= oldest {
            fs::remove_file(entry.path())?;
            report.files += 1;
            report.bytes += metadata.len();
        }
    }
    Ok(())
}

fn is_log_file(name: &str) -> bool {
    name == LAST_CHECKPOINT || log::file_of(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_not_taken_for_those_of_a_publication() {
        let unique = Uuid::new_v4();
        assert!(is_data_file(&format!("month=200505/part-{unique}.zstd.parquet")));
        assert!(is_data_file(&format!("part-{unique}.parquet")));
        for name in [
            "2019.csv",
            "part-1.parquet",
            "part-.zstd.parquet",
            "_delta_log/00000000000000000000.json",
        ] {
            assert!(!is_data_file(name), "{name}");
        }
    }
}
