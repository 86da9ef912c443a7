//! The oldest work that is still open on the server: what it has stamped may be committed after everybody else's.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query};
use sea_orm::{Condition, ConnectionTrait, DbErr};
use tracing::debug;

use crate::error::{Doing, Error, Result, server_error_number};

/// "You need the PROCESS privilege."
const NOT_ALLOWED: u16 = 1227;
/// "Cannot convert string": MySQL refuses either list as a whole while somebody executes a statement that is not all text of
/// utf8mb3, as one with an emoji or with the bytes of a geometry.
const CANNOT_SHOW: u16 = 3854;
/// Such a statement is soon over; what begins meanwhile began later than the clock that was read before.
const LOOKS: u32 = 25;
/// InnoDB shows the same list again to whoever asks within a tenth of a second.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// Commands of connections that execute something, as the process list names them.
const EXECUTING: [&str; 2] = ["Query", "Execute"];
/// Whose threads apply what a replica receives. MySQL counts them as executing for as long as nothing comes, in states
/// that begin or end like these.
const REPLICATION_USER: &str = "system user";
const IDLE_REPLICATION: [&str; 3] = [
    "%has read all relay log; waiting for more updates",
    "Waiting for an event from Coordinator%",
    "Waiting for % to send event",
];

/// What is open on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenWork {
    /// The account may not see it: it lacks PROCESS.
    Hidden,
    Seen {
        /// The oldest piece, if there is any.
        oldest: Option<Oldest>,
        /// When the oldest transaction began that has changed or may yet change rows.
        writable_since: Option<DateTime<Utc>>,
    },
}

/// A transaction that has changed rows, or a statement that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    pub since: DateTime<Utc>,
    pub connection_id: u64,
}

impl OpenWork {
    /// Looks at the transactions that have changed rows and at the statements of other connections.
    ///
    /// It has to be asked before the snapshot begins: what is open then and not seen here began later than the clock
    /// that was read before.
    pub async fn look(connection: &impl ConnectionTrait, clock: DateTime<Utc>, own_id: u64) -> Result<Self> {
        let mut looks = 1;
        loop {
            match Self::look_once(connection, clock, own_id).await {
                Err(error) if server_error_number(&error) == Some(NOT_ALLOWED) => return Ok(Self::Hidden),
                Err(error) if server_error_number(&error) == Some(CANNOT_SHOW) => {
                    // The server's own words have bytes of somebody's statement in them.
                    if looks == LOOKS {
                        return Err(Error::SourceUnlisted);
                    }
                    debug!(looks, "the server cannot list what is open; looking again");
                    looks += 1;
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                }
                found => {
                    return found.source(|| "reading information_schema.INNODB_TRX and PROCESSLIST".to_owned());
                }
            }
        }
    }

    async fn look_once(
        connection: &impl ConnectionTrait,
        clock: DateTime<Utc>,
        own_id: u64,
    ) -> std::result::Result<Self, DbErr> {
        let transactions = transactions(connection).await?;
        let statement = oldest_statement(connection, clock, own_id).await?;
        // One that has only read holds nothing back: whatever it stamps later gets a later time.
        let changing = transactions.iter().filter(|transaction| transaction.has_changed_rows);
        let works = changing.map(|transaction| transaction.work).chain(statement);
        Ok(Self::Seen {
            oldest: works.min_by_key(|work| work.since),
            writable_since: transactions.iter().map(|transaction| transaction.work.since).min(),
        })
    }

    /// Up to when every stamp is committed: `clock`, which was read before this was looked at, or the start of the
    /// oldest work, less a margin for work that cannot be seen and for stamps older than the work they belong to.
    pub fn closed_until(self, clock: DateTime<Utc>, overlap: TimeDelta) -> DateTime<Utc> {
        let open_since = match self {
            Self::Hidden => clock,
            Self::Seen { oldest, .. } => oldest.map_or(clock, |oldest| oldest.since),
        };
        Ord::min(open_since, clock) - overlap
    }

    /// When the oldest transaction began that has changed or may yet change rows, if that can be seen.
    pub fn writable_since(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Hidden => None,
            Self::Seen { writable_since, .. } => writable_since,
        }
    }
}

fn column(name: &'static str) -> Expr {
    Expr::col(Alias::new(name))
}

/// An open transaction that was not declared to be one that only reads.
struct Transaction {
    work: Oldest,
    has_changed_rows: bool,
}

async fn transactions(connection: &impl ConnectionTrait) -> std::result::Result<Vec<Transaction>, DbErr> {
    // The column is in the zone of the server's machine, whatever the session's is (MySQL 9.7, MariaDB 10.11).
    let started = Func::cust("CONVERT_TZ").args([column("trx_started"), Expr::val("SYSTEM"), Expr::val("+00:00")]);
    let select = Query::select()
        .expr_as(Expr::expr(started).cast_as("DATETIME"), "began")
        .expr(column("trx_mysql_thread_id").cast_as("UNSIGNED"))
        .expr(column("trx_rows_modified").cast_as("UNSIGNED"))
        .from((Alias::new("information_schema"), Alias::new("INNODB_TRX")))
        .and_where(column("trx_is_read_only").eq(0))
        .to_owned();
    let rows = connection.query_all(&select).await?;
    rows.iter()
        .map(|row| {
            let (began, connection_id, changed): (NaiveDateTime, u64, u64) = row.try_get_many_by_index()?;
            Ok(Transaction {
                work: Oldest {
                    since: began.and_utc(),
                    connection_id,
                },
                has_changed_rows: changed > 0,
            })
        })
        .collect()
}

fn is_idle_replication() -> Condition {
    let state = || Expr::expr(Func::coalesce([column("STATE"), Expr::val("")]));
    let is_idle = IDLE_REPLICATION.map(|idle| state().like(idle));
    Condition::all()
        .add(column("USER").eq(REPLICATION_USER))
        .add(is_idle.into_iter().fold(Condition::any(), Condition::add))
}

async fn oldest_statement(
    connection: &impl ConnectionTrait,
    clock: DateTime<Utc>,
    own_id: u64,
) -> std::result::Result<Option<Oldest>, DbErr> {
    let select = Query::select()
        .expr_as(column("TIME").cast_as("SIGNED"), "seconds")
        .expr(column("ID").cast_as("UNSIGNED"))
        .from((Alias::new("information_schema"), Alias::new("PROCESSLIST")))
        .and_where(column("COMMAND").is_in(EXECUTING))
        .and_where(column("ID").ne(own_id))
        .cond_where(is_idle_replication().not())
        .order_by("seconds", sea_orm::Order::Desc)
        .limit(1)
        .to_owned();
    let row = connection.query_one(&select).await?;
    row.map(|row| {
        let (seconds, connection_id): (i64, u64) = row.try_get_many_by_index()?;
        // Whole seconds, rounded down.
        let since = clock - TimeDelta::seconds(Ord::max(seconds, 0) + 1);
        Ok(Oldest { since, connection_id })
    })
    .transpose()
}
