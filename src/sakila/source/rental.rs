//! `rental`: one copy rented by one customer; open while `return_date` is NULL.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rental")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub rental_id: Integer,
    pub rental_date: DateTime,
    pub inventory_id: Integer,
    pub customer_id: Integer,
    pub return_date: Option<DateTime>,
    pub staff_id: Integer,
    pub last_update: DateTimeUtc,
    #[sea_orm(belongs_to, from = "inventory_id", to = "inventory_id")]
    pub inventory: HasOne<super::inventory::Entity>,
    #[sea_orm(belongs_to, from = "customer_id", to = "customer_id")]
    pub customer: HasOne<super::customer::Entity>,
    #[sea_orm(belongs_to, from = "staff_id", to = "staff_id")]
    pub staff: HasOne<super::staff::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
