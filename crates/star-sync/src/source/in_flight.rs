//! In-flight transactions and statements of the server. A row that such a transaction has written already has its
//! change timestamp but appears only at the commit, so watermarks must not advance past the transaction's start.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query};
use sea_orm::{Condition, ConnectionTrait, DbErr};
use tracing::debug;

use crate::error::{Doing, Error, Result, server_error_number};
use crate::source::answer;

/// "You need the PROCESS privilege."
const NOT_ALLOWED: u16 = 1227;
/// "Cannot convert string": MySQL refuses to return either list while a statement runs whose text is not valid utf8mb3,
/// such as one with an emoji or with the bytes of a geometry.
const CANNOT_CONVERT: u16 = 3854;
/// Attempts to read the lists. Such a statement ends soon, and waiting is safe: a transaction that begins meanwhile
/// begins after the clock was read.
const MAX_ATTEMPTS: u32 = 25;
/// InnoDB caches the list of transactions for a tenth of a second.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Process list commands of connections that execute nothing. There are many other commands: a statement is executed as
/// a query, prepared, in bulk, or by a thread that applies a replica's changes.
const IDLE: [&str; 5] = ["Sleep", "Daemon", "Binlog Dump", "Binlog Dump GTID", "Slave_IO"];
/// The command of a connection that logs in, of a replica that receives changes, or of an event that executes a
/// statement.
const CONNECT: &str = "Connect";
/// The user of the threads that apply a replica's changes. They are listed as executing while they wait, in states
/// that match these patterns.
const REPLICATION_USER: &str = "system user";
const IDLE_REPLICATION: [&str; 5] = [
    "%has read all relay log; waiting for more updates",
    "Waiting for an event from Coordinator%",
    "Waiting for % to send event",
    "Waiting for work from%",
    "Waiting until % seconds%",
];

/// Minutes by which clocks are set back when summer time ends: 30 in one zone, 120 in some zones in the past. A local
/// time in the repeated hour stands for two points in time.
const CLOCK_CHANGES_MINUTES: [i64; 3] = [30, 60, 120];
/// A transaction that was recovered after a restart is listed with a start between the start of the server and the end
/// of the recovery. Its real start is unknown.
const LONGEST_RECOVERY: TimeDelta = TimeDelta::hours(1);

/// The transactions and statements that are in flight on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// The account lacks the PROCESS privilege.
    NotPermitted,
    Listed {
        /// The oldest one, if there is any.
        oldest: Option<InFlightWork>,
        /// The start of the oldest transaction that has changed rows or may still change rows.
        writable_since: Option<DateTime<Utc>>,
    },
}

/// A transaction that has changed rows, or a running statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightWork {
    pub since: DateTime<Utc>,
    pub(crate) connection_id: u64,
}

impl InFlight {
    /// Reads the transactions that have changed rows and the running statements of other connections.
    ///
    /// Must be read before the snapshot begins: a transaction that is open then and not listed here began after the
    /// clock was read.
    pub(crate) async fn read(connection: &impl ConnectionTrait, clock: DateTime<Utc>, own_id: u64) -> Result<Self> {
        let mut attempts = 1;
        loop {
            match Self::read_once(connection, clock, own_id).await {
                Err(error) if server_error_number(&error) == Some(NOT_ALLOWED) => return Ok(Self::NotPermitted),
                Err(error) if server_error_number(&error) == Some(CANNOT_CONVERT) => {
                    // The server's message is not passed on: it contains bytes of the statement.
                    if attempts == MAX_ATTEMPTS {
                        return Err(Error::SourceUnlisted);
                    }
                    debug!(attempts, "the server cannot list in-flight transactions; retrying");
                    attempts += 1;
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                found => {
                    return found.source(|| "reading information_schema.INNODB_TRX and PROCESSLIST".to_owned());
                }
            }
        }
    }

    async fn read_once(
        connection: &impl ConnectionTrait,
        clock: DateTime<Utc>,
        own_id: u64,
    ) -> std::result::Result<Self, DbErr> {
        // Statements first: one that ends in between leaves its transaction behind, which is then listed.
        let statement = oldest_statement(connection, clock, own_id).await?;
        let transactions = transactions(connection, clock).await?;
        // A transaction that has only read does not limit watermarks: a row that it changes later gets a later change
        // timestamp.
        let changing = transactions.iter().filter(|transaction| transaction.has_changed_rows);
        let works = changing.map(|transaction| transaction.work).chain(statement);
        Ok(Self::Listed {
            oldest: works.min_by_key(|work| work.since),
            writable_since: transactions.iter().map(|transaction| transaction.work.since).min(),
        })
    }

    /// The time up to which all change timestamps are committed: `clock`, which was read before this list, or the start
    /// of the oldest transaction, less the safety lag. The lag covers transactions that cannot be listed, and change
    /// timestamps older than their transaction.
    pub(crate) fn committed_until(self, clock: DateTime<Utc>, safety_lag: TimeDelta) -> DateTime<Utc> {
        let open_since = match self {
            Self::NotPermitted => clock,
            Self::Listed { oldest, .. } => oldest.map_or(clock, |oldest| oldest.since),
        };
        // Change timestamps are truncated to whole seconds: the real time may be almost a second later.
        let committed_until = Ord::min(open_since, clock) - safety_lag - TimeDelta::seconds(1);
        // If the start of a transaction is unknown, no change timestamp counts as committed.
        Ord::max(committed_until, UNKNOWN_START)
    }

    /// The start of the oldest transaction that has changed rows or may still change rows, if the account may list
    /// them.
    pub(crate) fn writable_since(self) -> Option<DateTime<Utc>> {
        match self {
            Self::NotPermitted => None,
            Self::Listed { writable_since, .. } => writable_since,
        }
    }
}

fn column(name: &'static str) -> Expr {
    Expr::col(Alias::new(name))
}

/// The start of a transaction whose start is unknown: before every possible change timestamp.
pub(crate) const UNKNOWN_START: DateTime<Utc> = DateTime::UNIX_EPOCH;

type LocalTime = Option<NaiveDateTime>;

/// An in-flight transaction that may write: it was not declared READ ONLY.
struct Transaction {
    work: InFlightWork,
    has_changed_rows: bool,
}

async fn transactions(
    connection: &impl ConnectionTrait,
    clock: DateTime<Utc>,
) -> std::result::Result<Vec<Transaction>, DbErr> {
    // The column is in the time zone of the server's machine, whatever the session's is (MySQL 9.7, MariaDB 10.11).
    let convert =
        |time: Expr, from: &str, to: &str| Func::cust("CONVERT_TZ").args([time, Expr::val(from), Expr::val(to)]);
    let began = || Expr::expr(convert(column("trx_started"), "SYSTEM", "+00:00"));
    let mut select = Query::select();
    select
        .expr(column("trx_started").cast_as("DATETIME"))
        .expr(began().cast_as("DATETIME"));
    for minutes in CLOCK_CHANGES_MINUTES {
        let change = format!("{:02}:{:02}:00", minutes / 60, minutes % 60);
        let earlier = Func::cust("SUBTIME").args([began(), Expr::val(change)]);
        let local = convert(Expr::expr(earlier), "+00:00", "SYSTEM");
        select.expr(Expr::expr(local).cast_as("DATETIME"));
    }
    select
        .expr(column("trx_mysql_thread_id").cast_as("SIGNED"))
        .expr(column("trx_rows_modified").cast_as("SIGNED"))
        .from((Alias::new("information_schema"), Alias::new("INNODB_TRX")))
        .and_where(column("trx_is_read_only").eq(0));
    let rows = answer::all(connection, &select).await?;
    let mut transactions = Vec::new();
    let mut server_started = None;
    for row in &rows {
        let (listed, began, half, one, two, connection_id, changed): (
            LocalTime,
            LocalTime,
            LocalTime,
            LocalTime,
            LocalTime,
            i64,
            i64,
        ) = row.try_get_many_by_index()?;
        // Without a connection: recovered after a restart, or prepared by a distributed transaction.
        let has_connection = connection_id != 0;
        if !has_connection && server_started.is_none() {
            server_started = Some(started(connection, clock).await?);
        }
        let since = listed
            .zip(began)
            .map(|(listed, began)| earliest_begin(listed, began, [half, one, two]))
            .filter(|began| has_connection || server_started.is_some_and(|at| *began > at + LONGEST_RECOVERY));
        transactions.push(Transaction {
            work: InFlightWork {
                since: since.unwrap_or(UNKNOWN_START),
                connection_id: connection_id.unsigned_abs(),
            },
            has_changed_rows: changed > 0 || !has_connection,
        });
    }
    Ok(transactions)
}

/// The earliest possible start of a transaction whose start is listed in local time. In the hour that is repeated when
/// clocks go back, a local time stands for two points in time. `began`, the server's conversion, is the later one;
/// `locals` are the local times some minutes before `began`.
fn earliest_begin(listed: NaiveDateTime, began: NaiveDateTime, locals: [Option<NaiveDateTime>; 3]) -> DateTime<Utc> {
    let changes = CLOCK_CHANGES_MINUTES.into_iter().zip(locals);
    let earlier = changes.filter(|(_, local)| *local == Some(listed));
    let back = earlier.map(|(minutes, _)| minutes).max().unwrap_or(0);
    (began - TimeDelta::minutes(back)).and_utc()
}

/// When the server was started.
async fn started(connection: &impl ConnectionTrait, clock: DateTime<Utc>) -> std::result::Result<DateTime<Utc>, DbErr> {
    // MariaDB and MySQL have the same variable in different tables.
    let seconds = async |schema: &'static str, table: &'static str| {
        let select = Query::select()
            .expr(column("VARIABLE_VALUE").cast_as("SIGNED"))
            .from((Alias::new(schema), Alias::new(table)))
            .and_where(column("VARIABLE_NAME").eq("UPTIME"))
            .limit(1)
            .to_owned();
        let row = connection.query_one(&select).await?;
        row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))
    };
    let uptime = match seconds("performance_schema", "global_status").await {
        Ok(uptime) if uptime > 0 => uptime,
        _ => seconds("information_schema", "GLOBAL_STATUS").await?,
    };
    Ok(clock - TimeDelta::seconds(uptime))
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
) -> std::result::Result<Option<InFlightWork>, DbErr> {
    let select = Query::select()
        .expr_as(column("TIME").cast_as("SIGNED"), "seconds")
        .expr(column("ID").cast_as("UNSIGNED"))
        .from((Alias::new("information_schema"), Alias::new("PROCESSLIST")))
        .and_where(column("COMMAND").is_not_in(IDLE))
        .and_where(column("COMMAND").ne(CONNECT).or(column("INFO").is_not_null()))
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
        Ok(InFlightWork { since, connection_id })
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    /// Berlin, 2026-10-25: at 01:00 UTC the clock goes back from 03:00 to 02:00.
    #[test]
    fn in_the_hour_that_comes_twice_a_transaction_began_in_the_first_of_both() {
        let listed = time("2026-10-25 02:30");
        let began = time("2026-10-25 01:30");
        let an_hour_before = Some(listed);
        let locals = [
            Some(time("2026-10-25 02:00")),
            an_hour_before,
            Some(time("2026-10-25 01:30")),
        ];
        assert_eq!(
            earliest_begin(listed, began, locals),
            time("2026-10-25 00:30").and_utc()
        );
    }

    #[test]
    fn at_any_other_hour_it_began_when_the_server_says() {
        let listed = time("2026-10-25 12:30");
        let began = time("2026-10-25 11:30");
        let locals = [30, 60, 120].map(|minutes| Some(listed - TimeDelta::minutes(minutes)));
        assert_eq!(earliest_begin(listed, began, locals), began.and_utc());
        assert_eq!(earliest_begin(listed, began, [None; 3]), began.and_utc());
    }

    #[test]
    fn a_transaction_with_an_unknown_start_limits_all_watermarks() {
        let clock = time("2026-10-25 12:30").and_utc();
        let seen = |since| InFlight::Listed {
            oldest: Some(InFlightWork {
                since,
                connection_id: 0,
            }),
            writable_since: Some(since),
        };
        let safety_lag = TimeDelta::seconds(120);
        assert_eq!(seen(UNKNOWN_START).committed_until(clock, safety_lag), UNKNOWN_START);
        let begun = clock - TimeDelta::seconds(10);
        // The real time of a change timestamp may be almost a second later.
        let second = TimeDelta::seconds(1);
        assert_eq!(
            seen(begun).committed_until(clock, safety_lag),
            begun - safety_lag - second
        );
    }
}
