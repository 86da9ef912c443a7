//! Countries, cities and addresses.

use sea_orm::Value;

use super::super::table::{KeyType, SeedTable};
use super::super::words::{CITY_BEGINNINGS, CITY_ENDINGS, COUNTRIES, DISTRICTS, STREETS, nth};
use super::super::world::{CITIES, STAFF, STORES, World, key};
use super::stamp;

pub fn country_id(number: u64) -> u64 {
    key(number, 40)
}

pub fn country() -> SeedTable {
    let rows = COUNTRIES.len() as u64;
    SeedTable::new("country", rows, |world, number| {
        vec![
            country_id(number).into(),
            nth(&COUNTRIES, number).into(),
            stamp(world, "country", number),
        ]
    })
    .column("country_id", |column| {
        KeyType::SmallUnsigned.define(column, rows).not_null().auto_increment()
    })
    .column("country", |column| column.string_len(50).not_null())
    .last_update()
    .primary_key(["country_id"])
}

pub fn city_id(number: u64) -> u64 {
    key(number, 150)
}

pub fn city() -> SeedTable {
    SeedTable::new("city", CITIES, |world, number| {
        let mut random = world.random("city", number);
        let endings = CITY_ENDINGS.len() as u64;
        let beginning = nth(&CITY_BEGINNINGS, number / endings);
        let ending = nth(&CITY_ENDINGS, number % endings);
        // The ending is a word of its own if the beginning ends with a space.
        let name: String = if beginning.ends_with(' ') {
            let mut letters = ending.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            beginning.chars().chain(first).chain(letters).collect()
        } else {
            format!("{beginning}{ending}")
        };
        vec![
            city_id(number).into(),
            name.into(),
            country_id(random.skewed(COUNTRIES.len() as u64)).into(),
            stamp(world, "city", number),
        ]
    })
    .column("city_id", |column| {
        KeyType::SmallUnsigned
            .define(column, CITIES)
            .not_null()
            .auto_increment()
    })
    .column("city", |column| column.string_len(50).not_null())
    .column("country_id", |column| {
        KeyType::SmallUnsigned.define(column, COUNTRIES.len() as u64).not_null()
    })
    .last_update()
    .primary_key(["city_id"])
    .index("idx_fk_country_id", ["country_id"])
    .foreign_key("fk_city_country", "country_id", "country", "country_id")
}

/// The first addresses are those of stores, followed by staff and customers.
pub fn addresses(world: &World) -> u64 {
    STORES + STAFF + world.customers
}

pub fn address_id(number: u64) -> u64 {
    key(number, 65)
}

pub fn address(world: &World) -> SeedTable {
    let rows = addresses(world);
    SeedTable::new("address", rows, |world, number| {
        let mut random = world.random("address", number);
        let district = random.pick(&DISTRICTS);
        let street = format!("{} {district} {}", 1 + random.below(1_999), random.pick(&STREETS));
        let second_line = (!random.one_in(150)).then(String::new);
        let postal_code = (!random.one_in(150)).then(|| format!("{:05}", random.below(100_000)));
        vec![
            address_id(number).into(),
            street.into(),
            second_line.into(),
            district.into(),
            city_id(random.below(CITIES)).into(),
            postal_code.into(),
            format!("{:012}", random.below(1_000_000_000)).into(),
            location(random.below(3_600), random.below(1_800)),
            stamp(world, "address", number),
        ]
    })
    .column("address_id", |column| {
        KeyType::SmallUnsigned.define(column, rows).not_null().auto_increment()
    })
    .column("address", |column| column.string_len(50).not_null())
    .column("address2", |column| column.string_len(50).null())
    .column("district", |column| column.string_len(20).not_null())
    .column("city_id", |column| {
        KeyType::SmallUnsigned.define(column, CITIES).not_null()
    })
    .column("postal_code", |column| column.string_len(10).null())
    .column("phone", |column| column.string_len(20).not_null())
    .column("location", |column| column.custom("GEOMETRY").not_null())
    .last_update()
    .primary_key(["address_id"])
    .index("idx_fk_city_id", ["city_id"])
    .spatial("idx_location", "location")
    .foreign_key("fk_address_city", "city_id", "city", "city_id")
}

/// A point in the server's storage format: the number of its reference system (0), then well-known binary
/// (little-endian, type 1 for a point, two doubles). `east` and `north` are in tenths of a degree, from 180° west and
/// from the south pole.
pub fn location(east: u64, north: u64) -> Value {
    let degrees = |tenths: u64, half: i32| f64::from(i32::try_from(tenths).unwrap_or(0) - half) / 10.0;
    let mut bytes = vec![0, 0, 0, 0, 1, 1, 0, 0, 0];
    bytes.extend(degrees(east, 1_800).to_le_bytes());
    bytes.extend(degrees(north, 900).to_le_bytes());
    bytes.into()
}
