//! Quarantine: source rows that could not be loaded, with the reason. A run tries a row again if one of its source
//! tables was modified, or if its missing parent may have appeared. The row is removed when it loads, or when the
//! source no longer has it.
//!
//! `replace` writes the quarantine with each batch; this module reads it.

mod replace;

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter,
    QuerySelect, QueryTrait,
};
use serde::Serialize;

pub(crate) use self::replace::{Change, keys_of_leaving, keys_of_returning, of_key_range, replace};
use crate::declare::key_range::KeyRange;
use crate::declare::star::Star;
use crate::declare::table::{RowIdentity, Table};
use crate::error::{Doing, Result};
use crate::target::TargetReader;
use sync_reject::{Column, Entity};

pub(crate) mod sync_reject {
    //! One row per quarantined source row.
    use sea_orm::entity::prelude::*;

    /// A quarantined row; it is deleted when it loads.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_reject")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub target_table: String,
        pub source_table: String,
        /// The number that the key begins with, by which runs find rows.
        #[sea_orm(primary_key, auto_increment = false)]
        pub page_key: i64,
        /// The source's primary key: its parts joined by commas, the page key first.
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        /// The code of the reason: see `ReasonCode`.
        pub code: String,
        pub reason: String,
        /// The run that found it.
        pub run_id: i64,
        /// The lookup that did not find the parent, or the joined table that has no matching row, if that is the
        /// reason.
        pub missing_parent: Option<String>,
        /// The key that the row had in the star; NULL if it was never there, and for bridges.
        pub surrogate_key: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A quarantined row, as displayed.
#[derive(Clone, Debug, FromQueryResult, Serialize)]
pub struct QuarantinedRow {
    pub target_table: String,
    pub source_table: String,
    pub page_key: i64,
    pub key: String,
    pub code: String,
    pub reason: String,
    pub run_id: i64,
    pub missing_parent: Option<String>,
    pub surrogate_key: Option<i64>,
}

fn of_table(table: &str, key_range: &KeyRange) -> Condition {
    Condition::all()
        .add(Column::TargetTable.eq(table))
        .add(key_range.contains(&Expr::col(Column::PageKey)))
}

/// How many rows are quarantined, by the target table that they should be in.
pub async fn counts<C: ConnectionTrait>(connection: &C) -> Result<BTreeMap<String, u64>> {
    let rows: Vec<(String, i64)> = Entity::find()
        .select_only()
        .column(Column::TargetTable)
        .column_as(Column::Key.count(), "rows")
        .group_by(Column::TargetTable)
        .into_tuple()
        .all(connection)
        .await
        .target(|| "counting the quarantined rows".to_owned())?;
    Ok(rows
        .into_iter()
        .map(|(table, rows)| (table, rows.unsigned_abs()))
        .collect())
}

/// Like [`counts`], by source table.
pub fn by_source(star: &Star, counts: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut by_source = BTreeMap::new();
    for (table, rows) in counts {
        if let Some(table) = star.table(table) {
            *by_source.entry(table.source_table.to_owned()).or_default() += rows;
        }
    }
    by_source
}

/// How many rows of `key_range` are quarantined.
pub(crate) async fn count<C: ConnectionTrait>(connection: &C, table: &Table, key_range: &KeyRange) -> Result<u64> {
    Entity::find()
        .filter(of_table(table.name, key_range))
        .count(connection)
        .await
        .target(|| format!("counting the quarantined rows of {}", table.source_table))
}

/// The page keys of the quarantined rows of a table.
pub(crate) async fn page_keys(target: &TargetReader, table: &Table) -> Result<Vec<i64>> {
    let doing = || format!("reading the quarantined rows of {}", table.source_table);
    let keys = missing_parents(target, table, &KeyRange::ALL).await.target(doing)?;
    Ok(keys.into_iter().map(|(key, _)| key).collect())
}

/// Selects these page keys.
pub(crate) fn select_page_keys(table: &Table) -> SelectStatement {
    let quarantined = Entity::find().filter(of_table(table.name, &KeyRange::ALL));
    quarantined.select_only().column(Column::PageKey).into_query()
}

/// Page key and missing parent of the quarantined rows of a table in `key_range`.
pub(crate) async fn missing_parents(
    target: &TargetReader,
    table: &Table,
    key_range: &KeyRange,
) -> std::result::Result<Vec<(i64, Option<String>)>, DbErr> {
    let select = Entity::find()
        .select_only()
        .columns([Column::PageKey, Column::MissingParent])
        .filter(of_table(table.name, key_range))
        .into_query();
    target
        .all(&select)
        .await?
        .iter()
        .map(sea_orm::QueryResult::try_get_many_by_index)
        .collect()
}

/// Whether this row is quarantined.
pub(crate) async fn is_noted(target: &TargetReader, table: &Table, (page_key, key): &RowIdentity) -> Result<bool> {
    let mut noted = Entity::find().filter(of_table(table.name, &KeyRange::Keys(vec![*page_key])));
    if let Some(key) = key {
        noted = noted.filter(Column::Key.eq(key));
    }
    let noted = target.all(&noted.into_query()).await;
    let noted = noted.target(|| format!("reading the quarantined rows of {}", table.source_table))?;
    Ok(!noted.is_empty())
}

/// Some quarantined rows of a source table, for display.
pub async fn some<C: ConnectionTrait>(connection: &C, source_table: &str, limit: u64) -> Result<Vec<QuarantinedRow>> {
    Entity::find()
        .filter(Column::SourceTable.eq(source_table))
        .limit(limit)
        .into_model()
        .all(connection)
        .await
        .target(|| "reading the quarantined rows".to_owned())
}
