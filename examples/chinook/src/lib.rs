//! `chinook-sync` keeps a SQLite star schema in step with Chinook, the sample database of a music shop, on MySQL.
//!
//! It is an example of a program for a schema of one's own: the source's tables (`source`), the star's tables (`star`) and
//! the step that creates them (`migration`). Everything else is `star_sync`'s. What is to be seen here that Sakila does not
//! have: names in `CamelCase`, no change timestamps at all, a date that stands in another table than the fact, totals by a
//! text (the country) with two sums.
//!
//! docs/your-own-star.md leads here step by step.

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
            // "Chnk", in the header of each target.
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
        about: "Keeps a SQLite star schema in step with Chinook, a music shop's MySQL database",
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
