//! Stores, their staff and customers.

use chrono::TimeDelta;

use super::super::table::{KeyType, SeedTable};
use super::super::words::{FIRST_NAMES, LAST_NAMES};
use super::super::world::{STAFF, STORES, World, is_chosen, key};
use super::places::{address_id, addresses};
use super::stamp;

pub fn store(world: &World) -> SeedTable {
    SeedTable::new("store", STORES, |world, number| {
        vec![
            (number + 1).into(),
            // The manager works in the store.
            (number + 1).into(),
            address_id(number).into(),
            stamp(world, "store", number),
        ]
    })
    .column("store_id", |column| {
        KeyType::TinyUnsigned.define(column, STORES).not_null().auto_increment()
    })
    .column("manager_staff_id", |column| {
        KeyType::TinyUnsigned.define(column, STAFF).not_null()
    })
    .column("address_id", |column| {
        KeyType::SmallUnsigned.define(column, addresses(world)).not_null()
    })
    .last_update()
    .primary_key(["store_id"])
    .unique("idx_unique_manager", ["manager_staff_id"])
    .index("idx_fk_address_id", ["address_id"])
    .foreign_key("fk_store_staff", "manager_staff_id", "staff", "staff_id")
    .foreign_key("fk_store_address", "address_id", "address", "address_id")
}

pub fn staff(world: &World) -> SeedTable {
    SeedTable::new("staff", STAFF, |world, number| {
        let mut random = world.random("staff", number);
        let picture = (number == 0).then(|| vec![0x89_u8, b'P', b'N', b'G']);
        vec![
            (number + 1).into(),
            random.pick(&FIRST_NAMES).into(),
            random.pick(&LAST_NAMES).into(),
            address_id(STORES + number).into(),
            picture.into(),
            format!("staff{}@sakila.example", number + 1).into(),
            (number % STORES + 1).into(),
            true.into(),
            format!("staff{}", number + 1).into(),
            // No password: staff accounts have no login.
            None::<String>.into(),
            stamp(world, "staff", number),
        ]
    })
    .column("staff_id", |column| {
        KeyType::TinyUnsigned.define(column, STAFF).not_null().auto_increment()
    })
    .column("first_name", |column| column.string_len(45).not_null())
    .column("last_name", |column| column.string_len(45).not_null())
    .column("address_id", |column| {
        KeyType::SmallUnsigned.define(column, addresses(world)).not_null()
    })
    .column("picture", |column| column.custom("BLOB").null())
    .column("email", |column| column.string_len(50).null())
    .column("store_id", |column| {
        KeyType::TinyUnsigned.define(column, STORES).not_null()
    })
    .column("active", |column| column.boolean().not_null().default(true))
    .column("username", |column| column.string_len(16).not_null())
    .column("password", |column| {
        column.custom("VARCHAR(40) COLLATE utf8mb4_bin").null()
    })
    .last_update()
    .primary_key(["staff_id"])
    .index("idx_fk_store_id", ["store_id"])
    .index("idx_fk_address_id", ["address_id"])
    .foreign_key("fk_staff_store", "store_id", "store", "store_id")
    .foreign_key("fk_staff_address", "address_id", "address", "address_id")
}

pub fn customer_id(number: u64) -> u64 {
    key(number, 70)
}

pub fn customer(world: &World) -> SeedTable {
    let rows = world.customers;
    SeedTable::new("customer", rows, |world, number| {
        let mut random = world.random("customer", number);
        let created = match world.first_rental_of(number) {
            Some(rental) => world.moment(rental, &mut world.random("rental", rental)) - TimeDelta::days(1),
            None => world.first_day().into(),
        };
        // A few customers have no last_update, because the column allows NULL.
        let last_update = if is_chosen(number, 3, 599) {
            None::<chrono::NaiveDateTime>.into()
        } else {
            let mut random = world.random("changed customer", number);
            world.any_moment(&mut random).max(created).into()
        };
        vec![
            customer_id(number).into(),
            (random.below(STORES) + 1).into(),
            random.pick(&FIRST_NAMES).into(),
            random.pick(&LAST_NAMES).into(),
            format!("customer{}@sakila.example", customer_id(number)).into(),
            address_id(STORES + STAFF + number).into(),
            // As in the official data, 15 of 599 are inactive.
            (!is_chosen(number, 15, 599)).into(),
            created.into(),
            last_update,
        ]
    })
    .column("customer_id", |column| {
        KeyType::SmallUnsigned.define(column, rows).not_null().auto_increment()
    })
    .column("store_id", |column| {
        KeyType::TinyUnsigned.define(column, STORES).not_null()
    })
    .column("first_name", |column| column.string_len(45).not_null())
    .column("last_name", |column| column.string_len(45).not_null())
    .column("email", |column| column.string_len(50).null())
    .column("address_id", |column| {
        KeyType::SmallUnsigned.define(column, addresses(world)).not_null()
    })
    .column("active", |column| column.boolean().not_null().default(true))
    .column("create_date", |column| column.date_time().not_null())
    .nullable_last_update()
    .primary_key(["customer_id"])
    .index("idx_fk_store_id", ["store_id"])
    .index("idx_fk_address_id", ["address_id"])
    .index("idx_last_name", ["last_name"])
    .foreign_key("fk_customer_address", "address_id", "address", "address_id")
    .foreign_key("fk_customer_store", "store_id", "store", "store_id")
}
