//! `inventory`: one copy of a film, in one store.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inventory")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub inventory_id: Integer,
    pub film_id: Integer,
    pub store_id: Integer,
    pub last_update: DateTimeUtc,
    #[sea_orm(belongs_to, from = "film_id", to = "film_id")]
    pub film: HasOne<super::film::Entity>,
    #[sea_orm(belongs_to, from = "store_id", to = "store_id")]
    pub store: HasOne<super::store::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
