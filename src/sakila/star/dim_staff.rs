//! `dim_staff`: one row per staff member. Facts reference it by `staff_id`.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookups, Rejection, Table};
use star_sync::source_record;

use super::timestamp_text;
use crate::sakila::source::staff;

/// One staff member.
#[sea_orm::model]
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
    /// The store where the staff member works.
    pub store_id: i64,
    /// `last_update` of the staff member, in UTC.
    pub last_update: String,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

source_record! {
    struct StaffMember of staff::Entity {
        staff_id: Integer = staff::Column::StaffId,
        first_name: String = staff::Column::FirstName,
        last_name: String = staff::Column::LastName,
        active: bool = staff::Column::Active,
        store_id: Integer = staff::Column::StoreId,
        last_update: DateTime<Utc> = staff::Column::LastUpdate,
    }
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map).personal([Column::FirstName, Column::LastName])
}

fn map(member: StaffMember, _: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        staff_key: NotSet,
        staff_id: Set(member.staff_id.0),
        first_name: Set(member.first_name),
        last_name: Set(member.last_name),
        active: Set(member.active),
        store_id: Set(member.store_id.0),
        last_update: Set(timestamp_text(member.last_update)),
        run_id: NotSet,
    })
}
