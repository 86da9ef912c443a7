//! All SQL text of the engine: what the ORM has no way to say, each piece with its reason. (The views, which it cannot
//! say either, are in the migration that makes them.)

/// The snapshot has to begin with this very statement: after a plain BEGIN the first read would fix it. MySQL
/// refuses to prepare it, so it goes out unprepared.
pub const START_SNAPSHOT: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
/// A consistent snapshot exists under this isolation level only.
pub const REPEATABLE_READ: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
// System variables are no columns to the query builder. MariaDB has no identifier of its own; these four are another
// server's together.
pub const MYSQL_ID: &str = "@@server_uuid";
pub const MARIADB_ID: &str = "CONCAT_WS(' ', @@hostname, @@port, @@server_id, @@datadir)";
/// How many connections the account may have at once (0: any number), and whether the server demands TLS. Both are system
/// variables, which are no columns to the query builder.
pub const CONNECTION_LIMITS: &str =
    "SELECT CAST(@@max_user_connections AS SIGNED), CAST(@@require_secure_transport AS SIGNED)";
/// Whether the account demands TLS; every account may ask for this of itself. It is no table to the query builder.
pub const OWN_ACCOUNT: &str = "SHOW CREATE USER CURRENT_USER()";
/// MySQL 8 caches UPDATE_TIME for a day otherwise. MariaDB has no such cache and no such variable.
pub const FRESH_UPDATE_TIMES: &str = "SET SESSION information_schema_stats_expiry = 0";

/// Marks a SQLite file as ours, in its header: "SkSy".
pub const APPLICATION_ID: i64 = 0x536B_5379;

// PRAGMAs are SQLite's own and no part of any query builder.
pub const READ_APPLICATION_ID: &str = "PRAGMA application_id";
pub fn write_application_id() -> String {
    format!("PRAGMA application_id = {APPLICATION_ID}")
}
/// Copies the whole log into the database file and empties it: at rest the one file is the database.
pub const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
/// Which tables of the file point to which: PRAGMAs with arguments are functions of SQLite's own.
pub const FOREIGN_KEYS: &str = "SELECT DISTINCT tables.name, keys.\"table\" FROM sqlite_master AS tables \
                                JOIN pragma_foreign_key_list(tables.name) AS keys WHERE tables.type = 'table' ORDER BY 1, 2";
pub const FOREIGN_KEYS_ON: &str = "PRAGMA foreign_keys = ON";
/// Inside a transaction: foreign keys are checked when it commits, so that the order of its statements is free.
pub const DEFER_FOREIGN_KEYS: &str = "PRAGMA defer_foreign_keys = ON";
pub const SYNCHRONOUS_OFF: &str = "PRAGMA synchronous = OFF";
pub const SYNCHRONOUS_NORMAL: &str = "PRAGMA synchronous = NORMAL";
/// Index creation sorts in pieces of the cache's size: small pieces stay in the processor's cache. Helper threads sort
/// one piece while the next is filled, where cores are idle; where none is, they only cost (docs/performance.md).
pub fn indexing(helper_threads: usize) -> String {
    format!("PRAGMA cache_size = -4096; PRAGMA threads = {}", helper_threads.min(2))
}
/// SQLite counts KiB below zero, pages above.
pub fn cache_size(kibibytes: u32) -> String {
    format!("PRAGMA cache_size = -{kibibytes}")
}
