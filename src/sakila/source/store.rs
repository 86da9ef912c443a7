//! `store`: one shop.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "store")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub store_id: Integer,
    pub address_id: Integer,
    pub last_update: DateTimeUtc,
    #[sea_orm(belongs_to, from = "address_id", to = "address_id")]
    pub address: HasOne<super::address::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
