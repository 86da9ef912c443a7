//! Opening and closing of connections: one log-in, no more connections than the account allows, COM_QUIT on each.

use std::fs;
use std::process::{Command, Stdio};

use crate::harness::prometheus::wait_until;
use crate::harness::server::{self, READER, have_own_server_with};
use crate::harness::{Run, Sandbox, have_own_server, send};
use crate::running::wait_for;

/// A status variable of the server.
fn status(sandbox: &Sandbox, name: &str) -> u64 {
    let server = server::server();
    let schema = if server.is_mariadb {
        "information_schema"
    } else {
        "performance_schema"
    };
    let query = format!("SELECT VARIABLE_VALUE FROM {schema}.global_status WHERE VARIABLE_NAME = '{name}'");
    sandbox.source_figure(&query).parse().unwrap()
}

/// Connections that failed or ended without COM_QUIT, counted once only the test's own are open.
fn aborted(sandbox: &Sandbox) -> [u64; 2] {
    wait_until("all connections are closed", || {
        status(sandbox, "Threads_connected") == 1
    });
    ["Aborted_clients", "Aborted_connects"].map(|name| status(sandbox, name))
}

/// A command with the given account, without a password.
fn as_account(sandbox: &Sandbox, user: &str, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    command
        .env(
            "SAKILA_SYNC_SOURCE",
            sandbox.url().replace(&format!("{READER}@"), &format!("{user}@")),
        )
        .env_remove("SAKILA_SYNC_SOURCE_PASSWORD");
    command
}

fn create_account(sandbox: &Sandbox, user: &str, with: &str) {
    sandbox.change(&[
        &format!("CREATE USER {user}@'%' {with}"),
        &format!("GRANT SELECT ON {}.* TO {user}@'%'", sandbox.schema()),
    ]);
}

#[test]
fn every_connection_is_closed_with_com_quit() {
    have_own_server();
    let sandbox = Sandbox::new();
    let before = aborted(&sandbox);
    for arguments in [
        &["init"][..],
        &["full-load", "--workers", "4"],
        &["incremental"],
        &["incremental", "--dry-run"],
        &["validate", "--all", "--deep"],
        &["repair"],
        &["explain", "fact_payment", "7"],
        &["status"],
    ] {
        sandbox.run(arguments).succeeds();
        assert_eq!(aborted(&sandbox), before, "{arguments:?}");
    }
    for arguments in [&["seed", "mutate"][..], &["seed", "--replace"]] {
        sandbox.administer(arguments).succeeds();
        assert_eq!(aborted(&sandbox), before, "{arguments:?}");
    }
    // One command fails on the target, the other on the source.
    fs::rename(sandbox.target(), sandbox.folder().join("away.db")).unwrap();
    sandbox.run(&["full-load"]).fails_with(3, "TARGET_MISSING");
    assert_eq!(aborted(&sandbox), before);
    fs::rename(sandbox.folder().join("away.db"), sandbox.target()).unwrap();
    sandbox.change(&["RENAME TABLE payment TO payments"]);
    sandbox.run(&["full-load"]).fails_with(3, "SOURCE_UNFIT");
    assert_eq!(aborted(&sandbox), before);
    sandbox.change(&["RENAME TABLE payments TO payment"]);
    // Both are stopped at a point where they close their connections; a command that is stopped while it prepares a
    // statement loses the connection.
    for (arguments, word) in [
        (
            &["full-load", "--accept-source", "--batch-size", "100", "-v"][..],
            "table=\"fact_rental\"",
        ),
        (&["incremental", "--every", "200ms", "-v"], "running until stopped"),
    ] {
        let mut command = sandbox.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = wait_for(&mut child, word);
        send("-INT", &child);
        std::io::copy(&mut log, &mut std::io::sink()).unwrap();
        child.wait().unwrap();
        assert_eq!(aborted(&sandbox), before, "{arguments:?}");
    }
}

#[test]
fn a_wrong_password_is_tried_once_a_run_and_a_locked_account_is_reported() {
    let server = have_own_server();
    let sandbox = Sandbox::new();
    if server.is_mariadb {
        sandbox.change(&["SET GLOBAL max_password_errors = 3"]);
        create_account(&sandbox, "careful", "IDENTIFIED BY 'right'");
    } else {
        create_account(
            &sandbox,
            "careful",
            "IDENTIFIED BY 'right' FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 1",
        );
    }
    let with = |password: &str| {
        let mut command = as_account(&sandbox, "careful", &["init"]);
        command.env("SAKILA_SYNC_SOURCE_PASSWORD", password);
        Run::of(command)
    };
    let connections = status(&sandbox, "Connections");
    with("wrong").fails_with(3, "SOURCE_LOGIN_REFUSED");
    assert_eq!(status(&sandbox, "Connections"), connections + 1);
    with("wrong").fails_with(3, "SOURCE_LOGIN_REFUSED");
    with("right").succeeds();
    let locked = (0..6).map(|_| with("wrong").ends_with_code(3).error_code());
    assert!(locked.flatten().any(|code| code == "SOURCE_ACCOUNT_LOCKED"));
    with("right").fails_with(3, "SOURCE_ACCOUNT_LOCKED");

    create_account(&sandbox, "locked", "ACCOUNT LOCK");
    Run::of(as_account(&sandbox, "locked", &["init"])).fails_with(3, "SOURCE_ACCOUNT_LOCKED");
}

#[test]
fn every_command_works_with_the_connections_that_an_account_may_have() {
    have_own_server();
    let sandbox = Sandbox::new();
    let before = aborted(&sandbox);
    for limit in ["2", "1"] {
        let user = format!("limited_{limit}");
        create_account(&sandbox, &user, &format!("WITH MAX_USER_CONNECTIONS {limit}"));
        for arguments in [
            &["init"][..],
            &["full-load", "--batch-size", "500"],
            &["repair", "--batch-size", "500"],
            &["validate", "--all", "--deep"],
            &["incremental"],
            &["status"],
        ] {
            for workers in ["1", "4"] {
                let mut command = as_account(&sandbox, &user, arguments);
                command.args(["--workers", workers, "--retry-for", "0"]);
                let run = Run::of(command).succeeds();
                let is_told = run.has_logged("CONNECTIONS_LIMITED");
                let reads_in_parallel = !matches!(arguments[0], "incremental" | "status" | "init");
                if reads_in_parallel {
                    assert_eq!(is_told, workers == "4", "{run:#?}");
                }
                assert_eq!(aborted(&sandbox), before, "{limit} {arguments:?} {workers}");
            }
        }
        sandbox.assert_star_equals_source();
        fs::remove_file(sandbox.target()).unwrap();
    }
}

mod needs_ipv6 {
    use super::*;

    #[test]
    #[ignore = "needs IPv6 on the loopback interface"]
    fn an_ipv6_address_is_connected_to_in_any_spelling() {
        have_own_server_with(&["--bind-address=*"]);
        let sandbox = Sandbox::new();
        for host in ["[::1]", "LOCALHOST", "%6Cocalhost", "[::ffff:127.0.0.1]"] {
            let mut command = sandbox.command(&["init"]);
            let url = sandbox.url().replace("127.0.0.1", host);
            command.env("SAKILA_SYNC_SOURCE", format!("{url}/"));
            Run::of(command).succeeds();
        }
    }
}

#[test]
fn a_schema_s_name_may_need_percent_encoding() {
    let sandbox = Sandbox::new();
    let odd = format!("odd%{}/ñ#", sandbox.schema());
    let user = format!("odd_{}", sandbox.schema());
    create_account(&sandbox, &user, "");
    let pattern = odd.replace('%', "\\%").replace('_', "\\_");
    sandbox.change(&[
        &format!("CREATE SCHEMA `{odd}`"),
        &format!("CREATE TABLE `{odd}`.film (film_id INT)"),
        &format!("GRANT SELECT ON `{pattern}`.* TO {user}@'%'"),
    ]);
    let encoded = odd.replace('%', "%25").replace('/', "%2F").replace('#', "%23");
    let mut command = as_account(&sandbox, &user, &["init"]);
    let url = server::server().url(&user, &encoded);
    command.env("SAKILA_SYNC_SOURCE", url);
    let run = Run::of(command).fails_with(3, "SOURCE_UNFIT");
    assert!(run.stderr.contains("film.title"), "{run:#?}");
    sandbox.change(&[&format!("DROP SCHEMA `{odd}`")]);
}

#[test]
fn a_role_that_is_granted_but_not_active_is_reported() {
    let sandbox = Sandbox::new();
    let (role, user) = (
        format!("role_{}", sandbox.schema()),
        format!("actor_{}", sandbox.schema()),
    );
    sandbox.change(&[
        &format!("CREATE ROLE {role}"),
        &format!("GRANT SELECT ON {}.* TO {role}", sandbox.schema()),
        &format!("CREATE USER {user}@'%'"),
        &format!("GRANT {role} TO {user}@'%'"),
    ]);
    let run = Run::of(as_account(&sandbox, &user, &["init"])).fails_with(3, "SOURCE_SCHEMA_DENIED");
    assert!(run.stderr.contains("SET DEFAULT ROLE"), "{run:#?}");
}

#[test]
fn an_account_that_may_write_but_not_read_is_told_what_it_lacks() {
    let sandbox = Sandbox::new();
    let user = format!("writer_{}", sandbox.schema());
    sandbox.change(&[
        &format!("CREATE USER {user}@'%'"),
        &format!("GRANT INSERT ON {}.* TO {user}@'%'", sandbox.schema()),
    ]);
    let run = Run::of(as_account(&sandbox, &user, &["init"])).fails_with(3, "SOURCE_SELECT_DENIED");
    assert!(run.stderr.contains("GRANT SELECT"), "{run:#?}");
}

mod needs_ed25519 {
    use super::*;

    #[test]
    #[ignore = "needs MariaDB's plugin auth_ed25519"]
    fn an_account_that_logs_in_in_another_way_is_told_which_ways_there_are() {
        have_own_server();
        let sandbox = Sandbox::new();
        sandbox.change(&["INSTALL SONAME 'auth_ed25519'"]);
        create_account(&sandbox, "modern", "IDENTIFIED VIA ed25519 USING PASSWORD('secret')");
        let mut command = as_account(&sandbox, "modern", &["init"]);
        command.env("SAKILA_SYNC_SOURCE_PASSWORD", "secret");
        Run::of(command).fails_with(3, "SOURCE_PLUGIN_UNSUPPORTED");
    }
}

#[test]
fn a_server_that_is_short_of_something_is_waited_for() {
    have_own_server();
    let sandbox = Sandbox::loaded();
    sandbox.change(&["SET GLOBAL max_prepared_stmt_count = 0"]);
    sandbox
        .run(&["incremental", "--retry-for", "0"])
        .fails_with(3, "SOURCE_RESOURCES_EXHAUSTED");
    let mut command = sandbox.command(&["incremental"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = wait_for(&mut child, "code=\"RETRYING\"");
    sandbox.change(&["SET GLOBAL max_prepared_stmt_count = 16382"]);
    std::io::copy(&mut log, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
}
