//! `dim_playlist`: one row per playlist.

use std::sync::LazyLock;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookup, Lookups, Rejection, Table};
use star_sync::source_record;

use crate::source::playlist;

/// One playlist.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_playlist")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub playlist_key: i64,
    #[sea_orm(unique)]
    pub playlist_id: i64,
    pub name: Option<String>,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// playlist_id to playlist_key.
pub static PLAYLIST: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_target("Playlist", Column::PlaylistId, Column::PlaylistKey));

source_record! {
    struct Playlist of playlist::Entity {
        playlist_id: Integer = playlist::Column::PlaylistId,
        name: Option<String> = playlist::Column::Name,
    }
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map)
}

fn map(playlist: Playlist, _: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        playlist_key: NotSet,
        playlist_id: Set(playlist.playlist_id.0),
        name: Set(playlist.name),
        run_id: NotSet,
    })
}
