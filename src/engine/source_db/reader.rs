//! What a run reads the source through: the pool, or one snapshot.

use std::sync::Arc;

use futures_util::stream::BoxStream;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult, StreamTrait};

/// Reads the source.
#[derive(Clone)]
pub enum SourceReader {
    /// Each statement is of its own instant.
    Pool(DatabaseConnection),
    /// Everything is of one instant, on one connection: who reads at the same time waits for their turn.
    Snapshot(Arc<DatabaseTransaction>),
}

impl SourceReader {
    pub async fn all(&self, select: &SelectStatement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Pool(pool) => pool.query_all(select).await,
            Self::Snapshot(transaction) => transaction.query_all(select).await,
        }
    }

    pub async fn one(&self, select: &SelectStatement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Pool(pool) => pool.query_one(select).await,
            Self::Snapshot(transaction) => transaction.query_one(select).await,
        }
    }

    /// Row by row, for what may be large. Nothing else can be read from a snapshot until all rows have come.
    pub async fn stream<'a>(
        &'a self,
        select: &SelectStatement,
    ) -> Result<BoxStream<'a, Result<QueryResult, DbErr>>, DbErr> {
        Ok(match self {
            Self::Pool(pool) => Box::pin(pool.stream(select).await?),
            Self::Snapshot(transaction) => Box::pin(transaction.stream(select).await?),
        })
    }
}
