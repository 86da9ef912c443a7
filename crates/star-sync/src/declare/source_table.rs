//! A source table as a value: its name, the key its changed rows are named by, and the columns that are read.

use sea_orm::sea_query::{Asterisk, ColumnType, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, EntityTrait, IdenStatic, Iterable};

/// Every source table has its time of last change in this column.
pub const MARKER_COLUMN: &str = "last_update";

/// One table of the source, made from its entity.
pub struct SourceTable {
    pub name: &'static str,
    /// The integer column that changed rows are named by.
    pub key: &'static str,
    pub columns: Vec<SourceColumn>,
}

/// A column that is read, and what it has to be.
pub struct SourceColumn {
    pub name: &'static str,
    pub family: Family,
}

/// Types that decode alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Integer,
    Text,
    Decimal,
    DateTime,
    Timestamp,
    /// A declared type that cannot be decoded. No column fits it, so the check of the schema names it.
    Unsupported,
}

impl SourceTable {
    pub fn of<E: EntityTrait>(key: E::Column) -> Self {
        Self {
            name: E::default().table_name().to_owned().leak(),
            key: key.as_str(),
            columns: E::Column::iter()
                .map(|column| SourceColumn {
                    name: column.as_str(),
                    family: Family::of(column.def().get_column_type()),
                })
                .collect(),
        }
    }

    /// (key, last_update) of the rows that changed after `marker`; rows without a time of change always count.
    pub fn changed_since(&self, marker: Option<chrono::DateTime<chrono::Utc>>) -> SelectStatement {
        Query::select()
            .column(self.key)
            .column(MARKER_COLUMN)
            .from(self.name)
            .cond_where(marker.map_or_else(Condition::all, |marker| {
                Condition::any()
                    .add(Expr::col(MARKER_COLUMN).gt(marker))
                    .add(Expr::col(MARKER_COLUMN).is_null())
            }))
            .to_owned()
    }

    /// How many rows there are, how many of them have a time of change, and the newest of these: one scan, and as short
    /// as one can be.
    pub fn scan(&self) -> SelectStatement {
        Query::select()
            .expr(Expr::col(Asterisk).count())
            .expr(Expr::col(MARKER_COLUMN).count())
            .expr(Expr::col(MARKER_COLUMN).max())
            .from(self.name)
            .to_owned()
    }

    /// The highest key, which its index tells.
    pub fn highest_key(&self) -> SelectStatement {
        Query::select()
            .expr(Expr::col(self.key).max())
            .from(self.name)
            .to_owned()
    }
}

impl Family {
    fn of(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::String(_) | ColumnType::Text => Family::Text,
            ColumnType::Decimal(_) => Family::Decimal,
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

    /// Whether a column of this type, as `information_schema` names it, decodes.
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
        assert_eq!(Family::of(&ColumnType::BigInteger), Family::Integer);
        for column_type in [ColumnType::Json, ColumnType::Date, ColumnType::Double, ColumnType::Blob] {
            let family = Family::of(&column_type);
            for data_type in ["int", "json", "date", "double", "blob"] {
                assert!(!family.accepts(data_type), "{column_type:?} accepts {data_type}");
            }
        }
    }
}
