//! An integer of the source, of any column type from TINYINT to BIGINT UNSIGNED.
//!
//! Key columns have any type from TINYINT to BIGINT, signed or unsigned. The driver decodes unsigned columns only to
//! unsigned integers, and signed ones only to signed integers; `Decoding` takes the signedness from the column's type.

use std::sync::Arc;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, RuntimeErr, TryFromU64, TryGetError, TryGetable, Value};
use sqlx::{Row, ValueRef};

use crate::declare::cell::{Cell, Decoding, FromCell};

/// An integer of the source, of any width and signedness. A value beyond `i64::MAX` cannot be read: its row is
/// quarantined. Entities and records of source tables use it, because the same column is SMALLINT in one schema and
/// BIGINT UNSIGNED in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Integer(pub i64);

/// A key of the source. All keys beyond `i64::MAX` are read as `i64::MAX`, so that they belong to a key range like
/// others; the mapping reads an [`Integer`] and rejects the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub i64);

impl Key {
    /// The largest key. A table that is loaded up to this key is complete.
    pub(crate) const LARGEST: i64 = i64::MAX;
}

impl From<Integer> for Value {
    fn from(key: Integer) -> Self {
        Value::BigInt(Some(key.0))
    }
}

impl FromCell for Integer {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Integer(number) => Some(Integer(*number)),
            _ => None,
        }
    }
}

impl FromCell for Key {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Integer(number) => Some(Key(*number)),
            Cell::Huge(_) => Some(Key(Key::LARGEST)),
            _ => None,
        }
    }
}

impl TryGetable for Integer {
    fn try_get_by<I: ColIdx>(result: &QueryResult, index: I) -> Result<Self, TryGetError> {
        decoded(result, index)
    }
}

impl TryGetable for Key {
    fn try_get_by<I: ColIdx>(result: &QueryResult, index: I) -> Result<Self, TryGetError> {
        decoded(result, index)
    }
}

fn decoded<T: FromCell, I: ColIdx>(result: &QueryResult, index: I) -> Result<T, TryGetError> {
    let unfit = |column: &str| {
        decode_error(sqlx::Error::ColumnDecode {
            index: format!("{index:?}"),
            source: format!("{column} is not an integer of at most 63 bits").into(),
        })
    };
    let Some(row) = result.try_as_mysql_row() else {
        let cell = Cell::Integer(i64::try_get_by(result, index)?);
        return T::from_cell(&cell).ok_or_else(|| unfit("it"));
    };
    let raw = row.try_get_raw(index.as_sqlx_mysql_index()).map_err(decode_error)?;
    let column = raw.type_info();
    match Decoding::from_type(&column).decode(raw.clone()) {
        Cell::Null => Err(TryGetError::Null(format!("{index:?}"))),
        cell => T::from_cell(&cell).ok_or_else(|| unfit(&column.to_string())),
    }
}

fn decode_error(error: sqlx::Error) -> TryGetError {
    TryGetError::DbErr(DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
}

impl ValueType for Integer {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <i64 as ValueType>::try_from(value).map(Integer)
    }

    fn type_name() -> String {
        "Integer".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::BigInt
    }

    fn column_type() -> ColumnType {
        ColumnType::BigInteger
    }
}

impl Nullable for Integer {
    fn null() -> Value {
        Value::BigInt(None)
    }
}

impl TryFromU64 for Integer {
    fn try_from_u64(number: u64) -> Result<Self, DbErr> {
        <i64 as TryFrom<u64>>::try_from(number)
            .map(Integer)
            .map_err(|_| DbErr::Type("integer beyond 2^63 - 1".to_owned()))
    }
}
