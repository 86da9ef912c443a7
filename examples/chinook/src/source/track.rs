//! `Track`: a track, which may be on an album.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
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
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::album::Entity",
        from = "Column::AlbumId",
        to = "super::album::Column::AlbumId"
    )]
    Album,
    #[sea_orm(
        belongs_to = "super::media_type::Entity",
        from = "Column::MediaTypeId",
        to = "super::media_type::Column::MediaTypeId"
    )]
    MediaType,
    #[sea_orm(
        belongs_to = "super::genre::Entity",
        from = "Column::GenreId",
        to = "super::genre::Column::GenreId"
    )]
    Genre,
}

impl ActiveModelBehavior for ActiveModel {}
