//! Copies the finished star of the demo to the path in `--keep`.

use std::io;
use std::path::Path;

use star_sync::target::bookkeeping::source_identity;
use star_sync::target::sqlite::beside;
use star_sync::target::sqlite::lock::Lock;
use star_sync::target::{ForeignKeys, Target, open_to_read};
use star_sync_cli::error::Doing;
use star_sync_cli::{Error, Result};

use super::SCHEMA;
use crate::error::{self, ErrorCode};
use crate::sakila;

/// Checks before the tour that the file can be written. Only a star of an earlier demo is overwritten.
pub(super) async fn may_keep(kept: &Path) -> Result<()> {
    if kept.exists() && !is_of_a_demo(kept).await.unwrap_or(false) {
        return Err(error::own(
            ErrorCode::KeepRefused,
            format!("{} is not a star that an earlier demo made", kept.display()),
            ErrorCode::KeepRefused.remedy(),
        ));
    }
    let beside = beside(kept, ".part");
    std::fs::write(&beside, [])
        .and_then(|()| std::fs::remove_file(&beside))
        .map_err(|cause| cannot_keep(kept, cause))
}

async fn is_of_a_demo(kept: &Path) -> Result<bool> {
    let target = open_to_read(kept, sakila::star(), 1).await?;
    let source = source_identity::load(&target).await?;
    target.close().await.target(|| "closing the file".to_owned())?;
    Ok(source.is_some_and(|source| source.schema == SCHEMA))
}

/// Copies the finished file out of the temporary folder. Replaces an earlier file atomically, by renaming.
pub(super) async fn keep(file: &Path, kept: &Path) -> Result<()> {
    let _lock = if kept.exists() {
        let lock = Lock::acquire(kept, "demo")?;
        let earlier = Target::open(kept, sakila::star(), ForeignKeys::Enforced, 1).await?;
        earlier.close().await?;
        // Unlinks the WAL: a program that still has the earlier file open would otherwise corrupt the new file's WAL.
        for log in ["-wal", "-shm"] {
            match std::fs::remove_file(beside(kept, log)) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cannot_keep(kept, cause)),
                _ => {}
            }
        }
        Some(lock)
    } else {
        None
    };
    let part = beside(kept, ".part");
    std::fs::copy(file, &part)
        .and_then(|_| std::fs::rename(&part, kept))
        .map_err(|cause| cannot_keep(kept, cause))
}

pub(super) fn cannot_keep(kept: &Path, cause: io::Error) -> Error {
    star_sync::Error::TargetFile {
        path: kept.to_owned(),
        verb: "written",
        cause,
    }
    .into()
}
