//! Errors: every failure has its exit code and its hint, and leaves the target unchanged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::terminal::Terminal;
use crate::harness::{Run, Sandbox, server};

#[test]
fn a_source_that_cannot_be_reached_is_named_with_its_cause() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["init"]);
    command.env("SAKILA_SYNC_SOURCE", "mysql://reader@127.0.0.1:1/sakila");
    let run = Run::of(command).fails_with(3, "SOURCE_UNREACHABLE");
    assert!(run.stderr.contains("127.0.0.1:1"), "{run:#?}");
    assert!(!sandbox.target().exists());
}

#[test]
fn an_error_is_broken_between_words_where_the_terminal_ends() {
    let sandbox = Sandbox::empty();
    let init = ["init", "--source", "mysql://reader@127.0.0.1:1/sakila"];
    let piped = sandbox.run(&init).stderr;
    let hint = piped.lines().find(|line| line.starts_with("hint: ")).unwrap();
    assert!(hint.chars().count() > 120, "{hint}");
    let screen = Terminal::run(&sandbox.command(&init)).end().screen;
    // A line that the terminal itself wraps is one line here.
    let lines = screen.lines().skip_while(|line| !line.starts_with("hint: "));
    let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 120), "{screen}");
    assert_eq!(
        lines.join(" ").split_whitespace().collect::<Vec<_>>(),
        hint.split_whitespace().collect::<Vec<_>>()
    );
}

#[test]
fn colours_are_for_terminals_and_for_those_who_force_them() {
    let sandbox = Sandbox::empty();
    let unreachable = |variables: &[&str]| {
        let mut command = sandbox.command(&["init", "--json"]);
        command
            .env("SAKILA_SYNC_SOURCE", "mysql://reader@127.0.0.1:1/sakila")
            .env_remove("CLICOLOR_FORCE")
            .env_remove("NO_COLOR")
            .envs(variables.iter().map(|name| (*name, "1")));
        let run = Run::of(command);
        assert!(!run.stdout.contains('\u{1b}'), "a document holds no colours: {run:#?}");
        run.stderr
            .contains("\u{1b}[1m\u{1b}[31merror[SOURCE_UNREACHABLE]\u{1b}[0m")
    };
    assert!(!unreachable(&[]));
    assert!(unreachable(&["CLICOLOR_FORCE"]));
    assert!(!unreachable(&["NO_COLOR"]));
}

#[test]
fn a_wrong_password_and_a_missing_schema_have_different_errors() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["init"]);
    command.env("SAKILA_SYNC_SOURCE_PASSWORD", "wrong");
    Run::of(command).fails_with(3, "SOURCE_LOGIN_REFUSED");

    let mut command = sandbox.command(&["init"]);
    command.env("SAKILA_SYNC_SOURCE", server().url("reader", "sakila_nowhere"));
    Run::of(command).fails_with(3, "SOURCE_SCHEMA_UNKNOWN");
    assert!(!sandbox.target().exists());
}

#[test]
fn missing_and_retyped_columns_are_named_before_anything_is_read() {
    let sandbox = Sandbox::new();
    sandbox.change(&[
        "ALTER TABLE payment MODIFY amount VARCHAR(20)",
        "ALTER TABLE rental RENAME COLUMN return_date TO returned",
        "RENAME TABLE language TO tongue",
    ]);
    let run = sandbox.run(&["init"]).fails_with(3, "SOURCE_UNFIT");
    for name in ["language", "rental.return_date", "payment.amount"] {
        assert!(run.stderr.contains(name), "no {name} in {run:#?}");
    }
    assert!(!sandbox.target().exists());
}

#[test]
fn usage_is_rejected_before_anything_is_contacted() {
    let sandbox = Sandbox::new();
    let rejected = |arguments: &[&str]| sandbox.run(arguments).ends_with_code(2);
    rejected(&["full-load", "--batch-size", "0"]);
    rejected(&["full-load", "--workers", "0"]);
    rejected(&["validate", "--from", "2005-02-30", "--to", "2005-03-01"]);
    rejected(&["validate", "--to", "2005-03-01"]);
    rejected(&["init", "--target", "--json"]);
    rejected(&["init", "--target", ""]);
    rejected(&["validate", "--days", "0"]);
    rejected(&["validate", "--all", "--days", "3"]);
    rejected(&["validate", "--from", "-0001-01-01", "--to", "2005-03-01"]);
    rejected(&["frobnicate"]);
    sandbox
        .run(&["validate", "--from", "2005-03-02", "--to", "2005-03-01"])
        .fails_with(2, "PERIOD_INVALID");
    sandbox
        .run(&["init", "--source", "postgres://localhost/sakila"])
        .fails_with(2, "SOURCE_URL_INVALID");
    let mut command = sandbox.command(&["init"]);
    command.env_remove("SAKILA_SYNC_SOURCE");
    Run::of(command).fails_with(2, "SOURCE_MISSING");
    assert!(!sandbox.target().exists());
}

#[test]
fn a_target_that_is_not_ours_is_left_as_it_was() {
    let sandbox = Sandbox::new();
    fs::write(
        sandbox.target(),
        "dear diary, this is no database and longer than a header of one hundred bytes is, \
                                 as everybody can see who looks at it",
    )
    .unwrap();
    let diary = fs::read(sandbox.target()).unwrap();
    for command in ["init", "full-load", "incremental", "validate", "status"] {
        sandbox.run(&[command]).fails_with(3, "TARGET_FOREIGN");
    }
    assert_eq!(fs::read(sandbox.target()).unwrap(), diary);

    fs::remove_file(sandbox.target()).unwrap();
    fs::write(sandbox.target(), "").unwrap();
    sandbox.tamper("CREATE TABLE diary (entry TEXT)");
    let diary = fs::read(sandbox.target()).unwrap();
    for command in ["init", "full-load", "incremental", "validate", "status"] {
        sandbox.run(&[command]).fails_with(3, "TARGET_FOREIGN");
    }
    assert_eq!(fs::read(sandbox.target()).unwrap(), diary);
}

#[test]
fn a_target_of_another_version_is_refused_and_an_older_one_migrated() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper("INSERT INTO seaql_migrations VALUES ('m29991231_000001_from_the_future', 0)");
    for command in ["init", "full-load", "incremental", "validate", "status"] {
        let run = sandbox.run(&[command]).fails_with(3, "TARGET_NEWER");
        assert!(run.stderr.contains("m29991231_000001_from_the_future"), "{run:#?}");
    }

    sandbox.tamper("DELETE FROM seaql_migrations WHERE version LIKE '%future'");
    sandbox.lose_the_views();
    sandbox.run(&["incremental"]).fails_with(3, "TARGET_OLDER");
    // A target of another source is not migrated.
    sandbox.tamper("UPDATE sync_source SET server = 'another ' || server");
    sandbox.run(&["init"]).fails_with(3, "SOURCE_CHANGED");
    sandbox.run(&["incremental"]).fails_with(3, "TARGET_OLDER");
    sandbox.tamper("UPDATE sync_source SET server = SUBSTR(server, 9)");
    let init = sandbox.json(&["init"]);
    let backup = init["backup"].as_str().unwrap();
    assert!(fs::metadata(sandbox.folder().join(backup)).unwrap().len() > 1_000_000);
    sandbox.run(&["incremental"]).succeeds();
    let open = sandbox.source_figure("SELECT CAST(COUNT(*) AS CHAR) FROM rental WHERE return_date IS NULL");
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM open_rentals"), open);
}

#[test]
fn a_target_from_before_the_first_release_is_refused_by_every_command_and_left_as_it_is() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper(
        "UPDATE seaql_migrations SET version = 'm20261123_000002_create_sync_tables' WHERE version LIKE '%create_bookkeeping'",
    );
    let before = fs::read(sandbox.target()).unwrap();
    for command in ["init", "full-load", "incremental", "repair", "validate", "status"] {
        let run = sandbox.run(&[command]).fails_with(3, "TARGET_UNRELEASED");
        assert!(run.stderr.contains("new file"), "{run:#?}");
    }
    sandbox
        .run(&["explain", "fact_payment", "1"])
        .fails_with(3, "TARGET_UNRELEASED");
    assert_eq!(fs::read(sandbox.target()).unwrap(), before);
}

#[test]
fn an_unwritable_target_is_refused() {
    let sandbox = Sandbox::new();
    let at = |target: &Path| {
        let mut command = sandbox.command(&["init"]);
        command.env("SAKILA_SYNC_TARGET", target);
        Run::of(command)
    };
    let run = at(Path::new("/nowhere/at/all/analytics.db")).fails_with(3, "TARGET_FOLDER");
    assert!(run.stderr.contains("/nowhere/at/all "), "{run:#?}");
    at(sandbox.folder()).fails_with(3, "TARGET_NOT_A_FILE");
    let pipe = sandbox.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    at(&pipe).fails_with(3, "TARGET_NOT_A_FILE");
    // The name fits; those of the files beside it are too long.
    at(&sandbox.folder().join("a".repeat(253))).fails_with(3, "TARGET_FILE");
    assert_eq!(sandbox.folder().read_dir().unwrap().count(), 1, "something is left");
}

#[test]
fn a_foreign_key_of_another_program_s_table_is_reported_with_the_table_s_name() {
    let sandbox = Sandbox::loaded();
    sandbox.tamper("CREATE TABLE notes (text TEXT, customer_key INTEGER REFERENCES dim_customer)");
    sandbox.tamper("INSERT INTO notes SELECT 'kind', customer_key FROM dim_customer WHERE customer_id = 5");
    sandbox.change(&[
        "SET foreign_key_checks = 0",
        "DELETE FROM payment WHERE customer_id = 5",
        "DELETE FROM rental WHERE customer_id = 5",
        "DELETE FROM customer WHERE customer_id = 5",
    ]);
    for command in ["incremental", "repair", "full-load"] {
        let run = sandbox.run(&[command]).fails_with(3, "TARGET_REFERENCED");
        for table in ["notes", "dim_customer"] {
            assert!(run.stderr.contains(table), "no {table} in {run:#?}");
        }
    }
    sandbox.tamper("DELETE FROM notes");
    sandbox.run(&["full-load"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn nothing_runs_before_init_and_no_incremental_before_a_full_load() {
    let sandbox = Sandbox::new();
    for command in ["full-load", "incremental", "validate", "status"] {
        sandbox.run(&[command]).fails_with(3, "TARGET_MISSING");
    }
    sandbox.run(&["init"]).succeeds();
    for command in ["incremental", "validate"] {
        sandbox.run(&[command]).fails_with(3, "NOT_LOADED");
    }
    sandbox.run(&["status"]).succeeds();
}

#[test]
fn a_second_init_changes_nothing_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let before = fs::read(sandbox.target()).unwrap();
    let again = sandbox.json(&["init"]);
    assert_eq!((&again["created"], &again["changed"]), (&false.into(), &false.into()));
    assert_eq!(fs::read(sandbox.target()).unwrap(), before);
}

#[test]
fn the_password_comes_from_the_url_the_environment_or_a_file_and_is_never_shown() {
    let sandbox = Sandbox::new();
    let secret = sandbox.folder().join("secret");
    fs::write(&secret, "not-a-secret\n").unwrap();
    let mut from_file = sandbox.command(&["init", "-vv"]);
    from_file
        .env_remove("SAKILA_SYNC_SOURCE_PASSWORD")
        .env("SAKILA_SYNC_SOURCE_PASSWORD_FILE", &secret);
    let mut from_url = sandbox.command(&[
        "init",
        "-vv",
        "--source",
        &sandbox.url().replace("reader@", "reader:not-a-secret@"),
    ]);
    from_url.env_remove("SAKILA_SYNC_SOURCE_PASSWORD");
    let mut from_dotenv = sandbox.command(&["status"]);
    fs::write(
        sandbox.folder().join(".env"),
        format!("SAKILA_SYNC_SOURCE={}\n", sandbox.url()),
    )
    .unwrap();
    from_dotenv.env_remove("SAKILA_SYNC_SOURCE");
    let dotenv = sandbox.folder().join("another");
    fs::create_dir(&dotenv).unwrap();
    fs::write(dotenv.join(".env"), "SAKILA_SYNC_SOURCE_PASSWORD=of-old\n").unwrap();

    // If the environment names a password file, a password in .env is ignored.
    let mut file_before_dotenv = sandbox.command(&["init"]);
    file_before_dotenv
        .current_dir(&dotenv)
        .env_remove("SAKILA_SYNC_SOURCE_PASSWORD")
        .env("SAKILA_SYNC_SOURCE_PASSWORD_FILE", &secret);

    let runs = [from_file, from_url, from_dotenv, file_before_dotenv].map(|command| Run::of(command).succeeds());
    for run in &runs {
        assert!(
            !run.stderr.contains("not-a-secret") && !run.stdout.contains("not-a-secret"),
            "{run:#?}"
        );
    }
    for (run, is_visible) in runs.iter().zip([false, true, false, false]) {
        assert_eq!(run.has_logged("PASSWORD_VISIBLE"), is_visible, "{run:#?}");
    }
}

#[test]
fn an_error_is_a_json_document_too() {
    let sandbox = Sandbox::new();
    let error = sandbox.json(&["status"]);
    assert_eq!(error["schema_version"], 1);
    assert_eq!(error["command"], "status");
    assert_eq!(error["exit_code"], 3);
    assert_eq!(error["code"], "TARGET_MISSING");
    assert!(!error["hint"].as_str().unwrap().is_empty());
}

#[test]
fn the_first_login_of_an_account_over_a_socket_needs_no_tls() {
    let sandbox = Sandbox::new();
    // The server forgets earlier log-ins.
    sandbox.change(&["FLUSH PRIVILEGES"]);
    let mut url = url::Url::parse(&sandbox.url()).unwrap();
    let socket = server().folder().join("socket");
    url.set_query(Some(&format!("socket={}&ssl-mode=disabled", socket.display())));
    let mut command = sandbox.command(&["init"]);
    command.env("SAKILA_SYNC_SOURCE", url.as_str());
    Run::of(command).succeeds();
}

#[test]
fn the_documentation_has_every_log_code() {
    fn collect(folder: &Path, codes: &mut BTreeSet<String>) {
        for entry in folder.read_dir().unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                collect(&entry.path(), codes);
            } else {
                let text = fs::read_to_string(entry.path()).unwrap();
                let fields = text.split("code = \"").skip(1);
                codes.extend(fields.map(|field| field.split('"').next().unwrap().to_owned()));
            }
        }
    }
    let mut codes = BTreeSet::new();
    for folder in ["src", "crates/star-sync/src", "crates/star-sync-cli/src"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut codes);
    }
    let text = include_str!("../../docs/errors.md");
    let chapter = text.split("\n## ").find(|chapter| chapter.starts_with("Log codes"));
    let rows = chapter.unwrap().lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<String> = rows.map(|row| row.split('`').next().unwrap().to_owned()).collect();
    assert_eq!(documented, codes);
}
