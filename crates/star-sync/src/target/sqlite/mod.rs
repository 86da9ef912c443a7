//! All that is SQLite's own: opening a connection with its pragmas, and beside it whose file it is (`version`), where
//! it may be (`place`), whether migrations create what is declared (`schema`), who may write to it (`lock`), its
//! write-ahead log (`log`), where it sorts (`temp_folder`), what other programs have put into it (`others`), how rows
//! are read back (`held`), and its pragmas and result codes.

pub mod lock;
pub mod log;
pub mod others;
pub(crate) mod place;
pub(crate) mod pragma;
pub(crate) mod result_code;
pub(crate) mod row_text;
pub(crate) mod schema;
mod temp_folder;
pub(crate) mod version;

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

use crate::error::{Doing, Result};
pub use crate::target::sqlite::place::{beside, check_writable};

/// How long to wait for another program that writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a statement on the target may keep others waiting for its connection.
const LONGEST_STATEMENT: Duration = Duration::from_hours(1);
/// Page cache of the writing connection, in KiB.
pub(crate) const CACHE_KIBIBYTES: u32 = 16 * 1024;
/// Page cache of a reading connection, in KiB. They go through tables once; and sort in pieces of this size.
const READER_CACHE_KIBIBYTES: u32 = 4 * 1024;
/// Rows that SQLite's thread may read ahead of whoever asked for them. The driver's 50 make both wait for each other at
/// every turn: comparing all rows of the star then takes half as long again.
const ROWS_READ_AHEAD: usize = 4_096;

/// Whether SQLite itself checks foreign keys, at each commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeys {
    Enforced,
    /// For loads, where checking each row costs a factor of 3.6; the load ends with a check of the whole file.
    CheckedAtEnd,
}

#[derive(Clone, Copy)]
pub(crate) enum Access {
    Read,
    Write(ForeignKeys),
    /// To a new file, which is worth nothing before it is finished: nothing of it is journalled, synced or checked.
    Copy,
}

/// Opens connections to the file, which has to be there.
pub(crate) async fn connect(path: &Path, access: Access, connections: u32) -> Result<DatabaseConnection> {
    let file = path.to_owned();
    let temp_folder = temp_folder::beside(path);
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(connections)
        .min_connections(0)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        // Whoever waits for a connection waits for a statement, which may take its time.
        .acquire_timeout(LONGEST_STATEMENT)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .filename(&file)
                .in_memory(false)
                .shared_cache(false)
                .create_if_missing(false)
                .busy_timeout(BUSY_TIMEOUT)
                .row_buffer_size(ROWS_READ_AHEAD);
            let sqlite = match &temp_folder {
                Some(folder) => sqlite.pragma(pragma::TEMP_FOLDER, pragma::quoted(folder)),
                None => sqlite,
            };
            // SQLite counts KiB below zero, pages above.
            match access {
                Access::Read => sqlite
                    .pragma("cache_size", format!("-{READER_CACHE_KIBIBYTES}"))
                    .pragma("query_only", "ON"),
                Access::Write(foreign_keys) => sqlite
                    .pragma("cache_size", format!("-{CACHE_KIBIBYTES}"))
                    .foreign_keys(foreign_keys == ForeignKeys::Enforced)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal),
                Access::Copy => sqlite
                    .pragma("cache_size", format!("-{CACHE_KIBIBYTES}"))
                    .foreign_keys(false)
                    .journal_mode(SqliteJournalMode::Off)
                    .synchronous(SqliteSynchronous::Off),
            }
        });
    Database::connect(options)
        .await
        .target(|| format!("opening {}", path.display()))
}

/// Only its owner may read what the star tells.
pub(crate) fn create_private_file(path: &Path) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|cause| place::beside_error(path, path, "created", cause))
}
