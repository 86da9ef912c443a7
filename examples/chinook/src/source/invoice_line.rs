//! `InvoiceLine`: one line of an invoice: a track and its quantity.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "InvoiceLine", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub invoice_line_id: Integer,
    pub invoice_id: Integer,
    pub track_id: Integer,
    pub unit_price: Decimal,
    pub quantity: Integer,
    #[sea_orm(belongs_to, from = "invoice_id", to = "invoice_id")]
    pub invoice: HasOne<super::invoice::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
