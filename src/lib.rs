//! `sakila-sync` keeps a SQLite star schema up to date with an operational MySQL database, Sakila.
//!
//! This crate declares the source's tables and the star (`sakila`), and adds two commands (`seed`, `demo`) to those
//! that every program has. The sync itself is the crate `star_sync`, which loads any declared star; `star_sync_cli`
//! builds the command line from [`program`].
//!
//! Imports go in one direction: `main` → `demo`, `seed` → `sakila`, `star_sync_cli` → `star_sync`. `sakila` imports
//! only the module `declare` of `star_sync`. `crates/seed` generates a source and starts temporary servers, for the
//! demo and the tests.

mod demo;
#[cfg(test)]
mod documentation;
mod error;
pub mod sakila;
mod seed;

use star_sync_cli::Program;

/// The version, followed by the commit in release builds (scripts/release).
const VERSION: &str = match option_env!("SAKILA_SYNC_BUILD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// The program.
pub fn program() -> Program {
    Program {
        star: sakila::star(),
        about: "Loads an operational MySQL database (Sakila) into a SQLite star schema and keeps it up to date",
        version: VERSION,
        variable_prefix: "SAKILA_SYNC",
        other_variables: &[
            "PROMETHEUS",
            "SEQUENCE",
            "SEQUENCES",
            "KILLS",
            "KILLS_SCALE",
            "PAGE_PICTURES",
            "SOAK_SCALE",
            "SOAK_SECONDS",
            "TRANSCRIPTS",
            "LAKE_PYTHON",
        ],
        commands: vec![seed::command(), demo::command()],
    }
}

#[cfg(test)]
mod tests {
    use star_sync_cli::config::environment::unknown_variables;

    use super::*;

    #[test]
    fn the_declarations_are_sound() {
        program().command().debug_assert();
    }

    #[test]
    fn help_names_this_program_and_its_tables() {
        let explain = program().command().find_subcommand("explain").unwrap().clone();
        let help = explain.clone().render_long_help().to_string();
        assert!(help.contains("sakila-sync explain fact_payment 424"), "{help}");
        assert!(
            program()
                .command()
                .render_long_help()
                .to_string()
                .contains("SAKILA_SYNC_SOURCE")
        );
        assert!(!help.contains('{'), "{help}");
    }

    #[test]
    fn a_mistyped_table_is_told_with_the_one_that_is_meant() {
        for line in ["x explain fact_rentals 1", "x full-load --table fact_rentals"] {
            let error = program().command().try_get_matches_from(line.split(' ')).unwrap_err();
            assert!(error.to_string().contains("'fact_rental'"), "{error}");
        }
    }

    #[test]
    fn a_mistyped_variable_is_told_with_the_one_that_is_meant() {
        let warnings = |name: &str| unknown_variables(&program(), &[name.to_owned()]).concat();
        assert!(warnings("SAKILA_SYNC_WORKER").contains("SAKILA_SYNC_WORKERS"));
        assert!(warnings("SAKILA_SYNC_SOURCE_PASWORD").contains("SAKILA_SYNC_SOURCE_PASSWORD"));
        assert!(warnings("SAKILA_SYNC_COLOUR_OF_THE_SKY").contains("is not a setting"));
        for known in [
            "SAKILA_SYNC_VERIFY_BUDGET",
            "SAKILA_SYNC_MYSQLD",
            "SAKILA_SYNC_SOURCE_PASSWORD_FILE",
            "OTHER_SYNC_WORKER",
        ] {
            assert!(!warnings(known).contains(known), "{known}");
        }
    }
}
