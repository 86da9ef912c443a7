//! The file of a copy: written beside the copy under another name, and renamed to it once it is completely on disk.
//!
//! The process that writes an unfinished file holds a lock on it until it ends. A file without a lock was left by a
//! copy that was killed; the next copy removes it.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::declare::star::Names;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::target::sqlite::place::{HEADER, beside, folder_of};

/// The suffix of an unfinished file's name.
const SUFFIX: &str = ".copying";
/// Files that SQLite keeps beside a database while a program writes to it.
const BESIDE: [&str; 2] = ["-journal", "-wal"];
/// The same, plus SQLite's shared memory and the sync's lock file, which are beside the target.
const BESIDE_TARGET: [&str; 4] = ["-journal", "-wal", "-shm", ".lock"];
/// The positions in SQLite's header of a program's version of the file and of the program's application id.
const VERSION_BYTES: std::ops::Range<usize> = 60..64;
const APPLICATION_ID_BYTES: std::ops::Range<usize> = 68..72;
const HEADER_BYTES: u64 = 100;

/// The header of a database file.
pub(crate) struct Header {
    pub application_id: i32,
    pub version: i32,
}

/// The header of a file; `None` for an empty file, and for one that is not a database.
pub(crate) fn header(path: &Path) -> io::Result<Option<Header>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(HEADER_BYTES).read_to_end(&mut bytes)?;
    let number = |range: std::ops::Range<usize>| {
        let bytes: Option<[u8; 4]> = bytes.get(range).and_then(|bytes| bytes.try_into().ok());
        bytes.map(i32::from_be_bytes)
    };
    let numbers = number(APPLICATION_ID_BYTES).zip(number(VERSION_BYTES));
    Ok(numbers
        .filter(|_| bytes.starts_with(HEADER))
        .map(|(application_id, version)| Header {
            application_id,
            version,
        }))
}

/// A copy that is being written. Its file is deleted when this value is dropped.
pub(crate) struct Unfinished {
    file: NamedTempFile,
    copy: PathBuf,
}

impl Unfinished {
    /// Creates the file, after removing the leftovers of killed processes.
    ///
    /// # Errors
    /// If the existing file is not a copy of this program, or if the folder cannot be written.
    pub(crate) fn create(copy: &Path, target: &Path, names: &Names) -> Result<Self> {
        // With symbolic links resolved: a link to a copy stands for the copy.
        let copy = copy.canonicalize().unwrap_or_else(|_| copy.to_owned());
        check_replaceable(&copy, target, names)?;
        remove_leftovers(&copy);
        loop {
            let file = tempfile::Builder::new()
                .prefix(&prefix(&copy))
                .suffix(SUFFIX)
                .tempfile_in(folder_of(&copy))
                .map_err(failed(&copy, "created"))?;
            match file.as_file().try_lock() {
                // Another process may have removed it as a leftover before it was locked.
                Ok(()) if file.path().exists() => return Ok(Self { file, copy }),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => return Err(failed(&copy, "locked")(cause)),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Replaces the copy with this file, with the permissions `mode`. Readers that have the old copy open keep it.
    /// Returns the file size.
    pub(crate) fn replace_copy(self, mode: u32) -> Result<u64> {
        let Self { file, copy } = self;
        file.as_file()
            .set_permissions(Permissions::from_mode(mode))
            .map_err(failed(&copy, "given its mode"))?;
        file.as_file().sync_all().map_err(failed(&copy, "written"))?;
        let bytes = file.as_file().metadata().map_err(failed(&copy, "written"))?.len();
        failpoint::pass("before-copy-replaced");
        file.persist(&copy)
            .map_err(|error| failed(&copy, "replaced")(error.error))?;
        failpoint::pass("after-copy-replaced");
        File::open(folder_of(&copy))
            .and_then(|folder| folder.sync_all())
            .map_err(failed(&copy, "written"))?;
        Ok(bytes)
    }
}

/// Converts a system error into one that names the copy and the action that failed.
fn failed(copy: &Path, verb: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = copy.to_owned();
    move |cause| Error::CopyFile { path, verb, cause }
}

/// Fails unless the path is free, or holds an empty file or a copy that no program writes to.
fn check_replaceable(copy: &Path, target: &Path, names: &Names) -> Result<()> {
    let foreign = || Error::CopyForeign {
        path: copy.to_owned(),
        program: names.program,
    };
    let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
    let copied_to = std::path::absolute(copy).unwrap_or_else(|_| copy.to_owned());
    if BESIDE_TARGET.iter().any(|suffix| copied_to == beside(&target, suffix)) {
        return Err(foreign());
    }
    match copy.metadata() {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed(copy, "opened")(cause)),
        Ok(found) if !found.is_file() => return Err(foreign()),
        Ok(found) if found.len() == 0 => return Ok(()),
        Ok(_) => {}
    }
    let header = header(copy).map_err(failed(copy, "read"))?;
    if header.is_none_or(|header| header.application_id != names.copy_application_id()) {
        return Err(foreign());
    }
    // SQLite would apply their contents to the new copy.
    match BESIDE
        .map(|suffix| beside(copy, suffix))
        .into_iter()
        .find(|file| file.exists())
    {
        Some(beside) => Err(Error::CopyWritten {
            path: copy.to_owned(),
            beside,
        }),
        None => Ok(()),
    }
}

/// The prefix of an unfinished file's name.
fn prefix(copy: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(copy.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

/// Removes the leftovers of killed processes. A file that cannot be removed is ignored.
fn remove_leftovers(copy: &Path) {
    let prefix = prefix(copy);
    let is_unfinished = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(SUFFIX.as_bytes())
    };
    let Ok(entries) = folder_of(copy).read_dir() else {
        return;
    };
    for entry in entries.flatten().filter(|entry| is_unfinished(&entry.file_name())) {
        if entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::test_star;

    /// A database header with this application id.
    fn database(application_id: i32) -> Vec<u8> {
        let mut bytes = [HEADER.as_slice(), &[0; 84]].concat();
        bytes[APPLICATION_ID_BYTES].copy_from_slice(&application_id.to_be_bytes());
        bytes
    }

    fn create(copy: &Path) -> Result<Unfinished> {
        Unfinished::create(copy, &copy.with_file_name("target.db"), &test_star::star().names)
    }

    #[test]
    fn only_copies_and_empty_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let names = test_star::star().names;
        let within = |name: &str| folder.path().join(name);
        std::fs::write(within("target.db"), database(names.application_id)).unwrap();
        std::fs::write(within("other.db"), database(0)).unwrap();
        std::fs::write(within("diary"), "dear diary").unwrap();
        std::fs::create_dir(within("folder")).unwrap();
        for name in [
            "target.db",
            "other.db",
            "diary",
            "folder",
            "target.db-wal",
            "target.db.lock",
        ] {
            let error = create(&within(name)).err().expect("it is not replaced");
            assert_eq!(error.code(), Code::CopyForeign, "{name}");
        }
        std::fs::write(within("copy.db"), database(names.copy_application_id())).unwrap();
        std::fs::write(within("empty.db"), "").unwrap();
        for name in ["copy.db", "empty.db", "new.db"] {
            create(&within(name)).unwrap();
        }
        std::fs::write(within("copy.db-journal"), "").unwrap();
        assert_eq!(create(&within("copy.db")).err().unwrap().code(), Code::CopyWritten);
        assert_eq!(create(&within("nowhere/copy.db")).err().unwrap().code(), Code::CopyFile);
    }

    #[test]
    fn what_a_killed_copy_left_behind_is_removed_and_one_at_work_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        let leftover = folder.path().join(".copy.db.abc.copying");
        let of_another = folder.path().join(".other.db.abc.copying");
        std::fs::write(&leftover, "").unwrap();
        std::fs::write(&of_another, "").unwrap();
        let at_work = create(&copy).unwrap();
        assert!(!leftover.exists() && of_another.exists());
        let second = create(&copy).unwrap();
        assert!(at_work.path().exists());
        second.replace_copy(0o440).unwrap();
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o440);
        drop(at_work);
        assert_eq!(folder.path().read_dir().unwrap().count(), 2);
    }
}
