//! Everything specific to SQLite: opening connections with their pragmas, and in its modules: whose file it is
//! (`version`), where it may be (`place`), whether migrations create what is declared (`schema`), the lock of a run
//! (`lock`), the write-ahead log (`log`), where SQLite sorts (`temp_folder`), what other programs have added
//! (`others`), how rows are read back (`row_text`), pragmas and result codes.

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
/// How long to wait for a connection that a statement on the target occupies.
const LONGEST_STATEMENT: Duration = Duration::from_hours(1);
/// Page cache of the writing connection, in KiB.
pub(crate) const CACHE_KIBIBYTES: u32 = 16 * 1024;
/// Page cache of a reading connection, in KiB. Readers scan tables once, and sort in pieces of this size.
const READER_CACHE_KIBIBYTES: u32 = 4 * 1024;
/// Rows that SQLite's thread may read ahead of the consumer. With the driver's default of 50 both wait for each other
/// all the time, and comparing all rows of the star takes 50% longer.
const ROWS_READ_AHEAD: usize = 4_096;

/// Whether SQLite itself checks foreign keys, at each commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeys {
    Enforced,
    /// For loads, which would take 3.6 times as long if each row were checked; the load ends with a check of the whole
    /// file.
    CheckedAtEnd,
}

#[derive(Clone, Copy)]
pub(crate) enum Access {
    Read,
    Write(ForeignKeys),
    /// For a new file, which is useless until it is finished: nothing is journalled, synced or checked.
    Copy,
}

/// Opens connections to the file, which must exist.
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
        // Waiting for a connection means waiting for a statement, which may take long.
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
            // SQLite takes KiB as a negative number, pages as a positive one.
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

/// Creates a file that only its owner can read.
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
