//! `customer`: one customer; `last_update` may be NULL.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "customer")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub customer_id: Integer,
    pub first_name: String,
    pub last_name: String,
    pub address_id: Integer,
    pub active: bool,
    pub last_update: Option<DateTimeUtc>,
    #[sea_orm(belongs_to, from = "address_id", to = "address_id")]
    pub address: HasOne<super::address::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
