//! Arguments of each command.

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use clap::Args;
use star_sync::changes::verify_budget::VerifyBudget;
use url::Url;

#[cfg(feature = "lake")]
use super::values::retention;
use super::values::{day, interval, path, pause, ping_url, read_mode, verify_budget};
use super::{DEFAULT_COPY_MODE, DEFAULT_LIMIT, DEFAULT_VERIFY_BUDGET};

#[derive(Debug, Args)]
pub struct Init {
    /// Check only: create and change nothing
    #[arg(long)]
    pub check: bool,

    #[command(flatten)]
    pub notifications: Notifications,
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
    /// the number of consecutive failures of this command. It is killed after a minute.
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
    #[arg(long, env = "{ENV}_EVERY", value_name = "SECONDS", value_parser = interval)]
    pub every: Option<Duration>,

    /// With --every: also validate the last 30 days, once per interval
    #[arg(long, env = "{ENV}_VALIDATE_EVERY", value_name = "SECONDS", value_parser = interval)]
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

impl Incremental {
    /// The interval between runs; `None` for a single run. A dry run is single, even if {ENV}_EVERY is set.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.every.filter(|_| !self.dry_run)
    }
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

    #[command(flatten)]
    pub notifications: Notifications,
}

/// Publications between runs.
#[cfg(feature = "lake")]
#[derive(Debug, Args)]
#[command(next_help_heading = "Lake options")]
pub struct PublishTo {
    /// With --publish-every: the lake, a folder or s3://BUCKET/PREFIX; see the command publish
    #[arg(long, env = "{ENV}_LAKE", value_name = "URL")]
    pub lake: Option<String>,

    /// With --every: also publish to --lake, once per interval
    #[arg(long, env = "{ENV}_PUBLISH_EVERY", value_name = "SECONDS", value_parser = interval,
          requires = "lake")]
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
