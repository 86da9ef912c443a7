//! `staff`: one staff member, and the store where they work.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "staff")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub staff_id: Integer,
    pub first_name: String,
    pub last_name: String,
    pub store_id: Integer,
    pub active: Integer,
    pub last_update: DateTimeUtc,
    #[sea_orm(belongs_to, from = "store_id", to = "store_id")]
    pub store: HasOne<super::store::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
