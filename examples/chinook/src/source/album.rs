//! `Album`: an album of one artist.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "Album", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub album_id: Integer,
    pub title: String,
    pub artist_id: Integer,
    #[sea_orm(belongs_to, from = "artist_id", to = "artist_id")]
    pub artist: HasOne<super::artist::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
