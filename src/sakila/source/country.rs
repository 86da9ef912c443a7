//! `country`: one country.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "country")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub country_id: Integer,
    pub country: String,
    pub last_update: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
