//! Failing targets: a full disk, a limit, permissions, other programs, damage. The run fails with a useful hint, keeps
//! what was committed, and the same command succeeds once the cause is gone.

use std::fs::{self, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::others::{bound_by_permissions, through};
use crate::harness::{DEADLINE, Run, Sandbox};

/// Changes every payment, so that an incremental run has some megabytes to write.
const MANY_CHANGES: &str = "UPDATE payment SET amount = amount + 1";

mod needs_mount {
    use super::*;
    use crate::harness::others::SmallDisk;

    #[test]
    #[ignore = "needs the right to mount a disk in a namespace"]
    fn a_full_disk_stops_a_load_and_with_room_it_goes_on() {
        let sandbox = Sandbox::new();
        let folder = sandbox.folder().join("disk");
        let disk = SmallDisk::mount(folder, "1m");
        let run = |arguments: &[&str]| {
            let mut command = sandbox.command(arguments);
            command.env("SAKILA_SYNC_TARGET", disk.folder.join("analytics.db"));
            Run::of(disk.sees(&command))
        };
        run(&["init"]).succeeds();
        run(&["full-load", "--batch-size", "500"]).fails_with(3, "TARGET_FULL");
        disk.shell(&format!("mount -o remount,size=64m '{}'", disk.folder.display()));
        run(&["full-load", "--batch-size", "500"]).succeeds();

        sandbox.change(&[MANY_CHANGES]);
        // Fills the disk except for a few pages.
        let filler = disk.folder.join("filler");
        let filler = filler.display();
        disk.shell(&format!(
            "dd if=/dev/zero of='{filler}' bs=64k || truncate -s -100k '{filler}'"
        ));
        run(&["incremental"]).fails_with(3, "TARGET_FULL");
        disk.shell(&format!("rm '{filler}'"));
        run(&["incremental"]).succeeds();

        let target = sandbox.target();
        disk.shell(&format!(
            "cp '{}/analytics.db' '{}'",
            disk.folder.display(),
            target.display()
        ));
        sandbox.assert_star_equals_source();
    }
}

/// A soft and hard limit, which no program of this account can raise.
#[test]
fn with_few_open_files_a_command_works_or_says_how_many_it_needs() {
    let sandbox = Sandbox::loaded();
    for arguments in [
        &["status"][..],
        &["incremental"],
        &["validate", "--all"],
        &["full-load"],
    ] {
        for files in [6, 10, 14, 18, 22, 26, 30, 40] {
            let limit = format!("--nofile={files}");
            let run = Run::of(through(&["prlimit", &limit], &sandbox.command(arguments)));
            if run.code == 3 {
                run.fails_with(3, "FILES_EXHAUSTED");
            } else {
                assert!(files > 14, "{arguments:?} with {files}: {run:#?}");
                run.succeeds();
            }
        }
    }
    // The program raises a limit that is only soft.
    let run = Run::of(through(
        &["prlimit", "--nofile=10:1024"],
        &sandbox.command(&["incremental"]),
    ));
    run.succeeds();
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_sudden_death() {
    let sandbox = Sandbox::new();
    let limited = |arguments: &[&str]| Run::of(through(&["prlimit", "--fsize=1000000"], &sandbox.command(arguments)));
    limited(&["init"]).succeeds();
    limited(&["full-load"]).fails_with(3, "TARGET_FULL");
    sandbox.run(&["full-load"]).succeeds();
    sandbox.assert_star_equals_source();

    sandbox.change(&[MANY_CHANGES]);
    limited(&["incremental"]).fails_with(3, "TARGET_FULL");
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_folder_or_a_file_that_may_not_be_written_stops_every_run_that_writes() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[MANY_CHANGES]);
    let bound = |arguments: &[&str]| Run::of(bound_by_permissions(&sandbox.command(arguments)));
    let allow = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let before = fs::read(sandbox.target()).unwrap();
    for (path, closed, open, code) in [
        (sandbox.folder(), 0o555, 0o755, "TARGET_FOLDER"),
        (&sandbox.target(), 0o444, 0o644, "TARGET_UNWRITABLE"),
    ] {
        allow(path, closed);
        for command in ["init", "full-load", "incremental", "repair"] {
            bound(&[command]).fails_with(3, code);
        }
        assert_eq!(
            sandbox.folder().read_dir().unwrap().count(),
            1,
            "something is left beside the file"
        );
        allow(path, open);
        assert_eq!(fs::read(sandbox.target()).unwrap(), before);
    }
    bound(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}

#[test]
fn a_short_writer_is_waited_for() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[MANY_CHANGES]);
    let writer = sandbox.other_program("BEGIN IMMEDIATE");
    let mut run = sandbox.start(&["incremental"]);
    sandbox.wait_until_locked_by(&run);
    // The run takes less than this to reach its first write; then it retries the lock for ten seconds.
    sandbox.let_seconds_pass(2);
    assert!(run.0.try_wait().unwrap().is_none(), "it has not waited");
    writer.execute_batch("COMMIT").unwrap();
    assert!(run.0.wait().unwrap().success());
    sandbox.assert_star_equals_source();
}

#[test]
fn a_writer_that_holds_on_is_not_waited_for_for_ever() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[MANY_CHANGES]);
    let writer = sandbox.other_program("BEGIN IMMEDIATE; CREATE TABLE theirs (note TEXT)");
    for command in ["incremental", "full-load"] {
        let began = Instant::now();
        sandbox.run(&[command]).fails_with(3, "TARGET_LOCKED");
        // Ten seconds for its transaction, and possibly ten for the final checkpoint.
        let waited = began.elapsed();
        assert!(waited >= Duration::from_secs(10), "{command} gave up after {waited:?}");
        assert!(waited < DEADLINE, "{command} gave up after {waited:?}");
    }
    // Read-only commands are allowed.
    sandbox.run(&["status"]).succeeds();
    writer.execute_batch("COMMIT").unwrap();
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
    assert_eq!(
        sandbox.figure("SELECT COUNT(*) FROM theirs"),
        "0",
        "what the other program wrote is there"
    );
}

#[test]
fn a_damaged_file_is_reported_and_another_one_in_its_place_leads_to_a_right_star() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&[MANY_CHANGES]);
    let mut file = fs::OpenOptions::new().write(true).open(sandbox.target()).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(length / 4)).unwrap();
    let noise: Vec<u8> = (0..length / 2)
        .map(|place| (place * place / 7 % 251).try_into().unwrap())
        .collect();
    file.write_all(&noise).unwrap();
    drop(file);
    // The full load is last: after it has begun, other commands require it to be finished.
    for command in [
        &["incremental"][..],
        &["repair"],
        &["validate", "--all"],
        &["validate", "--all", "--deep"],
        &["full-load"],
    ] {
        let run = sandbox.run(command);
        assert!(!run.stderr.contains("panicked"), "{run:#?}");
        run.fails_with(3, "TARGET_DAMAGED");
    }
    let away = sandbox.folder().join("damaged.db");
    fs::rename(sandbox.target(), away).unwrap();
    sandbox.load();
    sandbox.assert_star_equals_source();
}
