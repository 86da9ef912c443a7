//! The state of each target table: its row count after the last run, and how far an unfinished load has come.

use std::collections::HashMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::error::{Doing, Result};
use sync_target_table::{ActiveModel, Column, Entity};

pub(crate) mod sync_target_table {
    //! One row per target table, once its state is known.
    use sea_orm::entity::prelude::*;

    /// The state of one target table.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_target_table")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub target_table: String,
        pub loaded_up_to: Option<i64>,
        pub row_count: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The state of one target table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetTableState {
    /// Page keys up to here are loaded by an unfinished full load; `Key::LARGEST` means all. Advanced by the writer's
    /// commits.
    pub loaded_up_to: Option<i64>,
    /// The row count after the last run; `None` if the rows were not counted.
    pub rows: Option<i64>,
}

/// All states, by target table.
pub(super) async fn load<C: ConnectionTrait>(connection: &C) -> Result<HashMap<String, TargetTableState>> {
    let rows = Entity::find().all(connection).await;
    let rows = rows.target(|| "reading sync_target_table".to_owned())?;
    let states = rows.into_iter().map(|row| {
        let state = TargetTableState {
            loaded_up_to: row.loaded_up_to,
            rows: row.row_count,
        };
        (row.target_table, state)
    });
    Ok(states.collect())
}

/// Records up to which page key an unfinished load has loaded a table.
pub(crate) async fn note_loaded<C: ConnectionTrait>(connection: &C, table: &str, up_to: i64) -> Result<()> {
    let row = ActiveModel {
        target_table: Set(table.to_owned()),
        loaded_up_to: Set(Some(up_to)),
        ..Default::default()
    };
    upsert(connection, row, Column::LoadedUpTo).await
}

/// Records how many rows a table has after a run.
pub(crate) async fn note_rows<C: ConnectionTrait>(connection: &C, table: &str, rows: i64) -> Result<()> {
    let row = ActiveModel {
        target_table: Set(table.to_owned()),
        row_count: Set(Some(rows)),
        ..Default::default()
    };
    upsert(connection, row, Column::RowCount).await
}

/// Records that no load is in progress, or that it starts over.
pub(crate) async fn forget_loaded<C: ConnectionTrait>(connection: &C) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::LoadedUpTo, Expr::value(None::<i64>))
        .filter(Column::LoadedUpTo.is_not_null())
        .exec(connection)
        .await
        .target(|| "writing sync_target_table".to_owned())?;
    Ok(())
}

async fn upsert<C: ConnectionTrait>(connection: &C, row: ActiveModel, column: Column) -> Result<()> {
    let table = row.target_table.clone().take().unwrap_or_default();
    let on_conflict = OnConflict::column(Column::TargetTable).update_column(column).to_owned();
    Entity::insert(row)
        .on_conflict(on_conflict)
        .exec_without_returning(connection)
        .await
        .target(|| format!("recording the state of {table}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::integer::Key;
    use crate::test_star;

    #[tokio::test]
    async fn what_is_noted_of_a_table_stays_until_it_is_noted_anew() {
        let connection = test_star::database_of(Entity).await;
        note_rows(&connection, "fact_loan", 7).await.unwrap();
        note_loaded(&connection, "fact_loan", 40).await.unwrap();
        note_loaded(&connection, "dim_book", Key::LARGEST).await.unwrap();
        let state = |loaded_up_to, rows| TargetTableState { loaded_up_to, rows };
        let states = load(&connection).await.unwrap();
        assert_eq!(states["fact_loan"], state(Some(40), Some(7)));
        assert_eq!(states["dim_book"], state(Some(Key::LARGEST), None));
        forget_loaded(&connection).await.unwrap();
        note_rows(&connection, "fact_loan", 8).await.unwrap();
        let states = load(&connection).await.unwrap();
        assert_eq!(states["fact_loan"], state(None, Some(8)));
        assert_eq!(states["dim_book"], state(None, None));
    }
}
