//! The command line: clap types only. What the values mean is checked in `config`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use chrono::{Datelike, NaiveDate};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Rows a page, and so a batch: the smallest size that reads at nearly full speed.
pub const DEFAULT_BATCH_SIZE: u64 = 20_000;
/// Two readers keep the one writer busy.
pub const DEFAULT_WORKERS: u32 = 2;
pub const DEFAULT_TARGET: &str = "analytics.db";
pub const DEFAULT_DAYS: u64 = 30;

/// Keeps a SQLite star schema in step with an operational MySQL database (Sakila).
#[derive(Debug, Parser)]
#[command(name = "sakila-sync", version, max_term_width = 100)]
#[command(after_help = "\
Exit codes: 0 done, 1 differences found, 2 rejected before anything was contacted, 3 failed, \
130 stopped by Ctrl-C or SIGTERM.

Examples:
  export SAKILA_SYNC_SOURCE=mysql://reader@localhost:3306/sakila
  export SAKILA_SYNC_SOURCE_PASSWORD_FILE=/run/secrets/sakila
  sakila-sync init && sakila-sync full-load
  sakila-sync incremental
  sakila-sync validate --all")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command. Each can come from the environment, or from a `.env` file in the working folder.
#[derive(Debug, Args)]
pub struct Global {
    /// The source: mysql://USER@HOST:PORT/SCHEMA, with ?socket=PATH for a Unix socket and ?ssl-mode=... for TLS
    ///
    /// Put the password into SAKILA_SYNC_SOURCE_PASSWORD, or name a file in SAKILA_SYNC_SOURCE_PASSWORD_FILE:
    /// a password in the URL works, but other users of the machine can see it.
    #[arg(
        long,
        global = true,
        env = "SAKILA_SYNC_SOURCE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub source: Option<String>,

    /// The target: a path or sqlite: URL
    #[arg(long, global = true, env = "SAKILA_SYNC_TARGET", value_name = "PATH", default_value = DEFAULT_TARGET)]
    pub target: String,

    /// Concurrent connections to the source
    #[arg(long, global = true, env = "SAKILA_SYNC_WORKERS", value_name = "N", default_value_t = DEFAULT_WORKERS,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,

    /// Rows a page, and so a batch
    #[arg(long, global = true, env = "SAKILA_SYNC_BATCH_SIZE", value_name = "ROWS", default_value_t = DEFAULT_BATCH_SIZE,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub batch_size: u64,

    /// Serve Prometheus metrics during the run: ADDRESS:PORT, or a port on the loopback address
    #[arg(long, global = true, env = "SAKILA_SYNC_METRICS_ADDR", value_name = "ADDR", value_parser = metrics_address)]
    pub metrics_addr: Option<SocketAddr>,

    /// Print one JSON document instead of text
    #[arg(long, global = true, env = "SAKILA_SYNC_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,

    /// No progress, no logs below errors, no summary
    #[arg(long, short, global = true, env = "SAKILA_SYNC_QUIET", value_parser = FalseyValueParser::new(),
          conflicts_with = "verbose")]
    pub quiet: bool,

    /// More logs; twice for all
    #[arg(short, long, global = true, action = clap::ArgAction::Count, env = "SAKILA_SYNC_VERBOSE")]
    pub verbose: u8,

    /// How logs are written to stderr
    #[arg(
        long,
        global = true,
        env = "SAKILA_SYNC_LOG_FORMAT",
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

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create the database and its tables, check both sides
    ///
    /// Checks the source's version, schema and privileges, creates the target or migrates an older one (keeping a
    /// backup), fills dim_date with the years of the source's dates, and sync_state. Run again, it changes nothing.
    #[command(
        after_help = "Example:\n  sakila-sync init --source mysql://reader@localhost/sakila --target analytics.db"
    )]
    Init,
    /// Load everything, then compare
    ///
    /// On a target that already holds data it writes only what differs and deletes what the source no longer has;
    /// surrogate keys stay. Stopped half-way, it goes on where it stopped when run again.
    #[command(after_help = "Example:\n  sakila-sync full-load --workers 4 --batch-size 50000")]
    FullLoad,
    /// Load what is new or changed since the last run, then compare
    ///
    /// One snapshot of the source, one transaction on the target: rows and markers together, or nothing.
    #[command(
        after_help = "Example, every minute from cron:\n  * * * * *  cd /srv/analytics && sakila-sync --quiet incremental"
    )]
    Incremental,
    /// Compare counts, totals and integrity of source and target over a period
    ///
    /// The period applies to rentals and payments; dimensions and bridges are compared whole.
    #[command(
        after_help = "Examples:\n  sakila-sync validate --days 7\n  sakila-sync validate --from 2005-05-24 --to 2005-08-31\n  sakila-sync validate --all --json"
    )]
    Validate(Validate),
    /// Show markers, their lag, the last runs and rejected rows
    ///
    /// Without --source, or while it cannot be reached, it shows what the target knows.
    #[command(after_help = "Example:\n  sakila-sync status --target analytics.db")]
    Status,
}

#[derive(Debug, Args)]
pub struct Validate {
    /// The last N days, ending today by the source's clock in UTC [default: 30]
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to", "all"],
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub days: Option<u64>,

    /// First day, YYYY-MM-DD
    #[arg(long, value_name = "DATE", requires = "to", conflicts_with = "all", value_parser = day)]
    pub from: Option<NaiveDate>,

    /// Last day, YYYY-MM-DD, inclusive
    #[arg(long, value_name = "DATE", requires = "from", conflicts_with = "all", value_parser = day)]
    pub to: Option<NaiveDate>,

    /// Every day
    #[arg(long)]
    pub all: bool,

    /// Allow a figure to differ by this many rows, or cents
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub tolerance: u64,
}

/// ADDRESS:PORT, or just a port, which then is the loopback address's.
fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse()
        .map_err(|_| "expected ADDRESS:PORT, as in 127.0.0.1:9184, or a port".to_owned())
}

/// A day that both databases can tell.
fn day(text: &str) -> Result<NaiveDate, String> {
    text.parse()
        .ok()
        .filter(|day: &NaiveDate| (1..=9999).contains(&day.year()))
        .ok_or_else(|| "expected a day of the years 1 to 9999 as YYYY-MM-DD".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declarations_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bare_metrics_port_is_the_loopback_address_s() {
        assert_eq!(metrics_address("9184"), Ok("127.0.0.1:9184".parse().unwrap()));
        assert_eq!(metrics_address(":9184"), Ok("127.0.0.1:9184".parse().unwrap()));
        assert_eq!(metrics_address("0.0.0.0:9184"), Ok("0.0.0.0:9184".parse().unwrap()));
        assert!(metrics_address("localhost").is_err());
    }
}
