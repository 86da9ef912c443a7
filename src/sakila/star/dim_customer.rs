//! `dim_customer`: one row a customer, with the city and country of its address.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    JoinType, QuerySelect, QueryTrait,
};
use star_sync::declare::integer::Integer;
use star_sync::declare::lookup::{Lookup, Lookups, Side};
use star_sync::declare::rejection::Rejection;
use star_sync::declare::source_rows::SourceRow;
use star_sync::declare::table::Table;

use super::{timestamp_text, without_place};
use crate::sakila::source::{address, city, country, customer};

/// One customer.
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
    /// The customer's own, UTC; the source allows NULL.
    pub last_update: Option<String>,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// customer_id to customer_key.
pub static CUSTOMER: Lookup = Lookup {
    name: "customer",
    side: Side::Target,
    table: "dim_customer",
    key: "customer_id",
    value: "customer_key",
    published_by: None,
};

pub fn table() -> Table {
    Table {
        joined: vec!["address", "city", "country"],
        ..Table::dimension::<Entity>("dim_customer", "customer", "customer_id", select, map)
    }
}

fn select() -> SelectStatement {
    customer::Entity::find()
        .select_only()
        .columns([
            customer::Column::CustomerId,
            customer::Column::FirstName,
            customer::Column::LastName,
            customer::Column::Active,
            customer::Column::AddressId,
            customer::Column::LastUpdate,
        ])
        .column(city::Column::City)
        .column(country::Column::Country)
        .join(JoinType::LeftJoin, customer::Relation::Address.def())
        .join(JoinType::LeftJoin, address::Relation::City.def())
        .join(JoinType::LeftJoin, city::Relation::Country.def())
        .into_query()
}

type Source = (
    Integer,
    String,
    String,
    Integer,
    Integer,
    Option<DateTime<Utc>>,
    Option<String>,
    Option<String>,
);

fn map(row: SourceRow<'_>, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let (customer_id, first_name, last_name, active, address_id, last_update, city, country): Source = row.read()?;
    let missing = || without_place(address_id);
    Ok(ActiveModel {
        customer_key: NotSet,
        customer_id: Set(customer_id.0),
        first_name: Set(first_name),
        last_name: Set(last_name),
        // As MySQL's own IF takes it.
        active: Set(active.0 != 0),
        city: Set(city.ok_or_else(missing)?),
        country: Set(country.ok_or_else(missing)?),
        last_update: Set(last_update.map(timestamp_text)),
        run_id: NotSet,
    })
}
