//! Global options.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use star_sync::source::share::SourceShare;

use super::values::{interval, metrics_address, path, pause, source_share};
use super::{DEFAULT_BATCH_SIZE, DEFAULT_KEEP_RUNS, DEFAULT_OVERLAP_SECONDS, DEFAULT_TARGET, DEFAULT_WORKERS};

/// Groups of the global options in `--help`.
const SOURCE_AND_TARGET: &str = "Source and target";
const PACE: &str = "Reading and writing";
const METRICS: &str = "Metrics";
const OUTPUT: &str = "Output";

/// Options of every command. Each can come from the environment, or from a `.env` file in the working folder.
///
/// `-h` leaves them to `--help`, which groups them; a command refuses those that it has no use for (`crate::help`).
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The source: mysql://USER@HOST:PORT/SCHEMA, with ?socket=PATH for a Unix socket and ?ssl-mode=... for TLS
    ///
    /// Put the password into {ENV}_SOURCE_PASSWORD, or name a file in {ENV}_SOURCE_PASSWORD_FILE:
    /// a password in the URL works, but other users of the machine can see it.
    #[arg(
        long,
        global = true, hide_short_help = true, help_heading = SOURCE_AND_TARGET,
        env = "{ENV}_SOURCE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub source: Option<String>,

    /// The target: a path or sqlite: URL
    #[arg(long, global = true, hide_short_help = true, help_heading = SOURCE_AND_TARGET, env = "{ENV}_TARGET", value_name = "PATH", default_value = DEFAULT_TARGET,
          allow_hyphen_values = true)]
    pub target: String,

    /// Concurrent connections that read the source; a run may open two more, to plan and for a snapshot
    #[arg(long, global = true, hide_short_help = true, help_heading = PACE, env = "{ENV}_WORKERS", value_name = "N", default_value_t = DEFAULT_WORKERS,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,

    /// Rows per page read and batch written
    #[arg(long, global = true, hide_short_help = true, help_heading = PACE, env = "{ENV}_BATCH_SIZE", value_name = "ROWS", default_value_t = DEFAULT_BATCH_SIZE,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub batch_size: u64,

    /// Share of the time that each connection may read pages and digests, in percent; it pauses in between
    ///
    /// Less than 100 reduces the load on the source; runs take longer accordingly.
    #[arg(long, global = true, hide_short_help = true, help_heading = PACE, env = "{ENV}_MAX_SOURCE_SHARE", value_name = "PERCENT",
          default_value = "100", value_parser = source_share)]
    pub max_source_share: SourceShare,

    /// Safety lag: how far watermarks trail the source clock, in seconds
    ///
    /// Rows within it are re-read by the next run. A transaction that takes longer than this from its first change to its
    /// commit is taken into account only if the account has the privilege PROCESS.
    #[arg(long, global = true, hide_short_help = true, help_heading = PACE, env = "{ENV}_OVERLAP", value_name = "SECONDS", default_value_t = DEFAULT_OVERLAP_SECONDS,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub overlap: u32,

    /// How long the source may take to answer a statement before it counts as lost: 5m, 30s
    #[arg(long, global = true, hide_short_help = true, help_heading = SOURCE_AND_TARGET, env = "{ENV}_READ_TIMEOUT", value_name = "TIME", default_value = "5m",
          value_parser = interval)]
    pub read_timeout: Duration,

    /// How long to back off in total while the source is lost or overloaded: 10m; 0: do not retry
    ///
    /// The run is retried on new connections, with a growing backoff; a full load is resumed. A source that was never
    /// reached is not retried. `incremental --every` has its own backoff.
    #[arg(long, global = true, hide_short_help = true, help_heading = SOURCE_AND_TARGET, env = "{ENV}_RETRY_FOR", value_name = "TIME", default_value = "1m",
          value_parser = pause)]
    pub retry_for: Duration,

    /// Serve Prometheus metrics during the run: ADDRESS:PORT, or a port on the loopback address
    #[arg(long, global = true, hide_short_help = true, help_heading = METRICS, env = "{ENV}_METRICS_ADDR", value_name = "ADDR", value_parser = metrics_address)]
    pub metrics_addr: Option<SocketAddr>,

    /// Write Prometheus metrics to a file at the end of each run, for node_exporter's textfile collector
    #[arg(long, global = true, hide_short_help = true, help_heading = METRICS, env = "{ENV}_METRICS_FILE", value_name = "PATH", value_parser = path)]
    pub metrics_file: Option<PathBuf>,

    /// Rows of sync_run, the history of runs, to keep; runs that changed nothing have no row
    #[arg(long, global = true, hide_short_help = true, help_heading = PACE, env = "{ENV}_KEEP_RUNS", value_name = "N", default_value_t = DEFAULT_KEEP_RUNS,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub keep_runs: u64,

    /// Print one JSON document instead of text
    #[arg(long, global = true, hide_short_help = true, help_heading = OUTPUT, env = "{ENV}_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,

    /// No progress, no summary, no logs below errors
    #[arg(long, short, global = true, hide_short_help = true, help_heading = OUTPUT, env = "{ENV}_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,

    /// More logs, up to -vvv [default: warnings on a terminal, else also info]
    #[arg(short, long, global = true, hide_short_help = true, help_heading = OUTPUT, action = clap::ArgAction::Count, env = "{ENV}_VERBOSE")]
    pub verbose: u8,

    /// Format of the logs on stderr
    #[arg(
        long,
        global = true, hide_short_help = true, help_heading = OUTPUT,
        env = "{ENV}_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}
