//! `Track`: a track, which may be on an album.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "Track", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub track_id: Integer,
    pub name: String,
    pub album_id: Option<Integer>,
    pub media_type_id: Integer,
    pub genre_id: Option<Integer>,
    pub composer: Option<String>,
    pub milliseconds: Integer,
    pub unit_price: Decimal,
    #[sea_orm(belongs_to, from = "album_id", to = "album_id")]
    pub album: HasOne<super::album::Entity>,
    #[sea_orm(belongs_to, from = "media_type_id", to = "media_type_id")]
    pub media_type: HasOne<super::media_type::Entity>,
    #[sea_orm(belongs_to, from = "genre_id", to = "genre_id")]
    pub genre: HasOne<super::genre::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
