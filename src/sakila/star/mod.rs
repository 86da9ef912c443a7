//! The star: one file per target table, each with its entity, its mapping from source rows and its declaration.
//!
//! ARCHITECTURE.md, "Add a table", lists what a new table needs.

#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "every mapping takes a record and may reject it"
)]

use chrono::{DateTime, Utc};

use star_sync::declare::{Integer, Rejection, Table};

pub mod bridge_film_actor;
pub mod bridge_film_category;
pub mod dim_actor;
pub mod dim_category;
pub mod dim_customer;
pub mod dim_film;
pub mod dim_staff;
pub mod dim_store;
pub mod fact_payment;
pub mod fact_rental;

/// The target tables that are loaded. Their order is derived from their lookups and references.
pub fn tables() -> Vec<Table> {
    vec![
        dim_film::table(),
        dim_actor::table(),
        dim_category::table(),
        dim_store::table(),
        dim_staff::table(),
        dim_customer::table(),
        bridge_film_actor::table(),
        bridge_film_category::table(),
        fact_rental::table(),
        fact_payment::table(),
    ]
}

/// The rejection of a row whose address, city or country is missing.
fn missing_address(Integer(address_id): Integer) -> Rejection {
    let reason = format!("address, city or country of address {address_id} does not exist");
    Rejection::missing_joined("address", reason)
}

/// Formats a timestamp as the dimensions store it: `YYYY-MM-DD HH:MM:SS` in UTC.
fn timestamp_text(timestamp: DateTime<Utc>) -> String {
    timestamp.format("%Y-%m-%d %H:%M:%S").to_string()
}
