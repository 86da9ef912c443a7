//! Creates the bookkeeping tables: the state of each source table, the history of runs with the watermarks that each
//! reached, the last success of each command, verified key ranges, digests of rows that are only looked up, quarantined
//! rows, the source identity, changed partitions, and lakes.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// An interrupted `init` can be run again.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables().into_iter().chain(tables_of_lakes()) {
            manager.create_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

const TABLES: [&str; 11] = [
    "sync_state",
    "sync_target_table",
    "sync_run",
    "sync_watermark",
    "sync_success",
    "sync_verification",
    "sync_source_rows",
    "sync_reject",
    "sync_source",
    "sync_partition",
    "sync_publication",
];

fn tables() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("sync_state")
            .col(string("source_table").primary_key())
            .col(date_time_null("last_updated"))
            .col(date_time_null("last_synced"))
            .col(date_time_null("newest_change"))
            .col(string_null("limited_by"))
            .col(date_time_null("load_watermark"))
            .col(big_integer_null("modified_run"))
            .col(big_integer_null("verified_run"))
            .col(big_integer_null("rows_scanned"))
            .col(big_integer_null("row_count"))
            .col(big_integer_null("highest_key"))
            .col(string_null("settled_signature"))
            .col(string_null("last_signature"))
            .to_owned(),
        Table::create()
            .table("sync_target_table")
            .col(string("target_table").primary_key())
            .col(big_integer_null("loaded_up_to"))
            .col(big_integer_null("row_count"))
            .to_owned(),
        Table::create()
            .table("sync_run")
            .col(big_pk_auto("id"))
            .col(string("command"))
            .col(date_time("started"))
            .col(date_time_null("finished"))
            .col(string("status"))
            .col(big_integer("rows_read"))
            .col(big_integer("rows_inserted"))
            .col(big_integer("rows_updated"))
            .col(big_integer("rows_deleted"))
            .col(big_integer("rows_rejected"))
            .col(string("source_identity"))
            .col(date_time_null("source_clock"))
            .col(big_integer("rows_verified_by_digest"))
            .col(big_integer_null("bytes_received"))
            .to_owned(),
        Table::create()
            .table("sync_watermark")
            .col(string("source_table"))
            .col(big_integer("run_id"))
            .col(date_time("last_updated"))
            .primary_key(Index::create().col("source_table").col("run_id"))
            .to_owned(),
        Table::create()
            .table("sync_success")
            .col(string("command").primary_key())
            .col(date_time("finished"))
            .col(big_integer("run_id"))
            .to_owned(),
        Table::create()
            .table("sync_verification")
            .col(string("target_table"))
            .col(big_integer("up_to"))
            .col(big_integer_null("verified_run"))
            .col(date_time_null("verified_at"))
            .col(string_null("digest"))
            .primary_key(Index::create().col("target_table").col("up_to"))
            .to_owned(),
        Table::create()
            .table("sync_source_rows")
            .col(string("source_table"))
            .col(big_integer("up_to"))
            .col(string("digest"))
            .col(blob("row_digests"))
            .primary_key(Index::create().col("source_table").col("up_to"))
            .to_owned(),
        Table::create()
            .table("sync_reject")
            .col(string("target_table"))
            .col(string("source_table"))
            .col(big_integer("page_key"))
            .col(string("key"))
            .col(string("code"))
            .col(string("reason"))
            .col(big_integer("run_id"))
            .col(string_null("missing_parent"))
            .col(big_integer_null("surrogate_key"))
            .primary_key(Index::create().col("target_table").col("page_key").col("key"))
            .to_owned(),
        Table::create()
            .table("sync_source")
            .col(integer("id").primary_key())
            .col(string("server"))
            .col(string("schema"))
            .col(string("columns"))
            .col(big_integer("digest_seed"))
            .col(string_null("table_columns"))
            .to_owned(),
    ]
}

/// Tables for publications to lakes.
fn tables_of_lakes() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("sync_partition")
            .col(string("target_table"))
            .col(integer("partition"))
            .col(big_integer("last_run"))
            .primary_key(Index::create().col("target_table").col("partition"))
            .to_owned(),
        Table::create()
            .table("sync_publication")
            .col(string("lake").primary_key())
            .col(string("writer"))
            .col(big_integer_null("run_id"))
            .col(date_time_null("published"))
            .to_owned(),
    ]
}
