//! Memory of an endless sync: within its bound, and no larger at the end than at the beginning.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::prometheus::Process;
use crate::harness::{Sandbox, number, send};

/// How long the sync runs after its warm-up. The variable below sets another time, such as an hour.
const MINUTES: u64 = 2;
const MINUTES_VARIABLE: &str = "SAKILA_SYNC_TEST_MEMORY_MINUTES";
/// By then all kinds of runs have occurred, and each thread has done its share of the work.
const WARM_UP: Duration = Duration::from_mins(1);
const BETWEEN_SAMPLES: Duration = Duration::from_secs(1);
/// The goal is 120 MB plus 16 bytes per row of the looked-up tables, which are small here.
const BOUND_KIB: u64 = 120_000;

/// The resident memory of the process.
fn resident_kib(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The sync's peak memory within this time, while the source changes and keeps its size.
fn peak_within(time: Duration, sandbox: &Sandbox, sync: &Process) -> u64 {
    let began = Instant::now();
    let mut peak = 0;
    let mut round = 0;
    while began.elapsed() < time {
        sandbox.change(&[
            &format!("UPDATE payment SET amount = amount + 0.01 WHERE payment_id % 101 = {round} % 101"),
            &format!("UPDATE rental SET return_date = rental_date + INTERVAL {round} % 9 DAY WHERE rental_id % 103 = {round} % 103"),
            &format!("UPDATE city SET city = 'City {round}' WHERE city_id % 107 = {round} % 107"),
        ]);
        round += 1;
        peak = peak.max(resident_kib(sync));
        std::thread::sleep(BETWEEN_SAMPLES);
    }
    peak
}

#[test]
fn an_endless_sync_keeps_within_its_memory() {
    let sandbox = Sandbox::loaded();
    let mut command = sandbox.command(&["incremental", "--every", "500ms", "--quiet"]);
    let sync = Process(command.spawn().unwrap());
    peak_within(WARM_UP, &sandbox, &sync);
    let minutes = number(MINUTES_VARIABLE).unwrap_or(MINUTES);
    let peaks: Vec<u64> = (0..minutes)
        .map(|_| peak_within(Duration::from_mins(1), &sandbox, &sync))
        .collect();
    println!("peaks of each minute, in KiB: {peaks:?}");
    let (first, last) = (peaks[0], peaks[peaks.len() - 1]);
    assert!(last * 100 <= first * 115, "it grows: {peaks:?}");
    assert!(
        peaks.iter().all(|peak| *peak <= BOUND_KIB),
        "it takes too much: {peaks:?}"
    );
    send("-TERM", &sync.0);
    let mut sync = sync;
    assert!(sync.0.wait().unwrap().success());
    sandbox.run(&["incremental"]).succeeds();
    sandbox.assert_star_equals_source();
}
