//! What an error of either database comes down to: its code, whether another attempt may go well, and a hint. All of
//! it is said here, once.

use sea_orm::{DbErr, RuntimeErr};

use crate::engine::source_db::answer::CutAnswer;
use crate::engine::source_db::session::{OtherProduct, RefusedSetting};
use crate::error::code::Code;
use crate::error::source_errors;

/// What to expect of another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transience {
    /// It would fail in the same way.
    Lasting,
    /// The server, the connection or the statement is gone.
    Lost,
    /// The server has no connection to spare, or cannot answer at the moment.
    Overloaded,
}

/// A class of errors.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    pub code: Code,
    pub transience: Transience,
    pub hint: &'static str,
}

/// The class of what the source has answered, or of what the driver says of it.
pub fn source(cause: &DbErr) -> Class {
    let lasting = |code, hint| Class {
        code,
        transience: Transience::Lasting,
        hint,
    };
    if let Some(class) = server_error_number(cause).and_then(source_errors::class_of) {
        return class;
    }
    let is_server_error = server_error_number(cause).is_some();
    match cause.to_string() {
        _ if is(cause, CutAnswer::is) => lasting(
            Code::SourceAnswerCut,
            "nothing was deleted or changed for it; connect to the server itself, or lift the proxy's limit on rows",
        ),
        _ if is(cause, |error| RefusedSetting::of(error).is_some()) => lasting(
            Code::SourceSessionRefused,
            "let the account set its own session variables; connect to the server itself if a proxy keeps them",
        ),
        _ if is(cause, OtherProduct::is) => lasting(
            Code::SourceUnsupported,
            "use MySQL 8.0 or newer, or MariaDB 10.6 or newer: snapshots mean something else there",
        ),
        _ if !is_server_error && is_tls(cause) => lasting(
            Code::SourceTlsFailed,
            "the server's certificate was not accepted, or it has none: check ssl-ca, the host's name and the \
             certificate's dates; ssl-mode=VERIFY_CA does without the name",
        ),
        text if !is_server_error && (text.contains("authentication plugin") || text.contains("cleartext_plugin")) => {
            lasting(Code::SourcePluginUnsupported, source_errors::PLUGIN_HINT)
        }
        text if !is_server_error && text.contains("caching_sha2_password") => lasting(
            Code::SourceLoginUncached,
            "the first log-in of such an account over a Unix socket fails until the server has cached it; log in once \
             over TCP, or use TCP in --source",
        ),
        text if is_lost(cause) || is_lost_text(&text) => Class {
            code: Code::SourceLost,
            transience: Transience::Lost,
            hint: source_errors::LOST_HINT,
        },
        _ if !is_server_error && is_protocol(cause) => lasting(
            Code::SourceFailed,
            "what answers there does not speak MySQL's protocol as this program knows it: check host and port in --source",
        ),
        _ => lasting(
            Code::SourceFailed,
            "the cause above is the server's or the driver's own; run the command again with -v for more",
        ),
    }
}

/// The same of a command that writes to the source; the account that the sync reads with may not.
pub fn seed(cause: &DbErr) -> Class {
    let hint = match server_error_number(cause) {
        Some(1044 | 1142 | 1143 | 1227 | 1370) => {
            "seed writes: name an account in --source that has all privileges on this schema (GRANT ALL ON it)"
        }
        Some(1290 | 1792 | 1836) => "the server is read-only; name another one in --source",
        Some(1205 | 1213) => "somebody else holds these rows; run the command again",
        Some(167 | 1062 | 1264 | 1467) => {
            "a key has come to the end of its official type; `sakila-sync seed --replace` begins anew, and larger \
             scales have wider keys"
        }
        _ => source(cause).hint,
    };
    Class {
        code: Code::SeedFailed,
        transience: Transience::Lasting,
        hint,
    }
}

pub const FULL_HINT: &str = "make room on the disk, or raise the limit on the size of files (`ulimit -f`), and run the \
                             command again; nothing is lost";

/// What to do about a system that grants no more threads.
pub const FEW_THREADS: &str = "raise the limit on this user's processes and threads (`ulimit -u`, TasksMax= of a systemd \
                               service, --pids-limit of a container), or end other programs of this user; nothing is lost";

/// The class of what SQLite has answered.
pub fn target(cause: &DbErr) -> Class {
    // Each connection has a thread.
    if io_error(cause).is_some_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
        return Class {
            code: Code::ThreadsExhausted,
            transience: Transience::Lasting,
            hint: FEW_THREADS,
        };
    }
    // The lower byte is the kind, the upper ones tell more: https://sqlite.org/rescode.html
    let extended = sqlite_code(cause).unwrap_or_default();
    let (code, hint) = match (extended & 0xFF, extended) {
        // Full; or a file that may not grow, for its limit or a quota, is an error of writing, or of growing the -shm.
        (13, _) | (_, 778 | 4_874) => (Code::TargetFull, FULL_HINT),
        (5 | 6, _) => (
            Code::TargetLocked,
            "another program holds the database; close it and run the command again",
        ),
        (11 | 26, _) => (
            Code::TargetDamaged,
            "the file is damaged: restore it from a backup, or build the star anew in another file with `sakila-sync init` \
             and `full-load` and --target",
        ),
        (3 | 8 | 14, _) => (
            Code::TargetUnwritable,
            "check that the file, its folder, and -wal and -shm files beside it are writable by this user",
        ),
        // No folder for temporary files.
        (10, 6_410) => (
            Code::TargetTempFolder,
            "SQLite sorts in the target's folder, or in the one that SQLITE_TMPDIR names: make it writable by this user",
        ),
        // Opening, locking and mapping the -shm file; locks on the database itself.
        (10, 4_618 | 5_130 | 5_386 | 2_058 | 2_314 | 2_826 | 3_594 | 3_850) => (
            Code::TargetFileSystem,
            "the target's file system has no shared memory maps or no file locks, as some network and container file \
             systems have none; put the target on a local disk",
        ),
        (7, _) | (10, 3_082) => (
            Code::TargetFailed,
            "the machine has no memory left for SQLite; nothing of this transaction was kept",
        ),
        // Reading: too short, checksums, what the file system itself calls damaged.
        (10, 266 | 522 | 8_202 | 8_458 | 8_714) => (
            Code::TargetIo,
            "the target cannot be read back from its disk; look into the system's log for errors of the disk",
        ),
        // Syncing.
        (10, 1_034 | 1_290 | 4_106) => (
            Code::TargetIo,
            "the disk did not confirm what was written, so nothing of this transaction counts as kept; look into the \
             system's log, then run the command again",
        ),
        (10, _) => (
            Code::TargetIo,
            "the disk or its file system failed; look into the system's log, then run the command again",
        ),
        _ => (
            Code::TargetFailed,
            "nothing of this transaction was kept; run the command again",
        ),
    };
    Class {
        code,
        transience: Transience::Lasting,
        hint,
    }
}

/// Whether the driver's own error is of this kind.
fn is(cause: &DbErr, kind: impl Fn(&sqlx::Error) -> bool) -> bool {
    match cause {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => kind(error),
        _ => false,
    }
}

/// Whether the connection is gone, by the driver's own account.
fn is_lost(cause: &DbErr) -> bool {
    match cause {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => true,
        cause => is(cause, |error| {
            matches!(
                error,
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed
            )
        }),
    }
}

/// What proxies say in their own words and numbers.
fn is_lost_text(text: &str) -> bool {
    ["server has gone away", "Lost connection to"]
        .iter()
        .any(|words| text.contains(words))
}

/// Whether the other side said something that MySQL would not.
fn is_protocol(cause: &DbErr) -> bool {
    matches!(cause, DbErr::Conn(RuntimeErr::SqlxError(error)) if matches!(**error, sqlx::Error::Protocol(_)))
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

/// Whether no TLS could be agreed upon.
fn is_tls(cause: &DbErr) -> bool {
    let is_tls = |error: &sqlx::Error| match error {
        sqlx::Error::Tls(_) => true,
        // What the TLS library refuses comes as bytes that cannot be read.
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    };
    matches!(cause, DbErr::Conn(RuntimeErr::SqlxError(error)) if is_tls(error))
        || cause.to_string().contains("certificate")
}

/// The MySQL error number, if the server sent one.
pub fn server_error_number(error: &DbErr) -> Option<u16> {
    database_error(error)?
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .map(sqlx::mysql::MySqlDatabaseError::number)
}

/// SQLite's extended result code, if it is SQLite that failed.
pub fn sqlite_code(error: &DbErr) -> Option<i32> {
    let error = database_error(error)?;
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse().ok()
}

fn database_error(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    error.as_database_error()
}
