//! The step that creates the star's tables, as their entities describe them. Once a program is released, a step is frozen:
//! then it says itself what it creates, and a change is a step of its own.

use sea_orm_migration::MigrationTrait;
use star_sync::declare::CreateTables;

use crate::entities::{dim_country, dim_department, dim_employee, fact_assignment, fact_full_time, fact_grade};

/// The star's steps, oldest first. Those of the engine's own tables come before them by themselves.
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
