//! A copy beside runs that change the target.

use std::fs;
use std::process::Stdio;

use crate::harness::prometheus::wait_until;
use crate::harness::{Run, Sandbox, TABLES};

#[test]
fn a_copy_is_of_the_commit_at_which_it_began_whatever_runs_change_meanwhile() {
    let sandbox = Sandbox::loaded();
    let before: Vec<_> = TABLES.iter().map(|table| sandbox.star(table.star)).collect();
    let held = sandbox.folder().join("held");
    let mut command = sandbox.command(&["copy", "readers.db"]);
    command.env("FAILPOINTS", format!("copy-begun=return({})", held.display()));
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first table to be copied", || held.exists());

    sandbox.change(&[
        "UPDATE payment SET amount = amount + 1 WHERE payment_id % 3 = 0",
        "DELETE FROM payment WHERE payment_id BETWEEN 200 AND 210",
        "UPDATE city SET city = CONCAT(city, ' 2')",
        "INSERT INTO category (name) VALUES ('Later')",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
    fs::remove_file(&held).unwrap();
    Run::from(process.wait_with_output().unwrap()).succeeds();
    let copy = sandbox.copy_path();
    for (table, before) in TABLES.iter().zip(before) {
        assert_eq!(sandbox.query(&copy, table.star), before, "{}", table.name);
    }
    assert_eq!(
        sandbox.query(&copy, "SELECT 1 FROM pragma_foreign_key_check"),
        Vec::<String>::new()
    );
}
