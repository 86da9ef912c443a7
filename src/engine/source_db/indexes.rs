//! Which tables have an index that serves the markers. Sakila has none: every look for changes goes through the whole
//! table. The source is not ours to alter, so what would help is only told.

use std::collections::HashSet;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};

use crate::engine::declaration::source_table::MARKER_COLUMN;
use crate::engine::source_db::Source;
use crate::error::{Doing, Result};

/// The tables of the schema with an index that begins with the marker's column.
pub async fn on_marker(source: &Source) -> Result<HashSet<String>> {
    let doing = || "reading information_schema.STATISTICS".to_owned();
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let select = Query::select()
        .distinct()
        .expr(column("TABLE_NAME"))
        .from((Alias::new("information_schema"), Alias::new("STATISTICS")))
        .and_where(column("TABLE_SCHEMA").eq(&source.server.schema))
        .and_where(column("COLUMN_NAME").eq(MARKER_COLUMN))
        .and_where(column("SEQ_IN_INDEX").eq(1))
        .to_owned();
    let rows = source.pool.query_all(&select).await.source(doing)?;
    rows.iter().map(|row| row.try_get_by_index(0).source(doing)).collect()
}

/// The statement that makes such an index.
pub fn advice(schema: &str, table: &str) -> String {
    format!("CREATE INDEX idx_{table}_{MARKER_COLUMN} ON `{schema}`.`{table}` ({MARKER_COLUMN});")
}
