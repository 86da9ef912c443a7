//! The SQLite file: opening it and its pragmas; beside it whose file it is (`version`), who may write to it (`lock`),
//! its write-ahead log (`log`), and what the sync remembers in it.
//!
//! What is SQLite's own besides stands in `pipeline::held` (how rows are read back), `engine::sql` (pragmas) and
//! `error::database` (result codes).

pub mod calendar;
pub mod history;
pub mod history_length;
pub mod lock;
pub mod log;
pub mod others;
mod place;
pub mod proof;
pub mod reject;
pub mod source_record;
pub mod state;
pub mod statement;
mod temp_folder;
mod version;
pub mod watermark;

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use migration::{Migrator, MigratorTrait};
use sea_orm::sea_query::{Query, SelectStatement, SqliteQueryBuilder};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tracing::{debug, info};

use crate::engine::declaration::table::{Star, Table};
use crate::engine::{failpoint, sql};
use crate::error::{Doing, Error, Result};
use crate::metrics;

/// How long to wait for another program that writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a statement on the target may keep others waiting for its connection.
const LONGEST_STATEMENT: Duration = Duration::from_hours(1);
/// Page cache of the writing connection, in KiB.
const CACHE_KIBIBYTES: u32 = 16 * 1024;
/// Page cache of a reading connection, in KiB. They go through tables once; and sort in pieces of this size.
const READER_CACHE_KIBIBYTES: u32 = 4 * 1024;
/// Rows that SQLite's thread may read ahead of whoever asked for them. The driver's 50 make both wait for each other at
/// every turn: comparing all rows of the star then takes half as long again.
const ROWS_READ_AHEAD: usize = 4_096;

/// An open target: one connection that writes, a few that read.
pub struct Target {
    pub path: PathBuf,
    /// A pool of exactly one connection.
    pub writer: DatabaseConnection,
    /// What readers see is what was committed.
    pub readers: DatabaseConnection,
}

/// Whether SQLite itself checks foreign keys, at each commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeys {
    Enforced,
    /// For loads, where checking each row costs a factor of 3.6; the load ends with a check of the whole file.
    CheckedAtEnd,
}

impl Target {
    /// Opens an existing database of ours, of this very version, to read and write.
    pub async fn open(path: &Path, foreign_keys: ForeignKeys, readers: u32) -> Result<Self> {
        place::check(path)?;
        check_writable(path)?;
        let readers = open_to_read(path, readers).await?;
        let writer = connect(path, Access::Write(foreign_keys), 1).await?;
        log::refuse_endless(path, &writer).await?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            readers,
        })
    }

    /// Creates the database, or brings one of an older version up to date after keeping a backup of it.
    pub async fn create(path: &Path) -> Result<(Self, Creation)> {
        place::check(path)?;
        let existed = path.metadata().is_ok_and(|file| file.len() > 0);
        if !existed {
            create_private_file(path)?;
        }
        check_writable(path)?;
        let foreign_keys = ForeignKeys::CheckedAtEnd;
        let readers = connect(path, Access::Read, 1).await?;
        let pending = version::pending_migrations(path, &readers).await?;
        let target = Self {
            path: path.to_owned(),
            writer: connect(path, Access::Write(foreign_keys), 1).await?,
            readers,
        };
        let creation = if pending.is_empty() {
            return Ok((target, Creation::Unchanged));
        } else if pending.len() == Migrator::migrations().len() {
            Creation::Created
        } else {
            Creation::Migrated {
                backup: target.back_up().await?,
            }
        };
        target
            .writer
            .execute_unprepared(&sql::write_application_id())
            .await
            .target(|| "marking the file as ours".to_owned())?;
        failpoint::pass("before-migrations");
        Migrator::up(&target.writer, None)
            .await
            .target(|| "creating the tables".to_owned())?;
        info!(code = "TARGET_MIGRATED", path = %path.display(), migrations = pending.len(), "target migrated");
        Ok((target, creation))
    }

    /// Copies the file, at rest, beside itself.
    async fn back_up(&self) -> Result<PathBuf> {
        // What is still in the log would be missing from the copy.
        log::empty_or_fail(&self.path, &self.writer).await?;
        let mut backup = self.path.as_os_str().to_owned();
        backup.push(chrono::Utc::now().format(".%Y%m%d-%H%M%S.backup").to_string());
        let backup = PathBuf::from(backup);
        failpoint::pass("before-backup");
        std::fs::copy(&self.path, &backup).map_err(|cause| Error::TargetFile {
            path: backup.clone(),
            verb: "written",
            cause,
        })?;
        Ok(backup)
    }

    /// Begins the transaction of a whole run.
    pub async fn begin(&self) -> Result<Arc<DatabaseTransaction>> {
        let transaction = begin(&self.writer).await?;
        transaction
            .execute_unprepared(sql::DEFER_FOREIGN_KEYS)
            .await
            .target(|| "deferring the foreign keys".to_owned())?;
        Ok(Arc::new(transaction))
    }

    /// Whether no table of the star holds a row.
    pub async fn is_empty(&self, star: &Star) -> Result<bool> {
        for table in star.tables() {
            let select = Query::select()
                .column(table.columns[0].name)
                .from(table.name)
                .limit(1)
                .to_owned();
            let row = self.writer.query_one(&select).await;
            if row.target(|| format!("looking into {}", table.name))?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes without syncing from here on: for a first load, which is worth nothing before it has finished.
    pub async fn write_without_syncing(&self) -> Result<()> {
        self.tune_writer(sql::SYNCHRONOUS_OFF).await
    }

    /// Syncs all that was written without syncing, before anything says that the load has finished.
    pub async fn make_durable(&self, run_id: i64) -> Result<()> {
        self.tune_writer(sql::SYNCHRONOUS_NORMAL).await?;
        // With the log empty a checkpoint would sync nothing; any write will do.
        history::mark_running(&self.writer, run_id).await?;
        // One that is held up need not have synced anything.
        log::empty_or_fail(&self.path, &self.writer).await
    }

    /// From the next transaction on SQLite checks foreign keys, as it does for all other runs.
    pub async fn enforce_foreign_keys(&self) -> Result<()> {
        self.tune_writer(sql::FOREIGN_KEYS_ON).await
    }

    /// Makes the secondary indexes of a table that are not there.
    pub async fn create_indexes(&self, table: &Table) -> Result<()> {
        let idle_cores = std::thread::available_parallelism().map_or(0, |cores| cores.get().saturating_sub(2));
        self.tune_writer(&sql::indexing(idle_cores)).await?;
        for index in statement::indexes(table) {
            self.writer
                .execute(&index)
                .await
                .target(|| format!("creating the indexes of {}", table.name))?;
            debug!(index = index.to_string(SqliteQueryBuilder), "index created");
            failpoint::pass("index-created");
        }
        self.tune_writer(&sql::cache_size(CACHE_KIBIBYTES)).await
    }

    async fn tune_writer(&self, pragmas: &str) -> Result<()> {
        self.writer
            .execute_unprepared(pragmas)
            .await
            .target(|| "setting pragmas".to_owned())?;
        Ok(())
    }

    /// Ends a run: the log is copied into the file, so that the one file is the whole database.
    pub async fn close(self) -> Result<()> {
        let doing = || "closing the file".to_owned();
        self.readers.close_by_ref().await.target(doing)?;
        failpoint::pass("before-checkpoint");
        log::empty_if_possible(&self.path, &self.writer).await?;
        self.writer.close().await.target(doing)
    }
}

/// What `create` found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    Created,
    Unchanged,
    Migrated { backup: PathBuf },
}

/// Where the target's own rows are read from while it is being written to.
#[derive(Clone)]
pub enum TargetReader {
    /// The target is known to hold none of the rows that are asked for.
    Empty,
    /// What was committed, on connections beside the writer's.
    Committed(DatabaseConnection),
    /// What the run's own transaction has written so far.
    Within(Arc<DatabaseTransaction>),
}

impl TargetReader {
    pub async fn all(&self, select: &SelectStatement) -> std::result::Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Empty => Ok(Vec::new()),
            Self::Committed(connection) => connection.query_all(select).await,
            Self::Within(transaction) => transaction.query_all(select).await,
        }
    }

    /// The one text that a select yields; empty where there is none.
    pub async fn text(&self, select: &SelectStatement) -> std::result::Result<String, DbErr> {
        let rows = self.all(select).await?;
        let text = rows.first().map(|row| row.try_get_by_index::<Option<String>>(0));
        Ok(text.transpose()?.flatten().unwrap_or_default())
    }

    /// The one number that a select yields; 0 where there is none.
    pub async fn number(&self, select: &SelectStatement) -> std::result::Result<i64, DbErr> {
        let rows = self.all(select).await?;
        rows.first().map_or(Ok(0), |row| row.try_get_by_index(0))
    }
}

/// Begins a write transaction at once, so that a busy file shows before any work is done.
pub async fn begin(writer: &DatabaseConnection) -> Result<DatabaseTransaction> {
    writer
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await
        .target(|| "beginning a transaction".to_owned())
}

/// Commits the transaction of a run; every other holder must have let go of it.
pub async fn commit(transaction: Arc<DatabaseTransaction>) -> Result<()> {
    let transaction = Arc::try_unwrap(transaction).map_err(|_| Error::TransactionHeld { verb: "committed" })?;
    failpoint::pass("before-commit");
    let began = Instant::now();
    transaction.commit().await.target(|| "committing".to_owned())?;
    metrics::committed(began.elapsed());
    failpoint::pass("after-commit");
    Ok(())
}

/// Takes back the transaction of a run; every other holder must have let go of it.
pub async fn roll_back(transaction: Arc<DatabaseTransaction>) -> Result<()> {
    let transaction = Arc::try_unwrap(transaction).map_err(|_| Error::TransactionHeld { verb: "rolled back" })?;
    transaction.rollback().await.target(|| "rolling back".to_owned())
}

/// Opens an existing database of ours, of this very version, to look at it. Nothing is ever written through this.
pub async fn open_to_read(path: &Path, connections: u32) -> Result<DatabaseConnection> {
    place::check(path)?;
    if !path.exists() {
        return Err(Error::TargetMissing { path: path.to_owned() });
    }
    let readers = connect(path, Access::Read, connections).await?;
    let pending = version::pending_migrations(path, &readers).await?;
    if pending.len() == Migrator::migrations().len() {
        return Err(Error::TargetMissing { path: path.to_owned() });
    }
    match pending.into_iter().next() {
        None => Ok(readers),
        Some(pending) => Err(Error::TargetOlder {
            path: path.to_owned(),
            pending,
        }),
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write(ForeignKeys),
}

async fn connect(path: &Path, access: Access, connections: u32) -> Result<DatabaseConnection> {
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
                Some(folder) => sqlite.pragma(sql::TEMP_FOLDER, sql::quoted(folder)),
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
            }
        });
    Database::connect(options)
        .await
        .target(|| format!("opening {}", path.display()))
}

/// Fails if the file is there and may not be written. SQLite would open it all the same, and leave `-wal` and `-shm`
/// files behind that may not be written either. To be asked before SQLite has the file open: closing another handle on
/// it drops SQLite's locks.
pub fn check_writable(path: &Path) -> Result<()> {
    // Of what is no file, `place::check` tells; to open a pipe would wait for its reader.
    if !path.is_file() {
        return Ok(());
    }
    let opened = std::fs::OpenOptions::new().write(true).open(path);
    opened.map(drop).map_err(|cause| Error::TargetFile {
        path: path.to_owned(),
        verb: "written",
        cause,
    })
}

/// Only its owner may read what the star tells.
fn create_private_file(path: &Path) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|cause| place::beside_error(path, path, "created", cause))
}
