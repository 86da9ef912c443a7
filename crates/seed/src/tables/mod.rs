//! The tables of Sakila in the documented layout (<https://dev.mysql.com/doc/sakila/en/sakila-structure-tables.html>),
//! with the functions that generate their rows.

mod catalogue;
mod people;
mod places;
mod trade;

use sea_orm::Value;

use super::table::SeedTable;
use super::world::World;

pub use catalogue::{description, title};
pub use places::location;
pub use trade::LATE_FEE_CENTS;

/// All tables. The rows of one can be generated before those of another exist.
pub fn all(world: &World) -> Vec<SeedTable> {
    vec![
        places::country(),
        places::city(),
        places::address(world),
        people::store(world),
        people::staff(world),
        people::customer(world),
        catalogue::language(),
        catalogue::category(),
        catalogue::film(world),
        catalogue::film_text(world),
        catalogue::actor(world),
        catalogue::film_actor(world),
        catalogue::film_category(world),
        trade::inventory(world),
        trade::rental(world),
        trade::payment(world),
    ]
}

/// The value of a `last_update` column: a random moment of history.
fn stamp(world: &World, table: &str, number: u64) -> Value {
    world.any_moment(&mut world.random(table, u64::MAX - number)).into()
}
