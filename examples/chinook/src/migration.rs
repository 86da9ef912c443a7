//! The step that creates the star's tables, as their entities describe them. Once a program is released, a step is frozen:
//! then it says itself what it creates, and a change is a step of its own.

use sea_orm::{DbBackend, Schema};
use sea_orm_migration::prelude::*;
use star_sync::declare::dim_date;

use crate::star::{bridge_playlist_track, dim_customer, dim_employee, dim_playlist, dim_track, fact_invoice_line};

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
            .create_table(schema.create_table_from_entity(dim_date::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(dim_customer::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(dim_employee::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(dim_playlist::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(dim_track::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(bridge_playlist_track::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(fact_invoice_line::Entity))
            .await
    }
}
