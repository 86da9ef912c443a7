//! The five tests of the assignment, and what each of them verifies.

/// A test as described in the report.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// Its name in the suite.
    pub name: &'static str,
    pub title: &'static str,
    /// The command that the test is about. Pictures show only its output; that of preparing commands is in the log.
    pub command: &'static str,
    pub verifies: &'static str,
    pub how: &'static str,
}

pub const TESTS: [Described; 5] = [
    Described {
        name: "assignment::init_creates_the_database_and_its_tables",
        title: "Initialisation",
        command: "init",
        verifies: "The init command checks the source and creates the SQLite file with the tables of the star and of \
                   the sync itself, and fills the date dimension with the years that the source's rows lie in.",
        how: "The list of tables is read from sqlite_master. The watermarks, one for each of the 15 source tables, and the \
              days of dim_date are counted: 2022 to 2025 are 1,461 days.",
    },
    Described {
        name: "assignment::full_load_brings_all_of_sakila",
        title: "Full load",
        command: "full-load",
        verifies: "After init, the full-load command brings all rows of Sakila into the dimensions, bridges and facts \
                   of the star.",
        how: "Plain SQL joins on MySQL yield what every table of the star must hold; they are compared with the star \
              row by row. The rentals, the payments, the open rentals and the revenue of each store and month are \
              compared as figures.",
    },
    Described {
        name: "assignment::incremental_brings_new_rows",
        title: "Incremental run: new rows",
        command: "incremental",
        verifies: "A customer, a rental and a payment that are new in the source since the full load are brought by \
                   the incremental command, and nothing else is written.",
        how: "The run's own figures are read from sync_run, and the rows that carry its number are counted in each \
              table. At the end every row of the star is compared with the source once more.",
    },
    Described {
        name: "assignment::incremental_updates_changed_rows",
        title: "Incremental run: changed rows",
        command: "incremental",
        verifies: "A film, a rental and a payment that have changed in the source are updated in place by the \
                   incremental command: no row is added, and no surrogate key changes.",
        how: "All surrogate keys are read before and after. The changed values are read from the star, the rows that \
              carry the run's number are counted, and every row of the star is compared with the source.",
    },
    Described {
        name: "assignment::validate_confirms_consistency_and_finds_a_planted_difference",
        title: "Validation",
        command: "validate",
        verifies: "The validate command confirms that source and star are equal, and ends with exit code 1 and names \
                   store, day and amount when one payment in the star is off by a single cent.",
        how: "The store and the day of the payment that is tampered with, and what both sides hold of that day in \
              cents, are read by SQL; the difference that validate reports must be that one, of one cent, and no \
              other.",
    },
];
