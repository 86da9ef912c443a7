//! Exports the engine's metrics in Prometheus' text format, over HTTP or to a file.

mod file;
mod server;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use metrics_util::layers::{Layer, PrefixLayer};
use star_sync::metrics::catalogue::{self, Kind, Metric};
use tracing::warn;

pub(crate) use self::server::Health;
use crate::program::Program;
use crate::status_page::Site;

/// Bucket bounds of all histograms, in seconds: from a page of a small table to a commit that waits for the disk.
const BUCKETS_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// How often recorded values are moved into the buckets of their histograms.
const UPKEEP: Duration = Duration::from_secs(1);

/// The recorder of metrics, if an option requests metrics. Without it, setting a metric has no effect.
static EXPORTER: OnceLock<Exporter> = OnceLock::new();

struct Exporter {
    handle: PrometheusHandle,
    process: Collector,
}

impl Exporter {
    /// All metrics in Prometheus' text format.
    fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }
}

/// Starts to record metrics. Each has the target as a label, because one node_exporter reads the files of all syncs of
/// a machine. An error only causes a warning, since a sync does not depend on its metrics.
pub(crate) fn start(target: &Path, program: &Program) {
    let buckets = PrometheusBuilder::new()
        .add_global_label(catalogue::TARGET_LABEL, target.to_string_lossy())
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECONDS);
    let recorder = match buckets {
        Ok(builder) => builder.build_recorder(),
        Err(error) => return warn!(%error, "metrics cannot be collected"),
    };
    let handle = recorder.handle();
    // The process metrics get the prefix, too: node_exporter, which may read our file, exports them without it.
    if let Err(error) =
        metrics::set_global_recorder(PrefixLayer::new(program.star.names.metrics_prefix).layer(recorder))
    {
        return warn!(%error, "metrics cannot be collected");
    }
    let process = Collector::default();
    process.describe();
    for &Metric {
        name, kind, meaning, ..
    } in catalogue::ALL
    {
        match kind {
            Kind::Counter => describe_counter!(name, meaning),
            Kind::Gauge => describe_gauge!(name, meaning),
            Kind::Histogram => describe_histogram!(name, meaning),
        }
    }
    gauge!(catalogue::BUILD_INFO.name, "version" => program.version).set(1.0);
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

/// Serves the status page, `/metrics` and `/healthz` on `address` until the program ends.
pub(crate) async fn serve(address: SocketAddr, health: Health, site: Site) {
    if let Err(error) = server::start(address, health, site).await {
        warn!(code = "METRICS_ADDRESS_UNUSABLE", %address, %error, "the metrics endpoint cannot listen; choose a free port with --metrics-addr");
    }
}

/// Writes all metrics to a file for node_exporter's textfile collector.
pub(crate) fn write_file(path: &Path, program: &Program) {
    if let Some(exporter) = EXPORTER.get()
        && let Err(error) = file::write(path, program.name(), &exporter.render())
    {
        warn!(code = "METRICS_FILE_UNWRITABLE", path = %path.display(), %error, "the metrics file cannot be written");
    }
}
