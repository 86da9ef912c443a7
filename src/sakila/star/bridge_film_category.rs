//! `bridge_film_category`: which genres a film has.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookups, Rejection, Table};
use star_sync::source_record;

use super::{dim_category::CATEGORY, dim_film::FILM};
use crate::sakila::source::film_category;

/// One genre of one film.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bridge_film_category")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub film_key: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub category_key: i64,
    #[sea_orm(belongs_to, relation_enum = "Film", from = "film_key", to = "film_key")]
    pub film: HasOne<super::dim_film::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Category", from = "category_key", to = "category_key")]
    pub category: HasOne<super::dim_category::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

source_record! {
    struct Link of film_category::Entity {
        film_id: Integer = film_category::Column::FilmId,
        category_id: Integer = film_category::Column::CategoryId,
    }
}

pub fn table() -> Table {
    Table::bridge::<Entity, _>(map)
        .looks_up(&FILM, film_category::Column::FilmId)
        .looks_up(&CATEGORY, film_category::Column::CategoryId)
}

fn map(link: Link, lookups: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        film_key: Set(lookups.find(&FILM, link.film_id.0)?),
        category_key: Set(lookups.find(&CATEGORY, link.category_id.0)?),
    })
}
