//! The source's tables: one entity per table, with only the columns that are read.
//!
//! The sync never writes to them.

use star_sync::declare::SourceTable;

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

/// Every source table, with the integer key column by which changed rows are identified.
///
/// Rows of the link tables are identified by one column of their composite key: all rows of one actor, or of one film,
/// are processed together.
pub fn tables() -> Vec<SourceTable> {
    vec![
        SourceTable::of::<country::Entity>(country::Column::CountryId).changed_at(country::Column::LastUpdate),
        SourceTable::of::<city::Entity>(city::Column::CityId).changed_at(city::Column::LastUpdate),
        SourceTable::of::<address::Entity>(address::Column::AddressId).changed_at(address::Column::LastUpdate),
        SourceTable::of::<language::Entity>(language::Column::LanguageId).changed_at(language::Column::LastUpdate),
        SourceTable::of::<store::Entity>(store::Column::StoreId).changed_at(store::Column::LastUpdate),
        SourceTable::of::<staff::Entity>(staff::Column::StaffId).changed_at(staff::Column::LastUpdate),
        SourceTable::of::<customer::Entity>(customer::Column::CustomerId).changed_at(customer::Column::LastUpdate),
        SourceTable::of::<film::Entity>(film::Column::FilmId).changed_at(film::Column::LastUpdate),
        SourceTable::of::<actor::Entity>(actor::Column::ActorId).changed_at(actor::Column::LastUpdate),
        SourceTable::of::<category::Entity>(category::Column::CategoryId).changed_at(category::Column::LastUpdate),
        SourceTable::of::<film_actor::Entity>(film_actor::Column::ActorId).changed_at(film_actor::Column::LastUpdate),
        SourceTable::of::<film_category::Entity>(film_category::Column::FilmId)
            .changed_at(film_category::Column::LastUpdate),
        SourceTable::of::<inventory::Entity>(inventory::Column::InventoryId).changed_at(inventory::Column::LastUpdate),
        SourceTable::of::<rental::Entity>(rental::Column::RentalId).changed_at(rental::Column::LastUpdate),
        SourceTable::of::<payment::Entity>(payment::Column::PaymentId).changed_at(payment::Column::LastUpdate),
    ]
}
