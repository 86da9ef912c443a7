//! Which columns an index of the source begins with: one on a marker finds what changed, one on a fact's date the rows
//! of the days that a run has touched. Sakila has none of the first kind, and without one all rows are gone through.
//! The source is not ours to alter, so what would help is only told.

use std::collections::HashSet;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};

use crate::engine::source_db::reader::SourceReader;
use crate::error::{Doing, Result};

/// The columns that an index of the schema begins with, as table and column.
pub async fn leading_columns(source: &SourceReader, schema: &str) -> Result<HashSet<(String, String)>> {
    let doing = || "reading information_schema.STATISTICS".to_owned();
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let select = Query::select()
        .distinct()
        .expr(column("TABLE_NAME"))
        .expr(column("COLUMN_NAME"))
        .from((Alias::new("information_schema"), Alias::new("STATISTICS")))
        .and_where(column("TABLE_SCHEMA").eq(schema))
        .and_where(column("SEQ_IN_INDEX").eq(1))
        .to_owned();
    let rows = source.all(&select).await.source(doing)?;
    rows.iter()
        .map(|row| {
            let (table, column): (String, String) = row.try_get_many_by_index().source(doing)?;
            Ok((table, column.to_lowercase()))
        })
        .collect()
}

/// The statement that makes such an index.
pub fn advice(schema: &str, table: &str, column: &str) -> String {
    format!("CREATE INDEX idx_{table}_{column} ON `{schema}`.`{table}` ({column});")
}
