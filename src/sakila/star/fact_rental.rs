//! `fact_rental`: one row per rental. Film and store are those of the rented inventory item.

use std::sync::LazyLock;

use chrono::NaiveDateTime;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Entry, Integer, Lookup, Lookups, Rejection, Table, Totals, calendar_key};
use star_sync::source_record;

use super::dim_customer::CUSTOMER;
use super::dim_film::FILM;
use super::dim_store::{self, STORE};
use crate::sakila::source::{rental, staff};
use crate::sakila::source_lookups::{INVENTORY_FILM, INVENTORY_STORE, RENTAL_ITEM, STAFF_STORE};

/// One rental.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fact_rental")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub fact_rental_key: i64,
    #[sea_orm(unique)]
    pub rental_id: i64,
    pub date_key_rented: i32,
    /// NULL while the rental is open.
    pub date_key_returned: Option<i32>,
    pub film_key: i64,
    pub store_key: i64,
    pub customer_key: i64,
    pub staff_id: i64,
    /// Calendar days from the rental's date to the return's (MySQL's DATEDIFF); NULL while the rental is open.
    pub rental_duration_days: Option<i32>,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
    #[sea_orm(belongs_to, relation_enum = "DateRented", from = "date_key_rented", to = "date_key")]
    pub date_rented: HasOne<star_sync::declare::dim_date::Entity>,
    #[sea_orm(
        belongs_to,
        relation_enum = "DateReturned",
        from = "date_key_returned",
        to = "date_key"
    )]
    pub date_returned: HasOne<star_sync::declare::dim_date::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Film", from = "film_key", to = "film_key")]
    pub film: HasOne<super::dim_film::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Store", from = "store_key", to = "store_key")]
    pub store: HasOne<super::dim_store::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Customer", from = "customer_key", to = "customer_key")]
    pub customer: HasOne<super::dim_customer::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// rental_id to store_key, for payments. The value is `REJECTED_RENTAL` for a quarantined rental. A rental that is
/// quarantined because its inventory item is missing is not in the lookup.
pub static RENTAL_STORE: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_target("rental", Column::RentalId, Column::StoreKey));

/// rental_id to film_key, with `REJECTED_RENTAL` as in [`RENTAL_STORE`].
pub static RENTAL_FILM: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_target("rental", Column::RentalId, Column::FilmKey));

/// Differs from every surrogate key: those are never 0.
pub const REJECTED_RENTAL: i64 = 0;

source_record! {
    struct Rental of rental::Entity {
        rental_id: Integer = rental::Column::RentalId,
        rented: NaiveDateTime = rental::Column::RentalDate,
        inventory_id: Integer = rental::Column::InventoryId,
        customer_id: Integer = rental::Column::CustomerId,
        returned: Option<NaiveDateTime> = rental::Column::ReturnDate,
        staff_id: Integer = rental::Column::StaffId,
    }
}

pub fn table() -> Table {
    // A rental without its inventory item is left out of the lookups, so that its payments use the store of their staff
    // member. A rental that is quarantined for any other reason has the value `REJECTED_RENTAL`, so that its payments
    // are quarantined too.
    let rejected_as =
        |missing_parent: Option<&str>| (missing_parent != Some(INVENTORY_FILM.name)).then_some(REJECTED_RENTAL);
    Table::fact::<Entity, _>(map)
        .looks_up(&INVENTORY_FILM, rental::Column::InventoryId)
        .looks_up(&INVENTORY_STORE, rental::Column::InventoryId)
        .looks_up_through(&INVENTORY_FILM, &FILM)
        .looks_up_through(&INVENTORY_STORE, &STORE)
        .looks_up(&CUSTOMER, rental::Column::CustomerId)
        .looks_up(&STAFF_STORE, rental::Column::StaffId)
        .unaffected_by(staff::Entity)
        .fills_lookup(&RENTAL_STORE, rejected_as)
        .fills_lookup(&RENTAL_FILM, rejected_as)
        .totals(totals())
}

source_record! {
    struct Counted of rental::Entity {
        rental_id: Integer = rental::Column::RentalId,
        inventory_id: Option<Integer> = rental::Column::InventoryId,
        rented: Option<NaiveDateTime> = rental::Column::RentalDate,
    }
}

fn totals() -> Totals {
    Totals::of(entry)
        .dated(rental::Column::RentalDate, Column::DateKeyRented)
        .grouped_by("store", dim_store::Column::StoreId, [Relation::Store.def()])
        .looks_up(&INVENTORY_STORE, rental::Column::InventoryId)
        .fills(&RENTAL_ITEM, rental::Column::RentalId, rental::Column::InventoryId)
}

fn map(rental: Rental, lookups: &Lookups) -> Result<ActiveModel, Rejection> {
    let film_id = lookups.find(&INVENTORY_FILM, rental.inventory_id.0)?;
    let store_id = lookups.find(&INVENTORY_STORE, rental.inventory_id.0)?;
    // Only checks that the staff member exists.
    lookups.find(&STAFF_STORE, rental.staff_id.0)?;
    let days = rental.returned.map(|returned| calendar_days(rental.rented, returned));
    Ok(ActiveModel {
        fact_rental_key: NotSet,
        rental_id: Set(rental.rental_id.0),
        date_key_rented: Set(calendar_key(rental.rented)?),
        date_key_returned: Set(rental.returned.map(calendar_key).transpose()?),
        film_key: Set(lookups.find(&FILM, film_id)?),
        store_key: Set(lookups.find(&STORE, store_id)?),
        customer_key: Set(lookups.find(&CUSTOMER, rental.customer_id.0)?),
        staff_id: Set(rental.staff_id.0),
        rental_duration_days: Set(days),
        run_id: NotSet,
    })
}

/// Like MySQL's DATEDIFF: the difference of the dates, ignoring the time of day; negative if `to` is before `from`.
fn calendar_days(from: NaiveDateTime, to: NaiveDateTime) -> i32 {
    let days = to.date().signed_duration_since(from.date()).num_days();
    i32::try_from(days).expect("two days of the calendar are less than 2^31 days apart")
}

fn entry(rental: Counted, lookups: &Lookups) -> Entry {
    let store = rental.inventory_id.and_then(|item| lookups.get(&INVENTORY_STORE, item));
    Entry::default().on(rental.rented).in_group(store)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn time(year: i32, month: u32, day: u32, hour: u32) -> NaiveDateTime {
        NaiveDate::from_ymd_opt(year, month, day)
            .unwrap()
            .and_hms_opt(hour, 0, 0)
            .unwrap()
    }

    #[test]
    fn durations_count_midnights_not_hours() {
        assert_eq!(calendar_days(time(2005, 5, 24, 23), time(2005, 5, 25, 1)), 1);
        assert_eq!(calendar_days(time(2005, 5, 24, 0), time(2005, 5, 24, 23)), 0);
        assert_eq!(calendar_days(time(2004, 2, 28, 12), time(2004, 3, 1, 12)), 2);
        assert_eq!(calendar_days(time(2005, 5, 24, 1), time(2005, 5, 23, 1)), -1);
    }
}
