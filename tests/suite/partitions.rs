//! The months of the facts that a run has changed: recorded with the rows, so that a publication rewrites only these
//! months.

use crate::harness::Sandbox;

impl Sandbox {
    /// The partitions changed by the newest run that recorded any.
    fn partitions_of_last_change(&self) -> Vec<String> {
        self.star(
            "SELECT target_table || ' ' || partition FROM sync_partition \
             WHERE last_run = (SELECT MAX(last_run) FROM sync_partition)",
        )
    }

    /// The months in which a fact has rows, by plain SQL.
    fn months(&self, table: &str, date_column: &str) -> Vec<String> {
        self.star(&format!(
            "SELECT DISTINCT '{table} ' || ({date_column} / 100) FROM {table}"
        ))
    }
}

#[test]
fn a_first_load_notes_every_month_of_the_facts_and_every_other_table_as_a_whole() {
    let sandbox = Sandbox::loaded();
    let mut expected = sandbox.months("fact_rental", "date_key_rented");
    expected.extend(sandbox.months("fact_payment", "date_key_paid"));
    expected.extend(sandbox.star(
        "SELECT name || ' 0' FROM sqlite_master WHERE type = 'table' AND (name LIKE 'dim%' OR name LIKE 'bridge%')",
    ));
    expected.sort_unstable();
    assert_eq!(
        sandbox.star("SELECT target_table || ' ' || partition FROM sync_partition"),
        expected
    );
}

#[test]
fn a_run_notes_the_months_that_its_rows_are_in_and_were_in() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&["UPDATE payment SET amount = amount + 1, last_update = NOW() WHERE payment_id = 1"]);
    sandbox.run(&["incremental"]).succeeds();
    let month = sandbox.figure("SELECT date_key_paid / 100 FROM fact_payment WHERE payment_id = 1");
    assert_eq!(sandbox.partitions_of_last_change(), [format!("fact_payment {month}")]);

    sandbox.change(&["UPDATE payment SET payment_date = '1999-03-31', last_update = NOW() WHERE payment_id = 1"]);
    sandbox.run(&["incremental"]).succeeds();
    let mut moved = ["fact_payment 199903".to_owned(), format!("fact_payment {month}")];
    moved.sort_unstable();
    // The calendar now begins in 1999.
    assert_eq!(
        sandbox.partitions_of_last_change(),
        [&["dim_date 0".to_owned()], &moved[..]].concat()
    );

    // Its payments lose rental and film.
    let mut months =
        sandbox.star("SELECT 'fact_rental ' || (date_key_rented / 100) FROM fact_rental WHERE rental_id = 5");
    months.extend(
        sandbox.star("SELECT DISTINCT 'fact_payment ' || (date_key_paid / 100) FROM fact_payment WHERE rental_id = 5"),
    );
    months.sort_unstable();
    sandbox.change(&["DELETE FROM rental WHERE rental_id = 5"]);
    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(sandbox.partitions_of_last_change(), months);

    // The category's row is deleted at the end of the run, its links before.
    sandbox.change(&[
        "DELETE FROM film_category WHERE category_id = 3",
        "DELETE FROM category WHERE category_id = 3",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    let gone = sandbox.partitions_of_last_change();
    assert_eq!(gone, ["bridge_film_category 0", "dim_category 0"]);
}
