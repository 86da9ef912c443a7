//! `seed` and `seed mutate`: a Sakila of our own making, and a day of business in it.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::MissedTickBehavior;

use super::Session;
use crate::cli::{self, SeedCommand};
use crate::error::{Error, Result};
use crate::output::human::{grouped, rate_of, table};
use crate::output::progress;
use sakila_seed::business_day::{BusinessDay, business_day};
use sakila_seed::world::Settings;

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

pub async fn run(session: &Session, arguments: &cli::Seed) -> Result<u8> {
    match arguments.then {
        None => session.unless_stopped(fill(session, arguments)).await,
        Some(SeedCommand::Mutate { every }) => {
            let ended = session.unless_stopped(mutate(session, every)).await;
            match ended {
                // What goes on until it is stopped has then done what it was asked to.
                Err(error) if error.is_stopped() && every.is_some() => Ok(0),
                ended => ended,
            }
        }
    }
}

async fn fill(session: &Session, arguments: &cli::Seed) -> Result<u8> {
    let source = session.connect_readers().await?;
    let today = source.clock().await?.date_naive();
    let until = arguments.until.unwrap_or(today);
    if until > today {
        return Err(Error::SeedRefused {
            why: format!("--until lies in the future: it is {today} by the source's clock"),
            hint: "nothing was changed; leave it out for a history up to yesterday".to_owned(),
        });
    }
    let settings = Settings {
        scale: arguments.scale,
        seed: arguments.seed,
        until,
    };
    let bar = progress::bar("seed", sakila_seed::rows(settings), session.global.quiet);
    let on_rows = {
        let bar = bar.clone();
        Arc::new(move |rows| {
            bar.inc(rows);
            if bar.length() == Some(bar.position()) {
                bar.set_message("building indexes");
            }
        })
    };
    let made = sakila_seed::seed(&source.pool, settings, arguments.replace, session.workers(), on_rows).await;
    bar.finish_and_clear();
    let tables = made?
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
    let text = text(&report, session.seconds());
    session.output.result("seed", session.seconds(), &report, &text)?;
    Ok(0)
}

fn text(report: &Report, seconds: f64) -> String {
    let mut rows = table(&["table", "rows"]);
    for line in &report.tables {
        rows.add_row([line.table.to_owned(), grouped(line.rows)]);
    }
    let all = report.tables.iter().map(|line| line.rows).sum();
    format!(
        "{rows}\nseeded {} at scale {} with history until {}: {} rows in {seconds:.1} s ({} rows/s)",
        report.source,
        report.scale,
        report.until,
        grouped(all),
        grouped(rate_of(all, seconds)),
    )
}

/// One day, or one after the other at a fixed pace until the program is stopped.
async fn mutate(session: &Session, every: Option<Duration>) -> Result<u8> {
    let source = session.connect(1).await?;
    let Some(every) = every else {
        let day = business_day(&source.pool).await?;
        print_day(session, &day)?;
        return Ok(0);
    };
    let mut ticks = tokio::time::interval(every);
    // A day that takes longer than the pace delays the next one; days are not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let day = business_day(&source.pool).await?;
        // Without a reader nobody would ever stop it.
        if !print_day(session, &day)? {
            return Ok(0);
        }
    }
}

fn print_day(session: &Session, day: &BusinessDay) -> Result<bool> {
    let mut text = format!("business day {}, {}\n", day.number, day.date);
    for change in &day.changes {
        let _ = writeln!(text, "  {:>6}  {}", grouped(change.rows), change.what);
    }
    session.output.result("seed mutate", session.seconds(), day, &text)
}
