//! `bridge_film_actor`: which actors a film has.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookups, Rejection, Table};
use star_sync::source_record;

use super::{dim_actor::ACTOR, dim_film::FILM};
use crate::sakila::source::film_actor;

/// One actor in one film.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bridge_film_actor")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub film_key: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub actor_key: i64,
    #[sea_orm(belongs_to, relation_enum = "Film", from = "film_key", to = "film_key")]
    pub film: HasOne<super::dim_film::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Actor", from = "actor_key", to = "actor_key")]
    pub actor: HasOne<super::dim_actor::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

source_record! {
    struct Link of film_actor::Entity {
        actor_id: Integer = film_actor::Column::ActorId,
        film_id: Integer = film_actor::Column::FilmId,
    }
}

pub fn table() -> Table {
    Table::bridge::<Entity, _>(map)
        .looks_up(&ACTOR, film_actor::Column::ActorId)
        .looks_up(&FILM, film_actor::Column::FilmId)
}

fn map(link: Link, lookups: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        film_key: Set(lookups.find(&FILM, link.film_id.0)?),
        actor_key: Set(lookups.find(&ACTOR, link.actor_id.0)?),
    })
}
