//! The oldest work that is still open on the server: what it has stamped may be committed after everybody else's.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query};
use sea_orm::{Condition, ConnectionTrait, DbErr};
use tracing::debug;

use crate::error::{Doing, Error, Result, server_error_number};
use crate::source::answer;

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

/// By so much a zone's clock is put back when summer time ends, in minutes: half an hour in one zone, two in some of the
/// past. A local time of the hours before is two moments.
const CLOCK_CHANGES_MINUTES: [i64; 3] = [30, 60, 120];
/// A transaction that a restart has brought back says that it began when the server did, give or take what recovery
/// took: when it really began is not known.
const LONGEST_RECOVERY: TimeDelta = TimeDelta::hours(1);

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
    pub(crate) async fn look(connection: &impl ConnectionTrait, clock: DateTime<Utc>, own_id: u64) -> Result<Self> {
        let mut looks = 1;
        loop {
            match Self::look_once(connection, clock, own_id).await {
                Err(error) if server_error_number(&error) == Some(NOT_ALLOWED) => return Ok(Self::Hidden),
                Err(error) if server_error_number(&error) == Some(CANNOT_SHOW) => {
                    // The server's own words have bytes of somebody's statement in them.
                    if looks == LOOKS {
                        return Err(Error::SourceUnlisted);
                    }
                    debug!(looks, "the server cannot list in-flight transactions; retrying");
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
        let transactions = transactions(connection, clock).await?;
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
    pub(crate) fn closed_until(self, clock: DateTime<Utc>, overlap: TimeDelta) -> DateTime<Utc> {
        if self.holds_unknown_work() {
            return UNKNOWN_BEGIN;
        }
        let open_since = match self {
            Self::Hidden => clock,
            Self::Seen { oldest, .. } => oldest.map_or(clock, |oldest| oldest.since),
        };
        Ord::min(open_since, clock) - overlap
    }

    /// Whether there is a transaction of which is not known when it began: then nothing counts as committed for good.
    pub(crate) fn holds_unknown_work(self) -> bool {
        matches!(self, Self::Seen { oldest: Some(oldest), .. } if oldest.since == UNKNOWN_BEGIN)
    }

    /// When the oldest transaction began that has changed or may yet change rows, if that can be seen.
    pub(crate) fn writable_since(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Hidden => None,
            Self::Seen { writable_since, .. } => writable_since,
        }
    }
}

fn column(name: &'static str) -> Expr {
    Expr::col(Alias::new(name))
}

/// Before every change timestamp there can be.
pub(crate) const UNKNOWN_BEGIN: DateTime<Utc> = DateTime::UNIX_EPOCH;

type LocalTime = Option<NaiveDateTime>;

/// An open transaction that was not declared to be one that only reads.
struct Transaction {
    work: Oldest,
    has_changed_rows: bool,
}

async fn transactions(
    connection: &impl ConnectionTrait,
    clock: DateTime<Utc>,
) -> std::result::Result<Vec<Transaction>, DbErr> {
    // The column is in the zone of the server's machine, whatever the session's is (MySQL 9.7, MariaDB 10.11).
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
        // Without a connection it is one that a restart has brought back, or a prepared one of a distributed transaction.
        let has_connection = connection_id != 0;
        if !has_connection && server_started.is_none() {
            server_started = Some(started(connection, clock).await?);
        }
        let since = listed
            .zip(began)
            .map(|(listed, began)| earliest_begin(listed, began, [half, one, two]))
            .filter(|began| has_connection || server_started.is_some_and(|at| *began > at + LONGEST_RECOVERY));
        transactions.push(Transaction {
            work: Oldest {
                since: since.unwrap_or(UNKNOWN_BEGIN),
                connection_id: connection_id.unsigned_abs(),
            },
            has_changed_rows: changed > 0 || !has_connection,
        });
    }
    Ok(transactions)
}

/// When a transaction began at the earliest that is listed by local time: `began` is what the server takes that time for,
/// the later of two moments that have the same; the others are the local times so many minutes before `began`.
fn earliest_begin(listed: NaiveDateTime, began: NaiveDateTime, locals: [Option<NaiveDateTime>; 3]) -> DateTime<Utc> {
    let changes = CLOCK_CHANGES_MINUTES.into_iter().zip(locals);
    let earlier = changes.filter(|(_, local)| *local == Some(listed));
    let back = earlier.map(|(minutes, _)| minutes).max().unwrap_or(0);
    (began - TimeDelta::minutes(back)).and_utc()
}

/// When the server was started.
async fn started(connection: &impl ConnectionTrait, clock: DateTime<Utc>) -> std::result::Result<DateTime<Utc>, DbErr> {
    // A variable of the same name in another place: MariaDB's, MySQL's.
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
    fn work_that_began_nobody_knows_when_holds_everything_back() {
        let clock = time("2026-10-25 12:30").and_utc();
        let seen = |since| OpenWork::Seen {
            oldest: Some(Oldest {
                since,
                connection_id: 0,
            }),
            writable_since: Some(since),
        };
        let overlap = TimeDelta::seconds(120);
        assert_eq!(seen(UNKNOWN_BEGIN).closed_until(clock, overlap), UNKNOWN_BEGIN);
        let begun = clock - TimeDelta::seconds(10);
        assert_eq!(seen(begun).closed_until(clock, overlap), begun - overlap);
    }
}
