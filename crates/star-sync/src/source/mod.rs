//! The connection to the operational database: a pool for short statements, and snapshots.

pub mod answer;
pub mod check;
pub(crate) mod column_type;
pub mod connect;
pub mod digest;
mod digest_column;
pub(crate) mod digest_plans;
pub mod in_flight;
pub mod indexes;
pub(crate) mod reader;
mod received;
mod server;
pub(crate) mod session;
pub mod share;
mod snapshot;
mod table_times;

use std::cmp::{max, min};
use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use futures_util::future::try_join_all;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use tokio::sync::OnceCell;
use tracing::debug;

pub use self::server::Server;
pub(crate) use self::snapshot::Snapshot;
pub(crate) use self::table_times::{EMPTY, NOT_EMPTY, update_time_of};
use crate::declare::integer::Integer;
use crate::declare::star::{Calendar, Years};
use crate::error::{Doing, Result};
use crate::source::check::FoundColumns;
use crate::source::connect::{Access, OpenPool};
use crate::source::in_flight::InFlight;
use crate::source::indexes::Indexes;
use crate::source::reader::{ReadConnection, SourceReader};
use crate::source::share::SourceShare;
use crate::source::table_times::{estimated_rows, of_each_table};
use crate::sql;

/// How long a server may take to answer a connection attempt.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An open source.
pub struct Source {
    pub pool: DatabaseConnection,
    /// The number of connections of the pool.
    pub connections: u32,
    /// The longest time that the server may take to answer a statement.
    read_timeout: Duration,
    share: SourceShare,
    pub server: Server,
    estimated_rows: OnceCell<HashMap<String, u64>>,
    indexes: OnceCell<Indexes>,
    columns: OnceCell<FoundColumns>,
}

impl Source {
    /// Opens up to `connections` connections; fewer if the account or the server limits them. A statement fails if the
    /// server does not answer within `read_timeout`.
    pub async fn connect(access: &Access, connections: u32, read_timeout: Duration) -> Result<Self> {
        let OpenPool { pool, connections } = connect::open(access, connections, read_timeout).await?;
        let reader = SourceReader {
            connection: ReadConnection::Pool(pool.clone()),
            timeout: read_timeout,
            share: SourceShare::ALL,
        };
        let server = match Server::describe(&reader, access.identity.clone()).await {
            Ok(server) => server,
            Err(error) => {
                connect::close(&pool).await;
                return Err(error);
            }
        };
        debug!(
            version = server.version,
            schema = server.schema,
            connections,
            "connected to the source"
        );
        Ok(Self {
            pool,
            connections,
            read_timeout,
            share: SourceShare::ALL,
            server,
            estimated_rows: OnceCell::new(),
            indexes: OnceCell::new(),
            columns: OnceCell::new(),
        })
    }

    /// Limits reading to this share of the time.
    #[must_use]
    pub fn paced(mut self, share: SourceShare) -> Self {
        self.share = share;
        self
    }

    /// Closes all connections.
    pub async fn close(self) -> Result<()> {
        self.pool.close().await.source(|| "closing the connections".to_owned())
    }

    /// The source's clock, by which watermarks are set.
    pub async fn clock(&self) -> Result<DateTime<Utc>> {
        in_time(self.read_timeout, "reading the source's clock", clock(&self.pool)).await
    }

    /// Today in the server's own time zone: DATE and DATETIME columns are wall-clock times there.
    pub(crate) async fn today(&self) -> Result<NaiveDate> {
        let doing = || "reading the source's date".to_owned();
        let now = Func::cust("CONVERT_TZ").args([
            Expr::expr(Func::cust("UTC_TIMESTAMP")),
            Expr::val("+00:00"),
            Expr::cust(sql::SERVER_TIME_ZONE),
        ]);
        let select = Query::select().expr(Expr::expr(now).cast_as("DATE")).to_owned();
        let row = self.reader().one(&select).await.source(doing)?;
        let today: Option<NaiveDate> = row.map_or(Ok(None), |row| row.try_get_by_index(0)).source(doing)?;
        match today {
            Some(today) => Ok(today),
            None => Ok(self.clock().await?.date_naive()),
        }
    }

    /// The in-flight transactions and statements of the server.
    pub async fn in_flight(&self) -> Result<InFlight> {
        let in_flight = async {
            let connection_id = connection_id(&self.pool).await?;
            InFlight::read(&self.pool, clock(&self.pool).await?, connection_id).await
        };
        in_time(self.read_timeout, "listing in-flight transactions", in_flight).await
    }

    /// The estimated row count of each table: the server's own estimate, read once, through `reader`.
    pub async fn estimated_rows(&self, reader: &SourceReader) -> Result<&HashMap<String, u64>> {
        self.estimated_rows.get_or_try_init(|| self.estimate(reader)).await
    }

    /// The indexes of the source, read once, through `reader`.
    pub async fn indexes(&self, reader: &SourceReader) -> Result<&Indexes> {
        let Server { schema, is_mariadb, .. } = &self.server;
        let read = || Indexes::read(reader, schema, *is_mariadb);
        self.indexes.get_or_try_init(read).await
    }

    /// The storage engine of each table; views have none.
    pub(crate) async fn engines(&self) -> Result<HashMap<String, String>> {
        let doing = || "reading information_schema.TABLES".to_owned();
        let select = of_each_table(&self.server.schema, [Expr::col("ENGINE").cast_as("CHAR")]);
        let mut engines = HashMap::new();
        for row in self.reader().all(&select).await.source(doing)? {
            let (table, engine): (String, Option<String>) = row.try_get_many_by_index().source(doing)?;
            engines.extend(engine.map(|engine| (table, engine)));
        }
        Ok(engines)
    }

    async fn estimate(&self, reader: &SourceReader) -> Result<HashMap<String, u64>> {
        let doing = || "reading information_schema.TABLES".to_owned();
        let select = of_each_table(&self.server.schema, [estimated_rows()]);
        let rows = reader.all(&select).await.source(doing)?;
        rows.iter()
            .map(|row| {
                let (table, rows): (String, Option<i64>) = row.try_get_many_by_index().source(doing)?;
                Ok((table, rows.map_or(0, i64::unsigned_abs)))
            })
            .collect()
    }

    /// The years that the source's dates fall in. All columns are read at the same time, because for one without an
    /// index the server scans the whole table.
    pub async fn years(&self, calendar: Option<&Calendar>) -> Result<Years> {
        let doing = || "reading the oldest and newest date".to_owned();
        let reader = self.reader();
        let selects = calendar.iter().flat_map(|calendar| &calendar.source_years);
        let answers = selects.map(async |select| reader.one(select).await);
        let mut years: Years = None;
        for row in try_join_all(answers).await.source(doing)?.into_iter().flatten() {
            let (first, last): (Option<Integer>, Option<Integer>) = row.try_get_many_by_index().source(doing)?;
            for Integer(year) in [first, last].into_iter().flatten() {
                let year = i32::try_from(year)
                    .map_err(|error| DbErr::Type(error.to_string()))
                    .source(doing)?;
                years = Some(years.map_or((year, year), |(first, last)| (min(first, year), max(last, year))));
            }
        }
        Ok(years)
    }

    /// A reader for short statements, each of which reads the current state.
    pub fn reader(&self) -> SourceReader {
        SourceReader {
            connection: ReadConnection::Pool(self.pool.clone()),
            timeout: self.read_timeout,
            share: self.share,
        }
    }

    /// Opens a snapshot, on a connection of the pool.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot> {
        in_time(self.read_timeout, "opening a snapshot", self.open_snapshot()).await
    }
}

/// Limits the time of several answers together to that of one.
async fn in_time<T>(limit: Duration, doing: &str, answers: impl Future<Output = Result<T>>) -> Result<T> {
    let answered = reader::in_time(limit, async { Ok(answers.await) }).await;
    answered.source(|| doing.to_owned())?
}

async fn clock(connection: &impl ConnectionTrait) -> Result<DateTime<Utc>> {
    let doing = || "reading the source's clock".to_owned();
    let select = Query::select().expr(Func::cust("UTC_TIMESTAMP")).to_owned();
    let row = connection.query_one(&select).await.source(doing)?;
    let clock: NaiveDateTime = match row {
        Some(row) => row.try_get_by_index(0).source(doing)?,
        None => NaiveDateTime::default(),
    };
    Ok(clock.and_utc())
}

async fn connection_id(connection: &impl ConnectionTrait) -> Result<u64> {
    let doing = || "reading the connection's id".to_owned();
    let select = Query::select().expr(Func::cust("CONNECTION_ID")).to_owned();
    let row = connection.query_one(&select).await.source(doing)?;
    match row {
        Some(row) => row.try_get_by_index(0).source(doing),
        None => Ok(0),
    }
}
