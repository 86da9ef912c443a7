//! `InvoiceLine`: what was sold: one track, once or several times.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "InvoiceLine", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub invoice_line_id: Integer,
    pub invoice_id: Integer,
    pub track_id: Integer,
    pub unit_price: Decimal,
    pub quantity: Integer,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::invoice::Entity",
        from = "Column::InvoiceId",
        to = "super::invoice::Column::InvoiceId"
    )]
    Invoice,
}

impl ActiveModelBehavior for ActiveModel {}
