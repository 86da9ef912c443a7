//! `dim_store`: one row per store, with the city and country of its address.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookup, Lookups, Rejection, Table};
use star_sync::source_record;

use super::{missing_address, timestamp_text};
use crate::sakila::source::{address, city, country, store};

/// One store.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_store")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub store_key: i64,
    #[sea_orm(unique)]
    pub store_id: i64,
    pub city: String,
    pub country: String,
    /// `last_update` of the store, in UTC.
    pub last_update: String,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// store_id to store_key.
pub static STORE: LazyLock<Lookup> = LazyLock::new(|| Lookup::in_target("store", Column::StoreId, Column::StoreKey));

source_record! {
    struct Store of store::Entity {
        store_id: Integer = store::Column::StoreId,
        address_id: Integer = store::Column::AddressId,
        last_update: DateTime<Utc> = store::Column::LastUpdate,
        city: Option<String> = city::Column::City,
        country: Option<String> = country::Column::Country,
    }
    joins [store::Relation::Address, address::Relation::City, city::Relation::Country]
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map)
}

fn map(store: Store, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let missing = || missing_address(store.address_id);
    Ok(ActiveModel {
        store_key: NotSet,
        store_id: Set(store.store_id.0),
        city: Set(store.city.ok_or_else(missing)?),
        country: Set(store.country.ok_or_else(missing)?),
        last_update: Set(timestamp_text(store.last_update)),
        run_id: NotSet,
    })
}
