//! What the sync remembers: watermarks, the history of runs, rows that could not be loaded.

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
                    .table("sync_state")
                    .col(string("source_table").primary_key())
                    .col(string_null("last_updated"))
                    .col(string_null("observed_at"))
                    .col(string_null("update_time"))
                    .col(big_integer_null("row_count"))
                    .col(big_integer_null("highest_key"))
                    .col(string_null("load_marker"))
                    .col(big_integer_null("loaded_upto"))
                    .col(big_integer_null("target_rows"))
                    .col(string_null("signature_seen"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("sync_run")
                    .col(big_pk_auto("id"))
                    .col(string("command"))
                    .col(string("started"))
                    .col(string_null("finished"))
                    .col(string("status"))
                    .col(big_integer("rows_read"))
                    .col(big_integer("rows_inserted"))
                    .col(big_integer("rows_updated"))
                    .col(big_integer("rows_deleted"))
                    .col(big_integer("rows_rejected"))
                    .col(string("source_identity"))
                    .col(string_null("source_clock"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("sync_watermark")
                    .col(string("source_table"))
                    .col(big_integer("run_id"))
                    .col(string("last_updated"))
                    .primary_key(Index::create().col("source_table").col("run_id"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("sync_reject")
                    .col(string("source_table"))
                    .col(big_integer("page_key"))
                    .col(string("key"))
                    .col(string("code"))
                    .col(string("reason"))
                    .col(big_integer("run_id"))
                    .col(string_null("missing_parent"))
                    .col(big_integer_null("surrogate_key"))
                    .primary_key(Index::create().col("source_table").col("page_key").col("key"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["sync_reject", "sync_watermark", "sync_run", "sync_state"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
