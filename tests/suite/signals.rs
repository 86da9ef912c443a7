//! Ctrl-C and SIGTERM: the first ends a run cleanly, the second immediately, and the terminal is restored.

use std::io::{BufRead, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::others::{rest, through};
use crate::harness::prometheus::{Process, wait_until};
use crate::harness::terminal::Terminal;
use crate::harness::{Run, Sandbox, Session, send, server};
use crate::running::wait_for;

const HEARD: &str = "stopping after the step in progress";
/// The beginning of its bar; a log line has no such space after the name.
const RENTALS_BAR: &str = "fact_rental          ";
const MANY_CHANGES: &str = "UPDATE payment SET amount = amount + 1";

/// Blocks readers of the payments, and so keeps a run in progress.
pub fn hold_payments(sandbox: &Sandbox) -> Session<'_> {
    let session = sandbox.open_session();
    session.change(&["LOCK TABLES payment WRITE"]);
    session
}

/// Waits until another session waits for that lock to read rows; reading a table's statistics takes another lock. On
/// any other table, a lock that shows as pending may be granted the next moment.
pub fn wait_until_payments_are_wanted(sandbox: &Sandbox) {
    let waiting = if server().is_mariadb {
        "SELECT STATE FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND STATE LIKE 'Waiting for table%'"
    } else {
        "SELECT LOCK_STATUS FROM performance_schema.metadata_locks \
         WHERE OBJECT_SCHEMA = DATABASE() AND OBJECT_NAME = 'payment' \
         AND LOCK_STATUS = 'PENDING' AND LOCK_TYPE = 'SHARED_READ'"
    };
    wait_until("the run reads the payments", || !sandbox.source(waiting).is_empty());
}

/// Asks the run to stop, waits until it has acknowledged, unblocks it, and waits for its end.
fn stop(mut run: Process, signal: &str, payments: &Session) -> Run {
    send(signal, &run.0);
    let log = wait_for(&mut run.0, HEARD);
    payments.change(&["UNLOCK TABLES"]);
    rest(run, log)
}

#[test]
fn a_run_that_is_stopped_ends_in_order_and_run_again_it_ends_right() {
    let sandbox = Sandbox::loaded();
    let arguments = [
        (
            &["full-load", "--batch-size", "500"][..],
            "-INT",
            "what was finished is kept",
        ),
        (
            &["full-load", "--batch-size", "500"],
            "-TERM",
            "what was finished is kept",
        ),
        (
            &["full-load", "--batch-size", "500"],
            "-HUP",
            "what was finished is kept",
        ),
        (
            &["full-load", "--table", "fact_payment"],
            "-INT",
            "nothing of this run was kept",
        ),
        (&["incremental"], "-INT", "nothing of this run was kept"),
        (&["incremental"], "-TERM", "nothing of this run was kept"),
        (&["incremental", "--dry-run"], "-INT", "a dry run keeps nothing"),
        (&["repair"], "-INT", "nothing of this run was kept"),
        (&["repair", "--dry-run"], "-INT", "a dry run keeps nothing"),
        (&["validate", "--all"], "-INT", "the command only reads"),
        (&["validate", "--all", "--deep"], "-TERM", "the command only reads"),
        (&["init"], "-INT", "sakila-sync init"),
    ];
    for (command, signal, hint) in arguments {
        sandbox.change(&[MANY_CHANGES]);
        let payments = hold_payments(&sandbox);
        let run = sandbox.start(command);
        wait_until_payments_are_wanted(&sandbox);
        let stopped = stop(run, signal, &payments);
        if command[0] == "full-load" && !command.contains(&"--table") {
            // Which tables the load has reached depends on when it first needed the payments.
            assert!(stopped.stderr.contains("kept, to be resumed table="), "{stopped:#?}");
        }
        stopped.fails(130, &["STOPPED", hint]);
        let is_run = !["validate", "init"].contains(&command[0]) && !command.contains(&"--dry-run");
        if is_run {
            let history = format!(
                "SELECT status FROM sync_run WHERE id = (SELECT MAX(id) FROM sync_run WHERE command = '{}')",
                command[0]
            );
            assert_eq!(sandbox.figure(&history), "stopped", "{command:?}");
            assert_eq!(sandbox.figure("PRAGMA integrity_check"), "ok");
        }
        let again = sandbox.run(command);
        // A dry run of a repair reports changes as differences.
        assert!(again.code == 0 || command == ["repair", "--dry-run"], "{again:#?}");
    }
    sandbox.run(&["full-load"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_sync_that_repeats_ends_with_code_0_when_it_is_asked_to() {
    let sandbox = Sandbox::loaded();
    for signal in ["-INT", "-TERM"] {
        sandbox.change(&[MANY_CHANGES]);
        let payments = hold_payments(&sandbox);
        let run = sandbox.start(&["incremental", "--every", "1h"]);
        wait_until_payments_are_wanted(&sandbox);
        stop(run, signal, &payments).ends_with_code(0);
    }
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_seed_that_is_stopped_says_how_to_begin_anew() {
    for signal in ["-INT", "-TERM"] {
        let sandbox = Sandbox::empty();
        let mut command = sandbox.as_administrator(&["seed", "--scale", "20"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut run = Process(child);
        wait_until("it makes its tables", || {
            let tables = "SELECT TABLE_NAME FROM information_schema.TABLES \
                          WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'rental'";
            !sandbox.source(tables).is_empty()
        });
        send(signal, &run.0);
        let log = wait_for(&mut run.0, HEARD);
        rest(run, log).fails(130, &["STOPPED", "incomplete", "seed --replace"]);
        sandbox.administer(&["seed"]).fails(3, &["did not finish", "--replace"]);
        sandbox
            .administer(&["seed", "--replace", "--until", "2026-01-01"])
            .succeeds();
        sandbox.load();
        sandbox.assert_star_equals_source();
    }
}

#[test]
fn a_second_signal_ends_a_run_that_still_honours_the_first() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[MANY_CHANGES]);
    for signals in [["-INT", "-INT"], ["-TERM", "-TERM"], ["-INT", "-TERM"]] {
        // The run waits for this lock for up to ten seconds.
        let writer = sandbox.other_program("BEGIN IMMEDIATE");
        let mut run = sandbox.start(&["incremental"]);
        sandbox.wait_until_locked_by(&run);
        send(signals[0], &run.0);
        let mut log = wait_for(&mut run.0, HEARD);
        // A signal closer to the first would count as the same request: see `SAME_REQUEST` in
        // crates/star-sync-cli/src/commands/signals.rs, which is measured from before the log line that was waited for.
        std::thread::sleep(Duration::from_millis(301));
        send(signals[1], &run.0);
        // If it had waited for the lock until the end, it would have logged that.
        assert_eq!(run.0.wait().unwrap().code(), Some(130));
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        assert!(
            rest.contains("error[STOPPED]") && rest.contains("-wal") && rest.lines().count() == 3,
            "it has gone on: {rest}"
        );
        writer.execute_batch("COMMIT").unwrap();
    }
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

/// From one shell, so that there is no pause between them.
fn send_both([one, other]: [&str; 2], child: &Child) {
    let process = child.id();
    let kill = format!("kill {one} {process} && kill {other} {process}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn two_signals_at_once_are_one_request() {
    let sandbox = Sandbox::loaded();
    for signals in [["-INT", "-TERM"], ["-TERM", "-TERM"], ["-HUP", "-TERM"]] {
        sandbox.change(&[MANY_CHANGES]);
        let payments = hold_payments(&sandbox);
        let mut run = sandbox.start(&["incremental"]);
        wait_until_payments_are_wanted(&sandbox);
        send_both(signals, &run.0);
        let log = wait_for(&mut run.0, HEARD);
        payments.change(&["UNLOCK TABLES"]);
        rest(run, log).fails(130, &["STOPPED", "nothing of this run was kept"]);
        let left = sandbox.folder().read_dir().unwrap();
        let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["analytics.db"], "the run did not end in order");
    }
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[MANY_CHANGES]);
    let payments = hold_payments(&sandbox);
    let mut command = through(&["nohup"], &sandbox.command(&["incremental"]));
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut run = Process(run);
    wait_until_payments_are_wanted(&sandbox);
    send("-HUP", &run.0);
    payments.change(&["UNLOCK TABLES"]);
    assert!(run.0.wait().unwrap().success());
    sandbox.assert_star_equals_source();
}

#[test]
fn a_log_whose_reader_has_gone_ends_no_run() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[MANY_CHANGES]);
    let mut run = sandbox.start(&["incremental", "-v"]);
    drop(run.0.stderr.take());
    drop(run.0.stdout.take());
    assert!(run.0.wait().unwrap().success());
    sandbox.assert_star_equals_source();
}

#[test]
fn an_interrupted_run_leaves_a_clean_terminal() {
    let sandbox = Sandbox::loaded();
    // The full load is last: after an interrupted one, a repair is refused until the load is finished.
    for (command, shown) in [
        (&["validate", "--all"][..], "before: "),
        (&["repair", "--batch-size", "500"], RENTALS_BAR),
        (&["full-load", "--batch-size", "500"], RENTALS_BAR),
    ] {
        let payments = hold_payments(&sandbox);
        let mut terminal = Terminal::run(&sandbox.command(command));
        wait_until_payments_are_wanted(&sandbox);
        terminal.wait_for(shown);
        terminal.press_control_c();
        terminal.wait_for(HEARD);
        payments.change(&["UNLOCK TABLES"]);
        terminal.end().is_clean_after_a_stop();
    }
}

#[test]
fn a_run_that_is_ended_at_once_leaves_a_clean_terminal() {
    let sandbox = Sandbox::loaded();
    let payments = hold_payments(&sandbox);
    let mut terminal = Terminal::run(&sandbox.command(&["full-load", "--batch-size", "500"]));
    wait_until_payments_are_wanted(&sandbox);
    terminal.wait_for(RENTALS_BAR);
    terminal.press_control_c();
    terminal.wait_for(HEARD);
    std::thread::sleep(Duration::from_millis(301));
    terminal.press_control_c();
    let left = terminal.end();
    assert_eq!(left.code, 130, "{left:#?}");
    left.is_clean();
    payments.change(&["UNLOCK TABLES"]);
    sandbox.run(&["full-load"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn an_interrupted_seed_leaves_a_clean_terminal() {
    let sandbox = Sandbox::empty();
    let mut terminal = Terminal::run(&sandbox.as_administrator(&["seed", "--scale", "20"]));
    terminal.wait_for("█");
    terminal.press_control_c();
    terminal.end().is_clean_after_a_stop();
}

#[test]
fn nothing_is_drawn_where_stderr_is_no_terminal() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let log = sandbox.folder().join("log");
    let command = sandbox.command(&["full-load", "--batch-size", "500"]);
    let left = Terminal::run_with(&command, &format!("2>'{}'", log.display())).end();
    assert_eq!(left.code, 0, "{left:#?}");
    let log = std::fs::read(log).unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(log.contains("table finished"), "{log}");
    assert!(!log.contains('\x1b'), "{log}");
    // The terminal shows only the result, possibly coloured; nothing on it was erased.
    for drawn in ["\x1b[2K", "\x1b[K", "█", "░"] {
        assert!(
            !log.contains(drawn) && !left.written.contains(drawn),
            "{drawn:?} in {log} or {left:#?}"
        );
    }
    // A pipe reads lines; a carriage return alone would overwrite them.
    assert!(log.as_bytes().lines().all(|line| !line.unwrap().contains('\r')));
    left.is_clean();
}
