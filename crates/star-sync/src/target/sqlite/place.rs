//! Checks whether a database can exist at the target's path. This comes before the lock and before SQLite, which would
//! report every problem as a file that cannot be opened, and would wait forever on a named pipe.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, FolderProblem, Result};

/// The first bytes of every SQLite database.
pub(crate) const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Fails if the target's folder is missing, or if the path exists and is not a file. The file itself is not opened:
/// closing it would drop the locks that SQLite holds for this whole process.
pub(crate) fn check(path: &Path) -> Result<()> {
    match path.metadata() {
        Ok(found) => check_file(path, &found),
        Err(cause) if cause.kind() == ErrorKind::NotFound => check_folder(path),
        Err(cause) if cause.kind() == ErrorKind::NotADirectory => {
            Err(folder_error(path, FolderProblem::NotAFolder, cause))
        }
        Err(cause) => Err(Error::TargetFile {
            path: path.to_owned(),
            verb: "opened",
            cause,
        }),
    }
}

/// Fails if a file could not be created in the target's folder, according to its permissions.
pub(crate) fn check_creatable(path: &Path) -> Result<()> {
    use rustix::fs::{Access, access};
    let may = access(folder_of(path), Access::WRITE_OK | Access::EXEC_OK);
    may.map_err(|cause| beside_error(path, path, "created", cause.into()))
}

/// Fails if the file exists and is not writable. SQLite would open it anyway, and leave `-wal` and `-shm` files that
/// are not writable, either.
pub fn check_writable(path: &Path) -> Result<()> {
    use rustix::fs::{Access, access};
    // `check` reports paths that are not files.
    if !path.is_file() {
        return Ok(());
    }
    access(path, Access::WRITE_OK).map_err(|cause| Error::TargetFile {
        path: path.to_owned(),
        verb: "written",
        cause: cause.into(),
    })
}

/// The error for a file beside the target that could not be opened for writing: the folder's problem, if that is the
/// cause.
pub(crate) fn beside_error(target: &Path, beside: &Path, verb: &'static str, cause: io::Error) -> Error {
    match cause.kind() {
        ErrorKind::NotFound => folder_error(target, FolderProblem::Missing, cause),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            folder_error(target, FolderProblem::Unwritable, cause)
        }
        _ => Error::TargetFile {
            path: beside.to_owned(),
            verb,
            cause,
        },
    }
}

fn check_file(path: &Path, found: &Metadata) -> Result<()> {
    let file_type = found.file_type();
    let kind = if file_type.is_file() {
        return Ok(());
    } else if file_type.is_dir() {
        "a folder"
    } else if file_type.is_fifo() {
        "a named pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(Error::TargetNotAFile {
        path: path.to_owned(),
        kind,
    })
}

/// Whether a file that SQLite cannot use begins like a database. Only for such a file: SQLite holds no locks on it.
pub(crate) fn has_header(path: &Path) -> bool {
    let mut header = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEADER.len() as u64).read_to_end(&mut header));
    // If the file cannot be read, SQLite's error is the one to report.
    read.is_err() || header == HEADER
}

fn check_folder(path: &Path) -> Result<()> {
    match folder_of(path).metadata() {
        Ok(folder) if folder.is_dir() => Ok(()),
        Ok(_) => Err(folder_error(
            path,
            FolderProblem::NotAFolder,
            ErrorKind::NotADirectory.into(),
        )),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Err(folder_error(path, FolderProblem::Missing, cause)),
        Err(cause) => Err(folder_error(path, FolderProblem::Closed, cause)),
    }
}

/// The path of a file beside the database, such as its write-ahead log, with symbolic links resolved.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut path = path.into_os_string();
    path.push(suffix);
    PathBuf::from(path)
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn folder_error(path: &Path, problem: FolderProblem, cause: io::Error) -> Error {
    Error::TargetFolder {
        folder: folder_of(path).to_owned(),
        problem,
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn what_cannot_hold_a_database_is_told_by_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let within = |name: &str| folder.path().join(name);
        std::fs::write(within("diary"), "dear diary").unwrap();
        std::os::unix::net::UnixListener::bind(within("socket")).unwrap();
        for (name, code) in [
            ("", Code::TargetNotAFile),
            ("socket", Code::TargetNotAFile),
            ("diary/star.db", Code::TargetFolder),
            ("nowhere/star.db", Code::TargetFolder),
        ] {
            let error = check(&within(name)).unwrap_err();
            assert_eq!(error.code(), code, "{name}: {error}");
        }
        let long = "a".repeat(300);
        assert_eq!(check(&within(&long)).unwrap_err().code(), Code::TargetFile);
        check(Path::new("/dev/null")).unwrap_err();
        for name in ["diary", "not-there.db"] {
            check(&within(name)).unwrap();
        }
    }
}
