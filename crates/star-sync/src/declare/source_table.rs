//! A source table as a value: its name, the key that identifies its changed rows, and the columns that are read.

use crate::declare::table::WHOLE_TABLE;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Asterisk, ColumnType, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, EntityTrait, IdenStatic, Iterable};

/// A table of the source, made from its entity. The entity lists only the columns that are read.
///
/// List every table that a record reads or joins, or that a lookup reads, in [`Star::new`](crate::declare::Star::new).
pub struct SourceTable {
    pub name: &'static str,
    /// The integer column that identifies changed rows. Without one it is only known that the table has changed.
    pub key: Option<&'static str>,
    /// The TIMESTAMP that is set when a row is inserted or updated. Without one, all rows count as changed whenever the
    /// table was modified.
    pub change_timestamp: Option<&'static str>,
    pub columns: Vec<SourceColumn>,
}

/// A column that is read, and its required type.
pub struct SourceColumn {
    pub name: &'static str,
    pub family: Family,
}

/// Column types that are decoded in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Integer,
    Text,
    Decimal,
    Date,
    DateTime,
    Timestamp,
    /// A declared type that cannot be decoded. No column matches it, so the check of the schema names it.
    Unsupported,
}

impl SourceTable {
    /// A table whose changed rows are identified by this integer column: its primary key, or the first column of it.
    pub fn of<E: EntityTrait>(key: E::Column) -> Self {
        Self {
            key: Some(key.as_str()),
            ..Self::read_whole::<E>()
        }
    }

    /// A table without an integer key, for example with a text code as its key. It has to be small, because it is read
    /// completely whenever it has changed.
    pub fn read_whole<E: EntityTrait>() -> Self {
        Self {
            name: E::default().table_name().to_owned().leak(),
            key: None,
            change_timestamp: None,
            columns: E::Column::iter()
                .map(|column| SourceColumn {
                    name: column.as_str(),
                    family: Family::from_column_type(column.def().get_column_type()),
                })
                .collect(),
        }
    }

    /// Declares the change timestamp: a TIMESTAMP that every INSERT and UPDATE sets (`ON UPDATE CURRENT_TIMESTAMP`). Do
    /// not declare a column that only some writers set: the changes of the others would not be detected by it.
    #[must_use]
    pub fn changed_at<C: ColumnTrait>(mut self, column: C) -> Self {
        self.change_timestamp = Some(column.as_str());
        self
    }

    /// The expression that identifies a changed row.
    fn key_or_whole(&self) -> Expr {
        self.key.map_or_else(|| Expr::val(WHOLE_TABLE), Expr::col)
    }

    /// The change timestamp of a row; NULL if there is none.
    pub(crate) fn change_time(&self) -> Expr {
        self.change_timestamp
            .map_or_else(|| Expr::val(None::<String>), |column| Expr::col((self.name, column)))
    }

    /// Selects key and change timestamp of the rows that changed after `watermark`, including rows without a timestamp.
    pub(crate) fn changed_since(&self, watermark: Option<DateTime<Utc>>) -> SelectStatement {
        let newer = watermark.zip(self.change_timestamp).map(|(watermark, _)| {
            let time = self.change_time();
            Condition::any().add(time.clone().gt(watermark)).add(time.is_null())
        });
        Query::select()
            .expr(self.key_or_whole())
            .expr(self.change_time())
            .from(self.name)
            .cond_where(newer.unwrap_or_else(Condition::all))
            .to_owned()
    }

    /// Selects the newest change timestamp.
    pub(crate) fn newest_change(&self) -> SelectStatement {
        Query::select()
            .expr(self.change_time().max())
            .from(self.name)
            .to_owned()
    }

    /// The number of rows, the number of change timestamps and the newest of them, in one scan that is as short as
    /// possible.
    pub fn scan(&self) -> SelectStatement {
        Query::select()
            .expr(Expr::col(Asterisk).count())
            .expr(self.change_time().count())
            .expr(self.change_time().max())
            .from(self.name)
            .to_owned()
    }

    /// The highest key; the server finds it in the index.
    pub fn highest_key(&self) -> SelectStatement {
        Query::select()
            .expr(self.key_or_whole().max())
            .from(self.name)
            .to_owned()
    }
}

impl Family {
    pub(crate) fn from_column_type(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::Char(_) | ColumnType::String(_) | ColumnType::Text | ColumnType::Enum { .. } => Family::Text,
            ColumnType::Decimal(_) => Family::Decimal,
            ColumnType::Date => Family::Date,
            ColumnType::DateTime => Family::DateTime,
            ColumnType::Timestamp | ColumnType::TimestampWithTimeZone => Family::Timestamp,
            ColumnType::TinyInteger
            | ColumnType::SmallInteger
            | ColumnType::Integer
            | ColumnType::BigInteger
            | ColumnType::TinyUnsigned
            | ColumnType::SmallUnsigned
            | ColumnType::Unsigned
            | ColumnType::BigUnsigned
            | ColumnType::Year
            | ColumnType::Boolean => Family::Integer,
            _ => Family::Unsupported,
        }
    }

    /// Whether a column of this type, as named in `information_schema`, can be decoded.
    pub fn accepts(self, data_type: &str) -> bool {
        let accepted: &[&str] = match self {
            Family::Integer => &["tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"],
            Family::Text => &[
                "char",
                "varchar",
                "enum",
                "set",
                "tinytext",
                "text",
                "mediumtext",
                "longtext",
            ],
            Family::Decimal => &["decimal"],
            Family::Date => &["date"],
            Family::DateTime => &["datetime"],
            Family::Timestamp => &["timestamp"],
            Family::Unsupported => &[],
        };
        accepted.contains(&data_type.to_ascii_lowercase().as_str())
    }

    pub fn expectation(self) -> &'static str {
        match self {
            Family::Integer => "an integer",
            Family::Text => "a text",
            Family::Decimal => "a DECIMAL",
            Family::Date => "a DATE",
            Family::DateTime => "a DATETIME",
            Family::Timestamp => "a TIMESTAMP",
            Family::Unsupported => "of the declared type, which cannot be read",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_that_cannot_be_decoded_fits_no_column() {
        assert_eq!(Family::from_column_type(&ColumnType::BigInteger), Family::Integer);
        for column_type in [ColumnType::Json, ColumnType::Time, ColumnType::Double, ColumnType::Blob] {
            let family = Family::from_column_type(&column_type);
            for data_type in ["int", "json", "time", "double", "blob"] {
                assert!(!family.accepts(data_type), "{column_type:?} accepts {data_type}");
            }
        }
    }

    #[test]
    fn without_a_change_timestamp_all_rows_count_as_changed() {
        use crate::test_star::{book, loan};
        let watermark = chrono::NaiveDate::from_ymd_opt(2026, 1, 2).and_then(|day| day.and_hms_opt(3, 4, 5));
        let sql = |table: &SourceTable| {
            let changed = table.changed_since(watermark.map(|time| time.and_utc()));
            changed.to_string(sea_orm::sea_query::MysqlQueryBuilder)
        };
        let without = SourceTable::of::<book::Entity>(book::Column::BookId);
        assert_eq!(sql(&without), "SELECT `book_id`, NULL FROM `book` WHERE TRUE");
        let with = SourceTable::of::<loan::Entity>(loan::Column::LoanId).changed_at(loan::Column::LoanId);
        assert_eq!(
            sql(&with),
            "SELECT `loan_id`, `loan`.`loan_id` FROM `loan` \
             WHERE `loan`.`loan_id` > '2026-01-02 03:04:05.000000 +00:00' OR `loan`.`loan_id` IS NULL"
        );
    }
}
