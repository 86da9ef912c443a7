//! `payroll-sync` keeps the star of a payroll up to date with MySQL. It shows what examples/chinook does not need:
//! dimensions with text keys, which are therefore read whole; facts with composite keys and dates in keys; a star
//! without a calendar; totals without days, in thousandths, or without any sum.

mod entities;
mod migration;
mod source;
mod star;

use std::sync::LazyLock;

use star_sync::declare::{Names, Star};
use star_sync_cli::Program;

/// The star, built once.
fn star() -> &'static Star {
    static STAR: LazyLock<Star> = LazyLock::new(|| {
        let names = Names {
            program: "payroll-sync",
            source: "Payroll",
            metrics_prefix: "payroll_sync",
            // "Pyrl", stored in the header of each target file.
            application_id: 0x5079_726C,
        };
        Star::new(names, source::tables(), star::tables(), None, migration::steps)
    });
    &STAR
}

/// The program.
pub fn program() -> Program {
    Program {
        star: star(),
        about: "Keeps a SQLite star schema in sync with a payroll's MySQL database",
        version: env!("CARGO_PKG_VERSION"),
        variable_prefix: "PAYROLL_SYNC",
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
