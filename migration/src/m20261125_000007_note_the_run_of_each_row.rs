//! Which run last wrote a row. 0 stands for a run before there was a place for it.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: [&str; 8] = [
    "dim_film",
    "dim_actor",
    "dim_category",
    "dim_store",
    "dim_staff",
    "dim_customer",
    "fact_rental",
    "fact_payment",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager
                .alter_table(
                    Table::alter()
                        .table(table)
                        .add_column(big_integer("run_id").default(0))
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }
}
