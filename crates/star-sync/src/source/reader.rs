//! Reads the source for a run, through the pool or through one snapshot.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use futures_util::stream::{self, BoxStream};
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult, RuntimeErr, StreamTrait};

use crate::declare::source_rows::SourceRows;
use crate::source::answer::{self, CutAnswer};
use crate::source::share::SourceShare;

/// Reads the source.
#[derive(Clone)]
pub struct SourceReader {
    pub connection: ReadConnection,
    /// How long the source may take to answer.
    pub timeout: Duration,
    pub share: SourceShare,
}

/// The connection of a statement.
#[derive(Clone)]
pub enum ReadConnection {
    /// Each statement reads the state at its own time.
    Pool(DatabaseConnection),
    /// All statements read the state at one point in time, on one connection: concurrent readers wait for each other.
    Snapshot(Arc<DatabaseTransaction>),
}

impl SourceReader {
    /// All rows of a select.
    ///
    /// # Errors
    /// Any error of the server; a lost connection if it does not answer in time; [`CutAnswer`] if the answer is
    /// incomplete.
    pub(crate) async fn all(&self, select: &SelectStatement) -> Result<Vec<QueryResult>, DbErr> {
        let answer = async {
            match &self.connection {
                ReadConnection::Pool(pool) => answer::all(pool, select).await,
                ReadConnection::Snapshot(transaction) => answer::all(&**transaction, select).await,
            }
        };
        self.paced(answer).await
    }

    /// All rows of a select, decoded as they arrive. Errors as for `all`.
    pub(crate) async fn rows(&self, select: &SelectStatement) -> Result<SourceRows, DbErr> {
        let answer = async {
            let mut rows = SourceRows::default();
            let mut coming = self.open(select).await?;
            let mut is_whole = false;
            while let Some(row) = coming.try_next().await? {
                if answer::is_end(&row)? {
                    is_whole = true;
                } else {
                    rows.add(&row)?;
                }
            }
            if is_whole { Ok(rows) } else { Err(CutAnswer::error()) }
        };
        self.paced(answer).await
    }

    /// The first row of a select, without an end row. Errors as for `all`, except [`CutAnswer`].
    pub(crate) async fn one(&self, select: &SelectStatement) -> Result<Option<QueryResult>, DbErr> {
        let answer = async {
            match &self.connection {
                ReadConnection::Pool(pool) => pool.query_one(select).await,
                ReadConnection::Snapshot(transaction) => transaction.query_one(select).await,
            }
        };
        in_time(self.timeout, answer).await
    }

    /// The number that a select returns, always in one row. Errors as for `all`.
    pub(crate) async fn number(&self, select: &SelectStatement) -> Result<i64, DbErr> {
        let row = self.one(select).await?.ok_or_else(CutAnswer::error)?;
        row.try_get_by_index(0)
    }

    /// Reads row by row, for large results; the timeout applies to each row. Nothing else can be read from a snapshot
    /// until all rows have arrived.
    pub(crate) async fn stream<'a>(
        &'a self,
        select: &SelectStatement,
    ) -> Result<BoxStream<'a, Result<QueryResult, DbErr>>, DbErr> {
        let rows = self.open(select).await?;
        let timeout = self.timeout;
        let rows = stream::try_unfold((rows, false), move |(mut rows, mut is_whole)| async move {
            loop {
                match in_time(timeout, rows.try_next()).await? {
                    Some(row) if answer::is_end(&row)? => is_whole = true,
                    Some(row) => return Ok(Some((row, (rows, is_whole)))),
                    None if is_whole => return Ok(None),
                    None => return Err(CutAnswer::error()),
                }
            }
        });
        Ok(Box::pin(rows))
    }

    /// Waits for an answer, then rests as long as the share requires.
    async fn paced<T>(&self, answer: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let began = Instant::now();
        let answer = in_time(self.timeout, answer).await?;
        let rest = self.share.rest_after(began.elapsed());
        if rest > Duration::ZERO {
            tokio::time::sleep(rest).await;
        }
        Ok(answer)
    }

    async fn open<'a>(&'a self, select: &SelectStatement) -> Result<BoxStream<'a, Result<QueryResult, DbErr>>, DbErr> {
        let select = answer::with_end(select);
        Ok(match &self.connection {
            ReadConnection::Pool(pool) => Box::pin(pool.stream(&select).await?),
            ReadConnection::Snapshot(transaction) => Box::pin(transaction.stream(&select).await?),
        })
    }
}

/// Whether this process has ever abandoned a statement, so that connections may still be waiting for an answer.
pub(super) static HAS_GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Waits for an answer up to a limit, because a server that hangs or a network that drops all packets never answers.
pub(super) async fn in_time<T>(limit: Duration, answer: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    // Pinned, so that the flag is set before the statement is dropped and its connection returned.
    let mut answer = pin!(answer);
    if let Ok(answered) = tokio::time::timeout(limit, &mut answer).await {
        return answered;
    }
    HAS_GIVEN_UP.store(true, Ordering::Relaxed);
    Err(DbErr::Conn(RuntimeErr::Internal(format!("no answer within {limit:?}"))))
}
