//! The migration that creates the star's tables from their entities. After a release it must not change: it must then
//! list its columns itself, and each change is a new migration.

use sea_orm_migration::MigrationTrait;
use star_sync::declare::CreateTables;

use crate::entities::{dim_country, dim_department, dim_employee, fact_assignment, fact_full_time, fact_grade};

/// The star's migrations, oldest first. The engine runs those of its own tables before them.
pub fn steps() -> Vec<Box<dyn MigrationTrait>> {
    let create_star = CreateTables::new("m20261128_000001_create_star")
        .table(dim_country::Entity)
        .table(dim_department::Entity)
        .table(dim_employee::Entity)
        .table(fact_assignment::Entity)
        .table(fact_full_time::Entity)
        .table(fact_grade::Entity);
    vec![Box::new(create_star)]
}
