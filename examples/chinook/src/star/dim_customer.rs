//! `dim_customer`: one row per customer.

use std::sync::LazyLock;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookup, Lookups, Rejection, Table};
use star_sync::source_record;

use crate::source::customer;

/// One customer.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_customer")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub customer_key: i64,
    #[sea_orm(unique)]
    pub customer_id: i64,
    pub first_name: String,
    pub last_name: String,
    pub city: Option<String>,
    pub country: Option<String>,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// customer_id to customer_key.
pub static CUSTOMER: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_target("Customer", Column::CustomerId, Column::CustomerKey));

source_record! {
    struct Customer of customer::Entity {
        customer_id: Integer = customer::Column::CustomerId,
        first_name: String = customer::Column::FirstName,
        last_name: String = customer::Column::LastName,
        city: Option<String> = customer::Column::City,
        country: Option<String> = customer::Column::Country,
    }
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map)
}

fn map(customer: Customer, _: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        customer_key: NotSet,
        customer_id: Set(customer.customer_id.0),
        first_name: Set(customer.first_name),
        last_name: Set(customer.last_name),
        city: Set(customer.city),
        country: Set(customer.country),
        run_id: NotSet,
    })
}
