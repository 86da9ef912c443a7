//! Opening, reading and writing the target: an open file, its one writer, its readers, and the transaction of a run.
//!
//! `sqlite` contains everything specific to SQLite, `bookkeeping` the state of the sync; `statement`, `calendar` and
//! `orphans` write the star; `copy` makes copies of it for readers.

pub mod bookkeeping;
pub mod calendar;
pub mod copy;
pub(crate) mod orphans;
pub mod sqlite;
pub mod statement;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sea_orm::sea_query::{Query, SelectStatement, SqliteQueryBuilder};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTraitSelf;
use tracing::{debug, info};

use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::{Doing, Error, Result};
use crate::target::bookkeeping::history;
use crate::target::sqlite::version::{self, Steps};
use crate::target::sqlite::{Access, CACHE_KIBIBYTES, connect, create_private_file, log, place, pragma};
use crate::{failpoint, metrics};

pub(crate) use self::sqlite::schema::check_migrations;
pub use self::sqlite::{ForeignKeys, check_writable};

/// An open target: one connection that writes, several that read.
pub struct Target {
    pub path: PathBuf,
    /// A pool of exactly one connection.
    pub writer: DatabaseConnection,
    /// Readers see committed rows only.
    pub readers: DatabaseConnection,
}

impl Target {
    /// Opens an existing target of this program and exact version for reading and writing.
    pub async fn open(path: &Path, star: &Star, foreign_keys: ForeignKeys, readers: u32) -> Result<Self> {
        place::check(path)?;
        check_writable(path)?;
        let readers = open_to_read(path, star, readers).await?;
        let writer = connect(path, Access::Write(foreign_keys), 1).await?;
        log::refuse_endless(path, &writer).await?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            readers,
        })
    }

    /// Creates the database, or backs up and migrates one of an older version.
    pub async fn create(path: &Path, star: &Star) -> Result<(Self, Creation)> {
        place::check(path)?;
        check_migrations(star).await?;
        let existed = path.metadata().is_ok_and(|file| file.len() > 0);
        if !existed {
            create_private_file(path)?;
        }
        check_writable(path)?;
        let foreign_keys = ForeignKeys::CheckedAtEnd;
        let (readers, pending) = version::open(path, star, 1).await?;
        let target = Self {
            path: path.to_owned(),
            writer: connect(path, Access::Write(foreign_keys), 1).await?,
            readers,
        };
        let creation = if pending.is_empty() {
            return Ok((target, Creation::Unchanged));
        } else if pending.len() == Steps(star.migrations).migrations().len() {
            Creation::Created
        } else {
            Creation::Migrated {
                backup: target.back_up().await?,
            }
        };
        target
            .writer
            .execute_unprepared(&pragma::write_application_id(star.names.application_id))
            .await
            .target(|| "setting the application id of the file".to_owned())?;
        failpoint::pass("before-migrations");
        Steps(star.migrations)
            .up(&target.writer, None)
            .await
            .target(|| "creating the tables".to_owned())?;
        info!(code = "TARGET_MIGRATED", path = %path.display(), migrations = pending.len(), "target migrated");
        Ok((target, creation))
    }

    /// What `create` would do, determined by reading only.
    ///
    /// # Errors
    /// The errors of `create`, as far as they can be detected without writing.
    pub async fn inspect(path: &Path, star: &Star) -> Result<PlannedAction> {
        place::check(path)?;
        if path.metadata().map_or(true, |file| file.len() == 0) {
            place::check_creatable(path)?;
            return Ok(PlannedAction::Create);
        }
        check_writable(path)?;
        let (readers, pending) = version::open(path, star, 1).await?;
        readers.close().await.target(|| "closing the file".to_owned())?;
        Ok(match pending {
            pending if pending.is_empty() => PlannedAction::Nothing,
            pending if pending.len() == Steps(star.migrations).migrations().len() => PlannedAction::Create,
            _ => PlannedAction::Migrate,
        })
    }

    /// Copies the database to a file beside it, through SQLite: opening and closing the file here would drop SQLite's
    /// locks.
    async fn back_up(&self) -> Result<PathBuf> {
        let mut backup = self.path.as_os_str().to_owned();
        backup.push(chrono::Utc::now().format(".%Y%m%d-%H%M%S.backup").to_string());
        let backup = PathBuf::from(backup);
        failpoint::pass("before-backup");
        // Written under a temporary name, because an unfinished file, as on a full disk, is not a backup.
        let failed = |cause| Error::TargetFile {
            path: backup.clone(),
            verb: "written",
            cause,
        };
        let folder = place::folder_of(&backup);
        let unfinished = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let into = [unfinished.path().to_string_lossy().into_owned().into()];
        let copy = Statement::from_sql_and_values(self.writer.get_database_backend(), pragma::COPY_INTO, into);
        let copied = self.writer.execute_raw(copy).await;
        copied.target(|| format!("backing up to {}", backup.display()))?;
        unfinished.persist(&backup).map_err(|error| failed(error.error))?;
        Ok(backup)
    }

    /// Begins the transaction of a whole run.
    pub(crate) async fn begin(&self) -> Result<Arc<DatabaseTransaction>> {
        let transaction = begin(&self.writer).await?;
        transaction
            .execute_unprepared(pragma::DEFER_FOREIGN_KEYS)
            .await
            .target(|| "deferring the foreign keys".to_owned())?;
        Ok(Arc::new(transaction))
    }

    /// Whether all tables of the star are empty.
    pub(crate) async fn is_empty(&self, star: &Star) -> Result<bool> {
        for table in star.tables() {
            let select = Query::select()
                .column(table.columns[0].name)
                .from(table.name)
                .limit(1)
                .to_owned();
            let row = self.writer.query_one(&select).await;
            if row.target(|| format!("reading {}", table.name))?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes without fsync from here on: for a first load, which is useless until it has finished.
    pub async fn write_without_syncing(&self) -> Result<()> {
        self.tune_writer(pragma::SYNCHRONOUS_OFF).await
    }

    /// Writes everything to disk (fsync) that was written without fsync, before the load is recorded as finished.
    pub(crate) async fn make_durable(&self, run_id: i64) -> Result<()> {
        self.tune_writer(pragma::SYNCHRONOUS_NORMAL).await?;
        // With an empty log a checkpoint would sync nothing, so anything is written first.
        history::mark_running(&self.writer, run_id).await?;
        // A checkpoint that is blocked may not have synced anything.
        log::empty_or_fail(&self.path, &self.writer).await
    }

    /// From the next transaction on SQLite checks foreign keys, as in all other runs.
    pub(crate) async fn enforce_foreign_keys(&self) -> Result<()> {
        self.tune_writer(pragma::FOREIGN_KEYS_ON).await
    }

    /// Creates the missing secondary indexes of a table.
    pub(crate) async fn create_indexes(&self, table: &Table, on_index: &mut impl FnMut()) -> Result<()> {
        // One core sorts here, and the digests of the pages keep another busy at the same time.
        let idle_cores = std::thread::available_parallelism().map_or(0, |cores| cores.get().saturating_sub(2));
        self.tune_writer(&pragma::indexing(idle_cores)).await?;
        for index in statement::indexes(table) {
            on_index();
            self.writer
                .execute(&index)
                .await
                .target(|| format!("creating the indexes of {}", table.name))?;
            debug!(index = index.to_string(SqliteQueryBuilder), "index created");
            failpoint::pass("index-created");
        }
        self.tune_writer(&pragma::cache_size(CACHE_KIBIBYTES)).await
    }

    async fn tune_writer(&self, pragmas: &str) -> Result<()> {
        self.writer
            .execute_unprepared(pragmas)
            .await
            .target(|| "setting pragmas".to_owned())?;
        Ok(())
    }

    /// Ends a run: copies the log into the file, so that the one file is the whole database.
    pub async fn close(self) -> Result<()> {
        let doing = || "closing the file".to_owned();
        self.readers.close_by_ref().await.target(doing)?;
        failpoint::pass("before-checkpoint");
        log::empty_if_possible(&self.path, &self.writer).await?;
        self.writer.close().await.target(doing)
    }
}

/// The result of [`Target::create`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    Created,
    Unchanged,
    Migrated { backup: PathBuf },
}

/// The result of [`Target::inspect`]: what [`Target::create`] would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlannedAction {
    Create,
    Migrate,
    Nothing,
}

/// How the target's own rows are read while it is being written.
#[derive(Clone)]
pub enum TargetReader {
    /// The target is known to have none of the requested rows.
    Empty,
    /// The committed state, on separate connections.
    Committed(DatabaseConnection),
    /// The state within the run's own transaction.
    Within(Arc<DatabaseTransaction>),
}

impl TargetReader {
    pub(crate) async fn all(&self, select: &SelectStatement) -> std::result::Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Empty => Ok(Vec::new()),
            Self::Committed(connection) => connection.query_all(select).await,
            Self::Within(transaction) => transaction.query_all(select).await,
        }
    }

    /// The single text that a select returns; empty if there is none.
    pub(crate) async fn text(&self, select: &SelectStatement) -> std::result::Result<String, DbErr> {
        let rows = self.all(select).await?;
        let text = rows.first().map(|row| row.try_get_by_index::<Option<String>>(0));
        Ok(text.transpose()?.flatten().unwrap_or_default())
    }

    /// The single number that a select returns; 0 if there is none.
    pub(crate) async fn number(&self, select: &SelectStatement) -> std::result::Result<i64, DbErr> {
        let rows = self.all(select).await?;
        rows.first().map_or(Ok(0), |row| row.try_get_by_index(0))
    }
}

/// Begins a write transaction immediately, so that a locked file is detected before any work is done.
pub async fn begin(writer: &DatabaseConnection) -> Result<DatabaseTransaction> {
    writer
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await
        .target(|| "beginning a transaction".to_owned())
}

/// Commits the transaction of a run; all other references to it must have been dropped.
pub(crate) async fn commit(transaction: Arc<DatabaseTransaction>) -> Result<()> {
    let transaction = Arc::try_unwrap(transaction).map_err(|_| Error::TransactionHeld { verb: "committed" })?;
    failpoint::pass("before-commit");
    let began = Instant::now();
    transaction.commit().await.target(|| "committing".to_owned())?;
    metrics::committed(began.elapsed());
    failpoint::pass("after-commit");
    Ok(())
}

/// Rolls back the transaction of a run; all other references to it must have been dropped.
pub(crate) async fn roll_back(transaction: Arc<DatabaseTransaction>) -> Result<()> {
    let transaction = Arc::try_unwrap(transaction).map_err(|_| Error::TransactionHeld { verb: "rolled back" })?;
    transaction.rollback().await.target(|| "rolling back".to_owned())
}

/// Opens an existing target of this program and exact version for reading only.
pub async fn open_to_read(path: &Path, star: &Star, connections: u32) -> Result<DatabaseConnection> {
    place::check(path)?;
    let (readers, pending) = open_of_any_version(path, star, connections).await?;
    match pending.into_iter().next() {
        None => Ok(readers),
        Some(pending) => Err(Error::TargetOlder {
            path: path.to_owned(),
            pending,
        }),
    }
}

/// Opens a target that may be older for reading only, and returns the migrations that it lacks.
pub async fn open_of_any_version(
    path: &Path,
    star: &Star,
    connections: u32,
) -> Result<(DatabaseConnection, Vec<String>)> {
    if !path.is_file() {
        return Err(Error::TargetMissing { path: path.to_owned() });
    }
    let (readers, pending) = version::open(path, star, connections).await?;
    if pending.len() == Steps(star.migrations).migrations().len() {
        return Err(Error::TargetMissing { path: path.to_owned() });
    }
    Ok((readers, pending))
}
