//! Server defaults: they do not affect the session. If a result is truncated, or a table has no snapshots, the program
//! reports it instead of treating the result as complete.

use std::process::{Child, Command, Stdio};

use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, Database, RuntimeErr};
use star_sync::source::answer;

use crate::harness::prometheus::wait_until;
use crate::harness::server::have_own_server_with;
use crate::harness::{Run, Sandbox, have_own_server, server};
use crate::signals::wait_until_payments_are_wanted;

/// Each of them changes what a statement returns, whether it runs, or how long its connection lives.
const HOSTILE: [&str; 18] = [
    "sql_select_limit = 3",
    "max_join_size = 1",
    "sql_mode = 'ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES,NO_UNSIGNED_SUBTRACTION,ONLY_FULL_GROUP_BY'",
    "completion_type = 'RELEASE'",
    "sql_safe_updates = 1",
    "sql_auto_is_null = 1",
    "sql_buffer_result = 1",
    "div_precision_increment = 0",
    "group_concat_max_len = 4",
    "default_week_format = 7",
    "lc_time_names = 'de_DE'",
    "time_zone = '-11:00'",
    "character_set_server = 'latin1'",
    "collation_connection = 'latin1_german1_ci'",
    "lock_wait_timeout = 1",
    "wait_timeout = 1",
    "net_write_timeout = 1",
    "init_connect = 'SET sql_select_limit = 2, autocommit = 0, collation_connection = latin1_bin'",
];
const HOSTILE_TO_MYSQL: [&str; 3] = [
    "transaction_isolation = 'READ-UNCOMMITTED'",
    "transaction_read_only = 1",
    "max_execution_time = 1",
];
const HOSTILE_TO_MARIADB: [&str; 6] = [
    "tx_isolation = 'READ-UNCOMMITTED'",
    "tx_read_only = 1",
    "max_statement_time = 0.0001",
    "idle_transaction_timeout = 1",
    "idle_readonly_transaction_timeout = 1",
    "system_versioning_asof = '2001-01-01 00:00:00'",
];

fn begin(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(run: Child) -> Run {
    let output = run.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn execute_on(url: &str, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let connection = Database::connect(url).await.unwrap();
        connection.execute_unprepared(statement).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn make_hostile(sandbox: &Sandbox) {
    let own = if server().is_mariadb {
        &HOSTILE_TO_MARIADB[..]
    } else {
        &HOSTILE_TO_MYSQL[..]
    };
    for setting in HOSTILE.iter().chain(own) {
        sandbox.change(&[&format!("SET GLOBAL {setting}")]);
    }
}

#[test]
fn nothing_is_inherited_from_the_servers_defaults() {
    have_own_server();
    let sandbox = Sandbox::new();
    make_hostile(&sandbox);
    sandbox.load();
    sandbox.assert_star_equals_source();
    sandbox.change(&[
        "UPDATE payment SET amount = amount + 1 WHERE payment_id % 100 = 1",
        "DELETE FROM rental WHERE rental_id = 5",
        "UPDATE city SET city = 'Übach' WHERE city_id = 9",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
    sandbox.run(&["validate", "--all", "--deep"]).succeeds();
    sandbox.tamper("DELETE FROM fact_payment WHERE payment_id < 100");
    sandbox.run(&["repair"]).succeeds();
    sandbox.assert_star_equals_source();
    sandbox.run(&["explain", "fact_payment", "7"]).succeeds();
}

/// Under READ COMMITTED each statement would see what was committed just before it.
#[test]
fn a_snapshot_is_one_whatever_the_servers_isolation_level() {
    have_own_server();
    let sandbox = Sandbox::loaded();
    let variable = if server().is_mariadb {
        "tx_isolation"
    } else {
        "transaction_isolation"
    };
    sandbox.change(&[&format!("SET GLOBAL {variable} = 'READ-COMMITTED'")]);
    // This change makes the run count the links of films and actors.
    sandbox.change(&["UPDATE film_actor SET last_update = NOW() WHERE film_id = 2"]);
    let payments = sandbox.open_session();
    payments.change(&["LOCK TABLES payment WRITE"]);
    let run = begin(sandbox.command(&["incremental"]));
    wait_until_payments_are_wanted(&sandbox);
    sandbox.change(&["DELETE FROM film_actor WHERE film_id = 1"]);
    payments.change(&["UNLOCK TABLES"]);
    end(run).succeeds();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn an_answer_of_which_the_end_does_not_come_is_an_error() {
    let sandbox = Sandbox::new();
    let rentals = sandbox.source_figure("SELECT CAST(COUNT(*) AS CHAR) FROM rental");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut options = sea_orm::ConnectOptions::new(server().administrator_url(sandbox.schema()));
        options.max_connections(1).sqlx_logging(false);
        let connection = Database::connect(options).await.unwrap();
        let select = Query::select()
            .column("rental_id")
            .column("return_date")
            .from("rental")
            .to_owned();
        let all = answer::all(&connection, &select).await.unwrap();
        assert_eq!(all.len().to_string(), rentals);
        for limit in [0, 1, 1_000, all.len()] {
            let set = format!("SET SESSION sql_select_limit = {limit}");
            connection.execute_unprepared(&set).await.unwrap();
            let error = answer::all(&connection, &select).await.unwrap_err();
            let sea_orm::DbErr::Query(RuntimeErr::SqlxError(cause)) = error else {
                panic!("{error}");
            };
            assert!(answer::CutAnswer::is(&cause), "{limit}: {cause}");
        }
        connection.close().await.unwrap();
    });
}

#[test]
fn a_table_without_snapshots_is_refused_by_name() {
    let sandbox = Sandbox::loaded();
    sandbox.drop_foreign_keys();
    sandbox.change(&["ALTER TABLE payment ENGINE = MyISAM"]);
    for command in ["init", "full-load", "incremental", "validate", "repair"] {
        let run = sandbox.run(&[command]).fails_with(3, "SOURCE_UNSUPPORTED");
        assert!(
            run.stderr.contains("payment") && run.stderr.contains("MyISAM"),
            "{run:#?}"
        );
    }
}

/// Only MariaDB can report another version string.
mod needs_mariadb {
    use super::*;

    #[test]
    #[ignore = "needs MariaDB"]
    fn another_product_that_speaks_the_protocol_is_refused_by_name() {
        have_own_server_with(&["--version=8.0.11-TiDB-v8.5.0"]);
        let sandbox = Sandbox::empty();
        let run = sandbox.run(&["init"]).fails_with(3, "SOURCE_UNSUPPORTED");
        assert!(run.stderr.contains("TiDB"), "{run:#?}");
        assert!(!sandbox.target().exists());
    }

    #[test]
    #[ignore = "needs MariaDB"]
    fn a_server_that_is_too_old_is_refused_by_its_version() {
        have_own_server_with(&["--version=10.5.23-MariaDB"]);
        let sandbox = Sandbox::empty();
        let run = sandbox.run(&["init"]).fails_with(3, "SOURCE_UNSUPPORTED");
        assert!(run.stderr.contains("10.5.23"), "{run:#?}");
        assert!(!sandbox.target().exists());
    }
}

#[test]
fn a_server_that_does_not_let_a_setting_be_changed_is_refused() {
    have_own_server_with(&["--maximum-max-join-size=1000"]);
    let sandbox = Sandbox::empty();
    sandbox.run(&["init"]).fails_with(3, "SOURCE_SESSION_REFUSED");
    assert!(!sandbox.target().exists());
}

/// On MariaDB, TRUNCATE does not set UPDATE_TIME.
#[test]
fn a_truncated_table_loses_its_rows_in_the_next_run() {
    let sandbox = Sandbox::verified();
    sandbox.change(&["TRUNCATE TABLE payment"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_table_that_is_swapped_while_a_run_waits_for_it_and_swapped_back_is_looked_at_again() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[
        "CREATE TABLE p_new LIKE payment",
        "INSERT INTO p_new SELECT * FROM payment",
        "UPDATE p_new SET amount = amount + 1, last_update = last_update WHERE payment_id <= 10",
        "UPDATE payment SET amount = amount + 2 WHERE payment_id = 20",
    ]);
    sandbox.wait_until_at_rest();
    let waiting = |processes: usize| {
        let waiting = format!(
            "SELECT STATE FROM {} WHERE DB = DATABASE() AND STATE LIKE 'Waiting for table%'",
            sandbox.connections()
        );
        wait_until("sessions wait for the payments", || {
            sandbox.source(&waiting).len() == processes
        });
    };
    let reader = sandbox.open_session();
    reader.change(&["START TRANSACTION", "SELECT 1 FROM payment LIMIT 1"]);
    let url = server().administrator_url(sandbox.schema());
    let swap = std::thread::spawn(move || execute_on(&url, "RENAME TABLE payment TO p_old, p_new TO payment"));
    waiting(1);
    // The run is queued behind the swap, which waits for the reader.
    let run = begin(sandbox.command(&["incremental"]));
    waiting(2);
    reader.change(&["COMMIT"]);
    swap.join().unwrap();
    // Whichever table it read, it must not record one as the other.
    end(run);
    sandbox.change(&["RENAME TABLE payment TO p_new, p_old TO payment"]);
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

/// The server then lists the transaction as begun when the server was started.
#[test]
fn a_prepared_transaction_that_a_restart_has_brought_back_holds_the_watermark() {
    have_own_server();
    let sandbox = Sandbox::loaded();
    let url = server().administrator_url(sandbox.schema());
    let incremental = || {
        let mut command = sandbox.as_administrator(&["incremental", "--overlap", "1", "--verify-budget", "0"]);
        command.env("SAKILA_SYNC_SOURCE", &url);
        Run::of(command)
    };
    let branch = sandbox.open_session();
    branch.change(&[
        "XA START 'b'",
        "UPDATE payment SET amount = 33.33 WHERE payment_id = 10",
        "XA END 'b'",
        "XA PREPARE 'b'",
        // These servers write their log to disk once a second.
        "DO SLEEP(3)",
    ]);
    drop(branch);
    let _server = crate::harness::killed::kill(&server()).start_again();
    let later = sandbox.open_session();
    later.change(&[
        "DO SLEEP(3)",
        "UPDATE payment SET amount = 44.44 WHERE payment_id = 20",
        "DO SLEEP(3)",
    ]);
    incremental().succeeds();
    later.change(&["XA COMMIT 'b'"]);
    incremental().succeeds();
    assert_eq!(
        sandbox.figure("SELECT CAST(amount AS TEXT) FROM fact_payment WHERE payment_id = 10"),
        "33.33"
    );
}
