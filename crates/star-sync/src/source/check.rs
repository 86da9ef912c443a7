//! Checks the source against the entities: every table and column, its type, and the privilege to read it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::try_join_all;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};

use crate::declare::source_table::SourceTable;
use crate::declare::star::Star;
use crate::error::{Doing, Error, Result};
use crate::source::Source;

/// Fails before any row is read, listing every mistake of the declaration and every missing or retyped table and
/// column. Returns the data types of the columns that are read, by `table.column`.
pub async fn columns(source: &Source, star: &Star) -> Result<BTreeMap<String, String>> {
    star.check()?;
    let unsupported = unsupported(source, &star.sources).await?;
    if !unsupported.is_empty() {
        return Err(Error::SourceUnsupported { problems: unsupported });
    }
    let found = found_columns(source).await?;
    let mut problems: Vec<String> = Vec::new();
    let mut read = BTreeMap::new();
    for table in &star.sources {
        let Some(columns) = found.get(table.name) else {
            let other = found.keys().find(|name| name.eq_ignore_ascii_case(table.name));
            problems.push(match other {
                Some(other) => format!(
                    "table {} is missing; this server has {other}: declare the table in this spelling",
                    table.name
                ),
                None => format!(
                    "table {} is missing, or this account has no privilege on it",
                    table.name
                ),
            });
            continue;
        };
        for column in &table.columns {
            match columns.get(&column.name.to_lowercase()) {
                None => problems.push(format!(
                    "column {}.{} is missing, or this account has no privilege on it",
                    table.name, column.name
                )),
                Some(FoundColumn { data_type, .. }) if !column.family.accepts(data_type) => problems.push(format!(
                    "column {}.{} is {data_type}, not {}",
                    table.name,
                    column.name,
                    column.family.expectation()
                )),
                Some(found) => {
                    let full_type = found.full_type();
                    read.insert(format!("{}.{}", table.name, column.name), full_type);
                }
            }
        }
        if let Some(key) = table.key
            && columns.get(&key.to_lowercase()).is_some_and(|key| key.is_nullable)
            && has_row_without_key(source, table.name, key).await?
        {
            problems.push(format!(
                "{}.{key} contains NULL; a key column must be NOT NULL",
                table.name
            ));
        }
    }
    if problems.is_empty() {
        Ok(read)
    } else {
        Err(Error::SourceUnfit {
            schema: star.names.source,
            problems,
        })
    }
}

/// All columns of the tables that are read, including columns that are not read, as `table.column`.
pub async fn table_columns(source: &Source, star: &Star) -> Result<BTreeSet<String>> {
    let found = found_columns(source).await?;
    let columns = star.sources.iter().flat_map(|table| {
        let columns = found.get(table.name).into_iter().flat_map(HashMap::keys);
        columns.map(|column| format!("{}.{column}", table.name))
    });
    Ok(columns.collect())
}

/// The tables that a snapshot does not cover; every run needs a snapshot.
async fn unsupported(source: &Source, tables: &[SourceTable]) -> Result<Vec<String>> {
    let engines = source.engines().await?;
    let declared = tables
        .iter()
        .filter_map(|table| Some((table.name, engines.get(table.name)?)));
    Ok(declared
        .filter(|(_, engine)| !engine.eq_ignore_ascii_case(SNAPSHOT_ENGINE))
        .map(|(table, engine)| format!("table {table} uses the storage engine {engine}; it must use InnoDB"))
        .collect())
}

/// The storage engine whose tables a snapshot covers.
const SNAPSHOT_ENGINE: &str = "InnoDB";

/// Fails if the account lacks the privilege to read one of the columns.
pub async fn privileges(source: &Source, tables: &[SourceTable]) -> Result<()> {
    let reader = source.reader();
    let asked = tables.iter().map(async |table| {
        let select = Query::select()
            .columns(table.columns.iter().map(|column| column.name))
            .from(table.name)
            .limit(1)
            .to_owned();
        let row = reader.one(&select).await;
        row.source(|| format!("reading a row of {}", table.name))
    });
    try_join_all(asked).await.map(drop)
}

async fn has_row_without_key(source: &Source, table: &str, key: &'static str) -> Result<bool> {
    let select = Query::select()
        .column(key)
        .from(Alias::new(table))
        .and_where(Expr::col(key).is_null())
        .limit(1)
        .to_owned();
    let row = source.reader().one(&select).await;
    Ok(row
        .source(|| format!("searching {table} for rows without a key"))?
        .is_some())
}

/// A column as found in the source.
pub(super) struct FoundColumn {
    data_type: String,
    /// For a number: all digits, and those after the decimal point.
    digits: Option<(i64, i64)>,
    /// For a time: digits of fractional seconds.
    fraction_digits: Option<i64>,
    is_nullable: bool,
}

impl FoundColumn {
    /// In lower case, with the digits of a DECIMAL and those of fractional seconds.
    fn full_type(&self) -> String {
        let data_type = self.data_type.to_ascii_lowercase();
        match (data_type.as_str(), self.digits, self.fraction_digits) {
            ("decimal", Some((precision, scale)), _) => format!("decimal({precision},{scale})"),
            ("datetime" | "timestamp", _, Some(digits @ 1..)) => format!("{data_type}({digits})"),
            _ => data_type,
        }
    }
}

/// Table, column, data type, precision and scale of a number, precision of a time, and whether it may be NULL.
type FoundRow = (String, String, String, Option<i64>, Option<i64>, Option<i64>, String);

/// Columns by table and name in lower case, as far as the account may see them. The server ignores case in column
/// names; in table names it may not.
pub(super) type FoundColumns = HashMap<String, HashMap<String, FoundColumn>>;

/// The columns of the schema, read once.
async fn found_columns(source: &Source) -> Result<&FoundColumns> {
    source.columns.get_or_try_init(|| read_columns(source)).await
}

async fn read_columns(source: &Source) -> Result<FoundColumns> {
    let doing = || "reading information_schema.COLUMNS".to_owned();
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let select = Query::select()
        .expr(column("TABLE_NAME"))
        .expr(column("COLUMN_NAME"))
        .expr(column("DATA_TYPE").cast_as("CHAR"))
        .expr(column("NUMERIC_PRECISION").cast_as("SIGNED"))
        .expr(column("NUMERIC_SCALE").cast_as("SIGNED"))
        .expr(column("DATETIME_PRECISION").cast_as("SIGNED"))
        .expr(column("IS_NULLABLE").cast_as("CHAR"))
        .from((Alias::new("information_schema"), Alias::new("COLUMNS")))
        .and_where(column("TABLE_SCHEMA").eq(&source.server.schema))
        .to_owned();
    let mut tables = FoundColumns::new();
    for row in source.reader().all(&select).await.source(doing)? {
        let (table, column, data_type, precision, scale, fraction_digits, nullable): FoundRow =
            row.try_get_many_by_index().source(doing)?;
        let found = FoundColumn {
            data_type,
            digits: precision.zip(scale),
            fraction_digits,
            is_nullable: nullable.eq_ignore_ascii_case("yes"),
        };
        tables.entry(table).or_default().insert(column.to_lowercase(), found);
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_type_has_the_digits_that_change_its_values() {
        let full_type = |data_type: &str, digits, fraction_digits| {
            let found = FoundColumn {
                data_type: data_type.to_owned(),
                digits,
                fraction_digits,
                is_nullable: false,
            };
            found.full_type()
        };
        assert_eq!(full_type("decimal", Some((5, 2)), None), "decimal(5,2)");
        assert_eq!(full_type("int", Some((10, 0)), None), "int");
        assert_eq!(full_type("datetime", None, Some(6)), "datetime(6)");
        assert_eq!(full_type("timestamp", None, Some(0)), "timestamp");
    }
}
