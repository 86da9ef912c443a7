//! Every metric: its name, type, labels and meaning, once. `docs/metrics.md` is this as a table.

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// With the unit, and without the prefix, which is the star's.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub meaning: &'static str,
}

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric {
        name,
        kind,
        labels,
        meaning,
    }
}

/// The label that all of them have besides: the absolute path of the target.
pub const TARGET_LABEL: &str = "target";

pub const BUILD_INFO: Metric = metric("build_info", Kind::Gauge, &["version"], "always 1");
pub const ROWS_READ_TOTAL: Metric = metric("rows_read_total", Kind::Counter, &["table"], "source rows read");
pub const ROWS_INSERTED_TOTAL: Metric = metric("rows_inserted_total", Kind::Counter, &["table"], "rows inserted");
pub const ROWS_UPDATED_TOTAL: Metric = metric("rows_updated_total", Kind::Counter, &["table"], "rows updated");
pub const ROWS_DELETED_TOTAL: Metric = metric("rows_deleted_total", Kind::Counter, &["table"], "rows deleted");
pub const ROWS_UNCHANGED_TOTAL: Metric = metric(
    "rows_unchanged_total",
    Kind::Counter,
    &["table"],
    "rows read and found as they should be",
);
pub const ROWS_REJECTED_TOTAL: Metric = metric(
    "rows_rejected_total",
    Kind::Counter,
    &["table"],
    "source rows that could not be loaded",
);
pub const SOURCE_BYTES_READ_TOTAL: Metric = metric(
    "source_bytes_read_total",
    Kind::Counter,
    &["table"],
    "bytes of the cells read from the source",
);
pub const SOURCE_BYTES_RECEIVED_TOTAL: Metric = metric(
    "source_bytes_received_total",
    Kind::Counter,
    &[],
    "bytes that the source has sent to runs that ended, by its own count: rows, digests and all else",
);
pub const ROWS_VERIFIED_TOTAL: Metric = metric(
    "rows_verified_total",
    Kind::Counter,
    &["method"],
    "source rows verified by runs that ended (digest: without reading them; row_by_row)",
);
pub const PAGES_READ_TOTAL: Metric = metric(
    "pages_read_total",
    Kind::Counter,
    &["table"],
    "pages read from the source",
);
pub const BATCHES_WRITTEN_TOTAL: Metric = metric(
    "batches_written_total",
    Kind::Counter,
    &["table"],
    "batches executed by the writer",
);
pub const STAGE_BUSY_SECONDS: Metric = metric(
    "stage_busy_seconds",
    Kind::Histogram,
    &["stage"],
    "how long a stage worked on a page or batch (reader, transform, writer, index, closing)",
);
pub const STAGE_WAITING_SECONDS: Metric = metric(
    "stage_waiting_seconds",
    Kind::Histogram,
    &["stage"],
    "how long a stage waited for another between two of them",
);
pub const QUEUE_DEPTH: Metric = metric(
    "queue_depth",
    Kind::Gauge,
    &["queue"],
    "what waits between two stages (pages, batches)",
);
pub const COMMIT_SECONDS: Metric = metric(
    "commit_seconds",
    Kind::Histogram,
    &[],
    "how long a commit to the target took",
);
pub const RETRIES_TOTAL: Metric = metric(
    "retries_total",
    Kind::Counter,
    &["what"],
    "what was tried again after a failure (run: one of many; source: a run that the source failed)",
);
pub const ROWS_PER_SECOND: Metric = metric(
    "rows_per_second",
    Kind::Gauge,
    &["table", "stage"],
    "rows per second since the last look, for reading by eye (read, written)",
);
pub const RUN_EXPECTED_ROWS: Metric = metric(
    "run_expected_rows",
    Kind::Gauge,
    &["table"],
    "rows that the source is estimated to have, in a full load",
);
pub const RUN_DONE_ROWS: Metric = metric(
    "run_done_rows",
    Kind::Gauge,
    &["table"],
    "source rows read by the run that is going on",
);
pub const TARGET_BYTES: Metric = metric(
    "target_bytes",
    Kind::Gauge,
    &["file"],
    "size of the database and of its write-ahead log (database, wal)",
);
pub const WATERMARK_LAG_SECONDS: Metric = metric(
    "watermark_lag_seconds",
    Kind::Gauge,
    &["source_table"],
    "the source's clock less the watermark, as of the last run",
);
pub const WATERMARK_LIMITED_SECONDS: Metric = metric(
    "watermark_limited_seconds",
    Kind::Gauge,
    &["source_table"],
    "how far the watermark is behind the newest change that was seen; 0 if nothing limits it",
);
pub const REJECTED_ROWS: Metric = metric(
    "rejected_rows",
    Kind::Gauge,
    &["source_table"],
    "rows in sync_reject, as of the last run",
);
pub const VERIFICATION_BACKLOG_RANGES: Metric = metric(
    "verification_backlog_ranges",
    Kind::Gauge,
    &[],
    "key ranges in which something may have changed unseen since they were compared",
);
pub const VERIFICATION_BACKLOG_TABLES: Metric = metric(
    "verification_backlog_tables",
    Kind::Gauge,
    &[],
    "target tables that they are ranges of",
);
pub const VERIFICATION_BACKLOG_ROWS: Metric = metric(
    "verification_backlog_rows",
    Kind::Gauge,
    &[],
    "source rows in them when they were last verified; NaN while one of them has no digest that says so",
);
pub const VERIFICATION_BACKLOG_AGE_SECONDS: Metric = metric(
    "verification_backlog_age_seconds",
    Kind::Gauge,
    &[],
    "age of the oldest of them; 0 if there is none",
);
pub const VALIDATION_DELTA: Metric = metric(
    "validation_delta",
    Kind::Gauge,
    &["table", "check", "group"],
    "target less source, what is pending or rejected taken out; group is empty for a figure that is no group's; check is rows or the name of a sum, of the last validation, or with closing_ before it of the comparison that ends a run",
);
pub const RUNS_TOTAL: Metric = metric(
    "runs_total",
    Kind::Counter,
    &["command", "status"],
    "runs that have ended (done, differences, failed, stopped)",
);
pub const RUN_IS_GOING_ON: Metric = metric(
    "run_is_going_on",
    Kind::Gauge,
    &["command"],
    "1 while a run is going on",
);
pub const LAST_RUN_SUCCESS: Metric = metric(
    "last_run_success",
    Kind::Gauge,
    &["command"],
    "1 if the last run ended without failure and without differences",
);
pub const LAST_RUN_DURATION_SECONDS: Metric = metric(
    "last_run_duration_seconds",
    Kind::Gauge,
    &["command"],
    "how long the last run took",
);
pub const LAST_RUN_END_TIMESTAMP_SECONDS: Metric = metric(
    "last_run_end_timestamp_seconds",
    Kind::Gauge,
    &["command"],
    "when the last run ended",
);
pub const LAST_RUN_ROWS: Metric = metric(
    "last_run_rows",
    Kind::Gauge,
    &["command", "kind"],
    "rows of the last run (read, verified: by digest, inserted, updated, deleted, rejected)",
);
pub const LAST_RUN_SOURCE_BYTES: Metric = metric(
    "last_run_source_bytes",
    Kind::Gauge,
    &["command"],
    "bytes that the source has sent to the last run",
);
pub const LAST_SUCCESS_TIMESTAMP_SECONDS: Metric = metric(
    "last_success_timestamp_seconds",
    Kind::Gauge,
    &["command"],
    "when a run last ended without failure and without differences; of earlier processes, too",
);
pub const LAKE_BACKLOG_PARTITIONS: Metric = metric(
    "lake_backlog_partitions",
    Kind::Gauge,
    &["lake"],
    "partitions that have changed since the last publication to the lake",
);
pub const LAKE_FILES_WRITTEN_TOTAL: Metric = metric(
    "lake_files_written_total",
    Kind::Counter,
    &["lake"],
    "Parquet files that publications have written",
);
pub const LAKE_BYTES_WRITTEN_TOTAL: Metric =
    metric("lake_bytes_written_total", Kind::Counter, &["lake"], "their bytes");
pub const LAKE_LAST_PUBLICATION_TIMESTAMP_SECONDS: Metric = metric(
    "lake_last_publication_timestamp_seconds",
    Kind::Gauge,
    &["lake"],
    "when a publication to the lake last ended",
);

/// All of them, in the order in which they are documented.
pub const ALL: [Metric; 41] = [
    BUILD_INFO,
    ROWS_READ_TOTAL,
    ROWS_INSERTED_TOTAL,
    ROWS_UPDATED_TOTAL,
    ROWS_DELETED_TOTAL,
    ROWS_UNCHANGED_TOTAL,
    ROWS_REJECTED_TOTAL,
    SOURCE_BYTES_READ_TOTAL,
    SOURCE_BYTES_RECEIVED_TOTAL,
    ROWS_VERIFIED_TOTAL,
    PAGES_READ_TOTAL,
    BATCHES_WRITTEN_TOTAL,
    STAGE_BUSY_SECONDS,
    STAGE_WAITING_SECONDS,
    QUEUE_DEPTH,
    COMMIT_SECONDS,
    RETRIES_TOTAL,
    ROWS_PER_SECOND,
    RUN_EXPECTED_ROWS,
    RUN_DONE_ROWS,
    TARGET_BYTES,
    WATERMARK_LAG_SECONDS,
    WATERMARK_LIMITED_SECONDS,
    REJECTED_ROWS,
    VERIFICATION_BACKLOG_RANGES,
    VERIFICATION_BACKLOG_TABLES,
    VERIFICATION_BACKLOG_ROWS,
    VERIFICATION_BACKLOG_AGE_SECONDS,
    VALIDATION_DELTA,
    RUNS_TOTAL,
    RUN_IS_GOING_ON,
    LAST_RUN_SUCCESS,
    LAST_RUN_DURATION_SECONDS,
    LAST_RUN_END_TIMESTAMP_SECONDS,
    LAST_RUN_ROWS,
    LAST_RUN_SOURCE_BYTES,
    LAST_SUCCESS_TIMESTAMP_SECONDS,
    LAKE_BACKLOG_PARTITIONS,
    LAKE_FILES_WRITTEN_TOTAL,
    LAKE_BYTES_WRITTEN_TOTAL,
    LAKE_LAST_PUBLICATION_TIMESTAMP_SECONDS,
];
