//! `bridge_film_category`: which genres a film has.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ActiveValue::Set, QuerySelect, QueryTrait};
use star_sync::declare::integer::Integer;
use star_sync::declare::lookup::{KeysFrom, Lookups, Need};
use star_sync::declare::rejection::Rejection;
use star_sync::declare::row::{columns_of, mapped_by, notes_its_run, surrogate_key_of};
use star_sync::declare::source_rows::SourceRow;
use star_sync::declare::table::{Kind, Table, TargetPageKey, references_of};

use super::{dim_category::CATEGORY, dim_film::FILM};
use crate::sakila::source::film_category;

/// One genre of one film.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bridge_film_category")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub film_key: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub category_key: i64,
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
        belongs_to = "super::dim_category::Entity",
        from = "Column::CategoryKey",
        to = "super::dim_category::Column::CategoryKey"
    )]
    Category,
}

impl ActiveModelBehavior for ActiveModel {}

pub fn table() -> Table {
    Table {
        name: "bridge_film_category",
        kind: Kind::Bridge,
        source_table: "film_category",
        page_key: "film_id",
        select,
        primary_key_columns: 2,
        map: mapped_by::<Entity, _>(map),
        columns: columns_of::<Entity>(),
        surrogate_key: surrogate_key_of::<Entity>(),
        notes_run: notes_its_run::<Entity>(),
        natural_key: vec!["film_key", "category_key"],
        target_page_key: TargetPageKey::Through {
            dimension: "dim_film",
            surrogate_key: "film_key",
            page_key: "film_id",
        },
        needs: vec![
            Need {
                lookup: &FILM,
                keys: KeysFrom::Column(0),
            },
            Need {
                lookup: &CATEGORY,
                keys: KeysFrom::Column(1),
            },
        ],
        publishes: vec![],
        joined: vec![],
        looked_up: vec![],
        follows: vec![],
        references: references_of::<Entity>(),
        date_columns: vec![],
        indexes: vec!["category_key"],
        sums: vec![],
        totals: None,
    }
}

fn select() -> SelectStatement {
    film_category::Entity::find()
        .select_only()
        .columns([film_category::Column::FilmId, film_category::Column::CategoryId])
        .into_query()
}

fn map(row: SourceRow<'_>, lookups: &Lookups) -> Result<ActiveModel, Rejection> {
    let (film_id, category_id): (Integer, Integer) = row.read()?;
    Ok(ActiveModel {
        film_key: Set(lookups.find(&FILM, film_id.0)?),
        category_key: Set(lookups.find(&CATEGORY, category_id.0)?),
    })
}
