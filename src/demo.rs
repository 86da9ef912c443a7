//! The `demo` command: runs the program's own commands, as a user would, against a private server.
//!
//! All files are in the server's temporary folder, which is removed when the program ends, even if it is killed; only
//! the finished SQLite file is copied out.

mod chart;
mod keep;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use sakila_seed::MAXIMAL_SCALE;
use sakila_seed::private_server::{self, PrivateServer};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, Query};
use sea_orm::{ConnectionTrait, DbErr};
use serde::Serialize;
use star_sync::source::Source;
use star_sync::target::open_to_read;
use star_sync_cli::error::{Doing, EXIT_STOPPED};
use star_sync_cli::{Error, ExtraCommand, Result, Session, Work, cli, config};
use tokio::process::Command;

use self::chart::{Bar, chart};
use self::keep::{cannot_keep, keep, may_keep};
use crate::error::{self, ErrorCode};
use crate::sakila;

/// The default of `--keep`: a name that is unlikely to collide with a user's file.
const DEMO_FILE: &str = "sakila-demo.db";
/// The source schema; it identifies the star of an earlier demo.
const SCHEMA: &str = "sakila_demo";
/// An account with SELECT only, which is all that the sync needs.
const READER: &str = "reader";
/// Months that the chart shows.
const MONTHS: u64 = 12;

/// Example queries with their titles, printed at the end.
const QUERIES: [(&str, &str); 3] = [
    (
        "the films that are rented most",
        "SELECT title, count(*) AS rentals FROM fact_rental JOIN dim_film USING (film_key) GROUP BY film_key ORDER BY 2 DESC LIMIT 5",
    ),
    (
        "rentals by weekday, Monday 1 to Sunday 7",
        "SELECT day_of_week, count(*) AS rentals FROM fact_rental JOIN dim_date ON date_key = date_key_rented GROUP BY 1",
    ),
    (
        "what has been out for longest",
        "SELECT rented, title, first_name, last_name FROM open_rentals ORDER BY rented LIMIT 5",
    ),
];

/// Show init, loads and validations on a private server, step by step
///
/// Starts a private MySQL or MariaDB server in a temporary folder, seeds it, and runs init, full-load, validate, a
/// day of business, incremental and validate, printing each command before its result. The SQLite file is kept.
#[derive(Debug, Parser)]
#[command(
    name = "demo",
    after_help = "Examples:\n  {program} demo\n  {program} demo --scale 10 --serve\n  {program} demo --mysqld /usr/sbin/mariadbd"
)]
struct Arguments {
    /// Scale of the generated Sakila
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAXIMAL_SCALE)))]
    scale: u32,

    /// Leave the server running at the end, until Ctrl-C
    #[arg(long)]
    serve: bool,

    /// The server to start [default: mysqld or mariadbd on the PATH]
    #[arg(long, value_name = "PATH", env = "{ENV}_MYSQLD", value_parser = cli::path)]
    mysqld: Option<PathBuf>,

    /// Path where the SQLite file is kept; replaces a star that an earlier demo made, and nothing else
    #[arg(long, value_name = "PATH", default_value = DEMO_FILE, value_parser = cli::path)]
    keep: PathBuf,
}

#[derive(Serialize)]
struct Report {
    server: String,
    /// The commands as a user would type them.
    steps: Vec<String>,
    /// The path of the SQLite file.
    target: PathBuf,
    /// The source's URL, if the server keeps running (`--serve`).
    source: Option<String>,
}

/// The declaration of the command.
pub fn command() -> ExtraCommand {
    ExtraCommand {
        declaration: Arguments::command(),
        name: |_| "demo",
        work: Work::Statements,
        ignores: &[
            "source",
            "target",
            "read_timeout",
            "retry_for",
            "max_source_share",
            "overlap",
            "keep_runs",
            "metrics_addr",
            "metrics_file",
            "log_format",
        ],
        stopped: |_| "nothing of it is left",
        run: |session, arguments| Box::pin(run(session, parsed(arguments))),
    }
}

fn parsed(arguments: &ArgMatches) -> Arguments {
    Arguments::from_arg_matches(arguments).expect("clap has parsed these arguments by the same declaration")
}

async fn run(session: &Session, arguments: Arguments) -> Result<u8> {
    // Only the tour can be interrupted. After it, a stop request is the normal end of `--serve`.
    let server = session.unless_stopped(tour(session, &arguments)).await?;
    if arguments.serve {
        session.stop.requested().await;
    }
    drop(server);
    Ok(0)
}

/// Runs all steps. Returns the server, which the caller keeps running for `--serve`.
async fn tour(session: &Session, arguments: &Arguments) -> Result<PrivateServer> {
    let binary = private_server::find(arguments.mysqld.as_deref()).ok_or_else(error::no_server)?;
    let kept = std::path::absolute(&arguments.keep).map_err(|cause| cannot_keep(&arguments.keep, cause))?;
    may_keep(&kept).await?;
    let server = tokio::task::spawn_blocking(move || PrivateServer::start(&binary, &[]))
        .await
        .map_err(|_| star_sync::Error::Panicked { stage: "server" })?
        .map_err(|cause| failed("starting a private server", cause))?;
    let source = make_schema(session, &server).await?;
    let mut tour = Tour {
        session,
        file: server.folder().join("analytics.db"),
        server,
        steps: Vec::new(),
    };
    let product = source.server.product();
    tour.say(&format!(
        "A private {product} server runs on port {}; it is removed at the end.",
        tour.server.port
    ))?;

    let scale = arguments.scale.to_string();
    let administrator = tour.server.administrator_url(SCHEMA);
    let reader = tour.server.url(READER, SCHEMA);
    tour.say("\nGenerate a Sakila, with an account that has all privileges on its schema:")?;
    tour.step(&administrator, &["seed", "--scale", &scale]).await?;
    tour.say("\nFrom here on the account has SELECT only. Create and load the star:")?;
    tour.step(&reader, &["init"]).await?;
    tour.step(&reader, &["full-load"]).await?;
    tour.step(&reader, &["validate"]).await?;
    tour.say("\nA day passes in the shops:")?;
    tour.step(&administrator, &["seed", "mutate"]).await?;
    tour.say("\nThe star follows:")?;
    tour.step(&reader, &["incremental"]).await?;
    tour.step(&reader, &["validate"]).await?;

    let revenue = revenue(&tour.file).await?;
    keep(&tour.file, &kept).await?;
    let star = quoted(&kept.display().to_string());
    tour.say(&format!("\nRevenue by store and month:\n\n{}", chart(&revenue)))?;
    tour.say(&format!("The star is in {}. Try, with sqlite3:\n", kept.display()))?;
    for (what, query) in QUERIES {
        tour.say(&format!("  # {what}\n  sqlite3 -box {star} \"{query}\"\n"))?;
    }
    let report = Report {
        server: product,
        steps: std::mem::take(&mut tour.steps),
        target: kept,
        source: arguments.serve.then(|| reader.clone()),
    };
    if session.output.json {
        session.output.result("demo", session.seconds(), &report, "")?;
    }
    if arguments.serve {
        let program = std::env::args().next().unwrap_or_else(|| "sakila-sync".to_owned());
        tour.say(&format!(
            "The server stays until Ctrl-C. In another terminal, change the source every five\nseconds:\n\n  \
             SAKILA_SYNC_SOURCE={administrator} {program} seed mutate --every 5\n\nand in a third one update the star:\n\n  export SAKILA_SYNC_SOURCE={reader} SAKILA_SYNC_TARGET={star}\n  {program} incremental\n"
        ))?;
    }
    Ok(tour.server)
}

struct Tour<'a> {
    session: &'a Session,
    server: PrivateServer,
    /// The SQLite file during the tour, in the server's folder.
    file: PathBuf,
    /// The commands run so far.
    steps: Vec<String>,
}

impl Tour<'_> {
    fn say(&self, text: &str) -> Result<()> {
        if !self.session.output.json {
            self.session.output.text(text)?;
        }
        Ok(())
    }

    /// Prints a command of this program and runs it.
    async fn step(&mut self, source: &str, arguments: &[&str]) -> Result<()> {
        let shown = format!("sakila-sync {}", arguments.join(" "));
        self.say(&format!("\n$ {shown}"))?;
        let program = std::env::current_exe().map_err(|cause| failed("finding this program", cause))?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SAKILA_SYNC_") {
                command.env_remove(name);
            }
        }
        let global = &self.session.global;
        command
            .args(arguments)
            .env("SAKILA_SYNC_SOURCE", source)
            .env("SAKILA_SYNC_TARGET", &self.file)
            .env("SAKILA_SYNC_WORKERS", global.workers.to_string())
            .env("SAKILA_SYNC_BATCH_SIZE", global.batch_size.to_string())
            // So that no .env file of the user is read.
            .current_dir(self.server.folder())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if global.quiet {
            command.arg("--quiet");
        }
        command.args((0..global.verbose).map(|_| "-v"));
        if self.session.output.json {
            command.stdout(Stdio::null());
        }
        let status = command.status().await.map_err(|cause| failed(&shown, cause))?;
        if !status.success() {
            // The child process receives Ctrl-C too, and then ends with this code.
            if status.code() == Some(i32::from(EXIT_STOPPED)) {
                return Err(Error::STOPPED);
            }
            let cause = io::Error::other(status.to_string());
            return Err(failed(&format!("running {shown}"), cause));
        }
        self.steps.push(shown);
        Ok(())
    }
}

fn failed(doing: &str, cause: io::Error) -> Error {
    error::caused(
        ErrorCode::DemoFailed,
        format!("the demo failed while {doing}"),
        "see the messages above; try another server with --mysqld",
        cause,
    )
}

/// Quotes a word for a shell if necessary.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-".contains(letter);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Creates the schema and the account that reads it.
async fn make_schema(session: &Session, server: &PrivateServer) -> Result<Source> {
    let access = config::parse_source(&server.administrator_url("mysql"), None)?;
    let source = session.open(&access, 1).await?;
    sakila_seed::make_schema(&source.pool, SCHEMA, READER)
        .await
        .map_err(error::of_seed)?;
    Ok(source)
}

/// Reads the revenue of the last months from the star.
async fn revenue(file: &Path) -> Result<Vec<Bar>> {
    let doing = || "reading revenue_by_store_and_month".to_owned();
    let target = open_to_read(file, sakila::star(), 1).await?;
    let first_shown = Query::select()
        .distinct()
        .expr(month())
        .from("revenue_by_store_and_month")
        .order_by_expr(month(), Order::Desc)
        .limit(MONTHS)
        .to_owned();
    let select = Query::select()
        .expr(month())
        .column("store_id")
        .expr(Func::round(Expr::col("revenue")).cast_as("INTEGER"))
        .from("revenue_by_store_and_month")
        .and_where(month().in_subquery(first_shown))
        .order_by_expr(month(), Order::Asc)
        .order_by("store_id", Order::Asc)
        .to_owned();
    let rows = target.query_all(&select).await.target(doing)?;
    let bars: std::result::Result<Vec<Bar>, DbErr> = rows
        .iter()
        .map(|row| {
            let (month, store, revenue): (i64, i64, i64) = row.try_get_many_by_index()?;
            Ok(Bar {
                group: format!("{}-{:02}", month / 100, month % 100),
                name: format!("store {store}"),
                value: revenue,
            })
        })
        .collect();
    target.close().await.target(doing)?;
    Ok(bars.target(doing)?)
}

/// Year and month as one number: YYYYMM.
fn month() -> Expr {
    Expr::col("year").mul(100).add(Expr::col("month"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(quoted("/tmp/sakila-demo.db"), "/tmp/sakila-demo.db");
        assert_eq!(quoted("/tmp/my star's.db"), r"'/tmp/my star'\''s.db'");
    }
}
