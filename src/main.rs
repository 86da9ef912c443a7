//! Parse, configure, run, exit: the only start of the runtime.

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};
use sakila_sync::cli::Cli;
use sakila_sync::commands;
use sakila_sync::config::{self, environment};
use sakila_sync::error::{Code, Error};
use sakila_sync::output::{self, Output};

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
    if let Err(error) = dotenv {
        return failed(&cli, &error);
    }
    for problem in unknown {
        tracing::warn!("{problem}");
    }
    let on_command_line = matches.value_source("source") == Some(ValueSource::CommandLine);
    if on_command_line && cli.global.source.as_deref().is_some_and(config::has_password) {
        tracing::warn!("other users of this machine can see the password in --source; see --help for better places");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::setting(
                Code::ThreadsExhausted,
                format!("the runtime does not start: {error}"),
                "raise the limit of threads",
            );
            return failed(&cli, &error);
        }
    };
    ExitCode::from(runtime.block_on(commands::run(cli)))
}

fn failed(cli: &Cli, error: &Error) -> ExitCode {
    Output::new(&cli.global, false).error(commands::name(&cli.command), 0.0, error);
    ExitCode::from(error.exit_code())
}
