//! The tables of Sakila, laid out as its documentation says
//! (<https://dev.mysql.com/doc/sakila/en/sakila-structure-tables.html>), with the rows that fill them.

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

/// All tables; the rows of one never depend on those of another being there.
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

/// The value of a `last_update` column: some moment of history.
fn stamp(world: &World, table: &str, number: u64) -> Value {
    world.any_moment(&mut world.random(table, u64::MAX - number)).into()
}
