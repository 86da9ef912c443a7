//! The declaration of a program, and its `run`, which starts the runtime.

use std::ffi::OsStr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches};
use futures_util::FutureExt;
use star_sync::declare::star::Star;
use star_sync::declare::table::Kind;
use tokio::runtime::Runtime;

use crate::allocator;
use crate::cli::{Cli, Command, Global};
use crate::commands::{self, Session, Task};
use crate::config::{self, environment};
use crate::error::{Error, Result};
use crate::files;
use crate::help;
use crate::output::{self, Output};
use crate::threads::{ThreadPlan, Work};

/// A program that keeps a star schema in sync with its source.
pub struct Program {
    /// The star schema; it also names the program, as typed on the command line.
    pub star: &'static Star,
    /// What it does, in one sentence.
    pub about: &'static str,
    pub version: &'static str,
    /// Prefix of all environment variables, without the underscore that follows it.
    pub variable_prefix: &'static str,
    /// Variables with this prefix that are not settings, such as those of tests, named without the prefix. They
    /// cause no warning.
    pub other_variables: &'static [&'static str],
    /// Commands in addition to those of every program.
    pub commands: Vec<ExtraCommand>,
}

/// A command that only this program has.
pub struct ExtraCommand {
    pub declaration: clap::Command,
    /// Its name in JSON documents and messages; differs per subcommand.
    pub name: fn(&ArgMatches) -> &'static str,
    /// The kind of work, which determines the number of threads.
    pub work: Work,
    /// Global options that it refuses, by their field names in `cli::Global`.
    pub ignores: &'static [&'static str],
    /// The hint after it was stopped.
    pub stopped: fn(&ArgMatches) -> &'static str,
    pub run: Run,
}

/// Runs a command and returns the exit code.
pub type Run = for<'a> fn(&'a Session, &'a ArgMatches) -> Pin<Box<dyn Future<Output = Result<u8>> + 'a>>;

impl Program {
    /// The program's name, as typed on the command line.
    pub fn name(&self) -> &'static str {
        self.star.names.program
    }

    /// The full name of an environment variable.
    pub fn variable(&self, name: &str) -> String {
        format!("{}_{name}", self.variable_prefix)
    }

    /// Replaces the placeholders in a text: `{program}` by the program's name, `{ENV}` by the prefix of variables,
    /// `{Source}` and `{source}` by the source's schema, `{calendar}`, `{dimension}` and `{fact}` by tables.
    pub fn fill(&self, text: &str) -> String {
        let last = |kind| {
            self.star
                .tables()
                .rfind(|table| table.kind == kind)
                .map_or("TABLE", |table| table.name)
        };
        text.replace("{program}", self.name())
            .replace("{ENV}", self.variable_prefix)
            .replace("{Source}", self.star.names.source)
            .replace("{source}", &self.star.names.source.to_lowercase())
            .replace(
                "{calendar}",
                self.star.calendar.as_ref().map_or("TABLE", |calendar| calendar.table),
            )
            .replace("{dimension}", last(Kind::Dimension))
            .replace("{fact}", last(Kind::Fact))
    }

    /// The declaration of the command line with the placeholders replaced.
    pub fn command(&self) -> clap::Command {
        self.filled(help::arranged(self.declared(), &self.ignored()))
    }

    /// The same for completions, where each command declares only the options that it accepts.
    pub(crate) fn command_for_shells(&self) -> clap::Command {
        self.filled(help::for_shells(self.declared(), &self.ignored()))
    }

    fn declared(&self) -> clap::Command {
        let command = Cli::command()
            .name(self.name())
            .about(self.about)
            .long_about(None)
            .version(self.version);
        let extras = self.commands.iter().map(|extra| extra.declaration.clone());
        help::with_tables(command.subcommands(extras), self.star)
    }

    /// The global options that the program's own commands ignore.
    fn ignored(&self) -> Vec<(&str, &'static [&'static str])> {
        let extras = self.commands.iter();
        extras
            .map(|extra| (extra.declaration.get_name(), extra.ignores))
            .collect()
    }

    fn filled(&self, mut command: clap::Command) -> clap::Command {
        let fill = |text: &StyledStr| self.fill(&text.to_string());
        if let Some(about) = command.get_about().map(fill) {
            command = command.about(about);
        }
        if let Some(about) = command.get_long_about().map(fill) {
            command = command.long_about(about);
        }
        if let Some(help) = command.get_after_help().map(fill) {
            command = command.after_help(help);
        }
        if let Some(help) = command.get_after_long_help().map(fill) {
            command = command.after_long_help(help);
        }
        let fill_argument = |mut argument: Arg| {
            if let Some(help) = argument.get_help().map(fill) {
                argument = argument.help(help);
            }
            if let Some(help) = argument.get_long_help().map(fill) {
                argument = argument.long_help(help);
            }
            if let Some(name) = argument.get_env().and_then(OsStr::to_str).map(|name| self.fill(name)) {
                argument = argument.env(name);
            }
            argument
        };
        command
            .mut_args(fill_argument)
            .mut_subcommands(|command| self.filled(command))
    }

    /// Parses the command line, reads the settings, runs the command and returns the exit code.
    pub fn run(self) -> ExitCode {
        allocator::share_one_arena();
        let program: &'static Self = Box::leak(Box::new(self));
        let _failpoints = fail::has_failpoints().then(fail::FailScenario::setup);
        // Before any thread starts, because it sets environment variables.
        let dotenv = config::read_dotenv(program);
        let unknown = match &dotenv {
            Ok(in_file) => environment::unknown_variables(program, in_file),
            Err(_) => Vec::new(),
        };
        let parsed = environment::without_empty_variables(program.command())
            .try_get_matches()
            .and_then(|matches| {
                help::check(&mut program.command(), &matches, &program.ignored())?;
                Ok(matches)
            })
            .and_then(|matches| Ok((Global::from_arg_matches(&matches)?, program.task(&matches)?, matches)));
        let (mut global, task, matches) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return ExitCode::from(output::usage(program, &error)),
        };
        // --verbose on the command line takes precedence over the environment's QUIET.
        global.quiet &= matches.value_source("verbose") != Some(ValueSource::CommandLine);
        output::start_logging(program, &global);
        let command = task.name();
        let failed = |error: &Error| {
            Output::new(program, &global, false).error(command, 0.0, error);
            ExitCode::from(error.exit_code())
        };
        if let Err(error) = dotenv {
            return failed(&error);
        }
        for problem in unknown {
            tracing::warn!("{problem}");
        }
        let on_command_line = matches.value_source("source") == Some(ValueSource::CommandLine);
        if on_command_line && global.source.as_deref().is_some_and(config::has_password) {
            tracing::warn!(
                code = "PASSWORD_VISIBLE",
                "other users of this machine can see the password in --source; set it in the environment or in a file (see --help)"
            );
        }
        let started = ThreadPlan::reserve(task.work(), global.workers).and_then(|plan| {
            files::reserve(plan, global.workers)?;
            Ok((plan, start_runtime(plan)?))
        });
        let (plan, runtime) = match started {
            Ok(started) => started,
            Err(error) => return failed(&error),
        };
        let run = commands::run(program, global.clone(), &task, plan);
        let code = runtime.block_on(AssertUnwindSafe(run).catch_unwind());
        // Tasks of a dropped command may still be running. They end with the process; shutting the runtime down first
        // would disturb them.
        std::mem::forget(runtime);
        if let Ok(code) = code {
            ExitCode::from(code)
        } else {
            output::progress::leave();
            failed(&star_sync::Error::Panicked { stage: "command" }.into())
        }
    }

    /// The command to run, with its arguments.
    fn task(&'static self, matches: &ArgMatches) -> std::result::Result<Task, clap::Error> {
        let extra = matches.subcommand().and_then(|(name, arguments)| {
            let extra = self
                .commands
                .iter()
                .find(|extra| extra.declaration.get_name() == name)?;
            Some(Task::Extra(extra, arguments.clone()))
        });
        extra.map_or_else(|| Command::from_arg_matches(matches).map(Task::Own), Ok)
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
