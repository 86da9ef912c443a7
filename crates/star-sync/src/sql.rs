//! All SQL text for MySQL: statements that the ORM cannot express, each with its reason. The SQL text for SQLite is in
//! `target::sqlite::pragma`.

use std::time::Duration;

/// Begins a snapshot: after a plain BEGIN it would be taken only at the first read. MySQL cannot prepare this
/// statement, so it is sent unprepared.
pub(crate) const START_SNAPSHOT: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
// The query builder does not support session variables. MySQL alone executes the text after `/*!50701`, MariaDB alone
// that after `/*M!`, so one text suits both before the server is known. No value is DEFAULT where that means the
// server's global value, which must not be inherited.
/// Sets all variables that affect the result of a statement, whether it runs, or the lifetime of its connection.
const SET_SESSION: &str = "SET SESSION \
    sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1, completion_type = 'NO_CHAIN', \
    sql_select_limit = 18446744073709551615, max_join_size = 18446744073709551615, sql_big_selects = 1, \
    sql_safe_updates = 0, sql_auto_is_null = 0, sql_buffer_result = 0, lc_time_names = 'en_US', \
    default_week_format = 0, div_precision_increment = 4, group_concat_max_len = 1048576, time_zone = '+00:00', \
    timestamp = DEFAULT, character_set_client = 'utf8mb4', character_set_results = 'utf8mb4', \
    collation_connection = 'utf8mb4_bin', innodb_lock_wait_timeout = 50, \
    wait_timeout = 28800, net_read_timeout = 600, net_write_timeout = 600, foreign_key_checks = 1, unique_checks = 1, \
    default_storage_engine = 'InnoDB' \
    /*!50701 , transaction_isolation = 'REPEATABLE-READ', transaction_read_only = 0, max_execution_time = 0, \
    information_schema_stats_expiry = 0, use_secondary_engine = 'OFF', resultset_metadata = 'FULL' */ \
    /*M! , tx_isolation = 'REPEATABLE-READ', tx_read_only = 0, max_statement_time = 0, idle_transaction_timeout = 0, \
    idle_readonly_transaction_timeout = 0, idle_write_transaction_timeout = 0, system_versioning_asof = DEFAULT, \
    sql_if_exists = 0, old_mode = '', max_session_mem_used = 9223372036854775807 */";
/// `SET_SESSION` with a limit on waiting for a table lock: a server that waits for a lock does not notice when the
/// client gives up. The limit is one second longer than the read timeout, so that the client reports its timeout first.
pub(crate) fn set_session(read_timeout: Duration) -> String {
    let seconds = read_timeout.as_secs().clamp(1, 31_535_999) + 1;
    format!("{SET_SESSION} , lock_wait_timeout = {seconds}")
}
/// Reads, as text, the session variables that affect the result of a statement, in the order of `SESSION_WANTED`.
pub(crate) const READ_SESSION: &str = "SELECT CAST(@@sql_mode AS CHAR), CAST(@@autocommit + 0 AS CHAR), \
    CAST(@@completion_type AS CHAR), CAST(@@sql_select_limit AS CHAR), CAST(@@max_join_size AS CHAR), \
    CAST(@@sql_safe_updates + 0 AS CHAR), CAST(@@sql_auto_is_null + 0 AS CHAR), CAST(@@time_zone AS CHAR), \
    CAST(@@character_set_client AS CHAR), CAST(@@character_set_results AS CHAR), CAST(@@collation_connection AS CHAR) \
    /*!50701 , CAST(@@transaction_isolation AS CHAR), CAST(@@max_execution_time = 0 AS CHAR), \
    CAST(@@information_schema_stats_expiry AS CHAR) */ \
    /*M! , CAST(@@tx_isolation AS CHAR), CAST(@@max_statement_time = 0 AS CHAR), \
    IF(@@system_versioning_asof = 'DEFAULT', '0', @@system_versioning_asof) */";
/// The required values of these variables, by their MySQL names.
pub(crate) const SESSION_WANTED: [(&str, &str); 14] = [
    ("sql_mode", "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"),
    ("autocommit", "1"),
    ("completion_type", "NO_CHAIN"),
    ("sql_select_limit", "18446744073709551615"),
    ("max_join_size", "18446744073709551615"),
    ("sql_safe_updates", "0"),
    ("sql_auto_is_null", "0"),
    ("time_zone", "+00:00"),
    ("character_set_client", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("collation_connection", "utf8mb4_bin"),
    ("transaction_isolation", "REPEATABLE-READ"),
    ("max_execution_time = 0", "1"),
    // On MariaDB: system_versioning_asof.
    ("information_schema_stats_expiry", "0"),
];
// The query builder does not support system variables. MariaDB has no server identifier; these four variables together
// identify a server.
pub(crate) const SERVER_COMMENT: &str = "@@version_comment";
pub(crate) const READ_PRODUCT: &str = "SELECT VERSION(), @@version_comment";
pub(crate) const SERVER_TIME_ZONE: &str = "@@global.time_zone";
pub(crate) const MYSQL_ID: &str = "@@server_uuid";
pub(crate) const MARIADB_ID: &str = "CONCAT_WS(' ', @@hostname, @@port, @@server_id, @@datadir)";
/// The number of connections that the account may have (0: no limit), and whether the server requires TLS. The query
/// builder does not support system variables.
pub(crate) const CONNECTION_LIMITS: &str =
    "SELECT CAST(@@max_user_connections AS SIGNED), CAST(@@require_secure_transport AS SIGNED)";
/// The bytes that the server has sent on a connection, by its own count. The query builder does not support SHOW, and
/// the underlying tables differ between the servers.
pub(crate) const BYTES_SENT: &str = "SHOW SESSION STATUS LIKE 'Bytes_sent'";
/// Shows whether the account requires TLS; every account may run it for itself. The query builder has no SHOW.
pub(crate) const OWN_ACCOUNT: &str = "SHOW CREATE USER CURRENT_USER()";
