//! The number of bytes that the server has sent, as it counts them on each connection: rows, digests, and everything
//! else. Read once, at the end of a run.

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};
use sqlx::{Executor, MySqlConnection, Row};
use tracing::debug;

use crate::source::{Snapshot, Source, reader};
use crate::sql;

impl Source {
    /// Bytes that the server has sent on the idle connections of the pool and on that of `snapshot`, without those of
    /// lost connections and of the log-in. `None` if the server does not report them.
    pub(crate) async fn bytes_received(&self, snapshot: &Snapshot) -> Option<u64> {
        let pool = self.pool.get_mysql_connection_pool();
        // All are held until the last is acquired: otherwise one would be counted twice. No connection is opened for
        // this.
        let mut at_rest: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
        let asked = async {
            let mut bytes = bytes_of_snapshot(&snapshot.transaction).await?;
            for of_connection in join_all(at_rest.iter_mut().map(|connection| bytes_of(connection))).await {
                bytes += of_connection.map_err(|error| DbErr::Custom(error.to_string()))?;
            }
            Ok(bytes)
        };
        reader::in_time(self.read_timeout, asked)
            .await
            .inspect_err(|error| debug!(%error, "the server does not report how many bytes it has sent"))
            .ok()
    }
}

async fn bytes_of_snapshot(transaction: &DatabaseTransaction) -> Result<u64, DbErr> {
    let statement = Statement::from_string(DbBackend::MySql, sql::BYTES_SENT);
    let row = transaction.query_one_raw(statement).await?;
    let value: String = match row {
        Some(row) => row.try_get_by_index(1)?,
        None => return Err(DbErr::Custom("no such status variable".to_owned())),
    };
    value.parse().map_err(|_| DbErr::Type(value))
}

async fn bytes_of(connection: &mut MySqlConnection) -> Result<u64, sqlx::Error> {
    let row = connection.fetch_one(sql::BYTES_SENT).await?;
    let value: String = row.try_get(1)?;
    value.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
