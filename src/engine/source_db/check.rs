//! Whether the source is what the entities describe: every table and column, its type, and the right to read it.

use std::collections::{BTreeMap, HashMap};

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};

use crate::engine::declaration::source_table::SourceTable;
use crate::engine::source_db::Source;
use crate::error::{Doing, Error, Result};

/// Fails with every missing or retyped table and column by name, before any row is read. Returns the data types of
/// the columns that are read, by `table.column`.
pub async fn columns(source: &Source, tables: &[SourceTable]) -> Result<BTreeMap<String, String>> {
    let found = data_types(source).await?;
    let mut problems = Vec::new();
    let mut read = BTreeMap::new();
    if is_too_old(&source.server.version, source.server.is_mariadb) {
        problems.push(format!(
            "server version {} is older than MySQL 8.0 or MariaDB 10.6",
            source.server.version
        ));
    }
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
                Some(found) => {
                    read.insert(format!("{}.{}", table.name, column.name), found.clone());
                }
            }
        }
    }
    if problems.is_empty() {
        Ok(read)
    } else {
        Err(Error::SourceUnfit { problems })
    }
}

/// Fails if the account may not read one of the columns.
pub async fn privileges(source: &Source, tables: &[SourceTable]) -> Result<()> {
    for table in tables {
        let select = Query::select()
            .columns(table.columns.iter().map(|column| column.name))
            .from(table.name)
            .limit(1)
            .to_owned();
        source
            .reader()
            .one(&select)
            .await
            .source(|| format!("reading a row of {}", table.name))?;
    }
    Ok(())
}

/// Data types by table and column, as far as the account may see them.
async fn data_types(source: &Source) -> Result<HashMap<String, HashMap<String, String>>> {
    let doing = || "reading information_schema.COLUMNS".to_owned();
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let select = Query::select()
        .expr(column("TABLE_NAME"))
        .expr(column("COLUMN_NAME"))
        .expr(column("DATA_TYPE").cast_as("CHAR"))
        .from((Alias::new("information_schema"), Alias::new("COLUMNS")))
        .and_where(column("TABLE_SCHEMA").eq(&source.server.schema))
        .to_owned();
    let mut tables: HashMap<String, HashMap<String, String>> = HashMap::new();
    for row in source.reader().all(&select).await.source(doing)? {
        let (table, column, data_type): (String, String, String) = row.try_get_many_by_index().source(doing)?;
        tables.entry(table).or_default().insert(column, data_type);
    }
    Ok(tables)
}

/// Whether the version is known to be older than what is supported. One that cannot be read is let through.
fn is_too_old(version: &str, is_mariadb: bool) -> bool {
    // MariaDB may put 5.5.5- before its own version, for replicas that know no better.
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if is_mariadb => (major, minor) < (10, 6),
        (Some(Ok(major)), _) => major < 8,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_older_than_what_is_tested_are_told_apart() {
        assert!(is_too_old("5.7.44-log", false));
        assert!(!is_too_old("8.0.36", false));
        assert!(!is_too_old("9.7.4-2", false));
        assert!(is_too_old("10.5.23-MariaDB", true));
        assert!(!is_too_old("5.5.5-10.6.12-MariaDB-log", true));
        assert!(!is_too_old("11.8.2-MariaDB", true));
    }
}
