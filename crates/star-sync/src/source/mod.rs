//! The connection to the operational database: a pool for short statements, and snapshots.

pub mod answer;
pub mod check;
pub(crate) mod column_type;
pub mod connect;
pub mod digest;
pub(crate) mod digest_plans;
pub mod indexes;
pub mod open_work;
pub mod reader;
mod received;
pub(crate) mod session;
pub mod share;

use std::cmp::{max, min};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use futures_util::future::try_join_all;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, TransactionTrait};
use tokio::sync::OnceCell;
use tracing::debug;

use crate::declare::integer::Integer;
use crate::declare::star::{Calendar, Years};
use crate::error::{Doing, Error, Result};
use crate::source::check::FoundColumns;
use crate::source::connect::{Access, Opened};
use crate::source::indexes::Indexes;
use crate::source::open_work::OpenWork;
use crate::source::reader::{SourceReader, Through};
use crate::source::session::OtherProduct;
use crate::source::share::SourceShare;
use crate::sql;

/// How long a server may take to answer a connection attempt.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// UPDATE_TIME has whole seconds, and a commit may show a moment before it moves: one as young as this proves
/// nothing.
const UPDATE_TIME_MARGIN_SECONDS: i64 = 2;

/// An open source.
pub struct Source {
    pub pool: DatabaseConnection,
    /// How many the pool has.
    pub connections: u32,
    /// How long the server may take to answer a statement.
    read_timeout: Duration,
    share: SourceShare,
    pub server: Server,
    estimated_rows: OnceCell<HashMap<String, u64>>,
    indexes: OnceCell<Indexes>,
    columns: OnceCell<FoundColumns>,
}

/// What the server says it is.
#[derive(Clone, Debug)]
pub struct Server {
    pub version: String,
    pub is_mariadb: bool,
    pub schema: String,
    /// Names server and schema, for the run history.
    pub identity: String,
    /// What the server calls itself, however it is reached.
    pub id: String,
}

/// One REPEATABLE READ transaction: everything read through it is of one instant.
pub(crate) struct Snapshot {
    transaction: Arc<DatabaseTransaction>,
    read_timeout: Duration,
    share: SourceShare,
    /// The source's clock just before the snapshot began.
    pub clock: DateTime<Utc>,
    /// What the server told of each table before the snapshot began: what is committed later changes it.
    tables: HashMap<String, TableTimes>,
    schema: String,
    /// What was open on the server just before the snapshot began.
    pub open_work: OpenWork,
    is_mariadb: bool,
}

/// What a signature ends with.
pub(crate) const EMPTY: &str = "empty";
pub(crate) const NOT_EMPTY: &str = "rows";

/// What `information_schema` tells of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TableTimes {
    updated: Option<NaiveDateTime>,
    created: Option<NaiveDateTime>,
    /// By the server's estimate. MariaDB's TRUNCATE moves neither time.
    is_empty: bool,
}

impl TableTimes {
    /// As it is remembered; nothing if the server does not know when the table last changed.
    fn signature(self) -> Option<String> {
        let created = self.created.map(|time| time.to_string()).unwrap_or_default();
        let rows = if self.is_empty { EMPTY } else { NOT_EMPTY };
        self.updated
            .map(|updated| format!("updated {updated}, created {created}, {rows}"))
    }
}

impl Source {
    /// Connects with up to so many connections, each of which waits for an answer as long as `read_timeout`; with fewer
    /// where the account or the server has no more to spare.
    pub async fn connect(access: &Access, connections: u32, read_timeout: Duration) -> Result<Self> {
        let Opened { pool, connections } = connect::open(access, connections, read_timeout).await?;
        let reader = SourceReader {
            through: Through::Pool(pool.clone()),
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

    /// Reads for no more than this share of the time.
    #[must_use]
    pub fn paced(mut self, share: SourceShare) -> Self {
        self.share = share;
        self
    }

    /// Closes all connections.
    pub async fn close(self) -> Result<()> {
        self.pool.close().await.source(|| "closing the connections".to_owned())
    }

    /// The source's clock; no other clock counts.
    pub async fn clock(&self) -> Result<DateTime<Utc>> {
        in_time(self.read_timeout, "reading the source's clock", clock(&self.pool)).await
    }

    /// Today in the server's own time zone, which is that of the dates of business.
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

    /// What is open on the server.
    pub async fn open_work(&self) -> Result<OpenWork> {
        let open_work = async {
            let connection_id = connection_id(&self.pool).await?;
            OpenWork::look(&self.pool, clock(&self.pool).await?, connection_id).await
        };
        in_time(self.read_timeout, "listing in-flight transactions", open_work).await
    }

    /// How many rows each table has, roughly: the server's own estimate, asked for once, through `reader`.
    pub async fn estimated_rows(&self, reader: &SourceReader) -> Result<&HashMap<String, u64>> {
        self.estimated_rows.get_or_try_init(|| self.estimate(reader)).await
    }

    /// The indexes that it has, asked for once, through `reader`.
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

    /// The years that the source's dates fall in. All columns are asked for at once: one without an index takes the
    /// server through its whole table.
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

    /// What short statements of their own are read through.
    pub fn reader(&self) -> SourceReader {
        SourceReader {
            through: Through::Pool(self.pool.clone()),
            timeout: self.read_timeout,
            share: self.share,
        }
    }

    /// Opens a snapshot, on a connection of the pool.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot> {
        in_time(self.read_timeout, "opening a snapshot", self.open_snapshot()).await
    }

    async fn open_snapshot(&self) -> Result<Snapshot> {
        let doing = || "opening a snapshot".to_owned();
        // A transaction keeps its connection; what else is said on it comes before the snapshot.
        let transaction = self.pool.begin().await.source(doing)?;
        let connection_id = connection_id(&transaction).await?;
        // In this order: what begins, stamps or commits after it was looked at is younger than the clock.
        let clock = clock(&transaction).await?;
        let open_work = OpenWork::look(&transaction, clock, connection_id).await?;
        let tables = table_times(&transaction, &self.server.schema).await?;
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
            schema: self.server.schema.clone(),
            open_work,
            is_mariadb: self.server.is_mariadb,
        })
    }
}

impl Snapshot {
    /// What tells that a table has not been modified since, if that can be told: the server does not always know, and a
    /// time as young as this may get company that does not show yet. MySQL notes when a transaction is committed, MariaDB
    /// when it began: one that is still open, even if it has only read so far, will not move a time of the same second.
    pub(crate) fn settled_signature(&self, table: &str, overlap: TimeDelta) -> Option<String> {
        let settled_before = if self.is_mariadb {
            let closed = self.closed_until(overlap);
            self.open_work
                .writable_since()
                .map_or(closed, |since| min(since, closed))
        } else {
            self.clock - TimeDelta::seconds(UPDATE_TIME_MARGIN_SECONDS)
        };
        // A table that has taken the place of another this second may be followed by a third in the same.
        let is_settled = |times: &&TableTimes| {
            let times = [times.updated, times.created];
            times.into_iter().flatten().all(|time| time.and_utc() < settled_before)
        };
        self.tables.get(table).filter(is_settled)?.signature()
    }

    /// What a table looked like before the snapshot began, as far as the server knows when it last changed.
    pub(crate) fn signature(&self, table: &str) -> Option<String> {
        self.tables.get(table)?.signature()
    }

    /// What the tables look like now. `information_schema` is no part of a snapshot: one that was replaced by another
    /// before its rows were read looks like that one.
    pub(crate) async fn signatures_now(&self) -> Result<HashMap<String, Option<String>>> {
        let tables = table_times(&*self.transaction, &self.schema);
        let tables = in_time(self.read_timeout, "reading information_schema.TABLES again", tables).await?;
        Ok(tables
            .into_iter()
            .map(|(table, times)| (table, times.signature()))
            .collect())
    }

    /// Whether `update_time` is that of a commit. MariaDB's is when the transaction began.
    pub(crate) fn notes_commits(&self) -> bool {
        !self.is_mariadb
    }

    /// When a table last changed, as far as the server knows.
    pub(crate) fn update_time(&self, table: &str) -> Option<DateTime<Utc>> {
        self.tables
            .get(table)
            .and_then(|times| times.updated)
            .map(|time| time.and_utc())
    }

    /// Reads the times of change again, which are no part of the snapshot: whatever it shows was committed before this, and
    /// so has moved them.
    pub(crate) async fn refresh_update_times(&mut self) -> Result<()> {
        let tables = table_times(&*self.transaction, &self.schema);
        self.tables = in_time(self.read_timeout, "reading information_schema.TABLES again", tables).await?;
        Ok(())
    }

    /// Up to when every stamp is committed.
    pub(crate) fn closed_until(&self, overlap: TimeDelta) -> DateTime<Utc> {
        self.open_work.closed_until(self.clock, overlap)
    }

    /// What everything of this instant is read through.
    pub(crate) fn reader(&self) -> SourceReader {
        SourceReader {
            through: Through::Snapshot(Arc::clone(&self.transaction)),
            timeout: self.read_timeout,
            share: self.share,
        }
    }

    /// Ends the snapshot; every other holder must have let go of it.
    pub(crate) async fn close(self) -> Result<()> {
        let doing = "ending the snapshot";
        let transaction = Arc::try_unwrap(self.transaction).map_err(|_| Error::Panicked { stage: "snapshot" })?;
        let ended = async { transaction.rollback().await.source(|| doing.to_owned()) };
        in_time(self.read_timeout, doing, ended).await
    }
}

impl Server {
    /// Product and version, for people.
    pub fn product(&self) -> String {
        let product = if self.is_mariadb { "MariaDB" } else { "MySQL" };
        let version = self.version.split("-MariaDB").next().unwrap_or_default();
        format!("{product} {version}")
    }

    async fn describe(reader: &SourceReader, identity: String) -> Result<Self> {
        let doing = || "reading the version of the server".to_owned();
        let select = Query::select()
            .expr(Func::cust("VERSION"))
            .expr(Func::cust("DATABASE"))
            .expr(Expr::cust(sql::SERVER_COMMENT))
            .to_owned();
        let row = reader.one(&select).await.source(doing)?;
        let (version, schema, comment): (String, Option<String>, String) = match row {
            Some(row) => row.try_get_many_by_index().source(doing)?,
            None => (String::new(), None, String::new()),
        };
        if let Some(other) = OtherProduct::of(&version, &comment) {
            let error = DbErr::Conn(RuntimeErr::SqlxError(Arc::new(other.into())));
            return Err(error).source(doing);
        }
        let is_mariadb = version.contains("MariaDB");
        let id = if is_mariadb { sql::MARIADB_ID } else { sql::MYSQL_ID };
        let select = Query::select().expr(Expr::cust(id)).to_owned();
        let row = reader.one(&select).await.source(doing)?;
        Ok(Self {
            is_mariadb,
            id: row
                .map_or(Ok(String::new()), |row| row.try_get_by_index(0))
                .source(doing)?,
            schema: schema.unwrap_or_default(),
            version,
            identity,
        })
    }
}

/// Waits for several answers together as long as for one.
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

/// Asks the server for something about each table of a schema, beside its name. The schema is named: with DATABASE() in
/// its place MariaDB opens every table of every schema.
fn of_each_table(schema: &str, what: impl IntoIterator<Item = Expr>) -> SelectStatement {
    Query::select()
        .expr(Expr::col("TABLE_NAME"))
        .exprs(what)
        .from((Alias::new("information_schema"), Alias::new("TABLES")))
        .and_where(Expr::col("TABLE_SCHEMA").eq(schema))
        .to_owned()
}

fn estimated_rows() -> Expr {
    // As a signed number: in a UNION an unsigned one is a DECIMAL to MariaDB.
    Expr::col("TABLE_ROWS").cast_as("SIGNED")
}

async fn table_times(connection: &impl ConnectionTrait, schema: &str) -> Result<HashMap<String, TableTimes>> {
    let doing = || "reading information_schema.TABLES".to_owned();
    let time = |name: &'static str| Expr::col(name).cast_as("DATETIME");
    let select = of_each_table(schema, [time("UPDATE_TIME"), time("CREATE_TIME"), estimated_rows()]);
    let rows = answer::all(connection, &select).await.source(doing)?;
    rows.iter()
        .map(|row| {
            let (table, updated, created, rows): (String, Option<NaiveDateTime>, Option<NaiveDateTime>, Option<i64>) =
                row.try_get_many_by_index().source(doing)?;
            let times = TableTimes {
                updated,
                created,
                is_empty: rows == Some(0),
            };
            Ok((table, times))
        })
        .collect()
}
