//! `chinook-sync` keeps a SQLite star schema up to date with Chinook, the sample database of a music shop, on MySQL.
//!
//! It is an example of a program for your own schema. It contains the source's tables (`source`), the star's tables
//! (`star`) and the migration that creates them (`migration`); the rest is in `star_sync`. It shows what Sakila does
//! not have: names in `CamelCase`, no change timestamps, a date in another table than the fact, and totals with two
//! sums, grouped by a text (the country).
//!
//! docs/your-own-star.md explains it step by step.

mod migration;
mod source;
pub mod star;

use std::sync::LazyLock;

use star_sync::declare::{Calendar, Names, Star};
use star_sync_cli::Program;

/// The star, built once.
fn star() -> &'static Star {
    static STAR: LazyLock<Star> = LazyLock::new(|| {
        let names = Names {
            program: "chinook-sync",
            source: "Chinook",
            metrics_prefix: "chinook_sync",
            // "Chnk", stored in the header of each target file.
            application_id: 0x4368_6E6B,
        };
        let calendar = Calendar::of_days().covers(source::invoice::Column::InvoiceDate);
        Star::new(
            names,
            source::tables(),
            star::tables(),
            Some(calendar),
            migration::steps,
        )
    });
    &STAR
}

/// The program.
pub fn program() -> Program {
    Program {
        star: star(),
        about: "Keeps a SQLite star schema in sync with Chinook, a music shop's MySQL database",
        version: env!("CARGO_PKG_VERSION"),
        variable_prefix: "CHINOOK_SYNC",
        other_variables: &[],
        commands: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_have_no_mistakes() {
        assert_eq!(star().mistakes(), Vec::<String>::new());
        program().command().debug_assert();
    }
}
