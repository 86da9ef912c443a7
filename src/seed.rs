//! The commands `seed`, which generates a Sakila, and `seed mutate`, which applies a business day to it.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Datelike, NaiveDate};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use sakila_seed::business_day::{BusinessDay, business_day};
use sakila_seed::world::Settings;
use sakila_seed::{MAXIMAL_SCALE, OnStep, Step};
use serde::Serialize;
use star_sync_cli::output::human::{grouped, rate_of, table};
use star_sync_cli::output::{next, progress};
use star_sync_cli::{ExtraCommand, Result, Session, Work, cli};
use tokio::time::MissedTickBehavior;

use crate::error::{self, ErrorCode};

/// Fill an empty MySQL schema with a generated Sakila
///
/// The official tables, indexes and foreign keys, with rows that follow from scale, seed and date alone. Scale 1
/// has the official numbers of rows (16,044 rentals, 599 customers, 1,000 films); customers, rentals and payments
/// grow with the scale, films and actors from scale 10 on with a tenth of it. Needs an account with all privileges
/// on the schema. Refuses a schema with tables that seed did not create.
#[derive(Debug, Parser)]
#[command(
    name = "seed",
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  {program} seed --source mysql://root@localhost/sakila\n  {program} seed --scale 100 --replace\n  {program} seed --until 2026-01-01 --seed 7\n  {program} seed mutate --every 5"
)]
struct Arguments {
    /// Multiple of the official number of customers, rentals and payments
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAXIMAL_SCALE)))]
    scale: u32,

    /// Seed of the generator: another number gives other rows
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// History ends the day before [default: today by the source's clock]
    #[arg(long, value_name = "DATE", value_parser = last_day)]
    until: Option<NaiveDate>,

    /// First drop what an earlier seed created
    #[arg(long)]
    replace: bool,

    #[command(subcommand)]
    then: Option<SeedCommand>,
}

#[derive(Debug, Subcommand)]
enum SeedCommand {
    /// Apply one business day to a seeded schema
    ///
    /// New customers, films, rentals and payments; returns; corrected prices; a renamed city and language; customers
    /// who move; copies that change store; deletions: in one transaction. What changes follows from the seed and the
    /// number of the day. Dates continue where history ends, but never into the future: once today is reached, every
    /// business day is today, and its times of day follow the clock.
    #[command(after_help = "Examples:\n  {program} seed mutate\n  {program} seed mutate --every 5")]
    Mutate {
        /// Apply one business day per interval, until stopped: 5s, 500ms, 2m
        #[arg(long, value_name = "SECONDS", value_parser = cli::interval)]
        every: Option<Duration>,
    },
}

/// Parses `--until`. A TIMESTAMP column must be able to hold the day and the four years before it.
fn last_day(text: &str) -> std::result::Result<NaiveDate, String> {
    cli::day(text).and_then(|day| match day.year() {
        1975..=2037 => Ok(day),
        _ => Err("expected a day of the years 1975 to 2037: TIMESTAMP columns hold no others".to_owned()),
    })
}

#[derive(Serialize)]
struct Report {
    source: String,
    scale: u32,
    seed: u64,
    until: chrono::NaiveDate,
    tables: Vec<TableRows>,
}

#[derive(Serialize)]
struct TableRows {
    table: &'static str,
    rows: u64,
}

/// The declaration of the command.
pub fn command() -> ExtraCommand {
    ExtraCommand {
        declaration: Arguments::command(),
        name: |arguments| match parsed(arguments).then {
            Some(SeedCommand::Mutate { .. }) => "seed mutate",
            None => "seed",
        },
        work: Work::Pages,
        ignores: &[
            "target",
            "batch_size",
            "max_source_share",
            "overlap",
            "retry_for",
            "keep_runs",
            "metrics_file",
        ],
        stopped: |arguments| match parsed(arguments).then {
            None => "the schema is incomplete; `{program} seed --replace` starts over",
            Some(SeedCommand::Mutate { .. }) => {
                "every business day that was printed is kept, and nothing of the one in progress"
            }
        },
        run: |session, arguments| Box::pin(run(session, parsed(arguments))),
    }
}

fn parsed(arguments: &ArgMatches) -> Arguments {
    Arguments::from_arg_matches(arguments).expect("clap has parsed these arguments by the same declaration")
}

async fn run(session: &Session, arguments: Arguments) -> Result<u8> {
    match arguments.then {
        None => session.unless_stopped(fill(session, &arguments)).await,
        Some(SeedCommand::Mutate { every }) => {
            let ended = session.unless_stopped(mutate(session, every)).await;
            match ended {
                // With `--every`, a stop request is the normal end.
                Err(error) if error.is_stopped() && every.is_some() => Ok(0),
                ended => ended,
            }
        }
    }
}

async fn fill(session: &Session, arguments: &Arguments) -> Result<u8> {
    let source = session.connect_readers().await?;
    if source.connections < 2 {
        return Err(error::own(
            ErrorCode::SeedRefused,
            "seed needs two connections, and the account may open one",
            "nothing was changed; raise the limit (MAX_USER_CONNECTIONS of the account, max_user_connections of the server)",
        ));
    }
    let today = source.clock().await?.date_naive();
    let until = arguments.until.unwrap_or(today);
    if until > today {
        return Err(error::own(
            ErrorCode::SeedRefused,
            format!("--until is in the future: the source clock shows {today}"),
            "nothing was changed; leave it out for a history up to yesterday",
        ));
    }
    let settings = Settings {
        scale: arguments.scale,
        seed: arguments.seed,
        until,
    };
    let bar = progress::bar("seed", sakila_seed::rows(settings), session.global.quiet);
    let on_step: OnStep = {
        let bar = bar.clone();
        Arc::new(move |step| match step {
            Step::Rows(rows) => bar.inc(rows),
            Step::Indexes { done, count } => progress::count_on(&bar, done, count, &format!("of {count} indexes")),
            Step::ForeignKeys => bar.set_message("adding foreign keys"),
        })
    };
    let made = sakila_seed::seed(&source.pool, settings, arguments.replace, session.workers(), on_step).await;
    bar.finish_and_clear();
    let tables = made
        .map_err(error::of_seed)?
        .into_iter()
        .map(|(table, rows)| TableRows { table, rows })
        .collect();
    let report = Report {
        source: source.server.identity.clone(),
        scale: settings.scale,
        seed: settings.seed,
        until,
        tables,
    };
    let text = text(session.program.name(), &report, session.seconds());
    session.output.result("seed", session.seconds(), &report, &text)?;
    Ok(0)
}

fn text(program: &str, report: &Report, seconds: f64) -> String {
    let mut rows = table(&["table", "rows"]);
    for line in &report.tables {
        rows.add_row([line.table.to_owned(), grouped(line.rows)]);
    }
    let all = report.tables.iter().map(|line| line.rows).sum();
    format!(
        "{rows}\nseeded {} at scale {}, history until {}\n{} rows in {seconds:.1} s ({} rows/s)\n{}",
        report.source,
        report.scale,
        report.until,
        grouped(all),
        grouped(rate_of(all, seconds)),
        next::line(program, Some(next::INIT)),
    )
}

/// Applies one business day, or one per interval until the program is stopped.
async fn mutate(session: &Session, every: Option<Duration>) -> Result<u8> {
    let source = session.connect(1).await?;
    let Some(every) = every else {
        let day = business_day(&source.pool).await.map_err(error::of_seed)?;
        print_day(session, &day, true)?;
        return Ok(0);
    };
    let mut ticks = tokio::time::interval(every);
    // A day that takes longer than the interval delays the next one; missed days are not caught up.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let day = business_day(&source.pool).await.map_err(error::of_seed)?;
        // Ends if the reader has closed the output (`| head`): nothing else would stop the program.
        if !print_day(session, &day, false)? {
            return Ok(0);
        }
    }
}

fn print_day(session: &Session, day: &BusinessDay, is_only_one: bool) -> Result<bool> {
    let mut output = session.output;
    output.one_line = !is_only_one;
    let mut text = format!("business day {}, {}\n", day.number, day.date);
    for change in &day.changes {
        let _ = writeln!(text, "  {:>6}  {}", grouped(change.rows), change.kind);
    }
    if is_only_one {
        text.push_str(&next::line(session.program.name(), Some(next::INCREMENTAL)));
    }
    output.result("seed mutate", session.seconds(), day, &text)
}
