//! Settings: read verbatim from the environment and from `.env`; unknown ones are reported.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::others::bound_by_permissions;
use crate::harness::{Run, Sandbox, server};

/// A password with all characters that a shell, a URL and a .env file treat specially, except single quotes.
const PASSWORD: &str = "pa$word ${HOME} #%/?@\"\\n";

/// A command that takes all its settings from `.env`.
fn from_dotenv(sandbox: &Sandbox, arguments: &[&str], text: &str) -> Command {
    fs::write(sandbox.folder().join(".env"), text).unwrap();
    let mut command = sandbox.command(arguments);
    for name in [
        "SAKILA_SYNC_SOURCE",
        "SAKILA_SYNC_SOURCE_PASSWORD",
        "SAKILA_SYNC_TARGET",
    ] {
        command.env_remove(name);
    }
    command
}

#[test]
fn a_password_in_dotenv_is_taken_as_it_is_written() {
    let sandbox = Sandbox::new();
    let user = format!("dollar_{}", sandbox.schema());
    sandbox.change(&[
        &format!(
            "CREATE USER {user}@'%' IDENTIFIED BY '{}'",
            PASSWORD.replace('\\', "\\\\")
        ),
        &format!("GRANT SELECT ON {}.* TO {user}@'%'", sandbox.schema()),
    ]);
    let url = server().url(&user, sandbox.schema());
    let source = format!("\u{feff}SAKILA_SYNC_SOURCE={url}\r\n");
    let escaped = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    for line in [
        format!("SAKILA_SYNC_SOURCE_PASSWORD='{PASSWORD}'"),
        format!("SAKILA_SYNC_SOURCE_PASSWORD=\"{escaped}\""),
    ] {
        Run::of(from_dotenv(&sandbox, &["init"], &format!("{source}{line}\r\n"))).succeeds();
    }
    sandbox.change(&[&format!("ALTER USER {user}@'%' IDENTIFIED BY 'pa$word#1\\\\'")]);
    let bare = format!("{source}export SAKILA_SYNC_SOURCE_PASSWORD=pa$word#1\\  # bare");
    Run::of(from_dotenv(&sandbox, &["init"], &bare)).succeeds();
    let within_url = url.replace('@', ":pa$word%231\\@");
    let text = format!("SAKILA_SYNC_SOURCE={within_url}");
    Run::of(from_dotenv(&sandbox, &["init"], &text)).succeeds();
    // A file as saved by an editor on another system.
    fs::write(sandbox.folder().join("secret"), "\u{feff}pa$word#1\\\r\n").unwrap();
    let text = format!("{source}SAKILA_SYNC_SOURCE_PASSWORD_FILE=secret\n");
    Run::of(from_dotenv(&sandbox, &["init"], &text)).succeeds();
}

#[test]
fn a_malformed_line_of_dotenv_is_named_by_its_number_and_not_shown() {
    let sandbox = Sandbox::empty();
    let run = Run::of(from_dotenv(&sandbox, &["init"], "# settings\n\nsekret\n")).fails_with(2, "DOTENV_INVALID");
    assert!(
        run.stderr.contains("line 3") && !run.stderr.contains("sekret"),
        "{run:#?}"
    );
}

#[test]
fn a_folder_that_may_not_be_entered_holds_no_dotenv_and_one_that_may_not_be_read_is_reported() {
    let sandbox = Sandbox::new();
    let closed = sandbox.folder().join("closed");
    fs::create_dir(&closed).unwrap();
    let mut command = sandbox.command(&["init"]);
    command.current_dir(&closed);
    // The folder is accessible when the shell enters it, and closed when the program starts.
    let shell = ["sh", "-c", "chmod 0 . && exec \"$0\" \"$@\""];
    let command = crate::harness::others::through(&shell, &bound_by_permissions(&command));
    Run::of(command).succeeds();
    fs::set_permissions(&closed, Permissions::from_mode(0o755)).unwrap();

    fs::write(sandbox.folder().join(".env"), "A=1").unwrap();
    fs::set_permissions(sandbox.folder().join(".env"), Permissions::from_mode(0o000)).unwrap();
    Run::of(bound_by_permissions(&sandbox.command(&["init"]))).fails_with(2, "DOTENV_INVALID");
    fs::remove_file(sandbox.folder().join(".env")).unwrap();
    // Python's virtual environments often have this name.
    fs::create_dir(sandbox.folder().join(".env")).unwrap();
    sandbox.run(&["init"]).succeeds();
}

#[test]
fn an_empty_variable_is_none_and_an_unknown_one_is_reported() {
    let sandbox = Sandbox::new();
    let text = format!(
        "SAKILA_SYNC_TARGET={}\nSAKILA_SYNC_WORKER=3\n",
        sandbox.target().display()
    );
    let mut command = from_dotenv(&sandbox, &["init"], &text);
    command.env("SAKILA_SYNC_SOURCE", sandbox.url());
    command.env("SAKILA_SYNC_SOURCE_PASSWORD", server::READER_PASSWORD);
    for empty in [
        "SAKILA_SYNC_TARGET",
        "SAKILA_SYNC_WORKERS",
        "SAKILA_SYNC_EVERY",
        "SAKILA_SYNC_LOG_FORMAT",
        "SAKILA_SYNC_SOURCE_PASSWORD_FILE",
        "SAKILA_SYNC_METRICS_FILE",
        "SAKILA_SYNC_JSON",
    ] {
        command.env(empty, "");
    }
    let run = Run::of(command).succeeds();
    assert!(sandbox.target().exists());
    assert!(run.stderr.contains("did you mean SAKILA_SYNC_WORKERS?"), "{run:#?}");
}

#[test]
fn what_is_typed_counts_more_than_what_the_environment_says() {
    let sandbox = Sandbox::loaded();
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = sandbox.command(arguments);
        command.envs(variables.iter().copied());
        Run::of(command).succeeds()
    };
    let (every, validate_every) = (("SAKILA_SYNC_EVERY", "1h"), ("SAKILA_SYNC_VALIDATE_EVERY", "1h"));
    // Runs once, although the environment sets an interval of an hour.
    run(&["incremental", "--dry-run"], &[every, validate_every]);
    // A validation interval for a run that does not repeat.
    run(&["incremental"], &[validate_every]);
    let verbose = run(&["incremental", "-v"], &[("SAKILA_SYNC_QUIET", "1")]);
    assert!(
        !verbose.stdout.is_empty() && verbose.stderr.contains("DEBUG"),
        "{verbose:#?}"
    );
    let quiet = run(&["incremental", "--quiet"], &[("SAKILA_SYNC_VERBOSE", "2")]);
    assert!(quiet.stdout.is_empty() && quiet.stderr.is_empty(), "{quiet:#?}");
}

#[test]
fn paths_may_begin_with_a_tilde_or_a_dash() {
    let sandbox = Sandbox::new();
    let mut command = from_dotenv(&sandbox, &["init"], "SAKILA_SYNC_TARGET=~/tilde.db\n");
    command
        .env("HOME", sandbox.folder())
        .env("SAKILA_SYNC_SOURCE", sandbox.url())
        .env("SAKILA_SYNC_SOURCE_PASSWORD", server::READER_PASSWORD);
    Run::of(command).succeeds();
    assert!(sandbox.folder().join("tilde.db").exists());
    sandbox.run(&["init", "--target", "-x.db"]).succeeds();
    assert!(sandbox.folder().join("-x.db").exists());
    sandbox
        .run(&["init", "--target", "--json"])
        .fails_with(2, "TARGET_PATH_INVALID");
}

#[test]
fn a_period_without_its_last_day_ends_today() {
    let sandbox = Sandbox::loaded();
    let today = sandbox.source_figure("SELECT CAST(UTC_DATE() AS CHAR)");
    let validation = sandbox.json(&["validate", "--from", "2026-01-01"]);
    assert_eq!(validation["from"], "2026-01-01");
    // Midnight may lie between the two.
    assert!(validation["to"].as_str().unwrap() >= today.as_str(), "{validation}");
    sandbox.run(&["validate", "--to", "2026-01-01"]).ends_with_code(2);
}

#[test]
fn a_lock_file_that_may_not_be_opened_is_named_and_not_its_folder() {
    let sandbox = Sandbox::loaded();
    let lock = sandbox.folder().join("analytics.db.lock");
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, Permissions::from_mode(0o000)).unwrap();
    let run = Run::of(bound_by_permissions(&sandbox.command(&["incremental"]))).fails_with(3, "TARGET_UNWRITABLE");
    assert!(run.stderr.contains("analytics.db.lock"), "{run:#?}");
}
