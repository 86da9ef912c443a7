//! Sets and checks the session settings of a connection.
//!
//! Defaults of the server, the account, `init_connect` or a proxy can change what a statement returns, or whether it
//! runs at all: the isolation level, limits on rows, time and joins, modes, time zones. None of them is inherited.
//! Every connection gets its settings before its first statement, and they are read back: a setting that does not take
//! effect is an error, because it could change results.

use std::time::Duration;

use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use crate::sql;

/// A setting that the server did not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RefusedSetting {
    #[error("the session variable {variable} is {found}, and cannot be set to {wanted}")]
    Kept {
        variable: &'static str,
        wanted: &'static str,
        found: String,
    },
    /// With the server's message.
    #[error("session variables cannot be set: {0}")]
    Denied(String),
}

impl From<RefusedSetting> for sqlx::Error {
    fn from(refused: RefusedSetting) -> Self {
        Self::Configuration(Box::new(refused))
    }
}

/// The server's error numbers for a variable that is unknown, that may not be set, or not to this value.
const REFUSALS: [u16; 5] = [
    1193, // ER_UNKNOWN_SYSTEM_VARIABLE
    1227, // ER_SPECIFIC_ACCESS_DENIED_ERROR
    1229, // ER_GLOBAL_VARIABLE
    1231, // ER_WRONG_VALUE_FOR_VAR
    1238, // ER_INCORRECT_GLOBAL_LOCAL_VAR
];

/// Converts the server's error after all settings were sent: a refusal becomes [`RefusedSetting`].
fn refusal(error: sqlx::Error) -> sqlx::Error {
    let answer = error.as_database_error();
    let number = answer.and_then(|answer| answer.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>());
    match number.map(sqlx::mysql::MySqlDatabaseError::number) {
        Some(number) if REFUSALS.contains(&number) => RefusedSetting::Denied(error.to_string()).into(),
        _ => error,
    }
}

/// Products that speak MySQL's protocol but have other snapshots, or none, as named in their versions and comments.
const OTHER_PRODUCTS: [&str; 10] = [
    "TiDB",
    "Vitess",
    "PlanetScale",
    "SingleStore",
    "MemSQL",
    "OceanBase",
    "StarRocks",
    "Doris",
    "ClickHouse",
    "Dolt",
];

/// The product, if it is neither MySQL nor MariaDB.
pub(crate) fn other_product(version: &str, comment: &str) -> Option<&'static str> {
    let said = format!("{version} {comment}").to_lowercase();
    OTHER_PRODUCTS
        .into_iter()
        .find(|product| said.contains(&product.to_lowercase()))
}

/// A server that is another product, or too old.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UnsupportedServer(String);

impl UnsupportedServer {
    /// The error, if a server with this version and comment is not supported.
    pub(crate) fn recognize(version: &str, comment: &str) -> Option<Self> {
        let problem = match other_product(version, comment) {
            Some(product) => format!("the server is {product} ({version}), not MySQL or MariaDB"),
            None if is_too_old(version) => {
                format!("server version {version} is older than MySQL 8.0 or MariaDB 10.6")
            }
            None => return None,
        };
        Some(Self(problem))
    }
}

/// Whether the version is known to be older than the oldest supported one. An unreadable version is accepted.
fn is_too_old(version: &str) -> bool {
    let is_mariadb = version.contains("MariaDB");
    // MariaDB may put 5.5.5- before its own version, for old replicas.
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if is_mariadb => (major, minor) < (10, 6),
        (Some(Ok(major)), _) => major < 8,
        _ => false,
    }
}

impl From<UnsupportedServer> for sqlx::Error {
    fn from(product: UnsupportedServer) -> Self {
        Self::Configuration(Box::new(product))
    }
}

/// Applies the settings to a new connection, in two round trips. `read_timeout` is the timeout of its statements.
///
/// # Errors
/// Any error of the server; [`RefusedSetting`] if a setting did not take effect; [`UnsupportedServer`] if the server
/// does not know the settings because it is not supported.
pub(crate) async fn prepare(connection: &mut MySqlConnection, read_timeout: Duration) -> Result<(), sqlx::Error> {
    use sqlx::Executor;
    let set = AssertSqlSafe(sql::set_session(read_timeout));
    if let Err(error) = connection.execute(set).await {
        let row = connection.fetch_one(sql::READ_PRODUCT).await?;
        let (version, comment): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        return Err(UnsupportedServer::recognize(&version, &comment).map_or_else(|| refusal(error), Into::into));
    }
    let row = connection.fetch_one(sql::READ_SESSION).await?;
    for (position, (variable, wanted)) in sql::SESSION_WANTED.iter().enumerate() {
        let found: String = row.try_get(position)?;
        if !found.eq_ignore_ascii_case(wanted) {
            return Err(RefusedSetting::Kept {
                variable,
                wanted,
                found,
            }
            .into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_that_only_speak_the_protocol_are_named() {
        assert_eq!(other_product("8.0.11-TiDB-v8.5.0", ""), Some("TiDB"));
        assert_eq!(other_product("8.0.30-Vitess", "Version: 21"), Some("Vitess"));
        assert_eq!(other_product("8.0.31", "Dolt"), Some("Dolt"));
        assert_eq!(other_product("9.7.4-2", "(Debian)"), None);
        assert_eq!(other_product("11.8.2-MariaDB", "mariadb.org binary distribution"), None);
    }

    #[test]
    fn versions_that_are_too_old_are_refused() {
        let is_unsupported = |version| UnsupportedServer::recognize(version, "").is_some();
        for too_old in ["5.7.44-log", "10.5.23-MariaDB", "5.5.5-10.5.23-MariaDB-log"] {
            assert!(is_unsupported(too_old), "{too_old}");
        }
        for supported in [
            "8.0.36",
            "9.7.4-2",
            "5.5.5-10.6.12-MariaDB-log",
            "11.8.2-MariaDB",
            "unknown",
        ] {
            assert!(!is_unsupported(supported), "{supported}");
        }
    }
}
