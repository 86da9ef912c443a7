//! Rows that could not be loaded: kept with their reason, tried again in every run, gone when they load.

use std::collections::{BTreeMap, HashMap};

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, QueryTrait};

use crate::engine::declaration::rejection::{Reject, Rejection};
use crate::engine::declaration::scope::{KEYS_A_STATEMENT, Scope};
use crate::engine::declaration::table::Table;
use crate::engine::target_db::TargetReader;
use crate::error::{Doing, Result};
use sync_reject::{ActiveModel, Column, Entity, Model};

pub mod sync_reject {
    //! One row a source row that could not be loaded.
    use sea_orm::entity::prelude::*;
    use serde::Serialize;

    /// A rejected row; it leaves when it loads.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
    #[sea_orm(table_name = "sync_reject")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_table: String,
        /// The source's primary key; its parts joined by commas, the page key first.
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        pub reason: String,
        /// The run that found it.
        pub run_id: i64,
        /// The table of the parent that is not there, if that is the reason.
        pub missing_parent: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The number that the key begins with. SQLite's CAST stops at the first character that is no digit.
fn page_key() -> Expr {
    Expr::col(Column::Key).cast_as("INTEGER")
}

/// Makes sync_reject say of `scope` just what `found` says.
pub async fn replace<C: ConnectionTrait>(
    connection: &C,
    table: &Table,
    scope: &Scope,
    found: &[Reject],
    run_id: i64,
) -> Result<()> {
    let doing = || format!("writing the rejects of {}, {scope}", table.source_table);
    let held: HashMap<String, String> = Entity::find()
        .filter(Column::SourceTable.eq(table.source_table))
        .filter(scope.contains(&page_key()))
        .all(connection)
        .await
        .target(doing)?
        .into_iter()
        .map(|reject| (reject.key, reject.reason))
        .collect();
    let wanted: HashMap<&str, &Rejection> = found
        .iter()
        .map(|reject| (reject.key.as_str(), &reject.rejection))
        .collect();
    let gone: Vec<&String> = held.keys().filter(|key| !wanted.contains_key(key.as_str())).collect();
    let new: Vec<ActiveModel> = wanted
        .iter()
        .filter(|(key, rejection)| held.get(**key) != Some(&rejection.reason))
        .map(|(key, rejection)| ActiveModel {
            source_table: Set(table.source_table.to_owned()),
            key: Set((*key).to_owned()),
            reason: Set(rejection.reason.clone()),
            run_id: Set(run_id),
            missing_parent: Set(rejection.missing_parent.map(str::to_owned)),
        })
        .collect();
    for keys in gone.chunks(KEYS_A_STATEMENT) {
        Entity::delete_many()
            .filter(Column::SourceTable.eq(table.source_table))
            .filter(Column::Key.is_in(keys.iter().copied()))
            .exec(connection)
            .await
            .target(doing)?;
    }
    for rows in new.chunks(KEYS_A_STATEMENT) {
        Entity::insert_many(rows.to_vec())
            .on_conflict(
                OnConflict::columns([Column::SourceTable, Column::Key])
                    .update_columns([Column::Reason, Column::RunId, Column::MissingParent])
                    .to_owned(),
            )
            .exec_without_returning(connection)
            .await
            .target(doing)?;
    }
    Ok(())
}

/// How many rows of each source table are rejected.
pub async fn counts<C: ConnectionTrait>(connection: &C) -> Result<BTreeMap<String, u64>> {
    let rows: Vec<(String, i64)> = Entity::find()
        .select_only()
        .column(Column::SourceTable)
        .column_as(Column::Key.count(), "rows")
        .group_by(Column::SourceTable)
        .into_tuple()
        .all(connection)
        .await
        .target(|| "counting the rejects".to_owned())?;
    Ok(rows
        .into_iter()
        .map(|(table, rows)| (table, rows.unsigned_abs()))
        .collect())
}

/// How many rows of `scope` are rejected.
pub async fn count<C: ConnectionTrait>(connection: &C, table: &Table, scope: &Scope) -> Result<u64> {
    Entity::find()
        .filter(Column::SourceTable.eq(table.source_table))
        .filter(scope.contains(&page_key()))
        .count(connection)
        .await
        .target(|| format!("counting the rejects of {}", table.source_table))
}

/// The page keys of the rejected rows of a source table.
pub async fn page_keys(target: &TargetReader, source_table: &str) -> Result<Vec<i64>> {
    let doing = || format!("reading the rejects of {source_table}");
    let keys = missing_parents(target, source_table, &Scope::ALL).await.target(doing)?;
    Ok(keys.into_iter().map(|(key, _)| key).collect())
}

/// (page key, missing parent) of the rejected rows of a source table in `scope`.
pub async fn missing_parents(
    target: &TargetReader,
    source_table: &str,
    scope: &Scope,
) -> std::result::Result<Vec<(i64, Option<String>)>, DbErr> {
    let select = Entity::find()
        .select_only()
        .expr(page_key())
        .column(Column::MissingParent)
        .filter(Column::SourceTable.eq(source_table))
        .filter(scope.contains(&page_key()))
        .into_query();
    target
        .all(&select)
        .await?
        .iter()
        .map(sea_orm::QueryResult::try_get_many_by_index)
        .collect()
}

/// A few rejected rows of a source table, for people to read.
pub async fn some<C: ConnectionTrait>(connection: &C, source_table: &str, limit: u64) -> Result<Vec<Model>> {
    Entity::find()
        .filter(Column::SourceTable.eq(source_table))
        .limit(limit)
        .all(connection)
        .await
        .target(|| "reading the rejects".to_owned())
}
