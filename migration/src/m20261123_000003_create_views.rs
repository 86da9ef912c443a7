//! Views for those who only want answers.
//!
//! SQL text: SeaORM has no way to say CREATE VIEW. Amounts are summed in whole cents and shown in units,
//! because a SUM over REAL drifts.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, select) in VIEWS {
            // Once the first view is there: see the main crate's `failpoint`.
            if name != VIEWS[0].0 {
                fail::fail_point!("in-a-migration", |_| std::process::abort());
            }
            manager
                .get_connection()
                .execute_unprepared(&format!("CREATE VIEW {name} AS {select}"))
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in VIEWS.iter().rev() {
            manager
                .get_connection()
                .execute_unprepared(&format!("DROP VIEW {name}"))
                .await?;
        }
        Ok(())
    }
}

const VIEWS: [(&str, &str); 5] = [
    (
        "revenue_by_store_and_month",
        "SELECT s.store_id, s.city, s.country, d.year, d.month, COUNT(*) AS payments, \
                SUM(CAST(ROUND(p.amount * 100) AS INTEGER)) / 100.0 AS revenue \
         FROM fact_payment p \
         JOIN dim_store s ON s.store_key = p.store_key \
         JOIN dim_date d ON d.date_key = p.date_key_paid \
         GROUP BY s.store_key, d.year, d.month",
    ),
    (
        "rentals_by_film_category",
        "SELECT c.name AS category, COUNT(*) AS rentals, \
                SUM(r.date_key_returned IS NULL) AS open_rentals, \
                AVG(r.rental_duration_days) AS average_duration_days \
         FROM fact_rental r \
         JOIN bridge_film_category b ON b.film_key = r.film_key \
         JOIN dim_category c ON c.category_key = b.category_key \
         GROUP BY c.category_key",
    ),
    (
        "rentals_by_day",
        "SELECT d.date, s.store_id, COUNT(*) AS rentals \
         FROM fact_rental r \
         JOIN dim_date d ON d.date_key = r.date_key_rented \
         JOIN dim_store s ON s.store_key = r.store_key \
         GROUP BY d.date_key, s.store_key",
    ),
    (
        "open_rentals",
        "SELECT r.rental_id, d.date AS rented, f.title, s.store_id, \
                c.customer_id, c.first_name, c.last_name \
         FROM fact_rental r \
         JOIN dim_date d ON d.date_key = r.date_key_rented \
         JOIN dim_film f ON f.film_key = r.film_key \
         JOIN dim_store s ON s.store_key = r.store_key \
         JOIN dim_customer c ON c.customer_key = r.customer_key \
         WHERE r.date_key_returned IS NULL",
    ),
    (
        "freshness",
        "SELECT source_table, last_updated AS marker, observed_at AS last_synced FROM sync_state",
    ),
];
