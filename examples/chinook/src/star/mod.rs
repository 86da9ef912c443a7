//! The star: one file per table, each with its entity, the source columns that it reads, and the mapping between them.

#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "every mapping takes a record and may reject it"
)]

pub mod bridge_playlist_track;
pub mod dim_customer;
pub mod dim_employee;
pub mod dim_playlist;
pub mod dim_track;
pub mod fact_invoice_line;

use star_sync::declare::Table;

/// All tables except the calendar. Their load order is derived from their lookups.
pub fn tables() -> Vec<Table> {
    vec![
        dim_customer::table(),
        dim_employee::table(),
        dim_playlist::table(),
        dim_track::table(),
        bridge_playlist_track::table(),
        fact_invoice_line::table(),
    ]
}
