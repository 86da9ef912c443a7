//! What `information_schema.TABLES` reports of each table: its times of change and creation, its estimated rows.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};

use crate::error::{Doing, Result};
use crate::source::answer;

/// The last word of a signature of a table without rows.
pub(crate) const EMPTY: &str = "empty";
/// The last word of a signature of a table with rows.
pub(crate) const NOT_EMPTY: &str = "rows";

/// When a table was last changed and when it was created, by `information_schema`. Both have whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableTimes {
    pub(super) updated: Option<NaiveDateTime>,
    pub(super) created: Option<NaiveDateTime>,
    /// By the server's estimate. MariaDB's TRUNCATE moves neither time.
    is_empty: bool,
}

impl TableTimes {
    /// The text that later runs compare with; `None` if the server reports no time of the last change.
    pub(super) fn signature(self) -> Option<String> {
        let created = self.created.map(|time| time.to_string()).unwrap_or_default();
        let rows = if self.is_empty { EMPTY } else { NOT_EMPTY };
        self.updated
            .map(|updated| format!("updated {updated}, created {created}, {rows}"))
    }
}

/// Selects these columns for each table of a schema, after its name. The schema is given as a value: with DATABASE() in
/// its place MariaDB opens every table of every schema.
pub(super) fn of_each_table(schema: &str, what: impl IntoIterator<Item = Expr>) -> SelectStatement {
    Query::select()
        .expr(Expr::col("TABLE_NAME"))
        .exprs(what)
        .from((Alias::new("information_schema"), Alias::new("TABLES")))
        .and_where(Expr::col("TABLE_SCHEMA").eq(schema))
        .to_owned()
}

pub(super) fn estimated_rows() -> Expr {
    // As a signed number: in a UNION an unsigned one is a DECIMAL to MariaDB.
    Expr::col("TABLE_ROWS").cast_as("SIGNED")
}

/// Reads the times of all tables of a schema.
pub(super) async fn table_times(
    connection: &impl ConnectionTrait,
    schema: &str,
) -> Result<HashMap<String, TableTimes>> {
    let doing = || "reading information_schema.TABLES".to_owned();
    let time = |name: &'static str| Expr::col(name).cast_as("DATETIME");
    let select = of_each_table(schema, [time("UPDATE_TIME"), time("CREATE_TIME"), estimated_rows()]);
    let rows = answer::all(connection, &select).await.source(doing)?;
    rows.iter()
        .map(|row| {
            let (table, updated, created, rows): (String, Option<NaiveDateTime>, Option<NaiveDateTime>, Option<i64>) =
                row.try_get_many_by_index().source(doing)?;
            let times = TableTimes {
                updated,
                created,
                is_empty: rows == Some(0),
            };
            Ok((table, times))
        })
        .collect()
}
