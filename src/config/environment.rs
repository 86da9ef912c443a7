//! The variables of the environment that mean something, and those that look as if they should.

use std::collections::HashSet;

use clap::{Arg, Command};

pub const PASSWORD: &str = "SAKILA_SYNC_SOURCE_PASSWORD";
pub const PASSWORD_FILE: &str = "SAKILA_SYNC_SOURCE_PASSWORD_FILE";

const PREFIX: &str = "SAKILA_SYNC_";
/// Those that are no option: passwords, and what only tests and scripts read.
const OTHERS: [&str; 10] = [
    PASSWORD,
    PASSWORD_FILE,
    "SAKILA_SYNC_PROMETHEUS",
    "SAKILA_SYNC_SEQUENCE",
    "SAKILA_SYNC_SEQUENCES",
    "SAKILA_SYNC_KILLS",
    "SAKILA_SYNC_KILLS_SCALE",
    "SAKILA_SYNC_SOAK_SCALE",
    "SAKILA_SYNC_SOAK_SECONDS",
    "SAKILA_SYNC_TRANSCRIPTS",
];
/// Names that differ in more letters than these are not meant.
const LETTERS_TO_MISTYPE: usize = 3;

/// A variable of the environment; an empty one is as good as none.
pub fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The command line's declaration, with empty variables counting as unset.
pub fn without_empty_variables(command: Command) -> Command {
    let forget_empty = |argument: Arg| {
        let is_empty = argument
            .get_env()
            .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        if is_empty { argument.env(None) } else { argument }
    };
    command.mut_args(forget_empty).mut_subcommands(without_empty_variables)
}

/// Warnings about variables of our prefix that nothing reads: those of the environment and those that `.env` names.
pub fn unknown_variables(command: &Command, in_file: &[String]) -> Vec<String> {
    let mut known: Vec<String> = OTHERS.map(str::to_owned).to_vec();
    collect_variables(command, &mut known);
    let in_environment = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let given: HashSet<String> = in_environment.chain(in_file.iter().cloned()).collect();
    let mut warnings: Vec<String> = given
        .into_iter()
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .map(|name| match nearest(&name, &known) {
            Some(meant) => format!("{name} is not a setting and is ignored; perhaps {meant} is meant"),
            None => format!("{name} is not a setting and is ignored"),
        })
        .collect();
    warnings.sort_unstable();
    warnings
}

fn collect_variables(command: &Command, known: &mut Vec<String>) {
    let variables = command.get_arguments().filter_map(Arg::get_env);
    known.extend(variables.filter_map(|name| name.to_str().map(str::to_owned)));
    for command in command.get_subcommands() {
        collect_variables(command, known);
    }
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let distances = known
        .iter()
        .map(|known| (strsim::osa_distance(name, known), known.as_str()));
    let (distance, nearest) = distances.min()?;
    (distance <= LETTERS_TO_MISTYPE).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_mistyped_variable_is_told_with_the_one_that_is_meant() {
        let warnings = |name: &str| unknown_variables(&Cli::command(), &[name.to_owned()]);
        assert!(warnings("SAKILA_SYNC_WORKER").concat().contains("SAKILA_SYNC_WORKERS"));
        assert!(warnings("SAKILA_SYNC_SOURCE_PASWORD").concat().contains(PASSWORD));
        assert!(
            warnings("SAKILA_SYNC_COLOUR_OF_THE_SKY")
                .concat()
                .contains("is not a setting")
        );
        for known in [
            "SAKILA_SYNC_VERIFY_BUDGET",
            "SAKILA_SYNC_MYSQLD",
            PASSWORD_FILE,
            "OTHER_SYNC_WORKER",
        ] {
            assert!(!warnings(known).concat().contains(known), "{known}");
        }
    }
}
