//! The step that creates the star's tables, as their entities describe them. Once a program is released, a step is frozen:
//! then it says itself what it creates, and a change is a step of its own.

use sea_orm::{DbBackend, Schema};
use sea_orm_migration::prelude::*;

use crate::entities::{dim_country, dim_department, dim_employee, fact_assignment, fact_full_time, fact_grade};

/// The star's steps, oldest first. Those of the engine's own tables come before them by themselves.
pub fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(CreateStar)]
}

struct CreateStar;

impl MigrationName for CreateStar {
    fn name(&self) -> &'static str {
        "m20261128_000001_create_star"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateStar {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let schema = Schema::new(DbBackend::Sqlite);
        manager
            .create_table(schema.create_table_from_entity(dim_country::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(dim_department::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(dim_employee::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(fact_assignment::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(fact_full_time::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(fact_grade::Entity))
            .await?;
        // The unique indexes over the natural keys of several columns.
        for index in [
            schema.create_index_from_entity(fact_assignment::Entity),
            schema.create_index_from_entity(fact_full_time::Entity),
            schema.create_index_from_entity(fact_grade::Entity),
        ]
        .concat()
        {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
