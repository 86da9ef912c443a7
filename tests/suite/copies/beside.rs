//! A copy made while runs change the target.

use crate::harness::{Sandbox, TABLES};

#[test]
fn a_copy_is_of_the_commit_at_which_it_began_whatever_runs_change_meanwhile() {
    let sandbox = Sandbox::loaded();
    let before: Vec<_> = TABLES.iter().map(|table| sandbox.star(table.star)).collect();
    let copied = sandbox.run_held(&["copy", "readers.db"], "copy-begun", || {
        sandbox.change(&[
            "UPDATE payment SET amount = amount + 1 WHERE payment_id % 3 = 0",
            "DELETE FROM payment WHERE payment_id BETWEEN 200 AND 210",
            "UPDATE city SET city = CONCAT(city, ' 2')",
            "INSERT INTO category (name) VALUES ('Later')",
        ]);
        sandbox.run(&["incremental"]).succeeds();
        sandbox.assert_star_equals_source();
    });
    copied.succeeds();
    let copy = sandbox.copy_path();
    for (table, before) in TABLES.iter().zip(before) {
        assert_eq!(sandbox.query(&copy, table.star), before, "{}", table.name);
    }
    assert_eq!(
        sandbox.query(&copy, "SELECT 1 FROM pragma_foreign_key_check"),
        Vec::<String>::new()
    );
}
