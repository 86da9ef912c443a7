//! Counts and sums that must be equal in source and star, by SQL that is independent of the program's validation.

use std::path::Path;

use rusqlite::Connection;
use sqlx::{MySqlPool, Row};

const OF_SOURCE: &str = "\
    SELECT rentals.number, rentals.days, rentals.staff, payments.number, payments.cents FROM \
    (SELECT COUNT(*) AS number, CAST(COALESCE(SUM(DATEDIFF(return_date, rental_date)), 0) AS SIGNED) AS days, \
            CAST(SUM(staff_id) AS SIGNED) AS staff FROM rental) AS rentals, \
    (SELECT COUNT(*) AS number, CAST(SUM(amount) * 100 AS SIGNED) AS cents FROM payment) AS payments";
const OF_STAR: &str = "\
    SELECT rentals.number, rentals.days, rentals.staff, payments.number, payments.cents FROM \
    (SELECT COUNT(*) AS number, COALESCE(SUM(rental_duration_days), 0) AS days, SUM(staff_id) AS staff \
     FROM fact_rental) AS rentals, \
    (SELECT COUNT(*) AS number, SUM(CAST(ROUND(amount * 100) AS INTEGER)) AS cents FROM fact_payment) AS payments";

/// Counts and sums of both facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub rentals: i64,
    /// The total duration of all rentals.
    pub days: i64,
    /// The sum of the staff members' keys.
    pub staff: i64,
    pub payments: i64,
    /// The sum of all payments.
    pub cents: i64,
}

impl Figures {
    pub async fn of_source(pool: &MySqlPool) -> Self {
        let row = sqlx::query(OF_SOURCE).fetch_one(pool).await.expect("it is a Sakila");
        Self {
            rentals: row.get(0),
            days: row.get(1),
            staff: row.get(2),
            payments: row.get(3),
            cents: row.get(4),
        }
    }

    pub fn of_star(path: &Path) -> Self {
        let star = Connection::open(path).expect("the star can be opened");
        let figures = star.query_row(OF_STAR, [], |row| {
            Ok(Self {
                rentals: row.get(0)?,
                days: row.get(1)?,
                staff: row.get(2)?,
                payments: row.get(3)?,
                cents: row.get(4)?,
            })
        });
        figures.expect("the star is loaded")
    }

    /// Rows of both facts.
    pub fn rows(&self) -> i64 {
        self.rentals + self.payments
    }
}

/// Runs a query on the star that returns one number.
pub fn number(star: &Path, sql: &str) -> i64 {
    let connection = Connection::open(star).expect("the star can be opened");
    let number = connection.query_row(sql, [], |row| row.get(0));
    number.expect("the star can be read")
}
