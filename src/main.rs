//! Parse, configure, run, exit: the only start of the runtime.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};
use futures_util::FutureExt;
use sakila_sync::cli::{Cli, Global};
use sakila_sync::commands;
use sakila_sync::config::{self, environment};
use sakila_sync::error::{Error, Result};
use sakila_sync::output::{self, Output};
use sakila_sync::threads::ThreadPlan;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let _failpoints = fail::has_failpoints().then(fail::FailScenario::setup);
    // Before any thread is there: it sets environment variables.
    let dotenv = config::read_dotenv();
    let command = environment::without_empty_variables(Cli::command());
    let unknown = match &dotenv {
        Ok(in_file) => environment::unknown_variables(&Cli::command(), in_file),
        Err(_) => Vec::new(),
    };
    let parsed = command
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches).map(|cli| (matches, cli)));
    let (matches, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return ExitCode::from(output::usage(&error)),
    };
    output::start_logging(&cli.global);
    let (command, global) = (commands::name(&cli.command), cli.global.clone());
    if let Err(error) = dotenv {
        return failed(command, &global, &error);
    }
    for problem in unknown {
        tracing::warn!("{problem}");
    }
    let on_command_line = matches.value_source("source") == Some(ValueSource::CommandLine);
    if on_command_line && cli.global.source.as_deref().is_some_and(config::has_password) {
        tracing::warn!(
            code = "PASSWORD_VISIBLE",
            "other users of this machine can see the password in --source; see --help for better places"
        );
    }
    let (plan, runtime) = match ThreadPlan::reserve(&cli).and_then(|plan| Ok((plan, start_runtime(plan)?))) {
        Ok(started) => started,
        Err(error) => return failed(command, &global, &error),
    };
    let code = runtime.block_on(AssertUnwindSafe(commands::run(cli, plan)).catch_unwind());
    // What still runs of a command that was dropped half-way ends with the process: it would be disturbed by a runtime
    // that is being taken down.
    std::mem::forget(runtime);
    if let Ok(code) = code {
        ExitCode::from(code)
    } else {
        output::progress::leave();
        failed(
            command,
            &global,
            &star_sync::Error::Panicked { stage: "command" }.into(),
        )
    }
}

/// Starts the runtime, and the threads that map rows.
fn start_runtime(plan: ThreadPlan) -> Result<Runtime> {
    let mut builder = match plan.runtime {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(plan.runtime.max(1)).enable_all().build();
    let runtime = runtime.map_err(|cause| plan.refused(cause))?;
    if plan.transform > 0 {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(plan.transform)
            .build_global();
        threads.map_err(|error| plan.refused(std::io::Error::other(error)))?;
    }
    Ok(runtime)
}

fn failed(command: &str, global: &Global, error: &Error) -> ExitCode {
    Output::new(global, false).error(command, 0.0, error);
    ExitCode::from(error.exit_code())
}
