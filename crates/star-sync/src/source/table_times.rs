//! Reads what `information_schema.TABLES` reports of each table: its times of change and creation, its estimated rows.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
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
    /// By the server's estimate. Always false on MySQL, whose estimate may be 0 until some seconds after rows were
    /// inserted. MariaDB's TRUNCATE changes neither time; MySQL's clears the first one.
    is_empty: bool,
}

impl TableTimes {
    fn new(
        updated: Option<NaiveDateTime>,
        created: Option<NaiveDateTime>,
        estimated_rows: Option<i64>,
        is_mariadb: bool,
    ) -> Self {
        Self {
            updated,
            created,
            is_empty: is_mariadb && estimated_rows == Some(0),
        }
    }

    /// The text that later runs compare; `None` if the server reports no time of the last change.
    pub(super) fn signature(self) -> Option<String> {
        let created = self.created.map(|time| time.to_string()).unwrap_or_default();
        let rows = if self.is_empty { EMPTY } else { NOT_EMPTY };
        self.updated
            .map(|updated| format!("updated {updated}, created {created}, {rows}"))
    }
}

/// The time of the last change in a signature.
pub(crate) fn update_time_of(signature: &str) -> Option<DateTime<Utc>> {
    let (updated, _) = signature.strip_prefix("updated ")?.split_once(", ")?;
    let updated = NaiveDateTime::parse_from_str(updated, "%Y-%m-%d %H:%M:%S%.f");
    updated.ok().map(|updated| updated.and_utc())
}

/// Selects `what` for each table of a schema, after its name. The schema is given as a value: with DATABASE() MariaDB
/// would open every table of every schema.
pub(super) fn of_each_table(schema: &str, what: impl IntoIterator<Item = Expr>) -> SelectStatement {
    Query::select()
        .expr(Expr::col("TABLE_NAME"))
        .exprs(what)
        .from((Alias::new("information_schema"), Alias::new("TABLES")))
        .and_where(Expr::col("TABLE_SCHEMA").eq(schema))
        .to_owned()
}

pub(super) fn estimated_rows() -> Expr {
    // Signed, because in a UNION MariaDB turns an unsigned number into a DECIMAL.
    Expr::col("TABLE_ROWS").cast_as("SIGNED")
}

/// Reads the times of all tables of a schema.
pub(super) async fn table_times(
    connection: &impl ConnectionTrait,
    schema: &str,
    is_mariadb: bool,
) -> Result<HashMap<String, TableTimes>> {
    let doing = || "reading information_schema.TABLES".to_owned();
    let time = |name: &'static str| Expr::col(name).cast_as("DATETIME");
    let select = of_each_table(schema, [time("UPDATE_TIME"), time("CREATE_TIME"), estimated_rows()]);
    let rows = answer::all(connection, &select).await.source(doing)?;
    rows.iter()
        .map(|row| {
            let (table, updated, created, rows): (String, Option<NaiveDateTime>, Option<NaiveDateTime>, Option<i64>) =
                row.try_get_many_by_index().source(doing)?;
            Ok((table, TableTimes::new(updated, created, rows, is_mariadb)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_last_change_is_read_back_from_a_signature() {
        let updated = "2026-11-29T12:32:55".parse().unwrap();
        for created in [None, Some("2026-01-02T03:04:05".parse().unwrap())] {
            let signature = TableTimes::new(Some(updated), created, None, true).signature().unwrap();
            assert_eq!(update_time_of(&signature), Some(updated.and_utc()), "{signature}");
        }
        assert_eq!(update_time_of("of another form"), None);
    }

    #[test]
    fn an_estimate_of_no_rows_counts_on_mariadb_alone() {
        let updated = "2026-11-29T12:32:55".parse().unwrap();
        let signature =
            |rows, is_mariadb| TableTimes::new(Some(updated), Some(updated), Some(rows), is_mariadb).signature();
        assert_ne!(signature(0, true), signature(5, true));
        assert_eq!(signature(0, false), signature(5, false));
    }
}
