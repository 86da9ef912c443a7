//! `dim_track`: one row per track, with the names of its album, artist, genre and medium.

use std::sync::LazyLock;

use rust_decimal::Decimal;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookup, Lookups, Rejection, Table, fixed_point};
use star_sync::source_record;

use crate::source::{album, artist, genre, media_type, track};

/// One track.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_track")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub track_key: i64,
    #[sea_orm(unique)]
    pub track_id: i64,
    pub name: String,
    /// NULL for a track that is on no album.
    pub album: Option<String>,
    pub artist: Option<String>,
    pub genre: Option<String>,
    pub media_type: Option<String>,
    pub composer: Option<String>,
    pub milliseconds: i64,
    /// In currency units with two decimals.
    pub unit_price: f64,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// track_id to track_key.
pub static TRACK: LazyLock<Lookup> = LazyLock::new(|| Lookup::in_target("Track", Column::TrackId, Column::TrackKey));

source_record! {
    struct Track of track::Entity {
        track_id: Integer = track::Column::TrackId,
        name: String = track::Column::Name,
        composer: Option<String> = track::Column::Composer,
        milliseconds: Integer = track::Column::Milliseconds,
        unit_price: Decimal = track::Column::UnitPrice,
        album: Option<String> = album::Column::Title,
        artist: Option<String> = artist::Column::Name,
        genre: Option<String> = genre::Column::Name,
        media_type: Option<String> = media_type::Column::Name,
    }
    joins [track::Relation::Album, album::Relation::Artist, track::Relation::Genre, track::Relation::MediaType]
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map)
}

fn map(track: Track, _: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        track_key: NotSet,
        track_id: Set(track.track_id.0),
        name: Set(track.name),
        album: Set(track.album),
        artist: Set(track.artist),
        genre: Set(track.genre),
        media_type: Set(track.media_type),
        composer: Set(track.composer),
        milliseconds: Set(track.milliseconds.0),
        unit_price: Set(fixed_point::real(track.unit_price, 2, "UnitPrice")?),
        run_id: NotSet,
    })
}
