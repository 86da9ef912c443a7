//! An integer of the source, whatever type its column has.
//!
//! The official Sakila's keys are TINYINT to INT, a scaled-up one's INT UNSIGNED or BIGINT. The driver decodes
//! unsigned columns to unsigned integers only and signed ones to signed only; `Integer` asks the column which it is.

use std::sync::Arc;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, RuntimeErr, TryFromU64, TryGetError, TryGetable, Value};
use sqlx::error::BoxDynError;
use sqlx::{Decode, MySql, Row, Type, ValueRef};

/// An integer of any width and signedness, up to `i64::MAX`. What is beyond cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Integer(pub i64);

/// A key of the source. All keys beyond `i64::MAX` are read as `i64::MAX`, so that they belong to a scope like others:
/// that their rows cannot be loaded is for the mapping to say, which reads an `Integer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub i64);

impl From<Integer> for Value {
    fn from(key: Integer) -> Self {
        Value::BigInt(Some(key.0))
    }
}

impl TryGetable for Integer {
    fn try_get_by<I: ColIdx>(result: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let beyond = |number| Ok(<i64 as TryFrom<u64>>::try_from(number)?);
        decode(result, index, beyond).map(Integer)
    }
}

impl TryGetable for Key {
    fn try_get_by<I: ColIdx>(result: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let beyond = |number| Ok(<i64 as TryFrom<u64>>::try_from(number).unwrap_or(i64::MAX));
        decode(result, index, beyond).map(Key)
    }
}

fn decode<I: ColIdx>(
    result: &QueryResult,
    index: I,
    of_unsigned: impl FnOnce(u64) -> Result<i64, BoxDynError>,
) -> Result<i64, TryGetError> {
    let Some(row) = result.try_as_mysql_row() else {
        return i64::try_get_by(result, index);
    };
    let raw = row.try_get_raw(index.as_sqlx_mysql_index()).map_err(decode_error)?;
    if raw.is_null() {
        return Err(TryGetError::Null(format!("{index:?}")));
    }
    let column = raw.type_info();
    // The column is asked here, once; a second check, in the row, would take as long as the decoding.
    let decoded = if <u64 as Type<MySql>>::compatible(&column) {
        <u64 as Decode<MySql>>::decode(raw.clone()).and_then(of_unsigned)
    } else if <i64 as Type<MySql>>::compatible(&column) {
        <i64 as Decode<MySql>>::decode(raw.clone())
    } else {
        Err(format!("{column} is no integer").into())
    };
    decoded.map_err(|source| {
        decode_error(sqlx::Error::ColumnDecode {
            index: format!("{index:?}"),
            source,
        })
    })
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
