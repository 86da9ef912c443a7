//! Whether the source is what the entities describe: every table and column, its type, and the right to read it.

use std::collections::HashMap;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::source::Source;
use super::source_table::SourceTable;
use crate::error::{Doing, Error, Result};

/// Fails with every missing or retyped table and column by name, before any row is read.
pub async fn check(source: &Source, tables: &[SourceTable]) -> Result<()> {
    let found = columns(&source.pool).await?;
    let mut problems = Vec::new();
    for table in tables {
        let Some(columns) = found.get(table.name) else {
            problems.push(format!("table {} is missing, or hidden from this account", table.name));
            continue;
        };
        for column in &table.columns {
            match columns.get(column.name) {
                None => problems.push(format!("column {}.{} is missing", table.name, column.name)),
                Some(found) if !column.family.accepts(found) => problems.push(format!(
                    "column {}.{} is {found}, not {}",
                    table.name,
                    column.name,
                    column.family.expectation()
                )),
                Some(_) => {}
            }
        }
    }
    if !problems.is_empty() {
        return Err(Error::SourceUnfit { problems });
    }
    for table in tables {
        let select = Query::select()
            .columns(table.columns.iter().map(|column| column.name))
            .from(table.name)
            .limit(1)
            .to_owned();
        source
            .pool
            .query_one(&select)
            .await
            .source(|| format!("reading a row of {}", table.name))?;
    }
    Ok(())
}

/// Data types by table and column, as far as the account may see them.
async fn columns(connection: &DatabaseConnection) -> Result<HashMap<String, HashMap<String, String>>> {
    let doing = || "reading information_schema.COLUMNS".to_owned();
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let select = Query::select()
        .expr(column("TABLE_NAME"))
        .expr(column("COLUMN_NAME"))
        .expr(column("DATA_TYPE").cast_as("CHAR"))
        .from((Alias::new("information_schema"), Alias::new("COLUMNS")))
        .and_where(column("TABLE_SCHEMA").eq(Func::cust("DATABASE")))
        .to_owned();
    let mut tables: HashMap<String, HashMap<String, String>> = HashMap::new();
    for row in connection.query_all(&select).await.source(doing)? {
        let (table, column, data_type): (String, String, String) = row.try_get_many_by_index().source(doing)?;
        tables.entry(table).or_default().insert(column, data_type);
    }
    Ok(tables)
}
