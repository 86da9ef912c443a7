//! Migrations that create the star's tables and views, one dated file each. The engine adds its own migration, which
//! runs first.
//!
//! A released migration must not change, because existing databases were created by it. Therefore nothing here imports
//! the entities of the main crate; a test there checks that the migrated schema matches the entities.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{MigratorTrait, seaql_migrations};

mod m20261128_000002_create_star;
mod m20261128_000003_create_views;

/// Runs the migrations in order, each in a transaction, so that an interrupted `init` can be run again. SeaORM records
/// the applied ones in `seaql_migrations`.
///
/// A migration that adds a table or column to be loaded must set `last_synced` of every row of `sync_state` to NULL:
/// then only a full load, which fills it, is accepted.
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
