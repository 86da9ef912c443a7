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
    "rows read that were equal to the target",
);
pub const ROWS_QUARANTINED_TOTAL: Metric = metric(
    "rows_quarantined_total",
    Kind::Counter,
    &["table"],
    "source rows read that could not be loaded",
);
pub const SOURCE_BYTES_READ_TOTAL: Metric = metric(
    "source_bytes_read_total",
    Kind::Counter,
    &["table"],
    "bytes of the values read from the source",
);
pub const SOURCE_BYTES_RECEIVED_TOTAL: Metric = metric(
    "source_bytes_received_total",
    Kind::Counter,
    &[],
    "bytes that the source sent to runs that ended, by its own count: rows, digests and protocol",
);
pub const ROWS_VERIFIED_TOTAL: Metric = metric(
    "rows_verified_total",
    Kind::Counter,
    &["method"],
    "source rows verified by runs that ended (digest: without reading the rows; row_by_row)",
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
    "time per page or batch that a stage was busy (reader, transform, writer, index, catch_up)",
);
pub const STAGE_WAITING_SECONDS: Metric = metric(
    "stage_waiting_seconds",
    Kind::Histogram,
    &["stage"],
    "time per page or batch that a stage waited for another",
);
pub const QUEUE_DEPTH: Metric = metric(
    "queue_depth",
    Kind::Gauge,
    &["queue"],
    "pages or batches that wait between two stages (pages, batches)",
);
pub const COMMIT_SECONDS: Metric = metric(
    "commit_seconds",
    Kind::Histogram,
    &[],
    "duration of a commit to the target",
);
pub const RETRIES_TOTAL: Metric = metric(
    "retries_total",
    Kind::Counter,
    &["reason"],
    "retries (run_failed: the next run of --every after a failed one; source_failed: a run retried because the source was lost or overloaded)",
);
pub const ROWS_PER_SECOND: Metric = metric(
    "rows_per_second",
    Kind::Gauge,
    &["table", "direction"],
    "rows per second since the last sample (direction is read or written); for graphs use the rate of a counter",
);
pub const RUN_ROWS_EXPECTED: Metric = metric(
    "run_rows_expected",
    Kind::Gauge,
    &["table"],
    "for a full load: rows that the source is estimated to have",
);
pub const RUN_ROWS_READ: Metric = metric(
    "run_rows_read",
    Kind::Gauge,
    &["table"],
    "source rows read by the run in progress",
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
    "source clock less watermark, as of the last run",
);
pub const WATERMARK_LIMITED_SECONDS: Metric = metric(
    "watermark_limited_seconds",
    Kind::Gauge,
    &["source_table"],
    "newest change read less watermark, as of the last run; 0 if nothing limits the watermark",
);
pub const QUARANTINED_ROWS: Metric = metric(
    "quarantined_rows",
    Kind::Gauge,
    &["source_table"],
    "rows in sync_reject, as of the last run",
);
pub const VERIFICATION_BACKLOG_RANGES: Metric = metric(
    "verification_backlog_ranges",
    Kind::Gauge,
    &[],
    "key ranges that are to be verified",
);
pub const VERIFICATION_BACKLOG_TABLES: Metric = metric(
    "verification_backlog_tables",
    Kind::Gauge,
    &[],
    "target tables that these key ranges belong to",
);
pub const VERIFICATION_BACKLOG_ROWS: Metric = metric(
    "verification_backlog_rows",
    Kind::Gauge,
    &[],
    "source rows in these key ranges when they were last verified; NaN while one of them has no digest",
);
pub const VERIFICATION_BACKLOG_AGE_SECONDS: Metric = metric(
    "verification_backlog_age_seconds",
    Kind::Gauge,
    &[],
    "time since the oldest of these key ranges was verified, or since the last full load if it never was; 0 if there is none",
);
pub const VALIDATION_DELTA: Metric = metric(
    "validation_delta",
    Kind::Gauge,
    &["command", "table", "check", "group"],
    "the delta of a figure: target plus pending and quarantined rows, minus source, as last compared by the command; 0 is a match; check is rows or the name of a measure (measure in the JSON documents); group is empty for a figure without groups",
);
pub const RUNS_TOTAL: Metric = metric(
    "runs_total",
    Kind::Counter,
    &["command", "status"],
    "runs that ended (done, mismatch, failed, stopped)",
);
pub const RUN_IN_PROGRESS: Metric = metric(
    "run_in_progress",
    Kind::Gauge,
    &["command"],
    "1 while a run is in progress",
);
pub const LAST_RUN_SUCCESS: Metric = metric(
    "last_run_success",
    Kind::Gauge,
    &["command"],
    "1 if the last run succeeded without a mismatch",
);
pub const LAST_RUN_DURATION_SECONDS: Metric = metric(
    "last_run_duration_seconds",
    Kind::Gauge,
    &["command"],
    "duration of the last run",
);
pub const LAST_RUN_END_TIMESTAMP_SECONDS: Metric = metric(
    "last_run_end_timestamp_seconds",
    Kind::Gauge,
    &["command"],
    "time at which the last run ended",
);
pub const LAST_RUN_ROWS: Metric = metric(
    "last_run_rows",
    Kind::Gauge,
    &["command", "kind"],
    "rows of the last run (read, inserted, updated, deleted, quarantined, verified_by_digest)",
);
pub const LAST_RUN_SOURCE_BYTES: Metric = metric(
    "last_run_source_bytes",
    Kind::Gauge,
    &["command"],
    "bytes that the source sent to the last run",
);
pub const LAST_SUCCESS_TIMESTAMP_SECONDS: Metric = metric(
    "last_success_timestamp_seconds",
    Kind::Gauge,
    &["command"],
    "time at which a run last succeeded without a mismatch; for full-load, incremental and repair, runs of earlier processes are included",
);
pub const LAKE_BACKLOG_PARTITIONS: Metric = metric(
    "lake_backlog_partitions",
    Kind::Gauge,
    &["lake"],
    "partitions that changed since the last publication to the lake",
);
pub const LAKE_FILES_WRITTEN_TOTAL: Metric = metric(
    "lake_files_written_total",
    Kind::Counter,
    &["lake"],
    "Parquet files that publications wrote",
);
pub const LAKE_BYTES_WRITTEN_TOTAL: Metric = metric(
    "lake_bytes_written_total",
    Kind::Counter,
    &["lake"],
    "bytes of these files",
);
pub const LAKE_LAST_PUBLICATION_TIMESTAMP_SECONDS: Metric = metric(
    "lake_last_publication_timestamp_seconds",
    Kind::Gauge,
    &["lake"],
    "time at which a publication to the lake last ended",
);

/// All of them, in the order in which they are documented.
pub const ALL: [Metric; 41] = [
    BUILD_INFO,
    ROWS_READ_TOTAL,
    ROWS_INSERTED_TOTAL,
    ROWS_UPDATED_TOTAL,
    ROWS_DELETED_TOTAL,
    ROWS_UNCHANGED_TOTAL,
    ROWS_QUARANTINED_TOTAL,
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
    RUN_ROWS_EXPECTED,
    RUN_ROWS_READ,
    TARGET_BYTES,
    WATERMARK_LAG_SECONDS,
    WATERMARK_LIMITED_SECONDS,
    QUARANTINED_ROWS,
    VERIFICATION_BACKLOG_RANGES,
    VERIFICATION_BACKLOG_TABLES,
    VERIFICATION_BACKLOG_ROWS,
    VERIFICATION_BACKLOG_AGE_SECONDS,
    VALIDATION_DELTA,
    RUNS_TOTAL,
    RUN_IN_PROGRESS,
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
