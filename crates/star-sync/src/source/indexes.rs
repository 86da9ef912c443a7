//! The indexes of the source: one on a change timestamp finds changed rows, one on a fact's date finds the rows of the
//! days that a run has touched. Many schemas lack the first kind, and without it all rows are scanned. The source is
//! never altered, so missing indexes are only reported.

use std::collections::HashSet;

use sea_orm::sea_query::extension::mysql::{IndexHintScope, MySqlSelectStatementExt};
use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Query, SelectStatement};

use crate::declare::source_table::SourceTable;
use crate::error::{Doing, Result};
use crate::source::reader::SourceReader;

/// The name of every primary key's index.
const PRIMARY: &str = "PRIMARY";

/// The indexes of a schema.
pub struct Indexes {
    /// The leading column of each index, as table and column.
    leading: HashSet<(String, String)>,
    /// The tables whose rows are counted along the primary key.
    counted_by_key: HashSet<String>,
}

impl Indexes {
    /// Reads the indexes from `information_schema`.
    ///
    /// By default the server counts rows along the shortest index, on one core; MySQL 8.0 before 8.0.37 used the
    /// primary key. Along the primary key MySQL uses several cores and takes a third to a half as long
    /// (docs/performance.md); MariaDB cannot do that.
    pub(super) async fn read(source: &SourceReader, schema: &str, is_mariadb: bool) -> Result<Self> {
        let doing = || "reading information_schema.STATISTICS".to_owned();
        let column = |name: &'static str| Expr::col(Alias::new(name));
        let select = Query::select()
            .expr(column("TABLE_NAME"))
            .expr(column("COLUMN_NAME"))
            .expr(column("INDEX_NAME"))
            .from((Alias::new("information_schema"), Alias::new("STATISTICS")))
            .and_where(column("TABLE_SCHEMA").eq(schema))
            .and_where(column("SEQ_IN_INDEX").eq(1))
            .to_owned();
        let mut indexes = Self {
            leading: HashSet::new(),
            counted_by_key: HashSet::new(),
        };
        for row in source.all(&select).await.source(doing)? {
            // An index on an expression has no leading column.
            let (table, column, index): (String, Option<String>, String) = row.try_get_many_by_index().source(doing)?;
            if index == PRIMARY && !is_mariadb {
                indexes.counted_by_key.insert(table.clone());
            }
            let leading = column.map(|column| (table, column.to_lowercase()));
            indexes.leading.extend(leading);
        }
        Ok(indexes)
    }

    /// Whether an index begins with this column.
    pub fn begin_with(&self, table: &str, column: &str) -> bool {
        self.leading.contains(&(table.to_owned(), column.to_lowercase()))
    }

    /// Whether an index begins with the change timestamp.
    pub(crate) fn begin_with_change_timestamp(&self, table: &SourceTable) -> bool {
        table
            .change_timestamp
            .is_some_and(|column| self.begin_with(table.name, column))
    }

    /// Counts all rows of a table.
    pub(crate) fn count(&self, table: &'static str) -> SelectStatement {
        let mut select = Query::select();
        select.expr(Expr::col(Asterisk).count()).from(table);
        if self.counted_by_key.contains(table) {
            select.force_index(PRIMARY, IndexHintScope::All);
        }
        select
    }
}

/// The statement that creates such an index.
pub fn advice(schema: &str, table: &str, column: &str) -> String {
    format!("CREATE INDEX idx_{table}_{column} ON `{schema}`.`{table}` ({column});")
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::MysqlQueryBuilder;

    use super::*;

    #[test]
    fn what_has_a_primary_key_is_counted_along_it() {
        let indexes = Indexes {
            leading: HashSet::new(),
            counted_by_key: HashSet::from(["loan".to_owned()]),
        };
        let count = |table| indexes.count(table).to_string(MysqlQueryBuilder);
        assert_eq!(count("loan"), "SELECT COUNT(*) FROM `loan` FORCE INDEX (`PRIMARY`)");
        assert_eq!(count("a_view"), "SELECT COUNT(*) FROM `a_view`");
    }
}
