//! Which key ranges of which table were last compared with the source row by row, and when. Filled by the next run.

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
                    .table("sync_proof")
                    .col(string("target_table"))
                    .col(big_integer("upto"))
                    .col(big_integer_null("proven_run"))
                    .col(string_null("proven_at"))
                    .primary_key(Index::create().col("target_table").col("upto"))
                    .to_owned(),
            )
            .await?;
        // SQLite adds one column a statement.
        for column in [big_integer_null("moved_run"), big_integer_null("rows_scanned")] {
            manager
                .alter_table(Table::alter().table("sync_state").add_column(column).to_owned())
                .await?;
        }
        Ok(())
    }
}
