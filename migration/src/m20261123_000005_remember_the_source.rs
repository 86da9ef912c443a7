//! Which source the star was made from. Filled by the next load.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("sync_source")
                    .col(integer("id").primary_key())
                    .col(string("server"))
                    .col(string("schema"))
                    .col(string("columns"))
                    .to_owned(),
            )
            .await
    }
}
