//! A snapshot of the source: everything read through it is as of one point in time.

use std::cmp::min;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait};

use crate::declare::star::Star;
use crate::error::{Doing, Error, Result};
use crate::source::in_flight::InFlight;
use crate::source::reader::{ReadConnection, SourceReader};
use crate::source::server::Server;
use crate::source::share::SourceShare;
use crate::source::table_times::{TableTimes, table_times};
use crate::source::{Source, clock, connection_id, in_time};
use crate::sql;

/// UPDATE_TIME has whole seconds, and a commit may be visible a moment before it advances. A time younger than this
/// does not show that a table has settled.
const UPDATE_TIME_MARGIN_SECONDS: i64 = 2;

/// One REPEATABLE READ transaction: everything read through it is as of one point in time.
pub(crate) struct Snapshot {
    pub(super) transaction: Arc<DatabaseTransaction>,
    read_timeout: Duration,
    share: SourceShare,
    /// The source's clock just before the snapshot began.
    pub clock: DateTime<Utc>,
    /// The times of each table just before the snapshot began; a later commit changes them.
    tables: HashMap<String, TableTimes>,
    schema: String,
    /// The transactions that were in flight just before the snapshot began.
    pub in_flight: InFlight,
    is_mariadb: bool,
}

impl Snapshot {
    /// The signature by which a later run recognises that a table has not been modified since. `None` if the server
    /// reports no time of the last change, or if that time is so recent that another change in the same second may
    /// follow. MySQL records the time of the commit, MariaDB the start of the transaction: there, a transaction that is
    /// open since the same second does not advance the time when it commits, even if it has only read so far.
    pub(crate) fn settled_signature(&self, table: &str, safety_lag: TimeDelta) -> Option<String> {
        let settled_before = if self.is_mariadb {
            let committed_until = self.committed_until(safety_lag);
            self.in_flight
                .writable_since()
                .map_or(committed_until, |since| min(since, committed_until))
        } else {
            self.clock - TimeDelta::seconds(UPDATE_TIME_MARGIN_SECONDS)
        };
        // A table that replaced another in this second may be replaced again in the same second.
        let is_settled = |times: &&TableTimes| {
            let times = [times.updated, times.created];
            times.into_iter().flatten().all(|time| time.and_utc() < settled_before)
        };
        self.tables.get(table).filter(is_settled)?.signature()
    }

    /// The signatures of those source tables of a star that have settled.
    pub(crate) fn settled_signatures(&self, star: &Star, safety_lag: TimeDelta) -> HashMap<String, String> {
        let tables = star.sources.iter().map(|table| table.name);
        tables
            .filter_map(|table| Some((table.to_owned(), self.settled_signature(table, safety_lag)?)))
            .collect()
    }

    /// The signature of a table before the snapshot began; `None` if the server reports no time of the last change.
    pub(crate) fn signature(&self, table: &str) -> Option<String> {
        self.tables.get(table)?.signature()
    }

    /// The current signatures of the tables. `information_schema` is not part of a snapshot: a table that was replaced
    /// by another before its rows were read has the signature of the other.
    pub(crate) async fn signatures_now(&self) -> Result<HashMap<String, Option<String>>> {
        let tables = table_times(&*self.transaction, &self.schema, self.is_mariadb);
        let tables = in_time(self.read_timeout, "reading information_schema.TABLES again", tables).await?;
        Ok(tables
            .into_iter()
            .map(|(table, times)| (table, times.signature()))
            .collect())
    }

    /// Whether `update_time` is the time of the commit. On MariaDB it is the start of the transaction.
    pub(crate) fn update_time_is_commit_time(&self) -> bool {
        !self.is_mariadb
    }

    /// When a table last changed, as far as the server knows.
    pub(crate) fn update_time(&self, table: &str) -> Option<DateTime<Utc>> {
        self.tables
            .get(table)
            .and_then(|times| times.updated)
            .map(|time| time.and_utc())
    }

    /// Reads the times of change again. They are not part of the snapshot: by now, every commit that the snapshot
    /// contains has advanced them.
    pub(crate) async fn refresh_update_times(&mut self) -> Result<()> {
        let tables = table_times(&*self.transaction, &self.schema, self.is_mariadb);
        self.tables = in_time(self.read_timeout, "reading information_schema.TABLES again", tables).await?;
        Ok(())
    }

    /// The time up to which all change timestamps are committed.
    pub(crate) fn committed_until(&self, safety_lag: TimeDelta) -> DateTime<Utc> {
        self.in_flight.committed_until(self.clock, safety_lag)
    }

    /// A reader of this snapshot.
    pub(crate) fn reader(&self) -> SourceReader {
        SourceReader {
            connection: ReadConnection::Snapshot(Arc::clone(&self.transaction)),
            timeout: self.read_timeout,
            share: self.share,
        }
    }

    /// Ends the snapshot. All its readers must be dropped before.
    pub(crate) async fn close(self) -> Result<()> {
        let doing = "ending the snapshot";
        let transaction = Arc::try_unwrap(self.transaction).map_err(|_| Error::TransactionHeld { verb: "ended" })?;
        let ended = async { transaction.rollback().await.source(|| doing.to_owned()) };
        in_time(self.read_timeout, doing, ended).await
    }
}

impl Source {
    pub(super) async fn open_snapshot(&self) -> Result<Snapshot> {
        let doing = || "opening a snapshot".to_owned();
        // The transaction reserves a connection; the statements up to START_SNAPSHOT run before the snapshot.
        let transaction = self.pool.begin().await.source(doing)?;
        let connection_id = connection_id(&transaction).await?;
        // In this order: a transaction that begins after the list was read has change timestamps later than the clock.
        let clock = clock(&transaction).await?;
        let in_flight = InFlight::read(&transaction, clock, connection_id).await?;
        let Server { schema, is_mariadb, .. } = &self.server;
        let tables = table_times(&transaction, schema, *is_mariadb).await?;
        transaction
            .execute_unprepared(sql::START_SNAPSHOT)
            .await
            .source(doing)?;
        Ok(Snapshot {
            transaction: Arc::new(transaction),
            read_timeout: self.read_timeout,
            share: self.share,
            clock,
            tables,
            schema: schema.clone(),
            in_flight,
            is_mariadb: *is_mariadb,
        })
    }
}
