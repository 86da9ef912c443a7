//! Each command under a limit on threads: it works with fewer or reports the limit; it never panics or hangs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::others::through;
use crate::harness::{Run, Sandbox};

/// The limit counts all threads of an account; this account has no others.
const ACCOUNT: &str = "60123";
/// Enough threads for any command on any machine.
const ENOUGH: usize = 8;
/// No run takes a tenth of this; one that hangs is killed and ends with 124.
const HANGS: [&str; 2] = ["timeout", "120"];

/// The same command, run by an account that may have this many threads.
fn with_threads(command: &Command, threads: usize) -> Command {
    let (user, group, limit) = (
        format!("--reuid={ACCOUNT}"),
        format!("--regid={ACCOUNT}"),
        format!("--nproc={threads}"),
    );
    let account = ["setpriv", &user, &group, "--clear-groups", "prlimit", &limit, "--"];
    through(&[&HANGS[..], &account].concat(), command)
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root, who may choose another account"]
    fn with_few_threads_a_command_works_or_says_how_many_it_needs() {
        let sandbox = Sandbox::loaded();
        // The account needs access to the program and to the target.
        let program = sandbox.folder().join("program");
        fs::copy(env!("CARGO_BIN_EXE_sakila-sync"), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let give_away = format!("chown -R {ACCOUNT}:{ACCOUNT} '{}'", sandbox.folder().display());
        assert!(Command::new("sh").args(["-c", &give_away]).status().unwrap().success());

        for (arguments, fewest) in [
            (&["status"][..], 4),
            (&["init"], 4),
            (&["incremental"], ENOUGH),
            (&["validate", "--all", "--deep"], ENOUGH),
            (&["full-load"], ENOUGH),
        ] {
            for threads in [1, 2, 3, 4, 5, 6, 7, 8, 10, 16] {
                sandbox.change(&["UPDATE payment SET amount = amount + 1 WHERE payment_id <= 100"]);
                let mut command = Command::new(&program);
                let like = sandbox.command(arguments);
                command.args(arguments).current_dir(sandbox.folder());
                for (name, value) in like.get_envs() {
                    value.map(|value| command.env(name, value));
                }
                let run = Run::of(with_threads(&command, threads));
                assert!(
                    !run.stderr.contains("panicked"),
                    "{arguments:?} with {threads}: {run:#?}"
                );
                if threads < fewest {
                    run.fails_with(3, "THREADS_EXHAUSTED");
                } else {
                    assert_eq!(run.code, 0, "{arguments:?} with {threads}: {run:#?}");
                }
            }
        }
        sandbox.run(&["incremental"]).succeeds();
        sandbox.assert_star_equals_source();
    }
}
