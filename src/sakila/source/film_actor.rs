//! `film_actor`: which actors a film has.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "film_actor")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub actor_id: Integer,
    #[sea_orm(primary_key, auto_increment = false)]
    pub film_id: Integer,
    pub last_update: DateTimeUtc,
    #[sea_orm(belongs_to, from = "actor_id", to = "actor_id")]
    pub actor: HasOne<super::actor::Entity>,
    #[sea_orm(belongs_to, from = "film_id", to = "film_id")]
    pub film: HasOne<super::film::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
