//! What can go wrong, split by who has to act, with the exit code and the hint beside it.
//!
//! Messages name tables and key ranges, never row values or passwords.

pub mod code;
mod database;
mod source_errors;

use std::path::PathBuf;

use sea_orm::DbErr;

pub use code::Code;
pub use database::{Transience, server_error_number};

pub type Result<T> = std::result::Result<T, Error>;

/// Exit code of a command that found differences.
pub const EXIT_DIFFERENCES: u8 = 1;
const EXIT_REJECTED: u8 = 2;
const EXIT_FAILED: u8 = 3;
const EXIT_STOPPED: u8 = 130;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing or malformed; nothing was contacted.
    #[error("{what}")]
    Setting { code: Code, what: String, hint: String },

    #[error("the system does not grant the {needed} threads that this command needs")]
    Threads {
        needed: usize,
        #[source]
        cause: std::io::Error,
    },
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
    #[error("the server cannot list what is open on it, for a statement whose text it cannot show")]
    SourceUnlisted,
    #[error("the source cannot be read in consistent snapshots:{}", list(.problems))]
    SourceUnsupported { problems: Vec<String> },
    #[error("the source is not a Sakila that can be read:{}", list(.problems))]
    SourceUnfit { problems: Vec<String> },
    #[error("the source is not the one that the star was made from:{}", list(.evidence))]
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
        problem: &'static str,
        #[source]
        cause: std::io::Error,
    },
    #[error("the target {path} is {kind}", path = .path.display())]
    TargetNotAFile { path: PathBuf, kind: &'static str },
    #[error("a row that the source no longer has is needed by tables of another program in the target:{}", list(.tables))]
    TargetReferenced { tables: Vec<String> },
    #[error("the target {path} does not exist, or is empty", path = .path.display())]
    TargetMissing { path: PathBuf },
    #[error("the target {path} is not a sakila-sync database", path = .path.display())]
    TargetForeign { path: PathBuf },
    #[error("the target {path} is of a newer version: {unknown}", path = .path.display())]
    TargetNewer { path: PathBuf, unknown: String },
    #[error("the target {path} is of an older version: {pending} is not applied", path = .path.display())]
    TargetOlder { path: PathBuf, pending: String },
    #[error("another run works on the target: {holder}")]
    TargetBusy { holder: String },
    #[error("the write-ahead log of the target {path} cannot be emptied: {mebibytes} MiB held by {holders}", path = .path.display())]
    TargetLogHeld {
        path: PathBuf,
        mebibytes: u64,
        holders: String,
    },
    #[error("a full load has not finished on this target")]
    NotLoaded,
    #[error("the target would hold rows whose parents are missing:{}", list(.orphans))]
    Orphans { orphans: Vec<String> },

    #[error("the schema could not be filled: {doing} failed")]
    Seed {
        doing: String,
        #[source]
        cause: DbErr,
    },
    #[error("{why}")]
    SeedRefused { why: String, hint: String },
    #[error("the demonstration failed while {doing}")]
    Demo {
        doing: String,
        #[source]
        cause: std::io::Error,
        hint: String,
    },
    #[error("no MySQL or MariaDB server is installed here")]
    NoServer,

    #[error("the run's transaction cannot be {verb}: another part of the program still uses it")]
    TransactionHeld { verb: &'static str },
    #[error("the {stage} stage panicked")]
    Panicked { stage: &'static str },
    #[error("stopped")]
    Stopped,
    /// The same with what it means for the command, which is said where the error is reported.
    #[error("stopped")]
    Interrupted { hint: &'static str },
    #[error("the result cannot be printed")]
    Output {
        #[source]
        cause: std::io::Error,
    },
}

/// Whether the disk, a quota or a limit on files is what stops a write.
fn is_full(cause: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(cause.kind(), FileTooLarge | QuotaExceeded | StorageFull)
}

/// Whether permissions, or a file system that is only read, stop a write.
fn is_refused(cause: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(cause.kind(), PermissionDenied | ReadOnlyFilesystem)
}

fn folder_hint(problem: &str) -> &'static str {
    if problem == "cannot be written" {
        "make the folder writable by this user (SQLite keeps files beside the target), or name another path with --target"
    } else {
        "create the folder with `mkdir -p`, or name another path with --target"
    }
}

fn list(items: &[String]) -> String {
    items.iter().fold(String::new(), |list, item| list + "\n  " + item)
}

impl Error {
    /// A setting that is missing or malformed, and what to write instead.
    pub fn setting(code: Code, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Setting {
            code,
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// The stable code of what failed.
    pub fn code(&self) -> Code {
        match self {
            Self::Setting { code, .. } => *code,
            Self::Threads { .. } => Code::ThreadsExhausted,
            Self::Unreachable { .. } => Code::SourceUnreachable,
            Self::Source { cause, .. } => database::source(cause).code,
            Self::SourceUnlisted => Code::SourceUnlisted,
            Self::SourceUnsupported { .. } => Code::SourceUnsupported,
            Self::SourceUnfit { .. } => Code::SourceUnfit,
            Self::SourceChanged { .. } => Code::SourceChanged,
            Self::Target { cause, .. } => database::target(cause).code,
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
            Self::TargetBusy { .. } => Code::TargetBusy,
            Self::TargetLogHeld { .. } => Code::TargetLogHeld,
            Self::NotLoaded => Code::NotLoaded,
            Self::Orphans { .. } => Code::Orphans,
            Self::Seed { .. } => Code::SeedFailed,
            Self::SeedRefused { .. } => Code::SeedRefused,
            Self::Demo { .. } => Code::DemoFailed,
            Self::NoServer => Code::ServerMissing,
            Self::TransactionHeld { .. } => Code::TransactionHeld,
            Self::Panicked { .. } => Code::Panicked,
            Self::Stopped | Self::Interrupted { .. } => Code::Stopped,
            Self::Output { .. } => Code::OutputFailed,
        }
    }

    /// The exit code of a command that failed so.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Setting { .. } => EXIT_REJECTED,
            Self::Stopped | Self::Interrupted { .. } => EXIT_STOPPED,
            _ => EXIT_FAILED,
        }
    }

    /// Whether the same may go well a little later.
    pub fn transience(&self) -> Transience {
        match self {
            Self::Unreachable { .. } => Transience::Lost,
            Self::SourceUnlisted => Transience::Overloaded,
            Self::Source { cause, .. } => database::source(cause).transience,
            _ => Transience::Lasting,
        }
    }

    /// Whether the source does not let this account, or this host, log in.
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

    /// Whether SQLite has refused a change because of a foreign key.
    pub fn is_foreign_key(&self) -> bool {
        // The second of a key that is declared RESTRICT.
        matches!(self, Self::Target { cause, .. } if matches!(database::sqlite_code(cause), Some(787 | 1811)))
    }

    /// Whether another program has held the target for too long.
    pub fn is_target_locked(&self) -> bool {
        self.code() == Code::TargetLocked
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Setting { hint, .. } | Self::SeedRefused { hint, .. } | Self::Demo { hint, .. } => hint.clone(),
            Self::Threads { .. } => database::FEW_THREADS.to_owned(),
            Self::Unreachable { .. } => {
                "check that the server runs, that host and port (or ?socket=PATH) in --source are right, and that \
                 no firewall stands between"
                    .to_owned()
            }
            Self::Source { cause, .. } => database::source(cause).hint.to_owned(),
            Self::SourceUnlisted => {
                "somebody's statement holds characters beyond utf8mb3 or bytes (MySQL error 3854); run the command again \
                 when it is over, or wait longer with --retry-for"
                    .to_owned()
            }
            Self::SourceUnsupported { .. } => {
                "use MySQL 8.0 or newer, or MariaDB 10.6 or newer, with InnoDB tables (ALTER TABLE ... ENGINE = InnoDB)"
                    .to_owned()
            }
            Self::SourceUnfit { .. } => {
                "name the Sakila schema in --source; GRANT SELECT ON sakila.* to the account if the tables are \
                 there but hidden from it"
                    .to_owned()
            }
            Self::SourceChanged { .. } => {
                "nothing was changed; if this is meant, `sakila-sync full-load --accept-source` compares everything and \
                 takes the source as it is now"
                    .to_owned()
            }
            Self::Target { cause, .. } => database::target(cause).hint.to_owned(),
            Self::TargetFolder { problem, .. } => folder_hint(problem).to_owned(),
            Self::TargetNotAFile { .. } => {
                "name a file with --target (or SAKILA_SYNC_TARGET), as in FOLDER/analytics.db".to_owned()
            }
            Self::TargetReferenced { .. } => {
                "nothing was changed; in the tables above delete the rows that point to it, or declare the foreign key \
                 ON DELETE CASCADE or SET NULL; better, keep tables of your own in another file and ATTACH it"
                    .to_owned()
            }
            Self::TargetFile { cause, .. } if is_full(cause) => database::FULL_HINT.to_owned(),
            Self::TargetFile { cause, .. } if cause.kind() == std::io::ErrorKind::InvalidFilename => {
                "give a shorter path with --target: files with longer names are kept beside it".to_owned()
            }
            Self::TargetFile { .. } => {
                "check that the folder exists, that it is writable by this user and that the disk has room".to_owned()
            }
            Self::TargetMissing { .. } => {
                "run `sakila-sync init` first, or name the right file with --target".to_owned()
            }
            Self::TargetForeign { .. } => "nothing was changed; name another file with --target".to_owned(),
            Self::TargetNewer { .. } => "use the version of sakila-sync that wrote it, or a newer one".to_owned(),
            Self::TargetOlder { .. } => "run `sakila-sync init`: it keeps a backup and migrates the file".to_owned(),
            Self::TargetBusy { .. } => "wait for it to finish, or stop it".to_owned(),
            Self::TargetLogHeld { .. } => {
                "another program has a transaction open on the target; end it, and run the command again: nothing is lost"
                    .to_owned()
            }
            Self::NotLoaded => "run `sakila-sync full-load` first".to_owned(),
            Self::Orphans { .. } => {
                "the load counts as unfinished; run `sakila-sync full-load` again, and report this: it is a defect"
                    .to_owned()
            }
            Self::Seed { cause, .. } => database::seed(cause).hint.to_owned(),
            Self::NoServer => {
                "it need not run: `apt-get install mariadb-server-core mariadb-client-core`, `scripts/install-mysql`, or name a mysqld with \
                 --mysqld"
                    .to_owned()
            }
            Self::TransactionHeld { .. } | Self::Panicked { .. } => {
                "nothing unfinished was kept; run the command again, and report this: it is a defect".to_owned()
            }
            Self::Interrupted { hint } => (*hint).to_owned(),
            Self::Output { .. } => "check where stdout goes: a full disk, perhaps".to_owned(),
            Self::Stopped => "run the command again".to_owned(),
        }
    }
}

impl From<sakila_seed::Error> for Error {
    fn from(error: sakila_seed::Error) -> Self {
        match error {
            sakila_seed::Error::Failed { doing, cause } => Self::Seed { doing, cause },
            sakila_seed::Error::Refused { why, hint } => Self::SeedRefused { why, hint },
            sakila_seed::Error::Panicked => Self::Panicked { stage: "seed" },
        }
    }
}

/// The code of what the source has answered.
pub fn source_code(cause: &DbErr) -> Code {
    database::source(cause).code
}

/// Attaches what was being done to a database error.
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
