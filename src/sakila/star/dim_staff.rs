//! `dim_staff`: one row a staff member. The facts have its `staff_id`.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    QuerySelect, QueryTrait,
};
use star_sync::declare::integer::Integer;
use star_sync::declare::lookup::Lookups;
use star_sync::declare::rejection::Rejection;
use star_sync::declare::source_rows::SourceRow;
use star_sync::declare::table::Table;

use super::timestamp_text;
use crate::sakila::source::staff;

/// One staff member.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_staff")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub staff_key: i64,
    #[sea_orm(unique)]
    pub staff_id: i64,
    pub first_name: String,
    pub last_name: String,
    pub active: bool,
    /// The store where it works.
    pub store_id: i64,
    /// The staff member's own, UTC.
    pub last_update: String,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub fn table() -> Table {
    Table::dimension::<Entity>("dim_staff", "staff", "staff_id", select, map)
}

fn select() -> SelectStatement {
    staff::Entity::find()
        .select_only()
        .columns([
            staff::Column::StaffId,
            staff::Column::FirstName,
            staff::Column::LastName,
            staff::Column::Active,
            staff::Column::StoreId,
            staff::Column::LastUpdate,
        ])
        .into_query()
}

type Source = (Integer, String, String, Integer, Integer, DateTime<Utc>);

fn map(row: SourceRow<'_>, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let (staff_id, first_name, last_name, active, store_id, last_update): Source = row.read()?;
    Ok(ActiveModel {
        staff_key: NotSet,
        staff_id: Set(staff_id.0),
        first_name: Set(first_name),
        last_name: Set(last_name),
        // As MySQL's own IF takes it.
        active: Set(active.0 != 0),
        store_id: Set(store_id.0),
        last_update: Set(timestamp_text(last_update)),
        run_id: NotSet,
    })
}
