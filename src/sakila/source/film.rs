//! `film`: one title of the catalogue.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "film")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub film_id: Integer,
    pub title: String,
    pub release_year: Option<Integer>,
    pub language_id: Integer,
    /// Days that a customer may keep the film.
    pub rental_duration: Integer,
    pub rental_rate: Decimal,
    pub length: Option<Integer>,
    pub replacement_cost: Decimal,
    pub rating: Option<String>,
    pub last_update: DateTimeUtc,
    #[sea_orm(belongs_to, from = "language_id", to = "language_id")]
    pub language: HasOne<super::language::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
