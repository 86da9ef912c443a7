//! Checks before anything is loaded or changed: `init --check`, and columns that were added or removed.

use std::fs;

use crate::harness::Sandbox;

#[test]
fn init_can_make_all_of_its_checks_and_create_nothing() {
    let sandbox = Sandbox::new();
    let files = || fs::read_dir(sandbox.folder()).unwrap().count();
    let before = files();
    let checked = sandbox.json(&["init", "--check"]);
    assert_eq!(checked["planned_action"], "create");
    assert_eq!(checked["changed"], false);
    assert_eq!(files(), before, "nothing was created");

    // `init --check` refuses what `init` refuses.
    sandbox.change(&["ALTER TABLE film RENAME TO film_away"]);
    sandbox.run(&["init", "--check"]).fails_with(3, "SOURCE_UNFIT");
    sandbox.change(&["ALTER TABLE film_away RENAME TO film"]);
    let nowhere = sandbox.folder().join("nowhere/star.db");
    sandbox
        .run(&["init", "--check", "--target", nowhere.to_str().unwrap()])
        .fails_with(3, "TARGET_FOLDER");
    let diary = sandbox.folder().join("diary");
    fs::write(&diary, "dear diary").unwrap();
    sandbox
        .run(&["init", "--check", "--target", diary.to_str().unwrap()])
        .fails_with(3, "TARGET_FOREIGN");

    sandbox.load();
    let loaded = fs::read(sandbox.target()).unwrap();
    assert_eq!(sandbox.json(&["init", "--check"])["planned_action"], "nothing");
    assert!(fs::read(sandbox.target()).unwrap() == loaded, "the target is as it was");
    sandbox.lose_the_views();
    let run = sandbox.run(&["init", "--check"]).succeeds();
    assert!(run.stdout.contains("init would migrate"), "{run:#?}");
}

#[test]
fn status_names_columns_that_the_source_has_gained_or_lost_since_the_last_full_load() {
    let sandbox = Sandbox::new();
    sandbox.change(&["ALTER TABLE film ADD COLUMN shelf INT"]);
    sandbox.load();
    let changes = || sandbox.json(&["status"])["columns_changed"].clone();
    assert_eq!(changes(), serde_json::json!({"added": [], "removed": []}));
    sandbox.change(&[
        "ALTER TABLE film DROP COLUMN shelf",
        "ALTER TABLE customer ADD COLUMN loyalty INT",
        "CREATE TABLE other (id INT PRIMARY KEY)",
    ]);
    // An incremental run succeeds, and the column changes stay reported.
    sandbox.run(&["incremental"]).succeeds();
    assert_eq!(
        changes(),
        serde_json::json!({"added": ["customer.loyalty"], "removed": ["film.shelf"]})
    );
    let run = sandbox.run(&["status"]).succeeds();
    assert!(
        run.stdout.contains("added: customer.loyalty") && run.stdout.contains("removed: film.shelf"),
        "{run:#?}"
    );
    sandbox.run(&["full-load"]).succeeds();
    assert_eq!(changes(), serde_json::json!({"added": [], "removed": []}));
}
