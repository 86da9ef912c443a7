//! Declares Sakila's source tables and star tables. The sync logic is in `star_sync`.

use std::sync::LazyLock;

use migration::{Migrator, MigratorTrait};
use star_sync::declare::{Calendar, Names, Star};

pub mod source;
pub mod source_lookups;
pub mod star;

/// "SkSy", stored in the header of each target file.
const APPLICATION_ID: i32 = 0x536B_5379;

/// The star, built once.
pub fn star() -> &'static Star {
    static STAR: LazyLock<Star> = LazyLock::new(|| {
        let names = Names {
            program: "sakila-sync",
            source: "Sakila",
            metrics_prefix: "sakila_sync",
            application_id: APPLICATION_ID,
        };
        let calendar = Calendar::of_days()
            .covers(source::rental::Column::RentalDate)
            .covers(source::rental::Column::ReturnDate)
            .covers(source::payment::Column::PaymentDate);
        Star::new(
            names,
            source::tables(),
            star::tables(),
            Some(calendar),
            Migrator::migrations,
        )
    });
    &STAR
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_declarations_have_no_mistakes() {
        assert_eq!(star().mistakes(), Vec::<String>::new());
    }

    #[test]
    fn a_table_is_loaded_after_what_it_looks_up_follows_or_points_to() {
        let phases: Vec<Vec<&str>> = star()
            .phases
            .iter()
            .map(|phase| phase.iter().map(|table| table.name).collect())
            .collect();
        let dimensions = [
            "dim_film",
            "dim_actor",
            "dim_category",
            "dim_store",
            "dim_staff",
            "dim_customer",
        ];
        assert_eq!(
            phases,
            [
                &dimensions[..],
                &["bridge_film_actor", "bridge_film_category", "fact_rental"],
                &["fact_payment"]
            ]
        );
    }
}
