//! Measures the source's server: equivalent queries in plain SQL, and the bytes that it sends.

use std::time::Instant;

use sakila_sync::sakila;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, MySqlPool, Row};

use super::figures::Figures;

/// Rentals by day and store of the rented item.
const RENTALS: &str = "\
    SELECT DATE(rental_date), inventory.store_id, COUNT(*), CAST(0 AS SIGNED) \
    FROM rental JOIN inventory USING (inventory_id) \
    GROUP BY DATE(rental_date), inventory.store_id";
/// Payments by day and store of the rented item; without an item, of the staff member.
const PAYMENTS: &str = "\
    SELECT DATE(payment_date), COALESCE(inventory.store_id, staff.store_id), COUNT(*), CAST(SUM(amount) * 100 AS SIGNED) \
    FROM payment JOIN staff USING (staff_id) \
    LEFT JOIN rental ON rental.rental_id = payment.rental_id \
    LEFT JOIN inventory ON inventory.inventory_id = rental.inventory_id \
    GROUP BY DATE(payment_date), COALESCE(inventory.store_id, staff.store_id)";

/// Seconds that the server takes to join both facts and sum them by day and store.
pub async fn totals(pool: &MySqlPool, facts: &Figures) -> f64 {
    let began = Instant::now();
    let rentals = all(pool, RENTALS).await;
    let payments = all(pool, PAYMENTS).await;
    let seconds = began.elapsed().as_secs_f64();
    let sum = |rows: &[MySqlRow], column: usize| rows.iter().map(|row| row.get::<i64, _>(column)).sum::<i64>();
    assert_eq!(sum(&rentals, 2), facts.rentals);
    assert_eq!((sum(&payments, 2), sum(&payments, 3)), (facts.payments, facts.cents));
    seconds
}

/// Seconds that the server takes to scan every source table once.
pub async fn scan(pool: &MySqlPool) -> f64 {
    let began = Instant::now();
    for table in &sakila::star().sources {
        let rows = all(pool, &format!("SELECT COUNT(*), MAX(last_update) FROM {}", table.name)).await;
        assert!(rows[0].get::<i64, _>(0) > 0, "{} is empty", table.name);
    }
    began.elapsed().as_secs_f64()
}

/// Bytes that the server has sent to all clients since it was started.
pub async fn bytes_sent(pool: &MySqlPool) -> u64 {
    let rows = all(pool, "SHOW GLOBAL STATUS LIKE 'Bytes_sent'").await;
    let bytes: String = rows[0].get(1);
    bytes.parse().expect("it is a number")
}

/// Seconds that the server takes to count both facts: by the index that it chooses, or by the primary key.
pub async fn count(pool: &MySqlPool, facts: &Figures, is_along_primary_key: bool) -> f64 {
    let hint = if is_along_primary_key {
        "FORCE INDEX (PRIMARY)"
    } else {
        ""
    };
    let began = Instant::now();
    for (table, rows) in [("rental", facts.rentals), ("payment", facts.payments)] {
        let counted = all(pool, &format!("SELECT COUNT(*) FROM {table} {hint}")).await;
        assert_eq!(counted[0].get::<i64, _>(0), rows);
    }
    began.elapsed().as_secs_f64()
}

async fn all(pool: &MySqlPool, sql: &str) -> Vec<MySqlRow> {
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(pool).await;
    rows.expect("the source can be read")
}
