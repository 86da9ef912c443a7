//! Views for analysts: the facts with names and dates joined, and the answers to common questions. `docs/schema.md`
//! describes every column.
//!
//! They are SQL text, because SeaORM cannot build CREATE VIEW. Amounts are summed in whole cents and shown in units,
//! because a SUM over REAL accumulates rounding errors. No view except `freshness` reads a table of the sync; in copies
//! of the star, `freshness` is a table.

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
            // After the first view: tests abort the migration here (`failpoint` of the engine).
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

/// Ordered so that each view comes after the views that it reads.
const VIEWS: [(&str, &str); 9] = [
    ("freshness", FRESHNESS),
    ("rentals", RENTALS),
    ("payments", PAYMENTS),
    ("revenue_by_store_and_month", REVENUE_BY_STORE_AND_MONTH),
    ("revenue_by_film_category", REVENUE_BY_FILM_CATEGORY),
    ("rentals_by_film_category", RENTALS_BY_FILM_CATEGORY),
    ("rentals_by_day", RENTALS_BY_DAY),
    ("open_rentals", OPEN_RENTALS),
    ("late_returns", LATE_RETURNS),
];

const FRESHNESS: &str = "SELECT source_table, last_updated AS watermark, last_synced FROM sync_state";

/// Staff members are joined by the source's key, and may be missing.
const RENTALS: &str = "SELECT r.rental_id, rented.date AS rented, returned.date AS returned, \
            r.rental_duration_days AS duration_days, f.allowed_days, \
            f.film_id, f.title, f.rating, f.language, \
            s.store_id, s.city AS store_city, s.country AS store_country, \
            c.customer_id, c.first_name AS customer_first_name, c.last_name AS customer_last_name, \
            c.city AS customer_city, c.country AS customer_country, \
            r.staff_id, t.first_name AS staff_first_name, t.last_name AS staff_last_name \
     FROM fact_rental r \
     JOIN dim_date rented ON rented.date_key = r.date_key_rented \
     LEFT JOIN dim_date returned ON returned.date_key = r.date_key_returned \
     JOIN dim_film f ON f.film_key = r.film_key \
     JOIN dim_store s ON s.store_key = r.store_key \
     JOIN dim_customer c ON c.customer_key = r.customer_key \
     LEFT JOIN dim_staff t ON t.staff_id = r.staff_id";

const PAYMENTS: &str = "SELECT p.payment_id, paid.date AS paid, p.amount, \
            CAST(ROUND(p.amount * 100) AS INTEGER) AS amount_cents, p.rental_id, \
            f.film_id, f.title, f.rating, f.language, \
            s.store_id, s.city AS store_city, s.country AS store_country, \
            c.customer_id, c.first_name AS customer_first_name, c.last_name AS customer_last_name, \
            c.city AS customer_city, c.country AS customer_country, \
            p.staff_id, t.first_name AS staff_first_name, t.last_name AS staff_last_name \
     FROM fact_payment p \
     JOIN dim_date paid ON paid.date_key = p.date_key_paid \
     LEFT JOIN dim_film f ON f.film_key = p.film_key \
     JOIN dim_store s ON s.store_key = p.store_key \
     JOIN dim_customer c ON c.customer_key = p.customer_key \
     LEFT JOIN dim_staff t ON t.staff_id = p.staff_id";

const REVENUE_BY_STORE_AND_MONTH: &str = "SELECT s.store_id, s.city, s.country, d.year, d.month, \
            COUNT(*) AS payments, \
            SUM(CAST(ROUND(p.amount * 100) AS INTEGER)) / 100.0 AS revenue, \
            SUM(CAST(ROUND(p.amount * 100) AS INTEGER)) AS revenue_cents \
     FROM fact_payment p \
     JOIN dim_store s ON s.store_key = p.store_key \
     JOIN dim_date d ON d.date_key = p.date_key_paid \
     GROUP BY s.store_key, d.year, d.month";

/// A payment counts in each category of its film; without a film or a category, it counts under NULL.
const REVENUE_BY_FILM_CATEGORY: &str = "SELECT c.name AS category, COUNT(*) AS payments, \
            SUM(CAST(ROUND(p.amount * 100) AS INTEGER)) / 100.0 AS revenue, \
            SUM(CAST(ROUND(p.amount * 100) AS INTEGER)) AS revenue_cents \
     FROM fact_payment p \
     LEFT JOIN bridge_film_category b ON b.film_key = p.film_key \
     LEFT JOIN dim_category c ON c.category_key = b.category_key \
     GROUP BY c.category_key";

/// A rental counts in each category of its film; without a category, it counts under NULL.
const RENTALS_BY_FILM_CATEGORY: &str = "SELECT c.name AS category, COUNT(*) AS rentals, \
            SUM(r.date_key_returned IS NULL) AS open_rentals, \
            AVG(r.rental_duration_days) AS average_duration_days \
     FROM fact_rental r \
     LEFT JOIN bridge_film_category b ON b.film_key = r.film_key \
     LEFT JOIN dim_category c ON c.category_key = b.category_key \
     GROUP BY c.category_key";

const RENTALS_BY_DAY: &str = "SELECT d.date, s.store_id, COUNT(*) AS rentals \
     FROM fact_rental r \
     JOIN dim_date d ON d.date_key = r.date_key_rented \
     JOIN dim_store s ON s.store_key = r.store_key \
     GROUP BY d.date_key, s.store_key";

const OPEN_RENTALS: &str = "SELECT r.rental_id, d.date AS rented, f.title, s.store_id, \
            c.customer_id, c.first_name, c.last_name \
     FROM fact_rental r \
     JOIN dim_date d ON d.date_key = r.date_key_rented \
     JOIN dim_film f ON f.film_key = r.film_key \
     JOIN dim_store s ON s.store_key = r.store_key \
     JOIN dim_customer c ON c.customer_key = r.customer_key \
     WHERE r.date_key_returned IS NULL";

/// Today is the source's date at the last sync, so that the same file gives the same answer on any machine and day.
const LATE_RETURNS: &str = "SELECT rental_id, rented, date(rented, '+' || allowed_days || ' days') AS due, returned, \
            duration_days - allowed_days AS days_late, title, store_id, customer_id, first_name, last_name \
     FROM (SELECT r.rental_id, rented.date AS rented, returned.date AS returned, f.allowed_days, f.title, s.store_id, \
                  c.customer_id, c.first_name, c.last_name, \
                  COALESCE(r.rental_duration_days, CAST(julianday(( \
                      SELECT date(last_synced) FROM freshness WHERE source_table = 'rental' \
                  )) - julianday(rented.date) AS INTEGER)) AS duration_days \
           FROM fact_rental r \
           JOIN dim_date rented ON rented.date_key = r.date_key_rented \
           LEFT JOIN dim_date returned ON returned.date_key = r.date_key_returned \
           JOIN dim_film f ON f.film_key = r.film_key \
           JOIN dim_store s ON s.store_key = r.store_key \
           JOIN dim_customer c ON c.customer_key = r.customer_key) \
     WHERE duration_days > allowed_days";
