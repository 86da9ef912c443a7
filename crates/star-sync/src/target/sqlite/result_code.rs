//! Maps SQLite's result codes: <https://sqlite.org/rescode.html>. The lower byte is the kind, the upper ones are the
//! detail.

use sea_orm::{DbErr, RuntimeErr};

use crate::error::{Code, database_error};

/// The code of an error that SQLite returned.
pub(crate) fn code_of(cause: &DbErr) -> Code {
    // Each connection has a thread, which could not be started.
    if io_error(cause).is_some_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
        return Code::ThreadsExhausted;
    }
    code_of_result(sqlite_code(cause).unwrap_or_default())
}

fn code_of_result(extended: i32) -> Code {
    match (extended & 0xFF, extended) {
        // The disk is full, or the file may not grow because of a limit or a quota: an error of writing, or of growing
        // the -shm.
        (13, _) | (_, 778 | 4_874) => Code::TargetFull,
        (5 | 6, _) => Code::TargetLocked,
        (11 | 26, _) => Code::TargetDamaged,
        (3 | 8 | 14, _) => Code::TargetUnwritable,
        // No folder for temporary files.
        (10, 6_410) => Code::TargetTempFolder,
        // Opening, locking and mapping the -shm file; locks on the database itself.
        (10, 4_618 | 5_130 | 5_386 | 2_058 | 2_314 | 2_826 | 3_594 | 3_850) => Code::TargetFileSystem,
        // Out of memory; 3,082 is an error of reading or writing for lack of it.
        (7, _) | (10, 3_082) => Code::TargetFailed,
        (10, _) => Code::TargetIo,
        _ => Code::TargetFailed,
    }
}

/// Whether SQLite refused a change because of a foreign key; the second code is for a key that is declared RESTRICT.
pub(crate) fn is_foreign_key(cause: &DbErr) -> bool {
    matches!(sqlite_code(cause), Some(787 | 1811))
}

/// Whether SQLite does not accept the file as a database.
pub(crate) fn is_no_database(cause: &DbErr) -> bool {
    sqlite_code(cause) == Some(26)
}

/// SQLite's extended result code, if the error is SQLite's.
pub fn sqlite_code(error: &DbErr) -> Option<i32> {
    let error = database_error(error)?;
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse().ok()
}

/// The operating system's error, if the driver passed one on.
fn io_error(cause: &DbErr) -> Option<&std::io::Error> {
    match cause {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::Io(error) => Some(error),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the names of <https://sqlite.org/rescode.html>.
    #[test]
    fn a_result_code_is_told_by_what_its_user_can_do() {
        for (name, kind, detail, code) in [
            ("SQLITE_FULL", 13, 0, Code::TargetFull),
            ("SQLITE_IOERR_WRITE", 10, 3, Code::TargetFull),
            ("SQLITE_IOERR_SHMSIZE", 10, 19, Code::TargetFull),
            ("SQLITE_BUSY_SNAPSHOT", 5, 2, Code::TargetLocked),
            ("SQLITE_LOCKED", 6, 0, Code::TargetLocked),
            ("SQLITE_CORRUPT", 11, 0, Code::TargetDamaged),
            ("SQLITE_NOTADB", 26, 0, Code::TargetDamaged),
            ("SQLITE_PERM", 3, 0, Code::TargetUnwritable),
            ("SQLITE_READONLY_DIRECTORY", 8, 6, Code::TargetUnwritable),
            ("SQLITE_CANTOPEN", 14, 0, Code::TargetUnwritable),
            ("SQLITE_IOERR_GETTEMPPATH", 10, 25, Code::TargetTempFolder),
            ("SQLITE_IOERR_SHMOPEN", 10, 18, Code::TargetFileSystem),
            ("SQLITE_IOERR_SHMLOCK", 10, 20, Code::TargetFileSystem),
            ("SQLITE_IOERR_SHMMAP", 10, 21, Code::TargetFileSystem),
            ("SQLITE_IOERR_UNLOCK", 10, 8, Code::TargetFileSystem),
            ("SQLITE_IOERR_RDLOCK", 10, 9, Code::TargetFileSystem),
            ("SQLITE_IOERR_CHECKRESERVEDLOCK", 10, 14, Code::TargetFileSystem),
            ("SQLITE_IOERR_LOCK", 10, 15, Code::TargetFileSystem),
            ("SQLITE_IOERR_READ", 10, 1, Code::TargetIo),
            ("SQLITE_IOERR_FSYNC", 10, 4, Code::TargetIo),
            ("SQLITE_NOMEM", 7, 0, Code::TargetFailed),
            ("SQLITE_IOERR_NOMEM", 10, 12, Code::TargetFailed),
            ("SQLITE_ERROR", 1, 0, Code::TargetFailed),
        ] {
            assert_eq!(code_of_result(kind + detail * 256), code, "{name}");
        }
    }
}
