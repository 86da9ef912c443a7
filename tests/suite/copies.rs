//! Copies of the star for readers: what they hold, who can read them, and that no reader ever finds half of one.

mod backup;
mod beside;
mod runs;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rusqlite::{Connection, OpenFlags};

use crate::harness::others::{bound_by_permissions, through};
use crate::harness::{Run, Sandbox, TABLES, number};
use crate::kills::dies_at;

/// How often the copy is replaced under its readers, unless the environment says more.
const REPLACEMENTS: u64 = 25;
const REPLACEMENTS_VARIABLE: &str = "SAKILA_SYNC_TEST_COPIES";

impl Sandbox {
    fn copy_path(&self) -> PathBuf {
        self.folder().join("readers.db")
    }

    fn make_copy(&self, options: &[&str]) -> Run {
        let path = self.copy_path();
        let arguments: Vec<&str> = ["copy", path.to_str().unwrap()]
            .into_iter()
            .chain(options.to_vec())
            .collect();
        self.run(&arguments)
    }

    /// What the folder holds, but for the target.
    fn files(&self) -> Vec<String> {
        let entries = self
            .folder()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with("analytics.db"));
        names.sort();
        names
    }
}

/// As a report opens it.
fn open(copy: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Tables and views with their columns.
const SHAPE: &str = "SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                     WHERE m.type IN ('table', 'view') AND m.name NOT GLOB 'sqlite_*' AND m.name NOT GLOB 'sync_*' \
                     AND m.name <> 'seaql_migrations'";
const VIEWS: &str = "SELECT name FROM sqlite_master WHERE type = 'view'";

/// All rows of a table or view, each as one text.
fn all_rows(sandbox: &Sandbox, file: &Path, table: &str) -> Vec<String> {
    let columns = sandbox.query(file, &format!("SELECT name FROM pragma_table_info('{table}')"));
    let cells = columns.iter().map(|column| format!("quote({column})"));
    let cells = cells.collect::<Vec<_>>().join(" || '|' || ");
    sandbox.query(file, &format!("SELECT {cells} FROM {table}"))
}

#[test]
fn a_copy_holds_the_star_and_nothing_else_and_the_source_is_not_asked() {
    let sandbox = Sandbox::loaded();
    let (target, copy) = (sandbox.target(), sandbox.copy_path());
    let mut command = sandbox.command(&["copy", "readers.db", "--json"]);
    command.env_remove("SAKILA_SYNC_SOURCE");
    let document: serde_json::Value = serde_json::from_str(&Run::of(command).succeeds().stdout).unwrap();

    assert_eq!(sandbox.query(&copy, SHAPE), sandbox.query(&target, SHAPE));
    let others = "SELECT name FROM sqlite_master WHERE name LIKE 'sync%' OR name = 'seaql_migrations'";
    assert_eq!(sandbox.query(&copy, others), Vec::<String>::new());
    for table in TABLES {
        assert_eq!(
            sandbox.query(&copy, table.star),
            sandbox.star(table.star),
            "{}",
            table.name
        );
    }
    for view in sandbox.star(VIEWS) {
        assert_eq!(
            all_rows(&sandbox, &copy, &view),
            all_rows(&sandbox, &target, &view),
            "{view}"
        );
    }
    let indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL \
                   AND tbl_name NOT GLOB 'sync_*'";
    assert_eq!(sandbox.query(&copy, indexes), sandbox.star(indexes));
    assert_eq!(sandbox.query(&copy, "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(
        sandbox.query(&copy, "SELECT 1 FROM pragma_foreign_key_check"),
        Vec::<String>::new()
    );
    assert_eq!(sandbox.query(&copy, "PRAGMA journal_mode"), ["delete"]);

    for table in document["tables"].as_array().unwrap() {
        let name = table["table"].as_str().unwrap();
        let rows = sandbox.star(&format!("SELECT COUNT(*) FROM {name}"));
        assert_eq!(rows, [table["rows"].to_string()], "{name}");
    }
    assert_eq!(
        copy.metadata().unwrap().len().to_string(),
        document["bytes"].to_string()
    );
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    sandbox.make_copy(&["--mode", "0444"]).succeeds();
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o444);
    assert_eq!(sandbox.files(), ["readers.db"]);
}

#[test]
fn what_other_programs_have_put_into_the_target_is_not_copied() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper("CREATE TABLE diary (entry TEXT)");
    sandbox.tamper("INSERT INTO diary VALUES ('dear diary')");
    sandbox.tamper("CREATE VIEW entries AS SELECT entry FROM diary");
    sandbox.tamper("CREATE VIEW tall AS SELECT title FROM dim_film WHERE length > 180");
    sandbox.make_copy(&[]).succeeds();
    let copy = sandbox.copy_path();
    let names = "SELECT name FROM sqlite_master WHERE name IN ('diary', 'entries', 'tall')";
    assert_eq!(sandbox.query(&copy, names), ["tall"]);
    assert!(!contains(&copy, "dear diary"));
}

#[test]
fn a_copy_is_no_target() {
    let sandbox = Sandbox::loaded();
    sandbox.make_copy(&[]).succeeds();
    let copy = fs::read(sandbox.copy_path()).unwrap();
    for command in [
        &["init"][..],
        &["full-load"],
        &["incremental"],
        &["repair"],
        &["validate"],
        &["status"],
        &["copy", "another.db"],
    ] {
        let arguments = [command, &["--target", "readers.db"]].concat();
        sandbox.run(&arguments).fails_with(3, "TARGET_COPY");
    }
    assert_eq!(fs::read(sandbox.copy_path()).unwrap(), copy);
    assert_eq!(sandbox.files(), ["readers.db"]);
}

/// Whether a file's bytes hold this text.
fn contains(file: &Path, text: &str) -> bool {
    let bytes = fs::read(file).unwrap();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn personal_data_is_left_out_where_that_is_asked_for() {
    const MARK: &str = "ZZYZXWOOD";
    let sandbox = Sandbox::new();
    sandbox.change(&[
        &format!("UPDATE customer SET first_name = '{MARK}' WHERE customer_id % 2 = 0"),
        &format!("UPDATE staff SET last_name = '{MARK}'"),
    ]);
    sandbox.load();
    let copy = sandbox.copy_path();
    sandbox.make_copy(&[]).succeeds();
    assert!(contains(&copy, MARK));

    // A run follows its own settings, although no row has changed since.
    let sync = ["incremental", "--copy-to", "readers.db", "--copy-every", "0"];
    sandbox
        .run(&[&sync[..], &["--without", "personal"]].concat())
        .succeeds();
    assert!(!contains(&copy, MARK));
    sandbox.run(&sync).succeeds();
    assert!(contains(&copy, MARK));
    let mut command = sandbox.command(&sync);
    command.env("SAKILA_SYNC_COPY_WITHOUT", "personal");
    Run::of(command).succeeds();
    assert!(!contains(&copy, MARK));
    sandbox.run(&sync).succeeds();

    sandbox.make_copy(&["--without", "personal"]).succeeds();
    assert!(!contains(&copy, MARK));
    let names = |table: &str, key: &str| {
        let sql = format!("SELECT first_name || ', ' || last_name FROM {table} ORDER BY {key} LIMIT 1");
        sandbox.query(&copy, &sql)
    };
    assert_eq!(names("dim_customer", "customer_id"), ["first_name 1, last_name 1"]);
    assert_eq!(names("dim_staff", "staff_id"), ["first_name 1, last_name 1"]);
    let seen = "SELECT DISTINCT staff_last_name FROM payments WHERE staff_id = 2";
    assert_eq!(sandbox.query(&copy, seen), ["last_name 2"]);
    // All else is as it is.
    let rest = "SELECT concat_ws('|', customer_key, customer_id, active, city, country, last_update, run_id) FROM dim_customer";
    assert_eq!(sandbox.query(&copy, rest), sandbox.star(rest));
    assert_eq!(
        all_rows(&sandbox, &copy, "dim_actor"),
        all_rows(&sandbox, &sandbox.target(), "dim_actor")
    );

    sandbox
        .make_copy(&["--without", "dim_staff.last_name,first_name"])
        .succeeds();
    let left = "SELECT DISTINCT last_name LIKE 'last_name %' FROM dim_customer";
    assert_eq!(sandbox.query(&copy, left), ["0"]);
    assert!(!contains(&copy, MARK));

    let before = fs::read(&copy).unwrap();
    for unknown in ["title", "dim_customer.city", "Personal", "first_name,nickname", ""] {
        let run = sandbox.make_copy(&["--without", unknown]).fails_with(2, "NAME_UNKNOWN");
        assert!(run.stderr.contains("dim_customer.first_name"), "{run:#?}");
    }
    sandbox
        .run(&["incremental", "--copy-to", "another.db", "--without", "title"])
        .fails_with(2, "NAME_UNKNOWN");
    assert_eq!(fs::read(&copy).unwrap(), before);
    assert_eq!(sandbox.files(), ["readers.db"]);
}

#[test]
fn nothing_but_a_copy_is_replaced() {
    let sandbox = Sandbox::loaded();
    let within = |name: &str| sandbox.folder().join(name);
    fs::write(within("diary"), "dear diary").unwrap();
    fs::create_dir(within("folder")).unwrap();
    Connection::open(within("other.db"))
        .unwrap()
        .execute_batch("CREATE TABLE t (c)")
        .unwrap();
    let target = fs::read(sandbox.target()).unwrap();
    for name in [
        "diary",
        "folder",
        "other.db",
        "analytics.db",
        "analytics.db-wal",
        "/dev/null",
    ] {
        sandbox.run(&["copy", name]).fails_with(3, "COPY_FOREIGN");
    }
    assert_eq!(fs::read(sandbox.target()).unwrap(), target);
    assert_eq!(fs::read_to_string(within("diary")).unwrap(), "dear diary");
    sandbox.run(&["copy", "nowhere/readers.db"]).fails_with(3, "COPY_FILE");
    let onto_target = ["incremental", "--copy-to", "analytics.db"];
    sandbox.run(&onto_target).fails_with(3, "COPY_FOREIGN");

    // A link to a copy is the copy.
    sandbox.make_copy(&[]).succeeds();
    std::os::unix::fs::symlink("readers.db", within("link.db")).unwrap();
    sandbox.run(&["copy", "link.db"]).succeeds();
    assert!(within("link.db").is_symlink());
    // Another program has a transaction open on it.
    let writer = Connection::open(sandbox.copy_path()).unwrap();
    writer.execute_batch("BEGIN; UPDATE dim_film SET title = 'X'").unwrap();
    sandbox.make_copy(&[]).fails_with(3, "COPY_WRITTEN");
    drop(writer);
    sandbox.make_copy(&[]).succeeds();
}

#[test]
fn a_star_that_is_not_loaded_is_not_copied() {
    let sandbox = Sandbox::new();
    sandbox.make_copy(&[]).fails_with(3, "TARGET_MISSING");
    sandbox.run(&["init"]).succeeds();
    sandbox.make_copy(&[]).fails_with(3, "NOT_LOADED");
    sandbox.run(&["full-load"]).succeeds();
    sandbox.make_copy(&[]).succeeds();
    // A load that has changed a part of it.
    sandbox.change(&["UPDATE payment SET amount = amount + 1"]);
    dies_at(&sandbox, &["full-load", "--batch-size", "500"], "after-commit", 0);
    sandbox.make_copy(&[]).fails_with(3, "NOT_LOADED");
    assert_eq!(sandbox.files(), ["readers.db"]);
}

#[test]
fn a_killed_copy_leaves_the_one_from_before_and_the_next_one_removes_its_file() {
    let sandbox = Sandbox::loaded();
    sandbox.make_copy(&[]).succeeds();
    let before = fs::read(sandbox.copy_path()).unwrap();
    sandbox.change(&["UPDATE payment SET amount = amount + 1"]);
    sandbox.run(&["incremental"]).succeeds();
    for failpoint in ["copy-filled", "before-copy-replaced"] {
        dies_at(&sandbox, &["copy", "readers.db"], failpoint, 0);
        assert_eq!(fs::read(sandbox.copy_path()).unwrap(), before, "{failpoint}");
        assert_eq!(sandbox.files().len(), 2, "{failpoint}");
    }
    dies_at(&sandbox, &["copy", "readers.db"], "after-copy-replaced", 0);
    let mode = sandbox.copy_path().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(sandbox.query(&sandbox.copy_path(), "PRAGMA integrity_check"), ["ok"]);
    let total = "SELECT SUM(amount_cents) FROM payments";
    assert_eq!(sandbox.query(&sandbox.copy_path(), total), sandbox.star(total));
    sandbox.make_copy(&[]).succeeds();
    assert_eq!(sandbox.files(), ["readers.db"]);
}

#[test]
fn readers_never_find_half_a_copy_while_it_is_replaced() {
    let sandbox = Sandbox::loaded();
    sandbox.make_copy(&[]).succeeds();
    let copy = sandbox.copy_path();
    let has_ended = AtomicBool::new(false);
    let look = |connection: &Connection| -> (String, i64, i64) {
        let figure = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let check = connection
            .query_row("PRAGMA quick_check", [], |row| row.get(0))
            .unwrap();
        (
            check,
            figure("SELECT COUNT(*) FROM payments"),
            figure("SELECT SUM(amount_cents) FROM payments"),
        )
    };
    let stays_open = open(&copy).unwrap();
    let before = look(&stays_open);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !has_ended.load(Ordering::SeqCst) {
                let (check, payments, cents) = look(&open(&copy).unwrap());
                assert_eq!((check.as_str(), payments), ("ok", before.1));
                assert_eq!((cents - before.2) % before.1, 0, "payments of two copies");
                looks += 1;
            }
            looks
        });
        let replacements = number(REPLACEMENTS_VARIABLE).unwrap_or(REPLACEMENTS);
        for _ in 0..replacements {
            sandbox.tamper("UPDATE fact_payment SET amount = amount + 0.01");
            sandbox.make_copy(&[]).succeeds();
        }
        has_ended.store(true, Ordering::SeqCst);
        let looks = reader.join().unwrap();
        println!("{looks} looks during {replacements} replacements");
        assert!(looks > 1);
    });
    // A reader that stays connected keeps what it opened.
    assert_eq!(look(&stays_open), before);
    let last = "SELECT SUM(amount_cents) FROM payments";
    assert_eq!(look(&open(&copy).unwrap()).2.to_string(), sandbox.figure(last));
}

#[test]
fn a_folder_that_may_not_be_written_and_a_file_that_may_not_grow_are_errors() {
    let sandbox = Sandbox::loaded();
    let folder = sandbox.folder().join("reports");
    fs::create_dir(&folder).unwrap();
    let copy = sandbox.command(&["copy", "reports/readers.db"]);
    Run::of(through(&["prlimit", "--fsize=1000000"], &copy)).fails_with(3, "COPY_FULL");
    assert_eq!(folder.read_dir().unwrap().count(), 0);
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    Run::of(bound_by_permissions(&copy)).fails_with(3, "COPY_UNWRITABLE");
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    Run::of(bound_by_permissions(&copy)).succeeds();
    sandbox.assert_star_equals_source();
}

mod needs_mount {
    use super::*;
    use crate::harness::others::SmallDisk;

    #[test]
    #[ignore = "needs the right to mount a disk in a namespace"]
    fn a_full_disk_leaves_the_copy_from_before() {
        let sandbox = Sandbox::loaded();
        let disk = SmallDisk::mount(sandbox.folder().join("disk"), "6m");
        let path = disk.folder.join("readers.db");
        let command = sandbox.command(&["copy", path.to_str().unwrap()]);
        Run::of(disk.sees(&command)).succeeds();
        // Both would have to be there at once.
        Run::of(disk.sees(&command)).fails_with(3, "COPY_FULL");
        disk.shell(&format!("test \"$(ls -A '{}')\" = readers.db", disk.folder.display()));
        disk.shell(&format!("mount -o remount,size=64m '{}'", disk.folder.display()));
        Run::of(disk.sees(&command)).succeeds();
    }
}

mod needs_root {
    mod needs_sqlite3 {
        use super::super::*;

        /// A group that the readers belong to, and one that they do not belong to.
        const READERS: &str = "65533";
        const OTHERS: &str = "65534";

        /// Asks a file as another account, which may not write to its folder.
        fn ask(group: &str, file: &Path, question: &str) -> Run {
            let group = format!("--regid={group}");
            let mut sqlite3 = Command::new("sqlite3");
            sqlite3.args(["-readonly", file.to_str().unwrap(), question]);
            Run::of(through(
                &["setpriv", "--reuid=65534", &group, "--clear-groups"],
                &sqlite3,
            ))
        }

        #[test]
        #[ignore = "needs root, to act as another account, and sqlite3"]
        fn another_account_of_the_group_reads_a_copy_while_it_is_replaced_and_not_the_target() {
            const QUESTION: &str = "SELECT COUNT(*), SUM(amount_cents) FROM payments; PRAGMA quick_check;";
            let sandbox = Sandbox::loaded();
            let copy = sandbox.copy_path();
            // As the document sets the folder up, so that new files there belong to the group; but others may look in, too.
            std::os::unix::fs::chown(sandbox.folder(), None, Some(READERS.parse().unwrap())).unwrap();
            fs::set_permissions(sandbox.folder(), Permissions::from_mode(0o2755)).unwrap();
            sandbox.make_copy(&[]).succeeds();
            assert_ne!(ask(READERS, &sandbox.target(), QUESTION).code, 0);
            assert_ne!(ask(OTHERS, &copy, QUESTION).code, 0, "0640 is for the group alone");
            let payments = sandbox
                .source_figure("SELECT COUNT(*) FROM payment")
                .parse::<i64>()
                .unwrap();
            let cents = sandbox.source_figure("SELECT CAST(SUM(amount) * 100 AS SIGNED) FROM payment");
            let cents: i64 = cents.parse().unwrap();
            let replacements = number(REPLACEMENTS_VARIABLE).unwrap_or(REPLACEMENTS);
            let has_ended = AtomicBool::new(false);
            thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    let mut looks = 0;
                    while !has_ended.load(Ordering::SeqCst) {
                        let answer = ask(READERS, &copy, QUESTION).succeeds().stdout;
                        let (figures, check) = answer.trim_end().split_once('\n').unwrap();
                        let (rows, sum) = figures.split_once('|').unwrap();
                        assert_eq!((rows, check), (payments.to_string().as_str(), "ok"));
                        assert_eq!(
                            (sum.parse::<i64>().unwrap() - cents) % payments,
                            0,
                            "payments of two copies"
                        );
                        looks += 1;
                    }
                    looks
                });
                for _ in 0..replacements {
                    sandbox.tamper("UPDATE fact_payment SET amount = amount + 0.01");
                    sandbox.make_copy(&[]).succeeds();
                }
                has_ended.store(true, Ordering::SeqCst);
                let looks = reader.join().unwrap();
                println!("{looks} looks of another account during {replacements} replacements");
                assert!(looks > 1);
            });
            sandbox.make_copy(&["--mode", "0644"]).succeeds();
            ask(OTHERS, &copy, QUESTION).succeeds();
            assert_eq!(sandbox.files(), ["readers.db"]);
        }
    }
}
