//! Which columns an index of the source begins with: one on a marker finds what changed, one on a fact's date the rows
//! of the days that a run has touched. Sakila has none of the first kind, and without one all rows are gone through.
//! The source is not ours to alter, so what would help is only told.

use std::collections::HashSet;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};

use crate::engine::source_db::Source;
use crate::error::{Doing, Result};

/// The tables of the schema with an index that begins with `column`.
pub async fn on_column(source: &Source, name: &str) -> Result<HashSet<String>> {
    let doing = || "reading information_schema.STATISTICS".to_owned();
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let select = Query::select()
        .distinct()
        .expr(column("TABLE_NAME"))
        .from((Alias::new("information_schema"), Alias::new("STATISTICS")))
        .and_where(column("TABLE_SCHEMA").eq(&source.server.schema))
        .and_where(column("COLUMN_NAME").eq(name))
        .and_where(column("SEQ_IN_INDEX").eq(1))
        .to_owned();
    let rows = source.pool.query_all(&select).await.source(doing)?;
    rows.iter().map(|row| row.try_get_by_index(0).source(doing)).collect()
}

/// The statement that makes such an index.
pub fn advice(schema: &str, table: &str, column: &str) -> String {
    format!("CREATE INDEX idx_{table}_{column} ON `{schema}`.`{table}` ({column});")
}
