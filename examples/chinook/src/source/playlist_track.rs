//! `PlaylistTrack`: a track in a playlist.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "PlaylistTrack", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub playlist_id: Integer,
    #[sea_orm(primary_key, auto_increment = false)]
    pub track_id: Integer,
}

impl ActiveModelBehavior for ActiveModel {}
