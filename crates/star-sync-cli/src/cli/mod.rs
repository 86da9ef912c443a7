//! The clap types of the command line that all programs have. `config` checks the values.
//!
//! `Program::fill` replaces `{program}`, `{ENV}` and other placeholders.

mod arguments;
mod global;
mod values;

use clap::{Parser, Subcommand};

pub use arguments::*;
pub use global::{Global, LogFormat};
pub use values::{day, interval, path, source_share, verify_budget};

/// Rows per page, and so per batch: the smallest size that reads at nearly full speed.
pub(crate) const DEFAULT_BATCH_SIZE: u64 = 10_000;
/// Longer than most transactions take, and short enough that few rows are re-read.
pub(crate) const DEFAULT_OVERLAP_SECONDS: u32 = 120;
/// Share of the time that incremental runs may spend on verification.
pub(crate) const DEFAULT_VERIFY_BUDGET: &str = "2%";
/// Differing rows per table that a deep comparison describes.
pub(crate) const DEFAULT_LIMIT: usize = 10;
/// Two readers keep the one writer busy.
pub(crate) const DEFAULT_WORKERS: u32 = 2;
pub(crate) const DEFAULT_TARGET: &str = "analytics.db";
pub(crate) const DEFAULT_DAYS: u64 = 30;
/// Readable by the owner and by the group, which readers belong to.
pub(crate) const DEFAULT_COPY_MODE: &str = "0640";
pub(crate) const DEFAULT_KEEP_RUNS: u64 = 10_000;

/// The command line of every program; its name and what it is about are the program's.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
#[command(after_help = "\
Exit codes: 0 done, 1 mismatch found, 2 invalid usage or settings (nothing was contacted), 3 failed, \
130 stopped by Ctrl-C, SIGTERM or SIGHUP (with --every: 0).

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
        after_help = "Examples:\n  {program} incremental --dry-run\n  {program} incremental --every 30s --validate-every 1h --metrics-addr 9187\n\nEvery minute from cron:\n  * * * * *  cd /srv/analytics && /usr/local/bin/{program} --quiet incremental"
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
        after_help = "Examples:\n  mkdir -p ~/.local/share/bash-completion/completions\n  {program} completions bash > ~/.local/share/bash-completion/completions/{program}\n  {program} completions zsh > ~/.zfunc/_{program}"
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

impl Command {
    /// Whether the command is a dry run.
    pub(crate) fn is_dry_run(&self) -> bool {
        match self {
            Self::Incremental(arguments) => arguments.dry_run,
            Self::Repair(arguments) => arguments.dry_run,
            _ => false,
        }
    }

    /// Whether it is a run whose metrics are written at its end.
    pub(crate) fn is_run(&self) -> bool {
        match self {
            Self::FullLoad(_) | Self::Incremental(_) | Self::Repair(_) | Self::Validate(_) | Self::Copy(_) => {
                !self.is_dry_run()
            }
            #[cfg(feature = "lake")]
            Self::Publish(_) => true,
            _ => false,
        }
    }

    /// Notifications at the end of the command; `None` for commands without any and for dry runs.
    pub(crate) fn notifications(&self) -> Option<&Notifications> {
        match self {
            _ if self.is_dry_run() => None,
            Self::Init(arguments) => (!arguments.check).then_some(&arguments.notifications),
            Self::FullLoad(arguments) => Some(&arguments.notifications),
            Self::Incremental(arguments) => Some(&arguments.notifications),
            Self::Repair(arguments) => Some(&arguments.notifications),
            Self::Validate(arguments) => Some(&arguments.notifications),
            Self::Copy(arguments) => Some(&arguments.notifications),
            #[cfg(feature = "lake")]
            Self::Publish(arguments) => Some(&arguments.notifications),
            Self::Status(_) | Self::Explain(_) | Self::Completions { .. } | Self::Man { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declarations_are_sound() {
        Cli::command().debug_assert();
    }
}
