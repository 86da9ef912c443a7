//! `bridge_playlist_track`: which tracks are in which playlist.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookups, Rejection, Table};
use star_sync::source_record;

use super::dim_playlist::PLAYLIST;
use super::dim_track::TRACK;
use crate::source::playlist_track;

/// One track in one playlist.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bridge_playlist_track")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub playlist_key: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub track_key: i64,
    #[sea_orm(belongs_to, relation_enum = "Playlist", from = "playlist_key", to = "playlist_key")]
    pub playlist: HasOne<super::dim_playlist::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Track", from = "track_key", to = "track_key")]
    pub track: HasOne<super::dim_track::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

source_record! {
    struct Listed of playlist_track::Entity {
        playlist_id: Integer = playlist_track::Column::PlaylistId,
        track_id: Integer = playlist_track::Column::TrackId,
    }
}

pub fn table() -> Table {
    Table::bridge::<Entity, _>(map)
        .looks_up(&PLAYLIST, playlist_track::Column::PlaylistId)
        .looks_up(&TRACK, playlist_track::Column::TrackId)
}

fn map(listed: Listed, lookups: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        playlist_key: Set(lookups.find(&PLAYLIST, listed.playlist_id)?),
        track_key: Set(lookups.find(&TRACK, listed.track_id)?),
    })
}
