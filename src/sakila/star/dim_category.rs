//! `dim_category`: one row a genre.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    QuerySelect, QueryTrait,
};
use star_sync::declare::integer::Integer;
use star_sync::declare::lookup::{Lookup, Lookups, Side};
use star_sync::declare::rejection::Rejection;
use star_sync::declare::source_rows::SourceRow;
use star_sync::declare::table::Table;

use super::timestamp_text;
use crate::sakila::source::category;

/// One genre.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_category")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub category_key: i64,
    #[sea_orm(unique)]
    pub category_id: i64,
    pub name: String,
    /// The category's own, UTC.
    pub last_update: String,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// category_id to category_key.
pub static CATEGORY: Lookup = Lookup {
    name: "category",
    side: Side::Target,
    table: "dim_category",
    key: "category_id",
    value: "category_key",
    published_by: None,
};

pub fn table() -> Table {
    Table::dimension::<Entity>("dim_category", "category", "category_id", select, map)
}

fn select() -> SelectStatement {
    category::Entity::find()
        .select_only()
        .columns([
            category::Column::CategoryId,
            category::Column::Name,
            category::Column::LastUpdate,
        ])
        .into_query()
}

fn map(row: SourceRow<'_>, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let (category_id, name, last_update): (Integer, String, DateTime<Utc>) = row.read()?;
    Ok(ActiveModel {
        category_key: NotSet,
        category_id: Set(category_id.0),
        name: Set(name),
        last_update: Set(timestamp_text(last_update)),
        run_id: NotSet,
    })
}
