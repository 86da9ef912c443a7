//! Creating and dropping the seeded tables.

use sea_orm::sea_query::{Alias, ColumnDef, Expr, ExprTrait, ForeignKey, Func, Index, Query, Table};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};

use super::sql;
use super::table::SeedTable;
use crate::error::{Doing, Result};

/// The table that `probe` creates and drops.
pub const PROBE: &str = "sakila_sync_probe";

/// The name of the connection's schema.
pub async fn name(connection: &impl ConnectionTrait) -> Result<String> {
    let doing = || "reading the name of the schema".to_owned();
    let select = Query::select().expr(Func::cust("DATABASE")).to_owned();
    let row = connection.query_one(&select).await.seed(doing)?;
    let name: Option<String> = row.map_or(Ok(None), |row| row.try_get_by_index(0)).seed(doing)?;
    Ok(name.unwrap_or_default())
}

/// The names of all tables and views in the schema.
pub async fn table_names(database: &DatabaseConnection) -> Result<Vec<String>> {
    let doing = || "listing the tables".to_owned();
    // With DATABASE() in place of the name, MariaDB opens every table of every schema.
    let select = Query::select()
        .column("TABLE_NAME")
        .from((Alias::new("information_schema"), Alias::new("TABLES")))
        .and_where(Expr::col("TABLE_SCHEMA").eq(name(database).await?))
        .to_owned();
    let rows = database.query_all(&select).await.seed(doing)?;
    rows.iter().map(|row| row.try_get_by_index(0).seed(doing)).collect()
}

/// Tests the account's privileges on a small table. Indexes and foreign keys are only created after all rows are
/// written, which is too late to find that a privilege is missing.
pub async fn probe(database: &DatabaseConnection) -> Result<()> {
    let doing = || "testing the privileges of the account".to_owned();
    let create = Table::create()
        .table(PROBE)
        .col(ColumnDef::new("id").integer().not_null().primary_key())
        .col(ColumnDef::new("parent").integer())
        .take();
    database.execute(&create).await.seed(doing)?;
    let index = Index::create().name("parent").table(PROBE).col("parent").take();
    let reference = ForeignKey::create().from(PROBE, "parent").to(PROBE, "id").take();
    let indexed = database.execute(&index).await.seed(doing);
    let referred = database.execute(&reference).await.seed(doing);
    database.execute(&Table::drop().table(PROBE).take()).await.seed(doing)?;
    indexed?;
    referred?;
    Ok(())
}

/// Creates the tables with their primary keys only.
pub async fn create(database: &DatabaseConnection, tables: &[impl AsRef<SeedTable>]) -> Result<()> {
    for table in tables {
        let table = table.as_ref();
        database
            .execute(&table.create)
            .await
            .seed(|| format!("creating {}", table.name))?;
    }
    Ok(())
}

/// Adds the foreign keys. The rows are not checked: they are generated to satisfy them.
pub async fn add_foreign_keys(database: &DatabaseConnection, tables: &[impl AsRef<SeedTable>]) -> Result<()> {
    let backend = database.get_database_backend();
    let statements = tables.iter().map(AsRef::as_ref).flat_map(|table| {
        let doing = format!("adding the foreign keys of {}", table.name);
        let keys = table.foreign_keys.iter();
        keys.map(move |key| (doing.clone(), backend.build(key)))
    });
    unchecked(database, statements.collect()).await
}

/// Drops tables in the given order, even if other tables refer to them.
pub async fn drop(database: &DatabaseConnection, names: &[String]) -> Result<()> {
    let backend = database.get_database_backend();
    let statements = names.iter().map(|name| {
        let statement = backend.build(&Table::drop().table(Alias::new(name)).take());
        (format!("dropping {name}"), statement)
    });
    unchecked(database, statements.collect()).await
}

/// Executes statements without foreign-key checks; each has a description for errors.
async fn unchecked(database: &DatabaseConnection, statements: Vec<(String, Statement)>) -> Result<()> {
    // The transaction keeps the session on one connection. Statements that change tables commit implicitly.
    let session = database.begin().await.seed(|| "beginning".to_owned())?;
    let switching = || "switching foreign-key checks".to_owned();
    session
        .execute_unprepared(sql::FOREIGN_KEY_CHECKS_OFF)
        .await
        .seed(switching)?;
    for (doing, statement) in statements {
        session.execute_raw(statement).await.seed(|| doing)?;
    }
    session
        .execute_unprepared(sql::FOREIGN_KEY_CHECKS_ON)
        .await
        .seed(switching)?;
    session.commit().await.seed(|| "committing".to_owned())
}
