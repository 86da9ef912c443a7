//! What can go wrong, split by who has to act, with the exit code and the hint beside it.
//!
//! Messages name tables and key ranges, never row values or passwords.

use std::path::PathBuf;

use sea_orm::{DbErr, RuntimeErr};

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
    Setting { what: String, hint: String },

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

    #[error("the {stage} stage panicked")]
    Panicked { stage: &'static str },
    #[error("stopped")]
    Stopped,
    /// The same of what keeps nothing, or what it says.
    #[error("stopped")]
    Interrupted { hint: &'static str },
    #[error("the result cannot be printed")]
    Output {
        #[source]
        cause: std::io::Error,
    },
}

fn list(items: &[String]) -> String {
    items.iter().fold(String::new(), |list, item| list + "\n  " + item)
}

impl Error {
    /// A setting that is missing or malformed, and what to write instead.
    pub fn setting(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Setting {
            what: what.into(),
            hint: hint.into(),
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
            Self::Source { cause, .. } => transience_of(cause),
            _ => Transience::Lasting,
        }
    }

    /// Whether the source has refused user and password, or a connection without TLS.
    pub fn is_refused_login(&self) -> bool {
        matches!(self, Self::Source { cause, .. } if matches!(server_error_number(cause), Some(1045 | 3159)))
    }

    /// Whether another program has held the target for too long.
    pub fn is_target_locked(&self) -> bool {
        matches!(self, Self::Target { cause, .. } if matches!(sqlite_code(cause).map(|code| code & 0xFF), Some(5 | 6)))
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Setting { hint, .. } | Self::SeedRefused { hint, .. } | Self::Demo { hint, .. } => hint.clone(),
            Self::Unreachable { .. } => {
                "check that the server runs, that host and port (or ?socket=PATH) in --source are right, and that \
                 no firewall stands between"
                    .to_owned()
            }
            Self::Source { cause, .. } => source_hint(cause),
            Self::SourceUnlisted => {
                "somebody's statement holds characters beyond utf8mb3 or bytes (MySQL error 3854); run the command again \
                 when it is over, or wait longer with --retry-for"
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
            Self::Target { cause, .. } => target_hint(cause),
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
            Self::Seed { cause, .. } => seed_hint(cause),
            Self::NoServer => {
                "it need not run: `apt-get install mariadb-server-core mariadb-client-core`, `scripts/install-mysql`, or name a mysqld with \
                 --mysqld"
                    .to_owned()
            }
            Self::Panicked { .. } => {
                "nothing unfinished was kept; run the command again, and report this: it is a defect".to_owned()
            }
            Self::Interrupted { hint } => (*hint).to_owned(),
            Self::Output { .. } => "check where stdout goes: a full disk, perhaps".to_owned(),
            Self::Stopped => "what was finished is kept; run the command again to go on".to_owned(),
        }
    }
}

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

fn transience_of(cause: &DbErr) -> Transience {
    match server_error_number(cause) {
        // Of the server, of the account.
        Some(1040 | 1203 | 1226) => Transience::Overloaded,
        // Shutting down; a connection that was cut, by hand or for being idle; a statement that was killed, or lost
        // against another one; a table that was altered under a snapshot.
        Some(1053 | 1152 | 1158..=1161 | 1205 | 1213 | 1317 | 1412 | 1927 | 3169 | 4031) => Transience::Lost,
        Some(_) => Transience::Lasting,
        None => match cause {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => Transience::Lost,
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => match **error {
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Transience::Lost,
                _ => Transience::Lasting,
            },
            _ => Transience::Lasting,
        },
    }
}

/// The MySQL error number, if the server sent one.
pub fn server_error_number(error: &DbErr) -> Option<u16> {
    database_error(error)?
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .map(sqlx::mysql::MySqlDatabaseError::number)
}

/// SQLite's extended result code, if it is SQLite that failed.
fn sqlite_code(error: &DbErr) -> Option<i32> {
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

/// Whether no TLS could be agreed upon.
fn is_tls(cause: &DbErr) -> bool {
    matches!(cause, DbErr::Conn(RuntimeErr::SqlxError(error)) if matches!(**error, sqlx::Error::Tls(_)))
        || cause.to_string().contains("certificate")
}

fn source_hint(cause: &DbErr) -> String {
    match server_error_number(cause) {
        Some(1045 | 1698) => "check user and password in --source, or SAKILA_SYNC_SOURCE_PASSWORD",
        // What the server says to an account without rights, whether or not the schema exists.
        Some(1044) => {
            "check the schema's name at the end of --source; if it is right, GRANT SELECT on it to the account"
        }
        Some(1142 | 1143) => "GRANT SELECT on the schema to the account; nothing more is needed",
        Some(3159) => "the server takes no connection without TLS; leave ssl-mode=DISABLED out of --source",
        Some(1049) => "name an existing schema at the end of --source: mysql://user@host:3306/sakila",
        Some(1040 | 1203 | 1226) => "the server has no connection to spare; lower --workers or raise max_connections",
        Some(1820 | 1862) => "the account's password has expired; set a new one on the server",
        _ if is_tls(cause) => {
            "the server's certificate was not accepted, or it has none: check ssl-ca, the host's name and the \
             certificate's dates; ssl-mode=VERIFY_CA does without the name"
        }
        _ if cause.to_string().contains("caching_sha2_password") => {
            "the first log-in of such an account over a Unix socket fails until the server has cached it; log in \
             once over TCP, or use TCP in --source"
        }
        _ if transience_of(cause) == Transience::Lost => {
            "the server or the way to it is gone, or slower than --read-timeout; nothing is lost: run the command again, \
             or wait longer with --retry-for"
        }
        _ => "the cause above is the server's or the driver's own; run the command again with -v for more",
    }
    .to_owned()
}

/// Seeding writes; the account that the sync reads with may not.
fn seed_hint(cause: &DbErr) -> String {
    match server_error_number(cause) {
        Some(1044 | 1142 | 1143 | 1227 | 1370) => {
            "seed writes: name an account in --source that has all privileges on this schema (GRANT ALL ON it)"
                .to_owned()
        }
        Some(1290 | 1792 | 1836) => "the server is read-only; name another one in --source".to_owned(),
        Some(1205 | 1213) => "somebody else holds these rows; run the command again".to_owned(),
        Some(167 | 1062 | 1264 | 1467) => {
            "a key has come to the end of its official type; `sakila-sync seed --replace` begins anew, and larger \
             scales have wider keys"
                .to_owned()
        }
        _ => source_hint(cause),
    }
}

fn target_hint(cause: &DbErr) -> String {
    // The lower byte is the kind, the upper ones tell more: https://sqlite.org/rescode.html
    let code = sqlite_code(cause).unwrap_or_default();
    match (code & 0xFF, code) {
        // Full; or a file that may not grow, for its limit or a quota, is an error of writing, or of growing the -shm.
        (13, _) | (_, 778 | 4_874) => {
            "make room on the disk, or raise the limit on the size of files (`ulimit -f`), and run the command again; \
             nothing is lost"
        }
        (5 | 6, _) => "another program holds the database; close it and run the command again",
        (11 | 26, _) => {
            "the file is damaged or no SQLite database; move it away, then `sakila-sync init` and `full-load` build it anew"
        }
        (3 | 8 | 14, _) => "check that the file, its folder, and -wal and -shm files beside it are writable by this user",
        (10, _) => "the disk or its file system failed; look into the system's log, then run the command again",
        _ => "nothing of this transaction was kept; run the command again",
    }
    .to_owned()
}

/// Attaches what was being done to a database error.
pub trait Doing<T> {
    fn source(self, doing: impl FnOnce() -> String) -> Result<T>;
    fn target(self, doing: impl FnOnce() -> String) -> Result<T>;
    fn seed(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::result::Result<T, DbErr> {
    fn source(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Source { doing: doing(), cause })
    }

    fn target(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Target { doing: doing(), cause })
    }

    fn seed(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Seed { doing: doing(), cause })
    }
}
