//! All metrics with name, type, labels and meaning. `docs/metrics.md` lists them as a table.

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// With the unit, without the prefix of the star.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub meaning: &'static str,
}

/// The label that every metric has in addition: the absolute path of the target.
pub const TARGET_LABEL: &str = "target";

/// Defines a constant for each metric, and a list of all.
macro_rules! metrics {
    ($($metric:ident $name:literal $kind:ident [$($label:literal),*] $meaning:literal;)+) => {
        $(
            #[doc = $meaning]
            pub const $metric: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                meaning: $meaning,
            };
        )+

        /// All metrics, in the order in which they are documented.
        pub const ALL: &[Metric] = &[$($metric),+];
    };
}

metrics! {
    BUILD_INFO "build_info" Gauge ["version"] "always 1";
    ROWS_READ_TOTAL "rows_read_total" Counter ["table"] "source rows read";
    ROWS_INSERTED_TOTAL "rows_inserted_total" Counter ["table"] "rows inserted";
    ROWS_UPDATED_TOTAL "rows_updated_total" Counter ["table"] "rows updated";
    ROWS_DELETED_TOTAL "rows_deleted_total" Counter ["table"] "rows deleted";
    ROWS_UNCHANGED_TOTAL "rows_unchanged_total" Counter ["table"] "rows read that were equal to the target";
    ROWS_QUARANTINED_TOTAL "rows_quarantined_total" Counter ["table"] "source rows read that could not be loaded";
    SOURCE_BYTES_READ_TOTAL "source_bytes_read_total" Counter ["table"] "bytes of the values read from the source";
    SOURCE_BYTES_RECEIVED_TOTAL "source_bytes_received_total" Counter [] "bytes that the source sent to runs that ended, by its own count: rows, digests and protocol";
    ROWS_VERIFIED_TOTAL "rows_verified_total" Counter ["method"] "source rows verified by runs that ended (digest: without reading the rows; row_by_row)";
    PAGES_READ_TOTAL "pages_read_total" Counter ["table"] "pages read from the source";
    BATCHES_WRITTEN_TOTAL "batches_written_total" Counter ["table"] "batches executed by the writer";
    STAGE_BUSY_SECONDS "stage_busy_seconds" Histogram ["stage"] "time per page or batch that a stage was busy (reader, transform, writer, index, catch_up)";
    STAGE_WAITING_SECONDS "stage_waiting_seconds" Histogram ["stage"] "time per page or batch that a stage waited for another";
    QUEUE_DEPTH "queue_depth" Gauge ["queue"] "pages or batches that wait between two stages (pages, batches)";
    COMMIT_SECONDS "commit_seconds" Histogram [] "duration of a commit to the target";
    RETRIES_TOTAL "retries_total" Counter ["reason"] "retries (run_failed: the next run of --every after a failed one; source_failed: a run retried because the source was lost or overloaded)";
    ROWS_PER_SECOND "rows_per_second" Gauge ["table", "direction"] "rows per second since the last sample (direction is read or written); for graphs use the rate of a counter";
    RUN_ROWS_EXPECTED "run_rows_expected" Gauge ["table"] "for a full load: rows that the source is estimated to have";
    RUN_ROWS_READ "run_rows_read" Gauge ["table"] "source rows read by the run in progress";
    TARGET_BYTES "target_bytes" Gauge ["file"] "size of the database and of its write-ahead log (database, wal)";
    WATERMARK_LAG_SECONDS "watermark_lag_seconds" Gauge ["source_table"] "source clock minus watermark, as of the last run";
    WATERMARK_LIMITED_SECONDS "watermark_limited_seconds" Gauge ["source_table"] "newest change timestamp that was read minus watermark, as of the last run; 0 if nothing limits the watermark";
    QUARANTINED_ROWS "quarantined_rows" Gauge ["source_table"] "rows in sync_reject, as of the last run";
    VERIFICATION_BACKLOG_RANGES "verification_backlog_ranges" Gauge [] "key ranges that are to be verified";
    VERIFICATION_BACKLOG_TABLES "verification_backlog_tables" Gauge [] "target tables that these key ranges belong to";
    VERIFICATION_BACKLOG_ROWS "verification_backlog_rows" Gauge [] "source rows in these key ranges when they were last verified; NaN while one of them has no digest";
    VERIFICATION_BACKLOG_AGE_SECONDS "verification_backlog_age_seconds" Gauge [] "time since the oldest of these key ranges was verified, or since the last full load if it never was; 0 if there is none";
    VALIDATION_DELTA "validation_delta" Gauge ["command", "table", "check", "group"] "the delta of a figure: target plus pending and quarantined rows, minus source, as last compared by the command; 0 is a match; check is rows or the name of a measure (measure in the JSON documents); group is empty for a figure without groups, and (none) for rows that belong to no group";
    UNRESOLVED_MISMATCH "unresolved_mismatch" Gauge [] "1 if the last run found a mismatch, or did not resolve that of an earlier run";
    RUNS_TOTAL "runs_total" Counter ["command", "status"] "runs that ended (done, mismatch, failed, stopped)";
    RUN_IN_PROGRESS "run_in_progress" Gauge ["command"] "1 while a run is in progress";
    LAST_RUN_SUCCESS "last_run_success" Gauge ["command"] "1 if the last run succeeded without a mismatch";
    LAST_RUN_DURATION_SECONDS "last_run_duration_seconds" Gauge ["command"] "duration of the last run";
    LAST_RUN_END_TIMESTAMP_SECONDS "last_run_end_timestamp_seconds" Gauge ["command"] "time at which the last run ended";
    LAST_RUN_ROWS "last_run_rows" Gauge ["command", "kind"] "rows of the last run (read, inserted, updated, deleted, quarantined, verified_by_digest)";
    LAST_RUN_SOURCE_BYTES "last_run_source_bytes" Gauge ["command"] "bytes that the source sent to the last run";
    LAST_SUCCESS_TIMESTAMP_SECONDS "last_success_timestamp_seconds" Gauge ["command"] "time at which a run last succeeded without a mismatch; for full-load, incremental and repair, runs of earlier processes are included";
    LAKE_BACKLOG_PARTITIONS "lake_backlog_partitions" Gauge ["lake"] "partitions that changed since the last publication to the lake";
    LAKE_FILES_WRITTEN_TOTAL "lake_files_written_total" Counter ["lake"] "Parquet files that publications wrote";
    LAKE_BYTES_WRITTEN_TOTAL "lake_bytes_written_total" Counter ["lake"] "bytes of these files";
    LAKE_LAST_PUBLICATION_TIMESTAMP_SECONDS "lake_last_publication_timestamp_seconds" Gauge ["lake"] "time at which a publication to the lake last ended";
}
