//! Which options each command accepts, and what its help shows. `-h` shows the command's own options and one line about
//! the global ones, `--help` shows all of them in groups. Neither shows an option that the command would ignore.

use std::sync::LazyLock;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, Id};
use star_sync::declare::star::Star;
use star_sync::declare::table::{Kind, Table};

use crate::cli::Global;

/// Global options about reading pages and about the history of runs, for commands that load.
const OF_LOADS: [&str; 5] = ["workers", "batch_size", "max_source_share", "overlap", "keep_runs"];
/// All global options.
static ALL: LazyLock<Vec<Id>> = LazyLock::new(|| {
    let globals = Global::augment_args(Command::new(""));
    globals.get_arguments().map(Arg::get_id).cloned().collect()
});
/// The global options that the line in `-h` names, as far as the command accepts them.
const NAMED: [&str; 5] = ["source", "target", "workers", "json", "quiet"];

/// Options that have an effect only together with another one: command, option, required option.
const TOGETHER: [(&str, &str, &str); 9] = [
    ("incremental", "validate_every", "every"),
    ("incremental", "publish_every", "every"),
    ("incremental", "copy_every", "copy_to"),
    ("incremental", "copy_mode", "copy_to"),
    ("incremental", "without", "copy_to"),
    ("incremental", "healthy_within", "every"),
    ("incremental", "lake", "publish_every"),
    ("incremental", "lake_without", "publish_every"),
    ("publish", "retain", "vacuum"),
];

/// Options that contradict each other on the command line. If only one of them is there, it takes precedence over the
/// environment.
const CONTRADICTORY: [(&str, &str); 3] = [("every", "dry_run"), ("copy_to", "dry_run"), ("quiet", "verbose")];

/// The global options that a command of every program ignores. Commands that contact the source accept all of them, so
/// that scripts can call several commands with the same options.
fn ignored_by(command: &str) -> Vec<&'static str> {
    match command {
        "copy" | "publish" => [OF_LOADS.as_slice(), &["source", "read_timeout", "retry_for"]].concat(),
        "completions" | "man" => ALL.iter().map(Id::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The command line with help for each command that hides the options it ignores. `extra` lists the options that the
/// program's own commands ignore.
pub(crate) fn arranged(command: Command, extra: &[(&str, &[&'static str])]) -> Command {
    let globals: Vec<Arg> = command.get_arguments().cloned().collect();
    with_line(command, &[]).mut_subcommands(|command| {
        let ignored = ignored(command.get_name(), extra);
        let hidden = globals
            .iter()
            .filter(|global| ignored.contains(&global.get_id().as_str()));
        let hidden: Vec<Arg> = hidden.map(|global| global.clone().hide(true).env(None)).collect();
        with_line(command, &ignored)
            .mut_subcommands(|command| with_line(command, &ignored))
            .args(hidden)
    })
}

/// The command line for shell completions. Completions include hidden options, so here each command declares only the
/// global options that it accepts.
pub(crate) fn for_shells(command: Command, extra: &[(&str, &[&'static str])]) -> Command {
    let command = command.mut_args(|argument| argument.global(false));
    let globals: Vec<Arg> = command.get_arguments().cloned().collect();
    command.mut_subcommands(|command| {
        let ignored = ignored(command.get_name(), extra);
        let accepted = globals
            .iter()
            .filter(|global| !ignored.contains(&global.get_id().as_str()));
        let accepted: Vec<Arg> = accepted.cloned().collect();
        command
            .args(accepted.clone())
            .mut_subcommands(|command| command.args(accepted.clone()))
    })
}

/// The options that a command ignores, whether it is common to all programs or the program's own.
fn ignored(command: &str, extra: &[(&str, &[&'static str])]) -> Vec<&'static str> {
    match extra.iter().find(|(extra, _)| *extra == command) {
        Some((_, ignored)) => ignored.to_vec(),
        None => ignored_by(command),
    }
}

/// The command with a line about the accepted global options at the end of its short help.
fn with_line(command: Command, ignored: &[&str]) -> Command {
    if ALL.iter().all(|option| ignored.contains(&option.as_str())) {
        return command;
    }
    let accepted = NAMED.iter().filter(|option| !ignored.contains(option));
    let accepted: Vec<String> = accepted
        .map(|option| format!("--{}", option.replace('_', "-")))
        .collect();
    let line = format!("Global options ({}, ...): see --help", accepted.join(", "));
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let short = if examples.is_empty() {
        line
    } else {
        format!("{line}\n\n{examples}")
    };
    command.after_help(short).after_long_help(examples)
}

/// The command line with the table names as possible values, so that shells complete them and clap suggests the correct
/// name for a mistyped one.
pub(crate) fn with_tables(command: Command, star: &Star) -> Command {
    let names = |is_named: fn(&Table) -> bool| {
        let tables = star.tables().filter(move |table| is_named(table));
        PossibleValuesParser::new(tables.map(|table| table.name))
    };
    let (all, explained) = (names(|_| true), names(|table| table.kind != Kind::Bridge));
    let with_names = |command: Command, names| command.mut_arg("table", |argument| argument.value_parser(names));
    command
        .mut_subcommand("explain", |command| with_names(command, explained))
        .mut_subcommand("full-load", |command| with_names(command, all))
}

/// Refuses options on the command line that the command ignores, or that have no effect with its other options.
/// Environment variables are not refused, since they may be meant for other commands.
pub(crate) fn check(
    command: &mut Command,
    matches: &ArgMatches,
    extra: &[(&str, &[&'static str])],
) -> Result<(), clap::Error> {
    let Some(name) = matches.subcommand_name() else {
        return Ok(());
    };
    let ignored = ignored(name, extra);
    let given = ignored
        .iter()
        .find(|option| matches.value_source(option) == Some(ValueSource::CommandLine));
    if let Some(option) = given {
        let message = format!("`{name}` has no option {}", as_typed(option));
        return Err(command.error(ErrorKind::UnknownArgument, message));
    }
    let Some((_, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let is_given = |option: &str| {
        matches.ids().any(|id| id == option) && matches.value_source(option) == Some(ValueSource::CommandLine)
    };
    if let Some((one, other)) = CONTRADICTORY
        .iter()
        .find(|(one, other)| is_given(one) && is_given(other))
    {
        let message = format!("{} cannot be used with {}", as_typed(one), as_typed(other));
        return Err(command.error(ErrorKind::ArgumentConflict, message));
    }
    let is_set = |option: &str| !matches!(matches.value_source(option), None | Some(ValueSource::DefaultValue));
    let without_effect = TOGETHER
        .iter()
        .find(|(command, option, needed)| *command == name && is_given(option) && !is_set(needed));
    match without_effect {
        None => Ok(()),
        Some((_, option, needed)) => {
            let message = format!("{} has no effect without {}", as_typed(option), as_typed(needed));
            Err(command.error(ErrorKind::MissingRequiredArgument, message))
        }
    }
}

fn as_typed(option: &str) -> String {
    format!("--{}", option.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn command() -> Command {
        arranged(Cli::command(), &[])
    }

    #[test]
    fn short_help_is_short_and_long_help_is_grouped() {
        let mut command = command();
        command.build();
        let load = command.find_subcommand_mut("full-load").unwrap();
        let short = load.render_help().to_string();
        assert!(
            short.contains("--accept-source") && short.contains("Global options ("),
            "{short}"
        );
        assert!(!short.contains("--keep-runs"), "{short}");
        let long = load.render_long_help().to_string();
        for words in ["Reading and writing:", "--batch-size", "Metrics:", "Output:"] {
            assert!(long.contains(words), "no {words} in {long}");
        }
        assert!(!long.contains("Global options ("), "{long}");
        let man = command
            .find_subcommand_mut("man")
            .unwrap()
            .render_long_help()
            .to_string();
        assert!(!man.contains("--source"), "{man}");
    }

    #[test]
    fn completions_offer_what_a_command_accepts() {
        let mut command = for_shells(Cli::command(), &[]);
        command.build();
        let has = |command: &Command, name: &str, option: &str| {
            let command = command.find_subcommand(name).unwrap();
            command.get_arguments().any(|argument| argument.get_id() == option)
        };
        assert!(has(&command, "full-load", "workers"));
        assert!(!has(&command, "man", "workers"));
        assert!(!has(&command, "copy", "source"));
    }

    #[test]
    fn an_option_that_a_command_ignores_is_refused_wherever_it_stands() {
        let parse = |line: &str| {
            let matches = command().try_get_matches_from(line.split(' '))?;
            check(&mut command(), &matches, &[])
        };
        for refused in [
            "x man --workers 2",
            "x --workers 2 man",
            "x copy a.db --source mysql://a/b",
        ] {
            assert!(parse(refused).is_err(), "{refused}");
        }
        for without_effect in [
            "x incremental --copy-mode 0644",
            "x incremental --without personal",
            "x incremental --healthy-within 1m",
            "x incremental --validate-every 1h",
        ] {
            let error = parse(without_effect).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument, "{without_effect}");
        }
        for contradictory in [
            "x incremental --dry-run --every 1m",
            "x incremental --dry-run --copy-to b.db",
            "x incremental --quiet -v",
            "x --quiet incremental -v",
        ] {
            let error = parse(contradictory).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{contradictory}");
        }
        for accepted in [
            "x incremental --copy-to b.db --copy-mode 0644",
            "x incremental --every 1m --healthy-within 1m",
            "x incremental",
            "x --workers 2 full-load",
            "x full-load --workers 2",
            "x copy a.db --target b.db",
        ] {
            assert!(parse(accepted).is_ok(), "{accepted}");
        }
    }
}
