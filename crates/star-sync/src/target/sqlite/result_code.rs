//! What SQLite's result codes mean: <https://sqlite.org/rescode.html>. The lower byte is the kind, the upper ones tell
//! more.

use sea_orm::{DbErr, RuntimeErr};

use crate::error::{Code, database_error};

/// The code of what SQLite has answered.
pub(crate) fn code_of(cause: &DbErr) -> Code {
    // Each connection has a thread.
    if io_error(cause).is_some_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
        return Code::ThreadsExhausted;
    }
    let extended = sqlite_code(cause).unwrap_or_default();
    match (extended & 0xFF, extended) {
        // Full; or a file that may not grow, for its limit or a quota, is an error of writing, or of growing the -shm.
        (13, _) | (_, 778 | 4_874) => Code::TargetFull,
        (5 | 6, _) => Code::TargetLocked,
        (11 | 26, _) => Code::TargetDamaged,
        (3 | 8 | 14, _) => Code::TargetUnwritable,
        // No folder for temporary files.
        (10, 6_410) => Code::TargetTempFolder,
        // Opening, locking and mapping the -shm file; locks on the database itself.
        (10, 4_618 | 5_130 | 5_386 | 2_058 | 2_314 | 2_826 | 3_594 | 3_850) => Code::TargetFileSystem,
        // No memory, of which 3,082 is an error of reading or writing.
        (7, _) | (10, 3_082) => Code::TargetFailed,
        (10, _) => Code::TargetIo,
        _ => Code::TargetFailed,
    }
}

/// Whether SQLite has refused a change because of a foreign key; the second code is of a key that is declared RESTRICT.
pub(crate) fn is_foreign_key(cause: &DbErr) -> bool {
    matches!(sqlite_code(cause), Some(787 | 1811))
}

/// SQLite's extended result code, if it is SQLite that failed.
pub fn sqlite_code(error: &DbErr) -> Option<i32> {
    let error = database_error(error)?;
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse().ok()
}

/// The error of the system, if it is one that a driver passes on.
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
