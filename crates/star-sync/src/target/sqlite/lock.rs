//! Allows one run at a time: an advisory lock on a small file beside the target.
//!
//! The operating system releases the lock when its holder ends, so a dead process blocks no other run. The file names
//! its holder, for the message that a second run prints. The lock is not on the database file: SQLite keeps its own
//! locks there, and closing any other handle to that file would drop them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::target::sqlite::place;

/// Held while a run may write to the target.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Acquires the lock of `target` for a command, or fails with the name of its holder.
    pub fn acquire(target: &Path, command: &str) -> Result<Self> {
        place::check(target)?;
        // With symbolic links resolved: a link to the target shares its lock.
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        let path = place::beside(&target, ".lock");
        let failed = |cause| Error::TargetFile {
            path: path.clone(),
            verb: "locked",
            cause,
        };
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(|cause| {
                    // If the file exists but cannot be opened, it belongs to another account, and the folder is not the
                    // cause.
                    if path.exists() {
                        failed(cause)
                    } else {
                        place::beside_error(&target, &path, "locked", cause)
                    }
                })?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    file.read_to_string(&mut holder).map_err(failed)?;
                    return Err(Error::TargetBusy {
                        holder: holder.trim().to_owned(),
                    });
                }
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
            // The last holder may have removed the file after it was opened here and before it was locked.
            let locked = file.metadata().map_err(failed)?.ino();
            if path.metadata().is_ok_and(|file| file.ino() == locked) {
                file.set_len(0).map_err(failed)?;
                writeln!(
                    file,
                    "{command}, process {}, since {}",
                    std::process::id(),
                    chrono::Utc::now().format("%Y-%m-%d %H:%M:%S UTC")
                )
                .map_err(failed)?;
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while still locked, so that no other process locks a file that is about to be deleted. If it cannot
        // be removed, it stays, and the next run locks it again.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the lock file stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_run_learns_who_holds_the_lock_and_the_third_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("analytics.db");
        let first = Lock::acquire(&target, "full-load").unwrap();
        let second = Lock::acquire(&target, "incremental").unwrap_err();
        let expected = format!("full-load, process {}, since ", std::process::id());
        assert!(second.to_string().contains(&expected), "{second}");
        drop(first);
        Lock::acquire(&target, "incremental").unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
