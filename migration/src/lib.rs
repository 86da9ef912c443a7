//! The star's tables and views, one dated file per step. The engine's own migration runs first; the engine adds it.
//!
//! A released step is frozen: databases in the field were made by it. That is why nothing here imports the
//! entities of the main crate; a test there finds the migrated schema equal to what the entities describe.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{MigratorTrait, seaql_migrations};

mod m20261128_000002_create_star;
mod m20261128_000003_create_views;

/// Runs the steps in order, each in a transaction, so that an interrupted `init` can be run again. SeaORM keeps the
/// list of applied ones in `seaql_migrations`.
///
/// A step that adds a table or a column which a load has to fill sets `last_synced` of every row of `sync_state` to NULL:
/// then nothing but a full load, which fills it, is accepted.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261128_000002_create_star::Migration),
            Box::new(m20261128_000003_create_views::Migration),
        ]
    }
}
