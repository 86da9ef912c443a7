//! Beside each marker, what keeps it from the newest change that was seen. Filled by the next run.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = string_null("held_back_by");
        manager
            .alter_table(Table::alter().table("sync_state").add_column(column).to_owned())
            .await
    }
}
