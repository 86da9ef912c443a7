//! The migration that creates the star's tables from their entities. After a release it must not change: it must then
//! list its columns itself, and each change is a new migration.

use sea_orm_migration::MigrationTrait;
use star_sync::declare::{CreateTables, dim_date};

use crate::star::{bridge_playlist_track, dim_customer, dim_employee, dim_playlist, dim_track, fact_invoice_line};

/// The star's migrations, oldest first. The engine runs those of its own tables before them.
pub fn steps() -> Vec<Box<dyn MigrationTrait>> {
    let create_star = CreateTables::new("m20261128_000001_create_star")
        .table(dim_date::Entity)
        .table(dim_customer::Entity)
        .table(dim_employee::Entity)
        .table(dim_playlist::Entity)
        .table(dim_track::Entity)
        .table(bridge_playlist_track::Entity)
        .table(fact_invoice_line::Entity);
    vec![Box::new(create_star)]
}
