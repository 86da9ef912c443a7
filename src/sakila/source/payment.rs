//! `payment`: one payment, usually for a rental; `last_update` may be NULL.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub payment_id: Integer,
    pub customer_id: Integer,
    pub staff_id: Integer,
    pub rental_id: Option<Integer>,
    pub amount: Decimal,
    pub payment_date: DateTime,
    pub last_update: Option<DateTimeUtc>,
    #[sea_orm(belongs_to, from = "customer_id", to = "customer_id")]
    pub customer: HasOne<super::customer::Entity>,
    #[sea_orm(belongs_to, from = "staff_id", to = "staff_id")]
    pub staff: HasOne<super::staff::Entity>,
    #[sea_orm(belongs_to, from = "rental_id", to = "rental_id")]
    pub rental: HasOne<super::rental::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
