//! The step that creates the star's tables, as their entities describe them. Once a program is released, a step is frozen:
//! then it says itself what it creates, and a change is a step of its own.

use sea_orm_migration::MigrationTrait;
use star_sync::declare::{CreateTables, dim_date};

use crate::star::{bridge_playlist_track, dim_customer, dim_employee, dim_playlist, dim_track, fact_invoice_line};

/// The star's steps, oldest first. Those of the engine's own tables come before them by themselves.
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
