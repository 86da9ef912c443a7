//! The SQLite file: opening it, telling whose it is, its pragmas and checkpoints. Nothing else knows that the
//! target is SQLite, but the statements' bind limit in `write` and the lock file in `lock`.

pub mod calendar;
pub mod lock;
pub mod reject;
pub mod state;
pub mod statement;

use std::collections::HashSet;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait,
    QueryResult, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tracing::info;

use crate::engine::sql;
use crate::error::{Doing, Error, Result};

/// How long to wait for another program that writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Page cache of each connection, in KiB (SQLite counts KiB below zero).
const CACHE_KIBIBYTES: u32 = 16 * 1024;

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
    /// Opens an existing database of ours, of this very version.
    pub async fn open(path: &Path, foreign_keys: ForeignKeys, readers: u32) -> Result<Self> {
        if !path.exists() {
            return Err(Error::TargetMissing { path: path.to_owned() });
        }
        let readers = connect(path, foreign_keys, true, readers).await?;
        if let Some(pending) = pending_migrations(path, &readers).await?.first() {
            return Err(Error::TargetOlder {
                path: path.to_owned(),
                pending: pending.clone(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            writer: connect(path, foreign_keys, false, 1).await?,
            readers,
        })
    }

    /// Creates the database, or brings one of an older version up to date after keeping a backup of it.
    pub async fn create(path: &Path) -> Result<(Self, Creation)> {
        let existed = path.metadata().is_ok_and(|file| file.len() > 0);
        if !existed {
            create_private_file(path)?;
        }
        let foreign_keys = ForeignKeys::CheckedAtEnd;
        let readers = connect(path, foreign_keys, true, 1).await?;
        let pending = pending_migrations(path, &readers).await?;
        let target = Self {
            path: path.to_owned(),
            writer: connect(path, foreign_keys, false, 1).await?,
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
        Migrator::up(&target.writer, None)
            .await
            .target(|| "creating the tables".to_owned())?;
        info!(path = %path.display(), migrations = pending.len(), "target migrated");
        Ok((target, creation))
    }

    /// Copies the file, at rest, beside itself.
    async fn back_up(&self) -> Result<PathBuf> {
        self.checkpoint().await?;
        let mut backup = self.path.as_os_str().to_owned();
        backup.push(chrono::Utc::now().format(".%Y%m%d-%H%M%S.backup").to_string());
        let backup = PathBuf::from(backup);
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

    /// Executes PRAGMAs that concern the writing connection alone.
    pub async fn tune_writer(&self, pragmas: &str) -> Result<()> {
        self.writer
            .execute_unprepared(pragmas)
            .await
            .target(|| "setting pragmas".to_owned())?;
        Ok(())
    }

    /// Ends a run: the log is copied into the file, so that the one file is the whole database.
    pub async fn checkpoint(&self) -> Result<()> {
        self.writer
            .execute_unprepared(sql::CHECKPOINT)
            .await
            .target(|| "checkpointing".to_owned())?;
        Ok(())
    }

    pub async fn close(self) -> Result<()> {
        let doing = || "closing the file".to_owned();
        self.readers.close_by_ref().await.target(doing)?;
        self.checkpoint().await?;
        self.writer.close().await.target(doing)
    }

    /// The tables whose rows point to parents that are not there, with how many rows.
    pub async fn orphans(&self, transaction: &DatabaseTransaction) -> Result<Vec<String>> {
        let doing = || "checking the foreign keys".to_owned();
        let rows = transaction
            .query_all_raw(self.pragma(sql::FOREIGN_KEY_CHECK))
            .await
            .target(doing)?;
        let mut counts = std::collections::BTreeMap::<(String, String), u64>::new();
        for row in &rows {
            let (table, parent) = (
                row.try_get_by_index(0).target(doing)?,
                row.try_get_by_index(2).target(doing)?,
            );
            *counts.entry((table, parent)).or_default() += 1;
        }
        Ok(counts
            .into_iter()
            .map(|((table, parent), rows)| format!("{rows} of {table} without their {parent}"))
            .collect())
    }

    fn pragma(&self, pragma: &str) -> sea_orm::Statement {
        sea_orm::Statement::from_string(self.writer.get_database_backend(), pragma)
    }
}

/// What `create` found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    Created,
    Unchanged,
    Migrated { backup: PathBuf },
}

/// The migrations that the file lacks. Fails, before anything is written, if the file is another program's
/// database or of a version that this program does not know.
async fn pending_migrations(path: &Path, connection: &DatabaseConnection) -> Result<Vec<String>> {
    let doing = || format!("reading the header of {}", path.display());
    let statement = sea_orm::Statement::from_string(connection.get_database_backend(), sql::READ_APPLICATION_ID);
    let row = connection.query_one_raw(statement).await.target(doing)?;
    let application_id: i32 = match row {
        Some(row) => row.try_get_by_index(0).target(doing)?,
        None => 0,
    };
    let tables = tables(connection).await?;
    let is_ours = i64::from(application_id) == sql::APPLICATION_ID;
    // A file without tables is ours too: a creation that was interrupted.
    if !is_ours && !tables.is_empty() {
        return Err(Error::TargetForeign { path: path.to_owned() });
    }
    let mut applied = HashSet::new();
    if tables.contains("seaql_migrations") {
        let rows = migration::seaql_migrations::Entity::find()
            .all(connection)
            .await
            .target(|| "reading the list of migrations".to_owned())?;
        applied.extend(rows.into_iter().map(|row| row.version));
    }
    let mut pending = Vec::new();
    for migration in Migrator::migrations() {
        if !applied.remove(migration.name()) {
            pending.push(migration.name().to_owned());
        }
    }
    match applied.into_iter().next() {
        Some(unknown) => Err(Error::TargetNewer {
            path: path.to_owned(),
            unknown,
        }),
        None => Ok(pending),
    }
}

async fn tables(connection: &DatabaseConnection) -> Result<HashSet<String>> {
    let doing = || "listing the tables".to_owned();
    let select = Query::select()
        .column("name")
        .from("sqlite_master")
        .and_where(Expr::col("type").eq("table"))
        .to_owned();
    let rows = connection.query_all(&select).await.target(doing)?;
    rows.iter().map(|row| row.try_get_by_index(0).target(doing)).collect()
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
    let transaction = Arc::try_unwrap(transaction).map_err(|_| Error::Panicked { stage: "commit" })?;
    transaction.commit().await.target(|| "committing".to_owned())
}

async fn connect(
    path: &Path,
    foreign_keys: ForeignKeys,
    read_only: bool,
    connections: u32,
) -> Result<DatabaseConnection> {
    let file = path.to_owned();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(connections)
        .min_connections(0)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        // Readers open when they are first used: by then the writer has made the file what it is.
        .connect_lazy(read_only)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .filename(&file)
                .in_memory(false)
                .shared_cache(false)
                .create_if_missing(false)
                .foreign_keys(foreign_keys == ForeignKeys::Enforced)
                .busy_timeout(BUSY_TIMEOUT)
                .pragma("cache_size", format!("-{CACHE_KIBIBYTES}"));
            if read_only {
                sqlite.pragma("query_only", "ON")
            } else {
                sqlite
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
            }
        });
    Database::connect(options)
        .await
        .target(|| format!("opening {}", path.display()))
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
        .map_err(|cause| Error::TargetFile {
            path: path.to_owned(),
            verb: "created",
            cause,
        })
}
