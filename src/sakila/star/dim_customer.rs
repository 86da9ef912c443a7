//! `dim_customer`: one row per customer, with the city and country of its address.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookup, Lookups, Rejection, Table};
use star_sync::source_record;

use super::{missing_address, timestamp_text};
use crate::sakila::source::{address, city, country, customer};

/// One customer.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_customer")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub customer_key: i64,
    #[sea_orm(unique)]
    pub customer_id: i64,
    pub first_name: String,
    pub last_name: String,
    pub active: bool,
    pub city: String,
    pub country: String,
    /// `last_update` of the customer, in UTC; the source allows NULL.
    pub last_update: Option<String>,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// customer_id to customer_key.
pub static CUSTOMER: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_target("customer", Column::CustomerId, Column::CustomerKey));

source_record! {
    struct Customer of customer::Entity {
        customer_id: Integer = customer::Column::CustomerId,
        first_name: String = customer::Column::FirstName,
        last_name: String = customer::Column::LastName,
        active: bool = customer::Column::Active,
        address_id: Integer = customer::Column::AddressId,
        last_update: Option<DateTime<Utc>> = customer::Column::LastUpdate,
        city: Option<String> = city::Column::City,
        country: Option<String> = country::Column::Country,
    }
    joins [customer::Relation::Address, address::Relation::City, city::Relation::Country]
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map).personal([Column::FirstName, Column::LastName])
}

fn map(customer: Customer, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let missing = || missing_address(customer.address_id);
    Ok(ActiveModel {
        customer_key: NotSet,
        customer_id: Set(customer.customer_id.0),
        first_name: Set(customer.first_name),
        last_name: Set(customer.last_name),
        active: Set(customer.active),
        city: Set(customer.city.ok_or_else(missing)?),
        country: Set(customer.country.ok_or_else(missing)?),
        last_update: Set(customer.last_update.map(timestamp_text)),
        run_id: NotSet,
    })
}
