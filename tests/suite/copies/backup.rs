//! Backup and restore of the target: runs the commands of docs/schema.md verbatim.

const DOCUMENT: &str = include_str!("../../../docs/schema.md");

mod needs_sqlite3 {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use super::DOCUMENT;
    use crate::harness::others::where_it_runs;
    use crate::harness::{Run, Sandbox};
    use crate::kills::dies_at;

    /// The shell blocks of a section.
    fn blocks(section: &str) -> Vec<&'static str> {
        let section = DOCUMENT.split("\n### ").find(|text| text.starts_with(section)).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let blocks = section.split("```sh\n").skip(1);
        blocks.map(|block| block.split_once("\n```").unwrap().0).collect()
    }

    #[test]
    #[ignore = "needs sqlite3"]
    fn a_backup_is_made_and_restored_with_the_commands_of_the_document() {
        let sandbox = Sandbox::loaded();
        let shell = |script: &str| {
            let program = Path::new(env!("CARGO_BIN_EXE_sakila-sync")).parent().unwrap();
            let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
            let mut shell: Command = where_it_runs("sh", &sandbox.command(&[]));
            shell.env("PATH", path).args(["-ec", script]);
            Run::of(shell).succeeds()
        };
        let [back_up, restore]: [&str; 2] = blocks("Backup and restore").try_into().unwrap();
        // During a run, and beside a report that keeps reading, both of which are allowed.
        let report = sandbox.other_program("BEGIN; SELECT COUNT(*) FROM fact_rental");
        let load = sandbox.run_held(&["full-load"], "pages-held", || {
            shell(back_up);
        });
        load.succeeds();
        drop(report);
        let keys = sandbox.surrogate_keys();
        let runs = sandbox.star("SELECT id || command || started FROM sync_run WHERE id <= 2");
        let backup = sandbox.folder().join("analytics.backup.db");
        assert_eq!(sandbox.query(&backup, "PRAGMA integrity_check"), ["ok"]);
        assert_eq!(backup.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let total = "SELECT SUM(amount_cents) FROM payments";
        assert_eq!(sandbox.query(&backup, total), sandbox.star(total));

        // Changes since the backup, deletes among them, and the loss of the target.
        sandbox.change(&[
            "UPDATE payment SET amount = amount + 1 WHERE payment_id < 100",
            "DELETE FROM payment WHERE payment_id BETWEEN 200 AND 210",
            "UPDATE city SET city = 'Elsewhere' WHERE city_id < 50",
        ]);
        sandbox.run(&["incremental"]).succeeds();
        // The target is lost in the middle of a write.
        dies_at(&sandbox, &["repair"], "before-catch-up-commit", 0);
        std::fs::write(sandbox.target(), "SQLite format 3\0 no more").unwrap();
        std::fs::write(sandbox.folder().join("analytics.db-wal"), "no log").unwrap();
        shell(restore);
        sandbox.assert_star_equals_source();
        let gone = |key: &String| (200..=210).any(|payment| key.starts_with(&format!("payment {payment}=")));
        let kept: Vec<String> = keys.into_iter().filter(|key| !gone(key)).collect();
        assert!(sandbox.holds_all_of(&kept));
        assert_eq!(
            sandbox.star("SELECT id || command || started FROM sync_run WHERE id <= 2"),
            runs
        );
    }
}
