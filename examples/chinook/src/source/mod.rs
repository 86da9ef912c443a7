//! Chinook's tables: one entity per table, with the columns that the star needs.
//!
//! The type `Integer` reads integer columns of any width and sign. No table has a change timestamp.

use star_sync::declare::SourceTable;

pub mod album;
pub mod artist;
pub mod customer;
pub mod employee;
pub mod genre;
pub mod invoice;
pub mod invoice_line;
pub mod media_type;
pub mod playlist;
pub mod playlist_track;
pub mod track;

/// All source tables, each with the key column that identifies its rows.
pub fn tables() -> Vec<SourceTable> {
    vec![
        SourceTable::of::<artist::Entity>(artist::Column::ArtistId),
        SourceTable::of::<album::Entity>(album::Column::AlbumId),
        SourceTable::of::<genre::Entity>(genre::Column::GenreId),
        SourceTable::of::<media_type::Entity>(media_type::Column::MediaTypeId),
        SourceTable::of::<track::Entity>(track::Column::TrackId),
        SourceTable::of::<playlist::Entity>(playlist::Column::PlaylistId),
        SourceTable::of::<playlist_track::Entity>(playlist_track::Column::PlaylistId),
        SourceTable::of::<employee::Entity>(employee::Column::EmployeeId),
        SourceTable::of::<customer::Entity>(customer::Column::CustomerId),
        SourceTable::of::<invoice::Entity>(invoice::Column::InvoiceId),
        SourceTable::of::<invoice_line::Entity>(invoice_line::Column::InvoiceLineId),
    ]
}
