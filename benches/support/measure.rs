//! Runs the program once. Returns its JSON result, and the resources that it used according to the kernel.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use wait4::Wait4;

/// The result and the cost of a run of the program.
#[derive(Clone, Debug)]
pub struct Run {
    pub wall_seconds: f64,
    /// User and system time of the program, without the server's.
    pub cpu_seconds: f64,
    /// The largest resident set.
    pub peak_megabytes: f64,
    pub result: Value,
}

/// Runs `sakila-sync` with `arguments` and `--json`. Panics with its output if it fails.
pub fn run(source: &str, target: &Path, arguments: &[&str]) -> Run {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sakila-sync"))
        .args(arguments)
        .args(["--json", "--quiet"])
        .env("SAKILA_SYNC_SOURCE", source)
        .env("SAKILA_SYNC_TARGET", target)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program is built with its benches");
    let output = child.stdout.take().expect("stdout is piped");
    let text = std::io::read_to_string(output).expect("the program prints UTF-8");
    let ended = child.wait4().expect("a child can be waited for");
    let wall_seconds = began.elapsed().as_secs_f64();
    assert!(ended.status.success(), "{arguments:?} failed: {text}");
    #[expect(clippy::cast_precision_loss, reason = "sizes of memory are far below 2^53")]
    let peak_megabytes = ended.rusage.maxrss as f64 / 1_000_000.0;
    Run {
        wall_seconds,
        cpu_seconds: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
        peak_megabytes,
        result: serde_json::from_str(&text).expect("--json prints one document"),
    }
}

/// Seconds of one run of `sakila-sync` that needs neither source nor target. Panics if it fails.
pub fn seconds(arguments: &[&str]) -> f64 {
    let began = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_sakila-sync"))
        .args(arguments)
        .stdout(Stdio::null())
        .status();
    let seconds = began.elapsed().as_secs_f64();
    assert!(
        status.expect("the program is built with its benches").success(),
        "{arguments:?} failed"
    );
    seconds
}

/// The median.
pub fn middle(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    f64::midpoint(seconds[(seconds.len() - 1) / 2], seconds[seconds.len() / 2])
}

/// The run whose wall time is the median.
pub fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|one, other| one.wall_seconds.total_cmp(&other.wall_seconds));
    runs.swap_remove(runs.len() / 2)
}
