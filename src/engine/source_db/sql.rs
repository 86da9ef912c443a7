//! SQL text for the source: what the ORM has no way to say. Each piece stands with its reason.

/// The snapshot has to begin with this very statement: after a plain BEGIN the first read would fix it. MySQL
/// refuses to prepare it, so it goes out unprepared.
pub const START_SNAPSHOT: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
/// A consistent snapshot exists under this isolation level only.
pub const REPEATABLE_READ: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
/// SeaORM did not begin the snapshot, so it cannot end it.
pub const END_SNAPSHOT: &str = "COMMIT";
/// MySQL 8 caches UPDATE_TIME for a day otherwise. MariaDB has no such cache and no such variable.
pub const FRESH_UPDATE_TIMES: &str = "SET SESSION information_schema_stats_expiry = 0";
