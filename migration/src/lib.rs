//! The target's schema, one dated file a step.
//!
//! A released step is frozen: databases in the field were made by it. That is why nothing here imports the
//! entities of the main crate; a test there finds the migrated schema equal to what the entities describe.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{MigratorTrait, seaql_migrations};

mod m20261123_000001_create_star;
mod m20261123_000002_create_sync_tables;
mod m20261123_000003_create_views;
mod m20261123_000004_tell_what_holds_markers_back;
mod m20261123_000005_remember_the_source;
mod m20261125_000006_prove_key_ranges;
mod m20261125_000007_note_the_run_of_each_row;
mod m20261125_000008_merge_idle_runs;

/// Runs the steps in order, each in a transaction, so that an interrupted `init` can be run again. SeaORM keeps the
/// list of applied ones in `seaql_migrations`.
///
/// A step that adds a table or a column which a load has to fill sets `observed_at` of every row of `sync_state` to NULL:
/// then nothing but a full load, which fills it, is accepted.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_create_star::Migration),
            Box::new(m20261123_000002_create_sync_tables::Migration),
            Box::new(m20261123_000003_create_views::Migration),
            Box::new(m20261123_000004_tell_what_holds_markers_back::Migration),
            Box::new(m20261123_000005_remember_the_source::Migration),
            Box::new(m20261125_000006_prove_key_ranges::Migration),
            Box::new(m20261125_000007_note_the_run_of_each_row::Migration),
            Box::new(m20261125_000008_merge_idle_runs::Migration),
        ]
    }
}
