//! `dim_category`: one row per genre.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookup, Lookups, Rejection, Table};
use star_sync::source_record;

use super::timestamp_text;
use crate::sakila::source::category;

/// One genre.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_category")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub category_key: i64,
    #[sea_orm(unique)]
    pub category_id: i64,
    pub name: String,
    /// `last_update` of the category, in UTC.
    pub last_update: String,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// category_id to category_key.
pub static CATEGORY: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_target("category", Column::CategoryId, Column::CategoryKey));

source_record! {
    struct Category of category::Entity {
        category_id: Integer = category::Column::CategoryId,
        name: String = category::Column::Name,
        last_update: DateTime<Utc> = category::Column::LastUpdate,
    }
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map)
}

fn map(category: Category, _: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        category_key: NotSet,
        category_id: Set(category.category_id.0),
        name: Set(category.name),
        last_update: Set(timestamp_text(category.last_update)),
        run_id: NotSet,
    })
}
