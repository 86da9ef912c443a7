//! An integer of the source, whatever type its column has.
//!
//! The official Sakila's keys are TINYINT to INT, a scaled-up one's INT UNSIGNED or BIGINT. The driver decodes
//! unsigned columns to unsigned integers only and signed ones to signed only; `Integer` asks the column which it is.

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable, Value};
use sqlx::{MySql, Row, Type, ValueRef};

/// An integer of any width and signedness, up to `i64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Integer(pub i64);

impl From<Integer> for Value {
    fn from(key: Integer) -> Self {
        Value::BigInt(Some(key.0))
    }
}

impl TryGetable for Integer {
    fn try_get_by<I: ColIdx>(result: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let Some(row) = result.try_as_mysql_row() else {
            return i64::try_get_by(result, index).map(Integer);
        };
        let raw = row.try_get_raw(index.as_sqlx_mysql_index()).map_err(decode_error)?;
        if raw.is_null() {
            return Err(TryGetError::Null(format!("{index:?}")));
        }
        if <u64 as Type<MySql>>::compatible(&raw.type_info()) {
            let key: u64 = row.try_get(index.as_sqlx_mysql_index()).map_err(decode_error)?;
            let key = <i64 as TryFrom<u64>>::try_from(key)
                .map_err(|_| TryGetError::DbErr(DbErr::Type("integer beyond 2^63 - 1".to_owned())))?;
            Ok(Integer(key))
        } else {
            row.try_get(index.as_sqlx_mysql_index())
                .map(Integer)
                .map_err(decode_error)
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn decode_error(error: sqlx::Error) -> TryGetError {
    TryGetError::DbErr(DbErr::Type(error.to_string()))
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
