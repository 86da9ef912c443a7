//! Changes the source: rows that an incremental run has to find, and the advised indexes.

use std::time::Duration;

use sakila_sync::sakila;
use serde_json::Value;
use sqlx::{AssertSqlSafe, MySqlPool, Row};

/// UPDATE_TIME has whole seconds, and the program does not rely on one of the last two seconds.
const SECONDS_TO_SETTLE: u32 = 3;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Which rows change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The 1% of the rows with the highest keys.
    Newest,
    /// Every hundredth row.
    Spread,
}

/// The number of changed rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    pub rentals: u64,
    pub payments: u64,
}

/// Waits until the last change is older than the safety lag of one second that the benches use, and old enough for the
/// program to rely on UPDATE_TIME.
pub async fn settle(pool: &MySqlPool) {
    let mut connection = pool.acquire().await.expect("the source can be reached");
    // MySQL caches UPDATE_TIME for a day by default; MariaDB has neither this cache nor the variable.
    let _ = sqlx::query("SET SESSION information_schema_stats_expiry = 0")
        .execute(&mut *connection)
        .await;
    let young = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES \
         WHERE TABLE_SCHEMA = DATABASE() AND UPDATE_TIME >= NOW() - INTERVAL {SECONDS_TO_SETTLE} SECOND"
    );
    loop {
        let young = sqlx::query_scalar::<_, i64>(AssertSqlSafe(young.as_str()));
        if young.fetch_one(&mut *connection).await.expect("it can be asked") == 0 {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// Changes rows of every source table and restores them in the same transaction, so that only UPDATE_TIME advances.
pub async fn touch(pool: &MySqlPool) {
    for table in &sakila::star().sources {
        let (name, key) = (table.name, table.key.expect("Sakila's tables have integer keys"));
        let first = format!("SELECT CAST(MIN({key}) AS SIGNED) FROM {name} WHERE last_update IS NOT NULL");
        let mut transaction = pool.begin().await.expect("the source can be reached");
        let first: i64 = sqlx::query_scalar(AssertSqlSafe(first))
            .fetch_one(&mut *transaction)
            .await
            .expect("the table has rows");
        let stamps =
            format!("SELECT CAST(SUM(UNIX_TIMESTAMP(last_update)) AS SIGNED) FROM {name} WHERE {key} = {first}");
        let mut seen = Vec::new();
        for sign in ["+", "-"] {
            let stamps: i64 = sqlx::query_scalar(AssertSqlSafe(stamps.as_str()))
                .fetch_one(&mut *transaction)
                .await
                .expect("the table has rows");
            seen.push(stamps);
            let sql =
                format!("UPDATE {name} SET last_update = last_update {sign} INTERVAL 1 SECOND WHERE {key} = {first}");
            let updated = sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await;
            assert!(updated.expect("the account may change the source").rows_affected() > 0);
        }
        let after: i64 = sqlx::query_scalar(AssertSqlSafe(stamps))
            .fetch_one(&mut *transaction)
            .await
            .expect("the table has rows");
        assert!(seen[0] < seen[1] && seen[0] == after, "{name} was not put back");
        transaction.commit().await.expect("the account may change the source");
    }
}

/// Makes 1% of the rentals end a day later, and 1% of the payments cost a cent more. With [`Which::Spread`], `round`
/// selects the rows.
pub async fn change(pool: &MySqlPool, which: Which, round: usize) -> Changed {
    Changed {
        rentals: change_table(pool, &RENTAL, which, round).await,
        payments: change_table(pool, &PAYMENT, which, round).await,
    }
}

/// A table, and the change to its rows.
struct ChangedTable {
    table: &'static str,
    key: &'static str,
    set: &'static str,
}

const RENTAL: ChangedTable = ChangedTable {
    table: "rental",
    key: "rental_id",
    set: "return_date = COALESCE(return_date, rental_date) + INTERVAL 1 DAY",
};
const PAYMENT: ChangedTable = ChangedTable {
    table: "payment",
    key: "payment_id",
    set: "amount = amount + 0.01",
};

async fn change_table(pool: &MySqlPool, changed: &ChangedTable, which: Which, round: usize) -> u64 {
    let ChangedTable { table, key, set } = changed;
    let rows = match which {
        Which::Spread => format!("{key} % 100 = {}", round % 100),
        Which::Newest => {
            let hundredth = format!("SELECT COUNT(*) DIV 100 FROM {table}");
            let hundredth: i64 = sqlx::query_scalar(AssertSqlSafe(hundredth))
                .fetch_one(pool)
                .await
                .expect("the source can be read");
            let first =
                format!("SELECT CAST({key} AS SIGNED) FROM {table} ORDER BY {key} DESC LIMIT 1 OFFSET {hundredth}");
            let row = sqlx::query(AssertSqlSafe(first)).fetch_one(pool).await;
            format!("{key} > {}", row.expect("the source can be read").get::<i64, _>(0))
        }
    };
    let sql = format!("UPDATE {table} SET {set} WHERE {rows}");
    let updated = sqlx::query(AssertSqlSafe(sql)).execute(pool).await;
    updated.expect("the account may change the source").rows_affected()
}

/// Creates the indexes that `init` advised. Returns the statements that drop them.
pub async fn take_advice(pool: &MySqlPool, init: &Value) -> Vec<String> {
    let advice = init["missing_indexes"].as_array().into_iter().flatten();
    let mut drops = Vec::new();
    for create in advice.filter_map(|advice| advice["statement"].as_str()) {
        execute(pool, create).await;
        let (index, _) = create.split_once(" (").expect("the columns come last");
        drops.push(index.replacen("CREATE", "DROP", 1));
    }
    assert!(!drops.is_empty(), "init has advised no index");
    drops
}

pub async fn execute(pool: &MySqlPool, sql: &str) {
    let executed = sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await;
    executed.expect("the account may change the source");
}
