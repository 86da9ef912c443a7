//! `language`: the language of a film.

use sea_orm::entity::prelude::*;

use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "language")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub language_id: Integer,
    pub name: String,
    pub last_update: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
