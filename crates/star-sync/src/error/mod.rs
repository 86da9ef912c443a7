//! The errors of the engine, split by who has to act: variants, stable codes, and whether a retry may succeed.
//!
//! Messages name tables and key ranges, never row values or passwords. The program that uses the engine adds the
//! remedy: only it knows its options and commands.

mod classify;
pub mod code;
mod server_errors;

use std::path::PathBuf;

use sea_orm::{DbErr, RuntimeErr};

pub use self::classify::{is_foreign_protocol, server_error_number};
pub use self::code::Code;
use crate::target::sqlite::result_code;
pub use crate::target::sqlite::result_code::sqlite_code;

pub type Result<T> = std::result::Result<T, Error>;

/// Whether a retry may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transience {
    /// A retry would fail in the same way.
    Lasting,
    /// The server, the connection or the statement is gone.
    Lost,
    /// The server has no free connection, or cannot answer at the moment.
    Overloaded,
}

/// A class of errors.
#[derive(Clone, Copy, Debug)]
struct Class {
    code: Code,
    transience: Transience,
}

/// The problem with the folder of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderProblem {
    #[error("does not exist")]
    Missing,
    #[error("is not a folder")]
    NotAFolder,
    #[error("cannot be entered")]
    Closed,
    #[error("cannot be written")]
    Unwritable,
}

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the system does not allow the {needed} threads that this command needs")]
    Threads {
        needed: usize,
        #[source]
        cause: std::io::Error,
    },
    #[error("this command opens up to {needed} files and connections at once; the system allows {limit}")]
    Files { needed: u64, limit: u64 },
    #[error("the source cannot be reached at {address}")]
    Unreachable {
        address: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("the source failed while {doing}")]
    Source {
        doing: String,
        #[source]
        cause: DbErr,
    },
    #[error(
        "cannot list in-flight transactions: a running statement contains text that the server cannot convert (MySQL error 3854)"
    )]
    SourceUnlisted,
    #[error("the source cannot be read in consistent snapshots:{}", list(.problems))]
    SourceUnsupported { problems: Vec<String> },
    #[error("the source is not a {schema} schema that can be read:{}", list(.problems))]
    SourceUnfit {
        /// The name of the schema.
        schema: &'static str,
        problems: Vec<String>,
    },
    #[error("the declaration of the star has mistakes:{}", list(.mistakes))]
    DeclarationInvalid { mistakes: Vec<String> },
    #[error("source identity changed since the last load:{}", list(.evidence))]
    SourceChanged { evidence: Vec<String> },

    #[error("the target failed while {doing}")]
    Target {
        doing: String,
        #[source]
        cause: DbErr,
    },
    #[error("the target {path} cannot be {verb}", path = .path.display())]
    TargetFile {
        path: PathBuf,
        verb: &'static str,
        #[source]
        cause: std::io::Error,
    },
    #[error("the target's folder {folder} {problem}", folder = .folder.display())]
    TargetFolder {
        folder: PathBuf,
        problem: FolderProblem,
        #[source]
        cause: std::io::Error,
    },
    #[error("the target {path} is {kind}", path = .path.display())]
    TargetNotAFile { path: PathBuf, kind: &'static str },
    #[error("rows of another program's tables in the target refer to a row that the source no longer has:{}", list(.tables))]
    TargetReferenced { tables: Vec<String> },
    #[error("the target {path} does not exist, or is empty", path = .path.display())]
    TargetMissing { path: PathBuf },
    #[error("the target {path} is not a {program} database", path = .path.display())]
    TargetForeign { path: PathBuf, program: &'static str },
    #[error("the target {path} was written by a newer version: {unknown}", path = .path.display())]
    TargetNewer { path: PathBuf, unknown: String },
    #[error("the target {path} was created before the first release, with other tables", path = .path.display())]
    TargetUnreleased { path: PathBuf },
    #[error("the target {path} was written by an older version, or its `init` was interrupted: {pending} is not applied", path = .path.display())]
    TargetOlder { path: PathBuf, pending: String },
    #[error("another run works on the target: {holder}")]
    TargetBusy { holder: String },
    #[error("the write-ahead log of the target {path} cannot be emptied: {mebibytes} MiB are in use by {holders}", path = .path.display())]
    TargetLogHeld {
        path: PathBuf,
        mebibytes: u64,
        holders: String,
    },
    #[error("the target {path} is a copy for readers", path = .path.display())]
    TargetCopy { path: PathBuf },

    #[error("the copy {path} failed while {doing}", path = .path.display())]
    Copy {
        path: PathBuf,
        doing: String,
        #[source]
        cause: DbErr,
    },
    #[error("the copy {path} cannot be {verb}", path = .path.display())]
    CopyFile {
        path: PathBuf,
        verb: &'static str,
        #[source]
        cause: std::io::Error,
    },
    #[error("{path} is not a copy that {program} wrote", path = .path.display())]
    CopyForeign { path: PathBuf, program: &'static str },
    #[error("another program writes to the copy {path}: {beside} is there", path = .path.display(), beside = .beside.display())]
    CopyWritten { path: PathBuf, beside: PathBuf },

    #[error("no full load has finished on this target")]
    NotLoaded,
    #[error("the target would have rows whose parents are missing:{}", list(.orphans))]
    Orphans { orphans: Vec<String> },

    #[error("the run's transaction cannot be {verb}: another part of the program still uses it")]
    TransactionHeld { verb: &'static str },
    #[error("the {stage} stage panicked")]
    Panicked { stage: &'static str },
    #[error("stopped")]
    Stopped,
}

/// Whether a write failed because the disk is full or a quota or file size limit is reached.
fn is_full(cause: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(cause.kind(), FileTooLarge | QuotaExceeded | StorageFull)
}

/// Whether a write failed because of permissions or a read-only file system.
fn is_refused(cause: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(cause.kind(), PermissionDenied | ReadOnlyFilesystem)
}

fn list(items: &[String]) -> String {
    items.iter().fold(String::new(), |list, item| list + "\n  " + item)
}

impl Error {
    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            Self::Threads { .. } => Code::ThreadsExhausted,
            Self::Files { .. } => Code::FilesExhausted,
            Self::Unreachable { .. } => Code::SourceUnreachable,
            Self::Source { cause, .. } => classify::class_of_error(cause).code,
            Self::SourceUnlisted => Code::SourceUnlisted,
            Self::SourceUnsupported { .. } => Code::SourceUnsupported,
            Self::SourceUnfit { .. } => Code::SourceUnfit,
            Self::DeclarationInvalid { .. } => Code::DeclarationInvalid,
            Self::SourceChanged { .. } => Code::SourceChanged,
            Self::Target { cause, .. } => result_code::code_of(cause),
            Self::TargetFile { cause, .. } if is_full(cause) => Code::TargetFull,
            Self::TargetFile { cause, .. } if is_refused(cause) => Code::TargetUnwritable,
            Self::TargetFile { .. } => Code::TargetFile,
            Self::TargetFolder { .. } => Code::TargetFolder,
            Self::TargetNotAFile { .. } => Code::TargetNotAFile,
            Self::TargetReferenced { .. } => Code::TargetReferenced,
            Self::TargetMissing { .. } => Code::TargetMissing,
            Self::TargetForeign { .. } => Code::TargetForeign,
            Self::TargetNewer { .. } => Code::TargetNewer,
            Self::TargetOlder { .. } => Code::TargetOlder,
            Self::TargetUnreleased { .. } => Code::TargetUnreleased,
            Self::TargetBusy { .. } => Code::TargetBusy,
            Self::TargetLogHeld { .. } => Code::TargetLogHeld,
            Self::TargetCopy { .. } => Code::TargetCopy,
            // Both files are open on one connection, but only the copy is written.
            Self::Copy { cause, .. } => match result_code::code_of(cause) {
                Code::TargetFull => Code::CopyFull,
                Code::TargetUnwritable => Code::CopyUnwritable,
                code => code,
            },
            Self::CopyFile { cause, .. } if is_full(cause) => Code::CopyFull,
            Self::CopyFile { cause, .. } if is_refused(cause) => Code::CopyUnwritable,
            Self::CopyFile { .. } => Code::CopyFile,
            Self::CopyForeign { .. } => Code::CopyForeign,
            Self::CopyWritten { .. } => Code::CopyWritten,
            Self::NotLoaded => Code::NotLoaded,
            Self::Orphans { .. } => Code::Orphans,
            Self::TransactionHeld { .. } => Code::TransactionHeld,
            Self::Panicked { .. } => Code::Panicked,
            Self::Stopped => Code::Stopped,
        }
    }

    /// Whether a retry may succeed a little later.
    pub fn transience(&self) -> Transience {
        match self {
            Self::Unreachable { .. } => Transience::Lost,
            Self::SourceUnlisted => Transience::Overloaded,
            Self::Source { cause, .. } => classify::class_of_error(cause).transience,
            _ => Transience::Lasting,
        }
    }

    /// Whether the source refuses the login of this account or host.
    pub fn is_refused_login(&self) -> bool {
        matches!(
            self.code(),
            Code::SourceLoginRefused
                | Code::SourceAccountLocked
                | Code::SourcePasswordExpired
                | Code::SourceHostBlocked
                | Code::SourceHostDenied
        )
    }

    /// Whether SQLite refused a change because of a foreign key.
    pub fn is_foreign_key(&self) -> bool {
        matches!(self, Self::Target { cause, .. } if result_code::is_foreign_key(cause))
    }

    /// Whether another program held a lock on the target for too long.
    pub fn is_target_locked(&self) -> bool {
        self.code() == Code::TargetLocked
    }
}

/// The code of an error of the source.
pub fn source_code(cause: &DbErr) -> Code {
    classify::class_of_error(cause).code
}

/// The error that the server or SQLite returned, if `error` is one.
pub(crate) fn database_error(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    error.as_database_error()
}

/// Adds to a database error the operation that failed.
pub trait Doing<T> {
    fn source(self, doing: impl FnOnce() -> String) -> Result<T>;
    fn target(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::result::Result<T, DbErr> {
    fn source(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Source { doing: doing(), cause })
    }

    fn target(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Target { doing: doing(), cause })
    }
}
