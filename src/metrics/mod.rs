//! Every metric: its name, unit and labels, described once; and the endpoint that serves them.

use std::net::SocketAddr;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::error::{Error, Result};

const ROWS_READ: &str = "sakila_sync_rows_read_total";
const ROWS_INSERTED: &str = "sakila_sync_rows_inserted_total";
const ROWS_UPDATED: &str = "sakila_sync_rows_updated_total";
const ROWS_DELETED: &str = "sakila_sync_rows_deleted_total";
const ROWS_REJECTED: &str = "sakila_sync_rows_rejected_total";
const ROWS_PER_SECOND: &str = "sakila_sync_rows_per_second";
const UNPROVEN_RANGES: &str = "sakila_sync_unproven_ranges";
const OLDEST_UNPROVEN: &str = "sakila_sync_oldest_unproven_range_age_seconds";
const VALIDATION_DELTA: &str = "sakila_sync_validation_delta";

/// Serves `/metrics` on `address` until the program ends.
///
/// # Errors
/// If the address cannot be listened on.
pub fn serve(address: SocketAddr) -> Result<()> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .install()
        .map_err(|cause| Error::Metrics {
            address,
            cause: Box::new(cause),
        })?;
    describe_counter!(ROWS_READ, "Source rows read, by target table");
    describe_counter!(ROWS_INSERTED, "Rows inserted, by target table");
    describe_counter!(ROWS_UPDATED, "Rows updated, by target table");
    describe_counter!(ROWS_DELETED, "Rows deleted, by target table");
    describe_counter!(ROWS_REJECTED, "Source rows put into sync_reject, by target table");
    describe_gauge!(
        ROWS_PER_SECOND,
        "Rows per second since the last look, by target table and stage (read, written)"
    );
    describe_gauge!(
        UNPROVEN_RANGES,
        "Key ranges in which something may have changed unseen since they were compared with the source"
    );
    describe_gauge!(
        OLDEST_UNPROVEN,
        "Age of the oldest of them since it was compared, by the source's clock; 0 if there is none"
    );
    describe_gauge!(
        VALIDATION_DELTA,
        "Target less source, by table, measure (rows, cents) and store; 0 when they agree"
    );
    Ok(())
}

pub fn rows_read(table: &'static str, rows: u64) {
    counter!(ROWS_READ, "table" => table).increment(rows);
}

pub fn rows_written(table: &'static str, inserted: u64, updated: u64, deleted: u64) {
    counter!(ROWS_INSERTED, "table" => table).increment(inserted);
    counter!(ROWS_UPDATED, "table" => table).increment(updated);
    counter!(ROWS_DELETED, "table" => table).increment(deleted);
}

pub fn rows_rejected(table: &'static str, rows: u64) {
    counter!(ROWS_REJECTED, "table" => table).increment(rows);
}

pub fn rows_per_second(table: &'static str, stage: &'static str, rate: f64) {
    gauge!(ROWS_PER_SECOND, "table" => table, "stage" => stage).set(rate);
}

/// How much of the star is still to be compared. A range that never was has no age.
pub fn unproven(ranges: u64, oldest_seconds: Option<i64>) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these numbers are small")]
    let (ranges, oldest) = (ranges as f64, oldest_seconds.unwrap_or(0) as f64);
    gauge!(UNPROVEN_RANGES).set(ranges);
    gauge!(OLDEST_UNPROVEN).set(oldest);
}

/// `store_id` is empty for a figure that is no store's.
pub fn validation_delta(table: &'static str, measure: &'static str, store_id: Option<i64>, delta: i64) {
    let store = store_id.map(|store| store.to_string()).unwrap_or_default();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; whether it is 0 is not lost"
    )]
    gauge!(VALIDATION_DELTA, "table" => table, "measure" => measure, "store" => store).set(delta as f64);
}
