//! What a run tells of itself while it goes on and when it has ended: where each figure is set, and the two ways out.

pub mod catalogue;
mod file;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use catalogue::{Kind, Metric};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tracing::warn;

pub use self::server::Health;

/// Bounds of the buckets of every histogram, in seconds: from a page of a small table to a commit that waits for a disk.
const BUCKETS_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// How often what histograms have taken in is put into their buckets.
const UPKEEP: Duration = Duration::from_secs(1);
/// The prefix of the process's own figures: node_exporter, which may read our file, has the bare names.
const PREFIX: &str = "sakila_sync_";

/// Table, check and store.
pub type DeltaLabels = (&'static str, &'static str, Option<i64>);

/// Where the figures are kept, if anybody asked for them. Without it, setting one does nothing.
static EXPORTER: OnceLock<Exporter> = OnceLock::new();

struct Exporter {
    handle: PrometheusHandle,
    process: Collector,
}

impl Exporter {
    /// Everything, in Prometheus' text format.
    fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }
}

/// Begins to keep figures. Each has the target as a label: one node_exporter reads the files of all syncs of a machine.
/// Whatever fails is warned of and no more: a sync does not depend on being watched.
pub fn start(target: &Path) {
    let buckets = PrometheusBuilder::new()
        .add_global_label(catalogue::TARGET_LABEL, target.to_string_lossy())
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECONDS);
    let handle = match buckets.and_then(PrometheusBuilder::install_recorder) {
        Ok(handle) => handle,
        Err(error) => return warn!(%error, "there will be no metrics"),
    };
    let process = Collector::new(PREFIX);
    process.describe();
    for Metric {
        name, kind, meaning, ..
    } in catalogue::ALL
    {
        match kind {
            Kind::Counter => describe_counter!(name, meaning),
            Kind::Gauge => describe_gauge!(name, meaning),
            Kind::Histogram => describe_histogram!(name, meaning),
        }
    }
    gauge!(catalogue::BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    let _ = EXPORTER.set(Exporter { handle, process });
}

/// Serves `/metrics` and `/healthz` on `address` until the program ends.
pub async fn serve(address: SocketAddr, health: Health) {
    if let Err(error) = server::start(address, health).await {
        warn!(code = "METRICS_ADDRESS_UNUSABLE", %address, %error, "the metrics endpoint cannot listen; choose a free port with --metrics-addr");
    }
}

/// Writes everything to a file for node_exporter's textfile collector.
pub fn write_file(path: &Path) {
    if let Some(exporter) = EXPORTER.get()
        && let Err(error) = file::write(path, &exporter.render())
    {
        warn!(code = "METRICS_FILE_UNWRITABLE", path = %path.display(), %error, "the metrics file cannot be written");
    }
}

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

/// Counts rows of a table in one of the counters of rows.
pub fn count_rows(counter: Metric, table: &'static str, rows: u64) {
    counter!(counter.name, "table" => table).increment(rows);
}

/// Adds to the time that a stage has worked.
pub fn stage_worked(stage: &'static str, time: Duration) {
    histogram!(catalogue::STAGE_BUSY_SECONDS.name, "stage" => stage).record(time);
}

/// Adds to the time that a stage has waited for another.
pub fn stage_waited(stage: &'static str, time: Duration) {
    histogram!(catalogue::STAGE_WAITING_SECONDS.name, "stage" => stage).record(time);
}

/// How much waits between two stages.
pub fn queue_depth(queue: &'static str, waiting: usize) {
    gauge!(catalogue::QUEUE_DEPTH.name, "queue" => queue).set(float(waiting as u64));
}

/// How long a commit took.
pub fn committed(time: Duration) {
    histogram!(catalogue::COMMIT_SECONDS.name).record(time);
}

/// Counts another attempt.
pub fn retried(what: &'static str) {
    counter!(catalogue::RETRIES_TOTAL.name, "what" => what).increment(1);
}

/// How fast a stage goes through a table just now.
pub fn rows_per_second(table: &'static str, stage: &'static str, rate: f64) {
    gauge!(catalogue::ROWS_PER_SECOND.name, "table" => table, "stage" => stage).set(rate);
}

/// How far the run is in a table.
pub fn progress(table: &'static str, done: u64, expected: u64) {
    gauge!(catalogue::RUN_DONE_ROWS.name, "table" => table).set(float(done));
    gauge!(catalogue::RUN_EXPECTED_ROWS.name, "table" => table).set(float(expected));
}

/// The sizes of the database and of its log.
pub fn target_bytes(database: u64, wal: u64) {
    gauge!(catalogue::TARGET_BYTES.name, "file" => "database").set(float(database));
    gauge!(catalogue::TARGET_BYTES.name, "file" => "wal").set(float(wal));
}

/// How far a marker lies behind the clock, and behind the newest change that was seen.
pub fn marker(source_table: &'static str, lag_seconds: i64, held_back_seconds: i64) {
    gauge!(catalogue::MARKER_LAG_SECONDS.name, "source_table" => source_table).set(signed(lag_seconds));
    gauge!(catalogue::MARKER_HELD_BACK_SECONDS.name, "source_table" => source_table).set(signed(held_back_seconds));
}

/// Rows of a source table that cannot be loaded.
pub fn rejected_rows(source_table: &'static str, rows: u64) {
    gauge!(catalogue::REJECTED_ROWS.name, "source_table" => source_table).set(float(rows));
}

/// How much of the star is still to be compared. A range that never was has no age.
pub fn unproven(ranges: u64, oldest_seconds: Option<i64>) {
    gauge!(catalogue::UNPROVEN_RANGES.name).set(float(ranges));
    gauge!(catalogue::OLDEST_UNPROVEN_RANGE_AGE_SECONDS.name).set(signed(oldest_seconds.unwrap_or(0)));
}

/// `store_id` is empty for a figure that is no store's.
pub fn validation_delta(table: &'static str, check: &'static str, store_id: Option<i64>, delta: i64) {
    let store = store_id.map(|store| store.to_string()).unwrap_or_default();
    gauge!(catalogue::VALIDATION_DELTA.name, "table" => table, "check" => check, "store" => store).set(signed(delta));
}

/// The differences that the comparison at the end of a run has found. What an earlier run of this process found, and
/// this one has not, is gone.
pub fn closing_deltas(deltas: BTreeMap<DeltaLabels, i64>) {
    static FOUND: Mutex<BTreeSet<DeltaLabels>> = Mutex::new(BTreeSet::new());
    let mut found = FOUND.lock().expect("no holder of this lock panics");
    for (table, check, store) in found.iter().filter(|labels| !deltas.contains_key(labels)) {
        validation_delta(table, check, *store, 0);
    }
    for ((table, check, store), delta) in &deltas {
        validation_delta(table, check, *store, *delta);
    }
    found.extend(deltas.into_keys());
}

/// Marks a command as at work.
pub fn run_began(command: &'static str) {
    gauge!(catalogue::RUN_IS_GOING_ON.name, "command" => command).set(1.0);
    // A counter that begins at 1 never seems to increase.
    for status in ["done", "differences", "failed", "stopped"] {
        counter!(catalogue::RUNS_TOTAL.name, "command" => command, "status" => status).increment(0);
    }
    counter!(catalogue::RETRIES_TOTAL.name, "what" => "run").increment(0);
}

/// `status` is one of done, differences, failed, stopped.
pub fn run_ended(command: &'static str, status: &'static str, time: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let is_success = status == "done";
    gauge!(catalogue::RUN_IS_GOING_ON.name, "command" => command).set(0.0);
    counter!(catalogue::RUNS_TOTAL.name, "command" => command, "status" => status).increment(1);
    gauge!(catalogue::LAST_RUN_SUCCESS.name, "command" => command).set(if is_success { 1.0 } else { 0.0 });
    gauge!(catalogue::LAST_RUN_DURATION_SECONDS.name, "command" => command).set(time.as_secs_f64());
    gauge!(catalogue::LAST_RUN_END_TIMESTAMP_SECONDS.name, "command" => command).set(now.as_secs_f64());
    if is_success {
        gauge!(catalogue::LAST_SUCCESS_TIMESTAMP_SECONDS.name, "command" => command).set(now.as_secs_f64());
    }
}

/// When a run last succeeded, in seconds since 1970.
pub fn last_success(command: &'static str, timestamp_seconds: i64) {
    gauge!(catalogue::LAST_SUCCESS_TIMESTAMP_SECONDS.name, "command" => command).set(signed(timestamp_seconds));
}

/// What the last run of a command did with rows.
pub fn last_run_rows(command: &'static str, kind: &'static str, rows: u64) {
    gauge!(catalogue::LAST_RUN_ROWS.name, "command" => command, "kind" => kind).set(float(rows));
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
