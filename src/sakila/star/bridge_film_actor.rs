//! `bridge_film_actor`: who plays in which film.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ActiveValue::Set, QuerySelect, QueryTrait};
use star_sync::declare::integer::Integer;
use star_sync::declare::lookup::{KeysFrom, Lookups, Need};
use star_sync::declare::rejection::Rejection;
use star_sync::declare::row::{columns_of, mapped_by, notes_its_run, surrogate_key_of};
use star_sync::declare::source_rows::SourceRow;
use star_sync::declare::table::{Kind, Table, TargetPageKey, references_of};

use super::{dim_actor::ACTOR, dim_film::FILM};
use crate::sakila::source::film_actor;

/// One actor in one film.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bridge_film_actor")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub film_key: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub actor_key: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::dim_film::Entity",
        from = "Column::FilmKey",
        to = "super::dim_film::Column::FilmKey"
    )]
    Film,
    #[sea_orm(
        belongs_to = "super::dim_actor::Entity",
        from = "Column::ActorKey",
        to = "super::dim_actor::Column::ActorKey"
    )]
    Actor,
}

impl ActiveModelBehavior for ActiveModel {}

pub fn table() -> Table {
    Table {
        name: "bridge_film_actor",
        kind: Kind::Bridge,
        source_table: "film_actor",
        page_key: "actor_id",
        select,
        primary_key_columns: 2,
        map: mapped_by::<Entity, _>(map),
        columns: columns_of::<Entity>(),
        surrogate_key: surrogate_key_of::<Entity>(),
        notes_run: notes_its_run::<Entity>(),
        natural_key: vec!["film_key", "actor_key"],
        target_page_key: TargetPageKey::Through {
            dimension: "dim_actor",
            surrogate_key: "actor_key",
            page_key: "actor_id",
        },
        needs: vec![
            Need {
                lookup: &ACTOR,
                keys: KeysFrom::Column(0),
            },
            Need {
                lookup: &FILM,
                keys: KeysFrom::Column(1),
            },
        ],
        publishes: vec![],
        joined: vec![],
        looked_up: vec![],
        follows: vec![],
        references: references_of::<Entity>(),
        date_columns: vec![],
        indexes: vec!["actor_key"],
        sums: vec![],
        totals: None,
    }
}

fn select() -> SelectStatement {
    film_actor::Entity::find()
        .select_only()
        .columns([film_actor::Column::ActorId, film_actor::Column::FilmId])
        .into_query()
}

fn map(row: SourceRow<'_>, lookups: &Lookups) -> Result<ActiveModel, Rejection> {
    let (actor_id, film_id): (Integer, Integer) = row.read()?;
    Ok(ActiveModel {
        film_key: Set(lookups.find(&FILM, film_id.0)?),
        actor_key: Set(lookups.find(&ACTOR, actor_id.0)?),
    })
}
