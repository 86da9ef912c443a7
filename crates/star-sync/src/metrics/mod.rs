//! Sets the metrics of a run, while it is in progress and when it has ended.
//!
//! Names are those of the [`catalogue`]; the recorder adds the star's prefix. Without a recorder, setting a metric has
//! no effect.

pub mod catalogue;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use catalogue::Metric;
use metrics::{counter, gauge, histogram};

use crate::target::bookkeeping::verified_ranges::VerificationSummary;

/// The labels command, table, check and group.
pub type DeltaLabels = (&'static str, &'static str, &'static str, String);

/// Counts a page that was read from the source.
pub fn page_read(table: &'static str, rows: u64, bytes: u64) {
    counter!(catalogue::PAGES_READ_TOTAL.name, "table" => table).increment(1);
    counter!(catalogue::ROWS_READ_TOTAL.name, "table" => table).increment(rows);
    counter!(catalogue::SOURCE_BYTES_READ_TOTAL.name, "table" => table).increment(bytes);
}

/// Counts a batch that was written.
pub fn batch_written(table: &'static str) {
    counter!(catalogue::BATCHES_WRITTEN_TOTAL.name, "table" => table).increment(1);
}

/// Adds rows of a table to one of the row counters.
pub fn count_rows(counter: Metric, table: &'static str, rows: u64) {
    counter!(counter.name, "table" => table).increment(rows);
}

/// Adds to the time that a stage was busy.
pub fn stage_worked(stage: &'static str, time: Duration) {
    histogram!(catalogue::STAGE_BUSY_SECONDS.name, "stage" => stage).record(time);
}

/// Adds to the time that a stage has waited for another.
pub fn stage_waited(stage: &'static str, time: Duration) {
    histogram!(catalogue::STAGE_WAITING_SECONDS.name, "stage" => stage).record(time);
}

/// The number of items that wait between two stages.
pub fn queue_depth(queue: &'static str, waiting: usize) {
    gauge!(catalogue::QUEUE_DEPTH.name, "queue" => queue).set(float(waiting as u64));
}

/// The duration of a commit.
pub fn committed(time: Duration) {
    histogram!(catalogue::COMMIT_SECONDS.name).record(time);
}

/// Why a run is retried, or a repeated sync starts the next run before its interval has passed.
pub const RUN_FAILED: &str = "run_failed";
pub const SOURCE_FAILED: &str = "source_failed";

/// Counts a retry for one of these reasons.
pub fn retried(reason: &'static str) {
    counter!(catalogue::RETRIES_TOTAL.name, "reason" => reason).increment(1);
}

/// Rows of a table that are read or written per second at present.
pub fn rows_per_second(table: &'static str, direction: &'static str, rate: f64) {
    gauge!(catalogue::ROWS_PER_SECOND.name, "table" => table, "direction" => direction).set(rate);
}

/// Rows of a table that the run has read, and that it expects to read.
pub fn progress(table: &'static str, done: u64, expected: u64) {
    gauge!(catalogue::RUN_ROWS_READ.name, "table" => table).set(float(done));
    gauge!(catalogue::RUN_ROWS_EXPECTED.name, "table" => table).set(float(expected));
}

/// The sizes of the database and of its WAL.
pub fn target_bytes(database: u64, wal: u64) {
    gauge!(catalogue::TARGET_BYTES.name, "file" => "database").set(float(database));
    gauge!(catalogue::TARGET_BYTES.name, "file" => "wal").set(float(wal));
}

/// How far a watermark is behind the clock, and behind the newest change that was read.
pub fn watermark(source_table: &'static str, lag_seconds: i64, limited_seconds: i64) {
    gauge!(catalogue::WATERMARK_LAG_SECONDS.name, "source_table" => source_table).set(signed(lag_seconds));
    gauge!(catalogue::WATERMARK_LIMITED_SECONDS.name, "source_table" => source_table).set(signed(limited_seconds));
}

/// The number of partitions that have changed since the last publication to a lake.
pub fn lake_backlog(lake: &str, partitions: usize) {
    gauge!(catalogue::LAKE_BACKLOG_PARTITIONS.name, "lake" => lake.to_owned()).set(float(partitions as u64));
}

/// The files and bytes written by a publication that has just ended.
pub fn published(lake: &str, files: u64, bytes: u64) {
    counter!(catalogue::LAKE_FILES_WRITTEN_TOTAL.name, "lake" => lake.to_owned()).increment(files);
    counter!(catalogue::LAKE_BYTES_WRITTEN_TOTAL.name, "lake" => lake.to_owned()).increment(bytes);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(catalogue::LAKE_LAST_PUBLICATION_TIMESTAMP_SECONDS.name, "lake" => lake.to_owned()).set(now.as_secs_f64());
}

/// The number of quarantined rows of a source table.
pub fn quarantined_rows(source_table: &'static str, rows: u64) {
    gauge!(catalogue::QUARANTINED_ROWS.name, "source_table" => source_table).set(float(rows));
}

/// The size of the verification backlog, and the age of its oldest part.
pub(crate) fn verification_backlog(summary: &VerificationSummary, age_seconds: i64) {
    gauge!(catalogue::VERIFICATION_BACKLOG_RANGES.name).set(float(summary.backlog_ranges));
    gauge!(catalogue::VERIFICATION_BACKLOG_TABLES.name).set(float(summary.backlog_tables));
    gauge!(catalogue::VERIFICATION_BACKLOG_ROWS.name).set(summary.backlog_rows.map_or(f64::NAN, float));
    gauge!(catalogue::VERIFICATION_BACKLOG_AGE_SECONDS.name).set(signed(age_seconds));
}

/// `group` is empty for a figure without groups.
fn validation_delta((command, table, check, group): DeltaLabels, delta: i64) {
    gauge!(catalogue::VALIDATION_DELTA.name, "command" => command, "table" => table, "check" => check, "group" => group)
        .set(signed(delta));
}

/// Sets the deltas that a command found. A delta that it found earlier in this process and not now becomes 0, unless an
/// earlier mismatch is unresolved: then it was not checked.
pub fn validation_deltas(
    command: &'static str,
    figures: impl Iterator<Item = (DeltaLabels, i64)>,
    is_unresolved: bool,
) {
    static FOUND: Mutex<BTreeSet<DeltaLabels>> = Mutex::new(BTreeSet::new());
    let mut deltas: BTreeMap<DeltaLabels, i64> = BTreeMap::new();
    for (labels, delta) in figures {
        // The row count of a table and that of its totals have the same labels if the totals have no groups.
        let largest = deltas.entry(labels).or_default();
        if delta.unsigned_abs() > largest.unsigned_abs() {
            *largest = delta;
        }
    }
    let mut found = FOUND.lock().expect("no holder of this lock panics");
    let is_gone = |labels: &&DeltaLabels| !is_unresolved && labels.0 == command && !deltas.contains_key(labels);
    for gone in found.iter().filter(is_gone) {
        validation_delta(gone.clone(), 0);
    }
    for (labels, delta) in &deltas {
        validation_delta(labels.clone(), *delta);
    }
    found.extend(deltas.into_keys());
}

/// Whether a run found a mismatch, or left an earlier one unresolved.
pub fn unresolved_mismatch(is_unresolved: bool) {
    gauge!(catalogue::UNRESOLVED_MISMATCH.name).set(if is_unresolved { 1.0 } else { 0.0 });
}

/// Marks a command as running.
pub fn run_began(command: &'static str) {
    gauge!(catalogue::RUN_IN_PROGRESS.name, "command" => command).set(1.0);
    // Start at 0: a counter that first appears as 1 shows no increase.
    for status in ["done", "mismatch", "failed", "stopped"] {
        counter!(catalogue::RUNS_TOTAL.name, "command" => command, "status" => status).increment(0);
    }
    counter!(catalogue::RETRIES_TOTAL.name, "reason" => RUN_FAILED).increment(0);
}

/// `status` is one of done, mismatch, failed, stopped.
pub fn run_ended(command: &'static str, status: &'static str, time: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let is_success = status == "done";
    gauge!(catalogue::RUN_IN_PROGRESS.name, "command" => command).set(0.0);
    counter!(catalogue::RUNS_TOTAL.name, "command" => command, "status" => status).increment(1);
    gauge!(catalogue::LAST_RUN_SUCCESS.name, "command" => command).set(if is_success { 1.0 } else { 0.0 });
    gauge!(catalogue::LAST_RUN_DURATION_SECONDS.name, "command" => command).set(time.as_secs_f64());
    gauge!(catalogue::LAST_RUN_END_TIMESTAMP_SECONDS.name, "command" => command).set(now.as_secs_f64());
    if is_success {
        gauge!(catalogue::LAST_SUCCESS_TIMESTAMP_SECONDS.name, "command" => command).set(now.as_secs_f64());
    }
}

/// When a run last succeeded, in seconds since 1970.
pub fn last_success(command: String, timestamp_seconds: i64) {
    gauge!(catalogue::LAST_SUCCESS_TIMESTAMP_SECONDS.name, "command" => command).set(signed(timestamp_seconds));
}

/// Rows of the last run of a command, by what was done with them.
pub fn last_run_rows(command: &'static str, kind: &'static str, rows: u64) {
    gauge!(catalogue::LAST_RUN_ROWS.name, "command" => command, "kind" => kind).set(float(rows));
}

/// Rows that a run verified, by method.
pub fn rows_verified(by_digest: u64, row_by_row: u64) {
    for (method, rows) in [("digest", by_digest), ("row_by_row", row_by_row)] {
        counter!(catalogue::ROWS_VERIFIED_TOTAL.name, "method" => method).increment(rows);
    }
}

/// Bytes that a run received from the source.
pub fn bytes_received(command: &'static str, bytes: u64) {
    counter!(catalogue::SOURCE_BYTES_RECEIVED_TOTAL.name).increment(bytes);
    gauge!(catalogue::LAST_RUN_SOURCE_BYTES.name, "command" => command).set(float(bytes));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; counts beyond 2^53 are not met"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; whether it is 0 is not lost"
)]
fn signed(number: i64) -> f64 {
    number as f64
}
