//! `dim_store`: one row a store, with the city and country of its address.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait, SelectStatement};
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
use crate::sakila::source::{address, city, country, store};

/// One store.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_store")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub store_key: i64,
    #[sea_orm(unique)]
    pub store_id: i64,
    pub city: String,
    pub country: String,
    /// The store's own, UTC.
    pub last_update: String,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// store_id to store_key.
pub static STORE: Lookup = Lookup {
    name: "store",
    side: Side::Target,
    table: "dim_store",
    key: "store_id",
    value: "store_key",
    published_by: None,
};

/// A store and a day as one number: SQLite sorts by one in half of the time that two columns take.
pub fn with_day(date_key: Expr) -> Expr {
    const STORES: i64 = 10_000_000_000;
    date_key.mul(STORES).add(Expr::col((Entity, Column::StoreId)))
}

pub fn table() -> Table {
    Table {
        joined: vec!["address", "city", "country"],
        ..Table::dimension::<Entity>("dim_store", "store", "store_id", select, map)
    }
}

fn select() -> SelectStatement {
    store::Entity::find()
        .select_only()
        .columns([
            store::Column::StoreId,
            store::Column::AddressId,
            store::Column::LastUpdate,
        ])
        .column(city::Column::City)
        .column(country::Column::Country)
        .join(JoinType::LeftJoin, store::Relation::Address.def())
        .join(JoinType::LeftJoin, address::Relation::City.def())
        .join(JoinType::LeftJoin, city::Relation::Country.def())
        .into_query()
}

type Source = (Integer, Integer, DateTime<Utc>, Option<String>, Option<String>);

fn map(row: SourceRow<'_>, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let (store_id, address_id, last_update, city, country): Source = row.read()?;
    let missing = || without_place(address_id);
    Ok(ActiveModel {
        store_key: NotSet,
        store_id: Set(store_id.0),
        city: Set(city.ok_or_else(missing)?),
        country: Set(country.ok_or_else(missing)?),
        last_update: Set(timestamp_text(last_update)),
        run_id: NotSet,
    })
}
