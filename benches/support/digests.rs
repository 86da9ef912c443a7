//! Statistics of the source's server about the statements it executed: performance_schema, grouped by text without
//! values.

use sqlx::{MySqlPool, Row};

const CLEAR: &str = "TRUNCATE TABLE performance_schema.events_statements_summary_by_digest";
/// The server counts picoseconds.
const LONGEST: &str = "\
    SELECT CAST(MAX_TIMER_WAIT AS DOUBLE) / 1e12, DIGEST_TEXT \
    FROM performance_schema.events_statements_summary_by_digest \
    WHERE SCHEMA_NAME = DATABASE() AND DIGEST_TEXT IS NOT NULL ORDER BY MAX_TIMER_WAIT DESC LIMIT 1";
/// Statements beyond the capacity of the summary are counted in a row without text.
const SEEN: &str = "\
    SELECT COUNT(DIGEST_TEXT LIKE '%FROM `rental`%' OR NULL), COUNT(DIGEST_TEXT IS NULL OR NULL) \
    FROM performance_schema.events_statements_summary_by_digest WHERE SCHEMA_NAME = DATABASE()";
/// Statements that lock tables or rows. Digest texts have keywords in capitals, separated by one space; those of
/// prepared statements begin with PREPARE or EXECUTE.
const LOCKING: &str = "\
    SELECT DIGEST_TEXT FROM performance_schema.events_statements_summary_by_digest \
    WHERE SCHEMA_NAME = DATABASE() AND (DIGEST_TEXT REGEXP '^((PREPARE|EXECUTE) )?(LOCK|FLUSH) ' \
    OR DIGEST_TEXT REGEXP 'FOR UPDATE|FOR SHARE|LOCK IN SHARE MODE')";

/// The statements that compute digests of key ranges.
const OF_KEY_RANGES: &str = "\
    SELECT CAST(COALESCE(SUM(SUM_TIMER_WAIT), 0) AS DOUBLE) / 1e12 \
    FROM performance_schema.events_statements_summary_by_digest \
    WHERE SCHEMA_NAME = DATABASE() AND DIGEST_TEXT LIKE '%CRC32%'";

/// The statement with the longest single execution.
pub struct Longest {
    pub seconds: f64,
    /// Its text without values.
    pub text: String,
}

/// Resets the statistics. Returns whether the server collects them and the account may reset them.
pub async fn clear(pool: &MySqlPool) -> bool {
    let is_on = sqlx::query_scalar::<_, i64>("SELECT @@performance_schema")
        .fetch_one(pool)
        .await;
    is_on.is_ok_and(|is_on| is_on == 1) && sqlx::query(CLEAR).execute(pool).await.is_ok()
}

/// Seconds that the server has spent on digests of key ranges since `clear`.
pub async fn seconds_of_key_ranges(pool: &MySqlPool) -> f64 {
    let seconds = sqlx::query_scalar(OF_KEY_RANGES).fetch_one(pool).await;
    seconds.expect("the summary can be read")
}

/// The longest statement since `clear`. Panics if a statement took locks, or if the statistics are incomplete.
pub async fn longest(pool: &MySqlPool) -> Longest {
    let locking = sqlx::query_scalar::<_, String>(LOCKING).fetch_all(pool).await;
    assert_eq!(
        locking.expect("the summary can be read"),
        Vec::<String>::new(),
        "a lock was taken"
    );
    let seen = sqlx::query(SEEN)
        .fetch_one(pool)
        .await
        .expect("the summary can be read");
    let (of_rentals, left_out): (i64, i64) = (seen.get(0), seen.get(1));
    assert!(
        of_rentals > 0 && left_out == 0,
        "the server has not summed up all statements"
    );
    let longest = sqlx::query(LONGEST)
        .fetch_one(pool)
        .await
        .expect("there were statements");
    Longest {
        seconds: longest.get(0),
        text: longest.get(1),
    }
}
