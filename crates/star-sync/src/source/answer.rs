//! Detects whether an answer of the source is complete.
//!
//! A key range is authoritative: rows that the source does not return are deleted from the target. So the end of every
//! answer must be verified. A server or a proxy that limits the number of rows (`sql_select_limit`) truncates an answer
//! without an error: neither the protocol nor the driver reports it. Therefore every statement of which more than one
//! row is read selects one more row after them, which consists of NULLs only. A real row has a key, so it never
//! consists of NULLs only.

use std::sync::Arc;

use sea_orm::sea_query::{Expr, Query, SelectStatement, UnionType};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, RuntimeErr};
use sqlx::{Row, ValueRef};

/// The end of an answer was not received.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer was cut off before its last row")]
pub struct CutAnswer;

impl CutAnswer {
    /// The error for an answer whose end was not received.
    pub(crate) fn error() -> DbErr {
        let cause = sqlx::Error::Decode(Box::new(Self));
        DbErr::Query(RuntimeErr::SqlxError(Arc::new(cause)))
    }

    /// Whether this is such an error.
    pub fn is(error: &sqlx::Error) -> bool {
        matches!(error, sqlx::Error::Decode(cause) if cause.is::<Self>())
    }
}

/// Adds the end row, which consists of NULLs only, to a select. The select must not be ordered or limited: that would
/// apply to the end row, too.
pub(crate) fn with_end(select: &SelectStatement) -> SelectStatement {
    let mut select = select.clone();
    let mut end = Query::select();
    select.exprs_mut_for_each(|_| {
        end.expr(Expr::null());
    });
    select.union(UnionType::All, end);
    select
}

/// Whether a row is the end row.
pub(crate) fn is_end(row: &QueryResult) -> Result<bool, DbErr> {
    let row = row
        .try_as_mysql_row()
        .ok_or_else(|| DbErr::Type("not a row of MySQL".to_owned()))?;
    for column in 0..row.len() {
        let cell = row
            .try_get_raw(column)
            .map_err(|error| DbErr::Type(error.to_string()))?;
        if !cell.is_null() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// All rows of a select.
///
/// # Errors
/// Any error of the server; [`CutAnswer`] if the answer is incomplete.
pub async fn all(connection: &impl ConnectionTrait, select: &SelectStatement) -> Result<Vec<QueryResult>, DbErr> {
    let mut rows = connection.query_all(&with_end(select)).await?;
    let mut end = None;
    for (position, row) in rows.iter().enumerate().rev() {
        if is_end(row)? {
            end = Some(position);
            break;
        }
    }
    rows.remove(end.ok_or_else(CutAnswer::error)?);
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{ExprTrait, MysqlQueryBuilder};

    use super::*;

    #[test]
    fn as_many_nulls_as_columns_stand_behind_the_rows() {
        let select = Query::select()
            .column("id")
            .expr(Expr::col("name").is_null())
            .from("t")
            .to_owned();
        assert_eq!(
            with_end(&select).to_string(MysqlQueryBuilder),
            "SELECT `id`, `name` IS NULL FROM `t` UNION ALL (SELECT NULL, NULL)"
        );
    }
}
