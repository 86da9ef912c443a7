//! `film`: one title of the catalogue.

use sea_orm::entity::prelude::*;

use crate::engine::declaration::key::Key;

/// The columns that are read.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "film")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub film_id: Key,
    pub title: String,
    pub release_year: Option<u16>,
    pub language_id: Key,
    pub length: Option<u32>,
    pub rating: Option<String>,
    pub last_update: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::language::Entity",
        from = "Column::LanguageId",
        to = "super::language::Column::LanguageId"
    )]
    Language,
}

impl ActiveModelBehavior for ActiveModel {}
