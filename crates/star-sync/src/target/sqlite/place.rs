//! Whether a database can be where the target is said to be: told before the lock and before SQLite, which would say of
//! all of it that a file cannot be opened, and wait for ever at a named pipe.

use std::fs::Metadata;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, FolderProblem, Result};

/// What every SQLite database begins with.
pub(crate) const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Fails if the target's folder is missing, if what is there is no file, or a file of another program.
pub(crate) fn check(path: &Path, program: &'static str) -> Result<()> {
    match path.metadata() {
        Ok(found) => check_file(path, &found, program),
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

/// Fails if a file could not be created in the target's folder, as far as its permissions tell.
pub(crate) fn check_creatable(path: &Path) -> Result<()> {
    use rustix::fs::{Access, access};
    let may = access(folder_of(path), Access::WRITE_OK | Access::EXEC_OK);
    may.map_err(|cause| beside_error(path, path, "created", cause.into()))
}

/// What a file beside the target, which could not be opened for writing, says about the folder.
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

fn check_file(path: &Path, found: &Metadata, program: &'static str) -> Result<()> {
    let file_type = found.file_type();
    let kind = if file_type.is_file() {
        return check_header(path, program);
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

/// An empty file is one that can become a database; one that cannot be read is for SQLite to tell.
fn check_header(path: &Path, program: &'static str) -> Result<()> {
    let mut header = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(HEADER.len() as u64).read_to_end(&mut header));
    if read.is_ok() && !header.is_empty() && header != HEADER {
        return Err(Error::TargetForeign {
            path: path.to_owned(),
            program,
        });
    }
    Ok(())
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
        std::fs::write(within("empty.db"), "").unwrap();
        std::fs::write(within("star.db"), [HEADER.as_slice(), &[0; 84]].concat()).unwrap();
        std::os::unix::net::UnixListener::bind(within("socket")).unwrap();
        for (name, code) in [
            ("", Code::TargetNotAFile),
            ("socket", Code::TargetNotAFile),
            ("diary", Code::TargetForeign),
            ("diary/star.db", Code::TargetFolder),
            ("nowhere/star.db", Code::TargetFolder),
        ] {
            let error = check(&within(name), "program").unwrap_err();
            assert_eq!(error.code(), code, "{name}: {error}");
        }
        let long = "a".repeat(300);
        assert_eq!(check(&within(&long), "program").unwrap_err().code(), Code::TargetFile);
        check(Path::new("/dev/null"), "program").unwrap_err();
        for name in ["empty.db", "star.db", "not-there.db"] {
            check(&within(name), "program").unwrap();
        }
    }
}
