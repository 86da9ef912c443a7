//! The operational database as it is read: one entity a table, trimmed to the columns that are used.
//!
//! Nothing here is ever written to.

use star_sync::declare::source_table::SourceTable;

pub mod actor;
pub mod address;
pub mod category;
pub mod city;
pub mod country;
pub mod customer;
pub mod film;
pub mod film_actor;
pub mod film_category;
pub mod inventory;
pub mod language;
pub mod payment;
pub mod rental;
pub mod staff;
pub mod store;

/// Every source table, with the integer column that its changed rows are named by.
///
/// The link tables are named by one half of their key: all rows of one actor, or of one film, go together.
pub fn tables() -> Vec<SourceTable> {
    vec![
        SourceTable::of::<country::Entity>(country::Column::CountryId),
        SourceTable::of::<city::Entity>(city::Column::CityId),
        SourceTable::of::<address::Entity>(address::Column::AddressId),
        SourceTable::of::<language::Entity>(language::Column::LanguageId),
        SourceTable::of::<store::Entity>(store::Column::StoreId),
        SourceTable::of::<staff::Entity>(staff::Column::StaffId),
        SourceTable::of::<customer::Entity>(customer::Column::CustomerId),
        SourceTable::of::<film::Entity>(film::Column::FilmId),
        SourceTable::of::<actor::Entity>(actor::Column::ActorId),
        SourceTable::of::<category::Entity>(category::Column::CategoryId),
        SourceTable::of::<film_actor::Entity>(film_actor::Column::ActorId),
        SourceTable::of::<film_category::Entity>(film_category::Column::FilmId),
        SourceTable::of::<inventory::Entity>(inventory::Column::InventoryId),
        SourceTable::of::<rental::Entity>(rental::Column::RentalId),
        SourceTable::of::<payment::Entity>(payment::Column::PaymentId),
    ]
}
