//! `Genre`: one genre of music.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "Genre", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub genre_id: Integer,
    pub name: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
