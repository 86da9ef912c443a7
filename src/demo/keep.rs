//! The one file that stays of the demo: the finished star.

use std::io;
use std::path::{Path, PathBuf};

use star_sync::target::open_to_read;
use star_sync_cli::error::Doing;
use star_sync_cli::{Error, Result};

use crate::sakila;

/// Finds out before the tour whether its file can be kept: only a star is overwritten.
pub(super) async fn may_keep(kept: &Path) -> Result<()> {
    if kept.exists() {
        let target = open_to_read(kept, sakila::star(), 1).await?;
        target.close().await.target(|| "closing the file".to_owned())?;
    }
    let beside = beside(kept);
    std::fs::write(&beside, [])
        .and_then(|()| std::fs::remove_file(&beside))
        .map_err(|cause| cannot_keep(kept, cause))
}

/// Takes the finished file out of the folder that goes. It takes the place of an earlier one whole.
pub(super) fn keep(file: &Path, kept: &Path) -> Result<()> {
    let beside = beside(kept);
    std::fs::copy(file, &beside)
        .and_then(|_| std::fs::rename(&beside, kept))
        .map_err(|cause| cannot_keep(kept, cause))
}

fn beside(kept: &Path) -> PathBuf {
    let mut name = kept.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

pub(super) fn cannot_keep(kept: &Path, cause: io::Error) -> Error {
    star_sync::Error::TargetFile {
        path: kept.to_owned(),
        verb: "written",
        cause,
    }
    .into()
}
