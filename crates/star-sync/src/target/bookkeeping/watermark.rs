//! The watermarks of past runs: where that of a source table stood after the run that wrote a row.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use crate::error::{Doing, Result};
use sync_watermark::{ActiveModel, Column, Entity};

pub mod sync_watermark {
    //! One row a run and source table that the run found modified.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_watermark")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_table: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub run_id: i64,
        /// As in `sync_state`.
        pub last_updated: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Notes where the watermarks stand after a run, by source table.
pub(crate) async fn note<C: ConnectionTrait>(connection: &C, run_id: i64, watermarks: &[(&str, String)]) -> Result<()> {
    if watermarks.is_empty() {
        return Ok(());
    }
    let rows = watermarks.iter().map(|(source_table, last_updated)| ActiveModel {
        source_table: Set((*source_table).to_owned()),
        run_id: Set(run_id),
        last_updated: Set(last_updated.clone()),
    });
    Entity::insert_many(rows)
        .exec_without_returning(connection)
        .await
        .target(|| "writing sync_watermark".to_owned())?;
    Ok(())
}

/// Where the watermark of a source table stood after a run: it is noted in the runs that found the table modified.
pub(crate) async fn after_run<C: ConnectionTrait>(
    connection: &C,
    run_id: i64,
    source_table: &str,
) -> Result<Option<String>> {
    let noted = Entity::find()
        .filter(Column::SourceTable.eq(source_table))
        .filter(Column::RunId.lte(run_id))
        .order_by_desc(Column::RunId)
        .limit(1)
        .all(connection)
        .await
        .target(|| "reading sync_watermark".to_owned())?;
    Ok(noted.into_iter().next().map(|noted| noted.last_updated))
}

/// Takes the watermarks of a run into a later one, whose own stay as they are.
pub(crate) async fn merge<C: ConnectionTrait>(connection: &C, before: i64, run_id: i64) -> Result<()> {
    let doing = || "merging sync_watermark".to_owned();
    let own = Entity::find()
        .select_only()
        .column(Column::SourceTable)
        .filter(Column::RunId.eq(run_id))
        .into_query();
    Entity::delete_many()
        .filter(Column::RunId.eq(before))
        .filter(Column::SourceTable.in_subquery(own))
        .exec(connection)
        .await
        .target(doing)?;
    Entity::update_many()
        .col_expr(Column::RunId, run_id.into())
        .filter(Column::RunId.eq(before))
        .exec(connection)
        .await
        .target(doing)?;
    Ok(())
}

/// Forgets the runs before this one, but for what was the newest of each table then: later runs build on it.
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
        .target(|| "shortening sync_watermark".to_owned())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sea_orm::DatabaseConnection;

    use super::*;
    use crate::made_up;

    async fn noted(runs: &[(i64, &[(&str, &str)])]) -> DatabaseConnection {
        let connection = made_up::database_of(Entity).await;
        for (run, watermarks) in runs {
            let watermarks: Vec<_> = watermarks
                .iter()
                .map(|(table, at)| (*table, (*at).to_owned()))
                .collect();
            note(&connection, *run, &watermarks).await.unwrap();
        }
        connection
    }

    async fn after(connection: &DatabaseConnection, run: i64, table: &str) -> Option<String> {
        after_run(connection, run, table).await.unwrap()
    }

    #[tokio::test]
    async fn a_table_whose_name_ends_like_another_hides_nothing_of_it() {
        let connection = noted(&[
            (1, &[("author", "01"), ("book_author", "01")]),
            (2, &[("book_author", "02")]),
        ])
        .await;
        assert_eq!(after(&connection, 2, "author").await.as_deref(), Some("01"));
        assert_eq!(after(&connection, 2, "book_author").await.as_deref(), Some("02"));
        assert_eq!(after(&connection, 2, "book").await, None);
    }

    #[tokio::test]
    async fn merged_runs_have_the_later_watermark_of_each_table() {
        let connection = noted(&[(1, &[("book", "01"), ("loan", "01")]), (2, &[("loan", "02")])]).await;
        merge(&connection, 1, 2).await.unwrap();
        assert_eq!(after(&connection, 2, "book").await.as_deref(), Some("01"));
        assert_eq!(after(&connection, 2, "loan").await.as_deref(), Some("02"));
        assert_eq!(after(&connection, 1, "book").await, None);
    }

    #[tokio::test]
    async fn what_was_newest_before_the_runs_that_are_kept_is_kept() {
        let connection = noted(&[
            (1, &[("book", "01"), ("loan", "01")]),
            (2, &[("loan", "02")]),
            (3, &[("loan", "03")]),
        ])
        .await;
        forget_before(&connection, 3).await.unwrap();
        assert_eq!(after(&connection, 3, "book").await.as_deref(), Some("01"));
        assert_eq!(after(&connection, 2, "loan").await.as_deref(), Some("02"));
        assert_eq!(after(&connection, 1, "loan").await, None);
    }
}
