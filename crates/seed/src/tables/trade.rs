//! Inventory, rentals and payments.

use chrono::{NaiveDateTime, TimeDelta};
use rust_decimal::Decimal;

use super::super::table::{KeyType, SeedTable};
use super::super::world::{PAYMENTS, PAYMENTS_WITHOUT_RENTAL, STAFF, STORES, World, chosen_before, is_chosen, key};
use super::catalogue::{film_id, rental_duration_days, rental_rate_cents};
use super::people::customer_id;
use super::stamp;

/// As in the official data, the amount is 0 in 24 of 16,049 payments.
const FREE_PAYMENTS: u64 = 24;
/// The fee for each day that a copy is late.
pub const LATE_FEE_CENTS: i64 = 100;

/// The price of a rental: the film's rate, plus a fee for each day that the copy is late.
fn price(rate_cents: i64, duration_days: i64, kept_days: i64) -> Decimal {
    Decimal::new(rate_cents + LATE_FEE_CENTS * (kept_days - duration_days).max(0), 2)
}

fn inventory_id(number: u64) -> u64 {
    key(number, 500)
}

/// The film of a copy. Few films have many copies, and the newest 42 of 1,000 have none.
fn film_of(world: &World, copy: u64) -> u64 {
    world.random("copy", copy).skewed(world.films * 958 / 1_000)
}

pub fn inventory(world: &World) -> SeedTable {
    SeedTable::new("inventory", world.inventory, |world, number| {
        vec![
            inventory_id(number).into(),
            film_id(film_of(world, number)).into(),
            (world.random("inventory", number).below(STORES) + 1).into(),
            stamp(world, "inventory", number),
        ]
    })
    .column("inventory_id", |column| {
        KeyType::MediumUnsigned
            .define(column, world.inventory)
            .not_null()
            .auto_increment()
    })
    .column("film_id", |column| {
        KeyType::SmallUnsigned.define(column, world.films).not_null()
    })
    .column("store_id", |column| {
        KeyType::TinyUnsigned.define(column, STORES).not_null()
    })
    .last_update()
    .primary_key(["inventory_id"])
    .index("idx_fk_film_id", ["film_id"])
    .index("idx_store_id_film_id", ["store_id", "film_id"])
    .foreign_key("fk_inventory_store", "store_id", "store", "store_id")
    .foreign_key("fk_inventory_film", "film_id", "film", "film_id")
}

fn rental_id(number: u64) -> u64 {
    key(number, 400)
}

/// A rental. Its payment is derived from it too.
struct Rental {
    begin: NaiveDateTime,
    /// None while the rental is open.
    end: Option<NaiveDateTime>,
    copy: u64,
    customer: u64,
    staff: u64,
    kept_days: i64,
}

fn rental_of(world: &World, number: u64) -> Rental {
    let mut random = world.random("rental", number);
    let begin = world.moment(number, &mut random);
    let end = begin + TimeDelta::seconds(86_400 + random.below(8 * 86_400).cast_signed());
    // One of two hundred copies is not returned from its last rental.
    let is_lost = random.one_in(200) && number + world.inventory >= world.rentals;
    Rental {
        begin,
        end: (!is_lost && end < world.end()).then_some(end),
        copy: world.copy_of(number),
        customer: random.skewed(world.customers_at(number)),
        // Any member of staff, regardless of the copy's store.
        staff: random.below(STAFF),
        kept_days: (end.date() - begin.date()).num_days(),
    }
}

pub fn rental(world: &World) -> SeedTable {
    SeedTable::new("rental", world.rentals, |world, number| {
        let rental = rental_of(world, number);
        vec![
            rental_id(number).into(),
            rental.begin.into(),
            inventory_id(rental.copy).into(),
            customer_id(rental.customer).into(),
            rental.end.into(),
            (rental.staff + 1).into(),
            rental.end.unwrap_or(rental.begin).into(),
        ]
    })
    .column("rental_id", |column| {
        KeyType::Integer
            .define(column, world.rentals)
            .not_null()
            .auto_increment()
    })
    .column("rental_date", |column| column.date_time().not_null())
    .column("inventory_id", |column| {
        KeyType::MediumUnsigned.define(column, world.inventory).not_null()
    })
    .column("customer_id", |column| {
        KeyType::SmallUnsigned.define(column, world.customers).not_null()
    })
    .column("return_date", |column| column.date_time().null())
    .column("staff_id", |column| {
        KeyType::TinyUnsigned.define(column, STAFF).not_null()
    })
    .last_update()
    .primary_key(["rental_id"])
    .unique("rental_date", ["rental_date", "inventory_id", "customer_id"])
    .index("idx_fk_inventory_id", ["inventory_id"])
    .index("idx_fk_customer_id", ["customer_id"])
    .index("idx_fk_staff_id", ["staff_id"])
    .foreign_key("fk_rental_staff", "staff_id", "staff", "staff_id")
    .foreign_key("fk_rental_inventory", "inventory_id", "inventory", "inventory_id")
    .foreign_key("fk_rental_customer", "customer_id", "customer", "customer_id")
}

pub fn payment(world: &World) -> SeedTable {
    SeedTable::new("payment", world.payments, |world, number| {
        let mut random = world.random("payment", number);
        let number_of_rental = number - chosen_before(number, PAYMENTS_WITHOUT_RENTAL, PAYMENTS);
        let is_without_rental = is_chosen(number, PAYMENTS_WITHOUT_RENTAL, PAYMENTS);
        let rental = rental_of(world, number_of_rental.min(world.rentals - 1));
        let film = film_of(world, rental.copy);
        let (rate, duration) = (rental_rate_cents(film), rental_duration_days(film));
        let amount = if is_chosen(number, FREE_PAYMENTS, PAYMENTS) {
            Decimal::new(0, 2)
        } else {
            price(rate, duration, rental.end.map_or(0, |_| rental.kept_days))
        };
        // Paid when the rental begins; a late one, with the fee, on its return.
        let paid = rental
            .end
            .filter(|_| rental.kept_days > duration && !is_without_rental)
            .unwrap_or(rental.begin);
        vec![
            key(number, 650).into(),
            customer_id(rental.customer).into(),
            (random.below(STAFF) + 1).into(),
            (!is_without_rental).then(|| rental_id(number_of_rental)).into(),
            amount.into(),
            paid.into(),
            paid.into(),
        ]
    })
    .column("payment_id", |column| {
        KeyType::SmallUnsigned
            .define(column, world.payments)
            .not_null()
            .auto_increment()
    })
    .column("customer_id", |column| {
        KeyType::SmallUnsigned.define(column, world.customers).not_null()
    })
    .column("staff_id", |column| {
        KeyType::TinyUnsigned.define(column, STAFF).not_null()
    })
    .column("rental_id", |column| {
        KeyType::Integer.define(column, world.rentals).null()
    })
    .column("amount", |column| column.decimal_len(5, 2).not_null())
    .column("payment_date", |column| column.date_time().not_null())
    .nullable_last_update()
    .primary_key(["payment_id"])
    .index("idx_fk_staff_id", ["staff_id"])
    .index("idx_fk_customer_id", ["customer_id"])
    .index("fk_payment_rental", ["rental_id"])
    .loose_foreign_key("fk_payment_rental", "rental_id", "rental", "rental_id")
    .foreign_key("fk_payment_customer", "customer_id", "customer", "customer_id")
    .foreign_key("fk_payment_staff", "staff_id", "staff", "staff_id")
}
