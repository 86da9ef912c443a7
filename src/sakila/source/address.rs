//! `address`: the address of a customer, store or staff member.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "address")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub address_id: Integer,
    pub city_id: Integer,
    pub last_update: DateTimeUtc,
    #[sea_orm(belongs_to, from = "city_id", to = "city_id")]
    pub city: HasOne<super::city::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
