//! The command line that all programs have: clap types only. What the values mean is checked in `config`.
//!
//! `{program}`, `{ENV}` and the like are filled by `Program::fill`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{Datelike, NaiveDate};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use star_sync::changes::verify_budget::VerifyBudget;
use star_sync::source::share::SourceShare;
use url::Url;

use crate::config::{absolute, expand_home};

/// Rows a page, and so a batch: the smallest size that reads at nearly full speed.
pub(crate) const DEFAULT_BATCH_SIZE: u64 = 10_000;
/// Longer than most transactions take, and short enough that few rows are re-read.
pub(crate) const DEFAULT_OVERLAP_SECONDS: u32 = 120;
/// What an incremental run may spend on verification.
pub(crate) const DEFAULT_VERIFY_BUDGET: &str = "2%";
/// Rows that differ, a table, which a deep comparison describes.
pub(crate) const DEFAULT_LIMIT: usize = 10;
/// Two readers keep the one writer busy.
pub(crate) const DEFAULT_WORKERS: u32 = 2;
pub(crate) const DEFAULT_TARGET: &str = "analytics.db";
pub(crate) const DEFAULT_DAYS: u64 = 30;
/// The owner, and the group that readers are in.
pub(crate) const DEFAULT_COPY_MODE: &str = "0640";
pub(crate) const DEFAULT_KEEP_RUNS: u64 = 10_000;

/// Groups of the global options in `--help`.
const SOURCE_AND_TARGET: &str = "Source and target";
const PACE: &str = "Reading and writing";
const METRICS: &str = "Metrics";
const OUTPUT: &str = "Output";

/// The command line of every program; its name and what it is about are the program's.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
#[command(after_help = "\
Exit codes: 0 done, 1 mismatch found, 2 invalid usage or settings (nothing was contacted), 3 failed, \
130 stopped by Ctrl-C or SIGTERM (with --every: 0).

Examples:
  export {ENV}_SOURCE=mysql://reader@localhost:3306/{source}
  export {ENV}_SOURCE_PASSWORD_FILE=/run/secrets/{source}
  {program} init && {program} full-load
  {program} incremental
  {program} validate --all")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

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
    #[arg(long, short, global = true, hide_short_help = true, help_heading = OUTPUT, env = "{ENV}_QUIET", value_parser = FalseyValueParser::new(),
          conflicts_with = "verbose")]
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

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check source and target, create or migrate the target's tables
    ///
    /// Checks the source's version, schema and privileges, creates the target or migrates an older one (keeping a
    /// backup), fills {calendar} with the years of the source's dates, and sync_state. Run again, it changes nothing.
    #[command(
        after_help = "Example:\n  {program} init --source mysql://reader@localhost/{source} --target analytics.db"
    )]
    Init(Init),
    /// Load all rows, then reconcile with the source
    ///
    /// On a loaded target it writes only rows that differ and deletes those that the source no longer has; surrogate keys
    /// stay. An interrupted load is resumed when it is run again.
    #[command(
        after_help = "Example:\n  {program} full-load --workers 4 --batch-size 50000\n  {program} full-load --table {dimension}"
    )]
    FullLoad(FullLoad),
    /// Apply what changed since the last run, then reconcile with the source
    ///
    /// One snapshot of the source, one transaction on the target: rows and watermarks are committed together. Deletes are
    /// found by row counts. Modified tables are also verified, within --verify-budget, which finds updates and cascades
    /// that do not touch a change timestamp.
    #[command(
        after_help = "Examples:\n  {program} incremental --dry-run\n  {program} incremental --every 30s --validate-every 1h --metrics-addr 9187\n\nEvery minute from cron:\n  * * * * *  cd /srv/analytics && {program} --quiet incremental"
    )]
    Incremental(Incremental),
    /// Compare every row with the source and write those that differ
    ///
    /// It writes what `validate --deep` shows, and applies what an incremental run would apply. Surrogate keys stay, and
    /// rows that are equal are not written.
    #[command(after_help = "Examples:\n  {program} repair --dry-run\n  {program} repair --workers 4")]
    Repair(Repair),
    /// Compare counts, totals and integrity of source and target over a period
    ///
    /// The period applies to facts; dimensions and bridges are compared whole.
    #[command(
        after_help = "Examples:\n  {program} validate --days 7\n  {program} validate --from 2024-01-01 --to 2024-03-31\n  {program} validate --all --json\n  {program} validate --all --deep --limit 5"
    )]
    Validate(Validate),
    /// Show watermarks, verification backlog, last runs and quarantined rows
    ///
    /// Without --source, or while the source cannot be reached, it shows the target's part only.
    #[command(
        after_help = "Examples:\n  {program} status --target analytics.db\n  {program} --quiet status --fresh-within 10m\n  {program} status --indexes | mysql"
    )]
    Status(Status),
    /// Show the lineage of one row and check it against the source
    ///
    /// Prints the source rows that it is made of, the row itself, the run that last wrote it with the watermark after that
    /// run, and how source and target differ. KEY is the key of the source row.
    #[command(after_help = "Examples:\n  {program} explain {fact} 424\n  {program} explain {dimension} 1 --json")]
    Explain(Explain),
    /// Write a consistent copy of the star for readers of other accounts
    ///
    /// Writes the star's tables and views to one file without a write-ahead log, which then replaces the previous copy
    /// atomically. A copy is for reading: it is neither a target nor a backup. The source is not contacted. Readers that
    /// stay connected keep the copy that they opened.
    #[command(
        after_help = "Examples:\n  {program} copy /srv/reports/star.db\n  {program} copy /srv/reports/star.db --mode 0644 --without personal"
    )]
    Copy(Copy),
    /// Publish the star to a lake, as Delta tables that Spark, DuckDB, ClickHouse and others read
    ///
    /// Months of facts, and other tables, that changed since the last publication are written as Parquet files and replaced
    /// atomically per table. The lake is a folder, or an S3 bucket with credentials from the usual AWS variables. The
    /// source is not contacted. During a publication, runs on the target are refused.
    #[cfg(feature = "lake")]
    #[command(
        after_help = "Examples:\n  {program} publish --lake /srv/lake\n  {program} publish --lake s3://bucket/star --without personal\n  {program} publish --lake /srv/lake --check"
    )]
    Publish(Publish),
    /// Print shell completions
    #[command(
        display_order = 997,
        after_help = "Examples:\n  {program} completions bash > ~/.local/share/bash-completion/completions/{program}\n  {program} completions zsh > ~/.zfunc/_{program}"
    )]
    Completions { shell: clap_complete::Shell },
    /// Print the man page of the program or of a command
    #[command(
        display_order = 998,
        after_help = "Examples:\n  {program} man | man -l -\n  {program} man full-load > {program}-full-load.1"
    )]
    Man {
        /// The command, for example: seed mutate
        #[arg(value_name = "COMMAND", num_args = 0..)]
        command: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct Init {
    /// Check only: create and change nothing
    #[arg(long)]
    pub check: bool,
}

/// Notifications of how a run ended, for sites without Prometheus.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Notification options")]
pub struct Notifications {
    /// Request this URL after each run that succeeds, and URL/fail after each that fails or finds a mismatch
    ///
    /// For healthcheck services that alert when no ping arrives. Successes are sent at most once a minute; a change from
    /// success to failure or back is sent at once. Better set in the environment: other users of the machine can see the
    /// command line.
    #[arg(long, env = "{ENV}_PING", value_name = "URL", hide_env_values = true, value_parser = ping_url)]
    pub ping: Option<Url>,

    /// Run this shell command after each run that fails or finds a mismatch
    ///
    /// Its environment has FAILURE_COMMAND, FAILURE_CODE, FAILURE_MESSAGE, FAILURE_HINT, FAILURE_TARGET and FAILURE_COUNT,
    /// the number of consecutive failures. It is killed after a minute.
    #[arg(long, env = "{ENV}_ON_FAILURE", value_name = "COMMAND")]
    pub on_failure: Option<String>,
}

#[derive(Debug, Args)]
pub struct FullLoad {
    /// Record the source as it is now: another server or schema, other column types, a restored copy
    ///
    /// For a failover or a server that moved. Every row is compared; rows that differ are written or deleted.
    #[arg(long)]
    pub accept_source: bool,

    /// Compare every row of one table and of those that depend on it, and write those that differ
    ///
    /// A `repair` of a part of a loaded star: the tables that refer to its rows are compared too, and the changes of an
    /// incremental run are applied.
    #[arg(
        long,
        value_name = "TABLE",
        conflicts_with = "accept_source",
        hide_possible_values = true
    )]
    pub table: Option<String>,

    #[command(flatten)]
    pub notifications: Notifications,
}

#[derive(Debug, Args)]
pub struct Incremental {
    /// How long a run may verify key ranges: a share of the time since the run before (2%), or a time (10s); 0: not at all
    ///
    /// A share is at least 0.2 s and at most 10 s; 100% verifies everything. Key ranges whose row counts or digests differ
    /// come first, then those of modified tables, then those that were verified longest ago. The next run continues with the
    /// verification backlog.
    #[arg(long, env = "{ENV}_VERIFY_BUDGET", value_name = "BUDGET", default_value = DEFAULT_VERIFY_BUDGET,
          value_parser = verify_budget)]
    pub verify_budget: VerifyBudget,

    /// Print what a run would change and how the totals would change; write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Run continuously, once per interval, until stopped: 30s, 500ms, 2m
    ///
    /// Runs never overlap. A failed run is reported and retried with a backoff of up to ten minutes. Ctrl-C and SIGTERM
    /// end it after the step in progress, with exit code 0.
    #[arg(long, env = "{ENV}_EVERY", value_name = "SECONDS", value_parser = interval, conflicts_with = "dry_run")]
    pub every: Option<Duration>,

    /// With --every: also validate the last 30 days, once per interval
    #[arg(long, env = "{ENV}_VALIDATE_EVERY", value_name = "SECONDS", value_parser = interval, requires = "every")]
    pub validate_every: Option<Duration>,

    /// With --every: /healthz answers 200 while the last success is younger than this, else 503
    #[arg(long, env = "{ENV}_HEALTHY_WITHIN", value_name = "SECONDS", value_parser = interval, default_value = "5m")]
    pub healthy_within: Duration,

    #[command(flatten)]
    pub copy: CopyTo,

    #[command(flatten)]
    pub notifications: Notifications,

    #[cfg(feature = "lake")]
    #[command(flatten)]
    pub publish: PublishTo,
}

/// A publication.
#[cfg(feature = "lake")]
#[derive(Debug, Args)]
pub struct Publish {
    /// The lake: a folder, or s3://BUCKET/PREFIX
    #[arg(long, env = "{ENV}_LAKE", value_name = "URL")]
    pub lake: String,

    /// Compare the lake with the target and write nothing; exit code 1 on a mismatch
    #[arg(long, conflicts_with_all = ["vacuum", "force"])]
    pub check: bool,

    /// Then delete files that no version within --retain refers to
    #[arg(long)]
    pub vacuum: bool,

    /// With --vacuum: how long readers of an older version may need its files
    #[arg(long, value_name = "TIME", value_parser = retention, default_value = "7d")]
    pub retain: Duration,

    /// Publish despite a mismatch, and replace what another target or program wrote to the lake
    #[arg(long)]
    pub force: bool,

    /// Replace personal data by pseudonyms: `personal` for all of it, or names of columns
    ///
    /// Text is replaced by a pseudonym, the column's name with the row's key; any other value by NULL. COLUMN stands for
    /// that column of all tables, TABLE.COLUMN for one.
    #[arg(long, env = "{ENV}_LAKE_WITHOUT", value_name = "COLUMN", value_delimiter = ',')]
    pub without: Vec<String>,
}

/// Publications between runs.
#[cfg(feature = "lake")]
#[derive(Debug, Args)]
pub struct PublishTo {
    /// With --publish-every: the lake, a folder or s3://BUCKET/PREFIX; see the command publish
    #[arg(long, env = "{ENV}_LAKE", value_name = "URL")]
    pub lake: Option<String>,

    /// With --every: also publish to --lake, once per interval
    #[arg(long, env = "{ENV}_PUBLISH_EVERY", value_name = "SECONDS", value_parser = interval,
          requires_all = ["every", "lake"])]
    pub publish_every: Option<Duration>,

    /// With --lake: replace personal data by pseudonyms; `personal` for all of it, or names of columns
    #[arg(long, env = "{ENV}_LAKE_WITHOUT", value_name = "COLUMN", value_delimiter = ',')]
    pub lake_without: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Copy {
    /// Path of the copy; an existing file is replaced only if it is a copy
    #[arg(value_parser = path)]
    pub path: PathBuf,

    /// Permissions of the copy for owner, group and others, as chmod takes them
    #[arg(long, env = "{ENV}_COPY_MODE", value_name = "MODE", default_value = DEFAULT_COPY_MODE, value_parser = read_mode)]
    pub mode: u32,

    /// Replace personal data by pseudonyms: `personal` for all of it, or names of columns
    ///
    /// Text is replaced by a pseudonym, the column's name with the row's key; any other value by NULL. COLUMN stands for
    /// that column of all tables, TABLE.COLUMN for one.
    #[arg(long, env = "{ENV}_COPY_WITHOUT", value_name = "COLUMN", value_delimiter = ',')]
    pub without: Vec<String>,

    #[command(flatten)]
    pub notifications: Notifications,
}

/// A copy after runs.
#[derive(Debug, Args)]
pub struct CopyTo {
    /// Also copy the star for readers after runs that changed rows: see the command copy
    #[arg(long, env = "{ENV}_COPY_TO", value_name = "PATH", value_parser = path)]
    pub copy_to: Option<PathBuf>,

    /// With --copy-to: copy at most once per interval: 30s, 500ms, 2m
    #[arg(long, env = "{ENV}_COPY_EVERY", value_name = "SECONDS", value_parser = pause, default_value = "1m")]
    pub copy_every: Duration,

    /// With --copy-to: permissions of the copy, as chmod takes them
    #[arg(long, env = "{ENV}_COPY_MODE", value_name = "MODE", default_value = DEFAULT_COPY_MODE, value_parser = read_mode)]
    pub copy_mode: u32,

    /// With --copy-to: replace personal data by pseudonyms; `personal` for all of it, or names of columns
    #[arg(long, env = "{ENV}_COPY_WITHOUT", value_name = "COLUMN", value_delimiter = ',')]
    pub without: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Status {
    /// Exit with 1 unless a full load, an incremental run or a repair succeeded within this time: 600, 10m, 2h
    #[arg(long, value_name = "SECONDS", value_parser = interval)]
    pub fresh_within: Option<Duration>,

    /// Print only the statements that create missing indexes, for the administrator of the source
    #[arg(long, conflicts_with = "fresh_within")]
    pub indexes: bool,
}

#[derive(Debug, Args)]
pub struct Repair {
    /// Print what would be written, and write nothing; exit code 1 if rows differ
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub notifications: Notifications,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// A dimension or a fact of the star, as in {fact}
    #[arg(index = 1)]
    pub table: String,
    /// Key of the source row; with commas between the columns of a composite key
    #[arg(index = 2, allow_negative_numbers = true)]
    pub key: String,
}

#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Validate {
    /// The last N days, ending today by the source server's own date in its own time zone [default: 30]
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to", "all"],
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub days: Option<u64>,

    /// First day, YYYY-MM-DD
    #[arg(long, value_name = "DATE", conflicts_with = "all", value_parser = day)]
    pub from: Option<NaiveDate>,

    /// Last day, YYYY-MM-DD, inclusive [default: today by the source server's own date]
    #[arg(long, value_name = "DATE", requires = "from", conflicts_with = "all", value_parser = day)]
    pub to: Option<NaiveDate>,

    /// Every day
    #[arg(long)]
    pub all: bool,

    /// Allow a figure to differ by this many rows, or of a sum's smallest unit
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub tolerance: u64,

    /// Count pending rows (changed in the source since the last sync) as a mismatch
    #[arg(long)]
    pub no_pending: bool,

    /// Compare with another source than the target was loaded from: a replica, a server that moved
    ///
    /// The other source is not recorded, and no row counts as pending: watermarks are those of the recorded source.
    /// `full-load --accept-source` records another source.
    #[arg(long)]
    pub accept_source: bool,

    /// Also compare every row: dimensions and bridges whole, facts of the period
    #[arg(long)]
    pub deep: bool,

    /// Describe this many rows that differ per table
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, requires = "deep")]
    pub limit: usize,

    #[command(flatten)]
    pub notifications: Notifications,
}

impl Command {
    /// Notifications of how the command ended; none of one that only reads.
    pub(crate) fn notifications(&self) -> Option<&Notifications> {
        match self {
            Self::FullLoad(arguments) => Some(&arguments.notifications),
            Self::Incremental(arguments) => (!arguments.dry_run).then_some(&arguments.notifications),
            Self::Repair(arguments) => (!arguments.dry_run).then_some(&arguments.notifications),
            Self::Validate(arguments) => Some(&arguments.notifications),
            Self::Copy(arguments) => Some(&arguments.notifications),
            #[cfg(feature = "lake")]
            Self::Publish(_) => None,
            Self::Init(_) | Self::Status(_) | Self::Explain(_) | Self::Completions { .. } | Self::Man { .. } => None,
        }
    }
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

/// The URL of a healthcheck service.
fn ping_url(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "expected http://HOST/PATH or https://HOST/PATH".to_owned())
}

/// An absolute path; `~/` is the home folder where no shell has seen to it.
pub fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("expected a path".to_owned());
    }
    Ok(absolute(expand_home(text)))
}

/// A number of seconds, or a number with its unit; not 0.
pub fn interval(text: &str) -> Result<Duration, String> {
    pause(text).and_then(|interval| match interval {
        Duration::ZERO => Err("expected more than 0".to_owned()),
        interval => Ok(interval),
    })
}

/// A share of the time in percent, with or without the sign.
pub fn source_share(text: &str) -> Result<SourceShare, String> {
    let percent = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let share = percent.and_then(SourceShare::of_percent);
    share.ok_or_else(|| "expected a share above 0 and up to 100, as in 25 or 25%".to_owned())
}

/// A share of the time since the run before, or a time.
pub fn verify_budget(text: &str) -> Result<VerifyBudget, String> {
    const LONGEST: Duration = Duration::from_hours(24);
    let unfit = || "expected a share as in 2%, or a time as in 10s or 500ms, of at most a day".to_owned();
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.parse().map_err(|_| unfit())?;
        return if (0.0..=100.0).contains(&percent) {
            // None is none, whatever a share comes to at least.
            Ok(if percent > 0.0 {
                VerifyBudget::Share(percent)
            } else {
                VerifyBudget::Time(Duration::ZERO)
            })
        } else {
            Err(unfit())
        };
    }
    let time = pause(text).map_err(|_| unfit())?;
    if time <= LONGEST {
        Ok(VerifyBudget::Time(time))
    } else {
        Err(unfit())
    }
}

/// A number of seconds, or a number with its unit.
pub(crate) fn pause(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(_) => humantime::parse_duration(text)
            .map_err(|_| "expected a number of seconds, or one with its unit, as in 30s, 500ms or 2m".to_owned()),
    }
}

/// A time up to which files of older versions are remembered.
#[cfg(feature = "lake")]
fn retention(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(30 * 24);
    pause(text).and_then(|time| match time {
        time if time > LONGEST => Err("expected at most 30d: older versions are deleted".to_owned()),
        time => Ok(time),
    })
}

/// Permissions that let the owner read the file and no other account write it.
fn read_mode(text: &str) -> Result<u32, String> {
    const OWNER_READS: u32 = 0o400;
    const OTHERS_WRITE: u32 = 0o022;
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| (3..=4).contains(&text.len()) && !text.starts_with('+') && *mode <= 0o777)
        .filter(|mode| mode & OWNER_READS != 0 && mode & OTHERS_WRITE == 0)
        .ok_or_else(|| {
            "expected permissions as chmod takes them, such as 0640 or 0644, that let the owner read and no other account write"
                .to_owned()
        })
}

/// A day that both databases can represent.
pub fn day(text: &str) -> Result<NaiveDate, String> {
    text.parse()
        .ok()
        .filter(|day: &NaiveDate| (1..=9999).contains(&day.year()))
        // The parser also takes signs, blanks and single digits.
        .filter(|day| day.format("%Y-%m-%d").to_string() == text)
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
    fn an_interval_is_seconds_unless_it_says_otherwise() {
        assert_eq!(interval("5"), Ok(Duration::from_secs(5)));
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        assert!(interval("0").is_err());
        assert!(interval("soon").is_err());
    }

    #[test]
    fn a_mode_lets_its_owner_read_and_no_other_account_write() {
        assert_eq!(read_mode("0640"), Ok(0o640));
        assert_eq!(read_mode("444"), Ok(0o444));
        for mode in [
            "0",
            "0660",
            "0646",
            "0040",
            "1640",
            "+640",
            "0648",
            "rw-r-----",
            "00640",
        ] {
            assert!(read_mode(mode).is_err(), "{mode}");
        }
    }

    #[test]
    fn a_bare_metrics_port_is_the_loopback_address_s() {
        assert_eq!(metrics_address("9184"), Ok("127.0.0.1:9184".parse().unwrap()));
        assert_eq!(metrics_address(":9184"), Ok("127.0.0.1:9184".parse().unwrap()));
        assert_eq!(metrics_address("0.0.0.0:9184"), Ok("0.0.0.0:9184".parse().unwrap()));
        assert!(metrics_address("localhost").is_err());
    }
}
