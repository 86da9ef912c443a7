//! Opens connections to the source: first one log-in that determines what the account may do, then the pool.
//!
//! The log-in uses a connection of its own, for three reasons. It reports why it fails: the pool would retry a refused
//! connection until its timeout, and a TCP connection that is dropped without a handshake would count against
//! `max_connect_errors`. It tries a wrong password once, over TLS if the server supports it: without TLS the server
//! gives the same answer to a wrong password and to an account that requires TLS. And it reads how many connections the
//! account may open, before one too many fails.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions as _, Connection, Row};
use tracing::debug;

use crate::error::{Code, Doing, Error, Result};
use crate::source::reader::HAS_GIVEN_UP;
use crate::source::{CONNECT_TIMEOUT, session};
use crate::sql;

/// The server counts a closed connection until it has cleaned up after it. A connection that is refused because of
/// their number is retried after these pauses, before the run uses fewer.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// How long a connection that is returned to the pool may take to answer.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// How to reach the source.
#[derive(Clone)]
pub struct Access {
    /// With TLS if the server supports it, unless the URL says otherwise.
    pub login: MySqlConnectOptions,
    /// Without TLS, for a server on the same machine, unless the URL says otherwise: encryption costs time there and
    /// protects nothing.
    pub local: Option<MySqlConnectOptions>,
    /// Host and port, or the socket.
    pub address: String,
    /// Server and schema, without user or password.
    pub identity: String,
}

/// A pool and its number of connections.
pub(crate) struct OpenPool {
    pub pool: DatabaseConnection,
    pub connections: u32,
}

/// The limits on connections of the account and the server.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    /// Connections that the account may have at the same time; `None` if not limited.
    connections: Option<u32>,
    requires_tls: bool,
}

/// Opens the wanted number of connections, or as many as the account may have. `read_timeout` is how long a statement
/// may wait for a connection if there are too few.
///
/// # Errors
/// `Unreachable` if nothing answers at the address; any error of the server at log-in.
pub(crate) async fn open(access: &Access, wanted: u32, read_timeout: Duration) -> Result<OpenPool> {
    let limits = log_in(access, read_timeout).await?;
    let mut size = wanted.min(limits.connections.unwrap_or(u32::MAX)).max(1);
    if limits.connections == Some(size) {
        // The server still counts the log-in for a moment, and counts a refused connection as aborted.
        tokio::time::sleep(PAUSES[0]).await;
    }
    let mut options = match &access.local {
        Some(local) if !limits.requires_tls => local,
        _ => &access.login,
    };
    loop {
        // With fewer connections than readers, a reader waits for the statement of another.
        let patience = if size < wanted {
            read_timeout.max(CONNECT_TIMEOUT)
        } else {
            CONNECT_TIMEOUT
        };
        let pool = make_pool(options.clone(), size, patience, read_timeout).await?;
        match fill(&pool, size).await {
            Ok(opened) if opened == size => {
                return Ok(OpenPool {
                    pool,
                    connections: size,
                });
            }
            Ok(fewer) => {
                close(&pool).await;
                size = fewer;
            }
            Err(cause) => {
                close(&pool).await;
                let error = Error::Source {
                    doing: format!("connecting to {}", access.identity),
                    cause,
                };
                // The password was accepted a moment ago, so this account may require TLS.
                let may_need_tls = matches!(error.code(), Code::SourceLoginRefused | Code::SourceTlsRequired);
                if !may_need_tls || std::ptr::eq(options, &raw const access.login) {
                    return Err(error);
                }
                options = &access.login;
            }
        }
    }
}

/// Closes all connections of a pool with COM_QUIT: otherwise the server counts them as aborted.
pub async fn close(pool: &DatabaseConnection) {
    if let Err(error) = pool.close_by_ref().await {
        debug!(%error, "the connections were not closed");
    }
}

async fn log_in(access: &Access, read_timeout: Duration) -> Result<Limits> {
    let mut connection = match (connect_once(&access.login, access).await, &access.local) {
        // The server's TLS version is too old for the client. On the same machine TLS is not needed.
        (Err(error), Some(local)) if error.code() == Code::SourceTlsFailed => connect_once(local, access).await?,
        (connected, _) => connected?,
    };
    // Prepared here, because the pool would retry a connection whose settings are refused and not report why.
    let prepared = session::prepare(&mut connection, read_timeout);
    let prepared = tokio::time::timeout(CONNECT_TIMEOUT, prepared).await;
    if let Err(cause) = prepared.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
        let _ = connection.close().await;
        let cause = DbErr::Conn(RuntimeErr::SqlxError(Arc::new(cause)));
        return Err(cause).source(|| format!("setting up a session on {}", access.identity));
    }
    let limits = read_limits(&mut connection, access.local.is_some()).await;
    if let Err(error) = connection.close().await {
        debug!(%error, "the log-in was not closed");
    }
    Ok(limits)
}

async fn connect_once(options: &MySqlConnectOptions, access: &Access) -> Result<MySqlConnection> {
    let unreachable = |cause| Error::Unreachable {
        address: access.address.clone(),
        cause,
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(sqlx::Error::Io(cause))) if !is_midway(&cause) => Err(unreachable(cause)),
        Ok(Err(cause)) => Err(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(cause))))
            .source(|| format!("connecting to {}", access.identity)),
        Err(_) => {
            let what = format!("no answer within {CONNECT_TIMEOUT:?}");
            Err(unreachable(io::Error::new(io::ErrorKind::TimedOut, what)))
        }
    }
}

/// Whether the server had answered before the failure: the connection was lost, or the TLS negotiation failed.
fn is_midway(cause: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof};
    matches!(
        cause.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | InvalidData | UnexpectedEof
    )
}

/// Reads the limits. A server that does not report limits is treated as having none.
async fn read_limits(connection: &mut MySqlConnection, may_go_without_tls: bool) -> Limits {
    let mut limits = Limits::default();
    let answer = async {
        let row = sqlx::query(sql::CONNECTION_LIMITS).fetch_one(&mut *connection).await?;
        let connections: i64 = row.try_get(0)?;
        limits.connections = u32::try_from(connections).ok().filter(|connections| *connections > 0);
        limits.requires_tls = row.try_get::<i64, _>(1)? != 0;
        if may_go_without_tls && !limits.requires_tls {
            let row = sqlx::raw_sql(sql::OWN_ACCOUNT).fetch_one(&mut *connection).await?;
            limits.requires_tls = requires_tls(&row.try_get::<String, _>(0)?);
        }
        Ok::<_, sqlx::Error>(())
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, answer).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "the limits of the account cannot be read"),
        Err(_) => debug!("the limits of the account cannot be read in time"),
    }
    debug!(?limits, "logged in");
    limits
}

/// Whether an account's CREATE USER statement requires TLS.
fn requires_tls(create_user: &str) -> bool {
    ["SSL", "X509", "ISSUER", "SUBJECT", "CIPHER"]
        .iter()
        .any(|demand| create_user.contains(&format!(" REQUIRE {demand}")))
}

async fn make_pool(
    login: MySqlConnectOptions,
    size: u32,
    patience: Duration,
    read_timeout: Duration,
) -> Result<DatabaseConnection> {
    // The driver requires a URL; only the mapped options below count.
    let mut options = ConnectOptions::new("mysql://localhost");
    options
        .map_sqlx_mysql_opts(move |_| login.clone())
        .map_sqlx_mysql_pool_opts(move |pool| {
            pool.after_connect(move |connection, _| {
                Box::pin(async move { session::prepare(connection, read_timeout).await })
            })
            // An abandoned statement may still wait for its answer, for hours if it waits for a lock, and the driver
            // waits for that answer before it reuses the connection. Such a connection is closed instead.
            .after_release(|connection, _| {
                Box::pin(async move {
                    if !HAS_GIVEN_UP.load(Ordering::Relaxed) {
                        return Ok(true);
                    }
                    let answered = tokio::time::timeout(RELEASE_TIMEOUT, connection.ping()).await;
                    Ok(matches!(answered, Ok(Ok(()))))
                })
            })
        })
        .max_connections(size)
        .min_connections(0)
        .connect_lazy(true)
        .acquire_timeout(patience)
        // A run ends long before a connection is too old. Also, if either is set, the driver first checks all idle
        // connections, and can loop forever if one is taken at that moment, because its count of them is briefly
        // negative.
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging(false)
        .test_before_acquire(false);
    Database::connect(options)
        .await
        .source(|| "setting up connections".to_owned())
}

/// Opens all connections of a pool at the same time, because over TLS each takes several round trips. Returns how many
/// were opened, which is fewer than `size` if the server or the account allows no more. A connection that fails for
/// another reason is an error later, when it is needed.
///
/// # Errors
/// If no connection could be opened.
async fn fill(pool: &DatabaseConnection, size: u32) -> std::result::Result<u32, DbErr> {
    let pool = pool.get_mysql_connection_pool();
    let acquire = async || {
        let mut pauses = PAUSES.into_iter();
        loop {
            match pool.acquire().await.map_err(acquire_error) {
                Err(error) if is_exhausted(&error) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
                acquired => return acquired,
            }
        }
    };
    // Held until all are acquired: otherwise the pool would return one of them twice.
    let acquired = join_all((0..size).map(|_| acquire())).await;
    let refused = acquired.iter().filter_map(|connection| connection.as_ref().err());
    let refused = refused.filter(|error| is_exhausted(error)).count();
    if acquired.iter().all(std::result::Result::is_err)
        && let Some(Err(error)) = acquired.into_iter().next()
    {
        return Err(error);
    }
    Ok(size - u32::try_from(refused).unwrap_or(size))
}

fn acquire_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

fn is_exhausted(cause: &DbErr) -> bool {
    crate::error::source_code(cause) == Code::SourceConnectionsExhausted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_demands_tls_is_told_from_one_that_does_not() {
        let mysql = "CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password' AS <secret> REQUIRE NONE PASSWORD EXPIRE DEFAULT";
        assert!(!requires_tls(mysql));
        assert!(requires_tls(&mysql.replace("NONE", "SSL")));
        assert!(requires_tls(&mysql.replace("NONE", "SUBJECT '/CN=a'")));
        assert!(!requires_tls("CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*0'"));
        assert!(requires_tls(
            "CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*0' REQUIRE X509"
        ));
    }
}
