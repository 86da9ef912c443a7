//! `city`: one city.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "city")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub city_id: Integer,
    pub city: String,
    pub country_id: Integer,
    pub last_update: DateTimeUtc,
    #[sea_orm(belongs_to, from = "country_id", to = "country_id")]
    pub country: HasOne<super::country::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
