//! `Invoice`: one invoice header, with customer and date.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "Invoice", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub invoice_id: Integer,
    pub customer_id: Integer,
    pub invoice_date: DateTime,
    #[sea_orm(belongs_to, from = "customer_id", to = "customer_id")]
    pub customer: HasOne<super::customer::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
