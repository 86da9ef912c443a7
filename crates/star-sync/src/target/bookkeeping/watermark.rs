//! The watermarks of past runs: where a source table's watermark stood after the run that wrote a row.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use crate::error::{Doing, Result};
use crate::target::bookkeeping::time::stored;
use sync_watermark::{ActiveModel, Column, Entity};

pub(crate) mod sync_watermark {
    //! One row per run and source table that the run found modified.
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_watermark")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_table: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub run_id: i64,
        /// As in `sync_state`.
        pub last_updated: DateTime,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Records the watermarks after a run, by source table.
pub(crate) async fn note<C: ConnectionTrait>(
    connection: &C,
    run_id: i64,
    watermarks: &[(&str, DateTime<Utc>)],
) -> Result<()> {
    if watermarks.is_empty() {
        return Ok(());
    }
    let rows = watermarks.iter().map(|(source_table, last_updated)| ActiveModel {
        source_table: Set((*source_table).to_owned()),
        run_id: Set(run_id),
        last_updated: Set(stored(*last_updated)),
    });
    Entity::insert_many(rows)
        .exec_without_returning(connection)
        .await
        .target(|| "writing sync_watermark".to_owned())?;
    Ok(())
}

/// The watermark of a source table after a run. Only the runs that found the table modified have recorded it.
pub(crate) async fn after_run<C: ConnectionTrait>(
    connection: &C,
    run_id: i64,
    source_table: &str,
) -> Result<Option<DateTime<Utc>>> {
    let noted = Entity::find()
        .filter(Column::SourceTable.eq(source_table))
        .filter(Column::RunId.lte(run_id))
        .order_by_desc(Column::RunId)
        .limit(1)
        .all(connection)
        .await
        .target(|| "reading sync_watermark".to_owned())?;
    Ok(noted.into_iter().next().map(|noted| noted.last_updated.and_utc()))
}

/// Deletes the watermarks of runs without a row in the history, between `last_run`, the last one with a row, and
/// `run_id`, for the tables that `run_id` found modified, too. So syncs that change nothing do not fill the file.
pub(crate) async fn forget_idle<C: ConnectionTrait>(connection: &C, last_run: Option<i64>, run_id: i64) -> Result<()> {
    let own = Entity::find()
        .select_only()
        .column(Column::SourceTable)
        .filter(Column::RunId.eq(run_id))
        .into_query();
    Entity::delete_many()
        .filter(Column::RunId.gt(last_run.unwrap_or(0)))
        .filter(Column::RunId.lt(run_id))
        .filter(Column::SourceTable.in_subquery(own))
        .exec(connection)
        .await
        .target(|| "deleting old rows of sync_watermark".to_owned())?;
    Ok(())
}

/// Deletes the watermarks of runs before this one, except the newest of each table, which still applies to later runs.
pub(crate) async fn forget_before<C: ConnectionTrait>(connection: &C, run_id: i64) -> Result<()> {
    let newest: SelectStatement = Query::select()
        .column(Column::SourceTable)
        .expr(Expr::col(Column::RunId).max())
        .from(Entity)
        .and_where(Column::RunId.lt(run_id))
        .group_by_col(Column::SourceTable)
        .to_owned();
    let key = Expr::tuple([Expr::col(Column::SourceTable), Expr::col(Column::RunId)]);
    Entity::delete_many()
        .filter(Column::RunId.lt(run_id))
        .filter(key.not_in_subquery(newest))
        .exec(connection)
        .await
        .target(|| "deleting old rows of sync_watermark".to_owned())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sea_orm::DatabaseConnection;

    use super::*;
    use crate::test_star;

    /// The start of 2026 plus this many hours.
    fn hour(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600 + hours * 3600, 0).unwrap()
    }

    async fn noted(runs: &[(i64, &[(&str, i64)])]) -> DatabaseConnection {
        let connection = test_star::database_of(Entity).await;
        for (run, watermarks) in runs {
            let watermarks: Vec<_> = watermarks.iter().map(|(table, hours)| (*table, hour(*hours))).collect();
            note(&connection, *run, &watermarks).await.unwrap();
        }
        connection
    }

    async fn after(connection: &DatabaseConnection, run: i64, table: &str) -> Option<i64> {
        let watermark = after_run(connection, run, table).await.unwrap();
        watermark.map(|watermark| (watermark - hour(0)).num_hours())
    }

    #[tokio::test]
    async fn a_table_whose_name_ends_like_another_hides_nothing_of_it() {
        let connection = noted(&[(1, &[("author", 1), ("book_author", 1)]), (2, &[("book_author", 2)])]).await;
        assert_eq!(after(&connection, 2, "author").await, Some(1));
        assert_eq!(after(&connection, 2, "book_author").await, Some(2));
        assert_eq!(after(&connection, 2, "book").await, None);
    }

    #[tokio::test]
    async fn of_runs_that_changed_nothing_the_last_watermark_of_each_table_stays() {
        let connection = noted(&[
            (1, &[("book", 1), ("loan", 1)]),
            (2, &[("book", 2), ("loan", 2)]),
            (3, &[("loan", 3)]),
        ])
        .await;
        forget_idle(&connection, Some(1), 3).await.unwrap();
        assert_eq!(after(&connection, 1, "loan").await, Some(1));
        assert_eq!(after(&connection, 2, "loan").await, Some(1));
        assert_eq!(after(&connection, 3, "loan").await, Some(3));
        assert_eq!(after(&connection, 3, "book").await, Some(2));
    }

    #[tokio::test]
    async fn what_was_newest_before_the_runs_that_are_kept_is_kept() {
        let connection = noted(&[
            (1, &[("book", 1), ("loan", 1)]),
            (2, &[("loan", 2)]),
            (3, &[("loan", 3)]),
        ])
        .await;
        forget_before(&connection, 3).await.unwrap();
        assert_eq!(after(&connection, 3, "book").await, Some(1));
        assert_eq!(after(&connection, 2, "loan").await, Some(2));
        assert_eq!(after(&connection, 1, "loan").await, None);
    }
}
