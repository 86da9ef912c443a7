//! Environment variables: reading them, and warnings about unknown ones with our prefix.

use std::collections::HashSet;

use clap::{Arg, Command};

use crate::program::Program;

/// Variables without a corresponding option, named without the prefix.
pub(crate) const PASSWORD: &str = "SOURCE_PASSWORD";
pub(crate) const PASSWORD_FILE: &str = "SOURCE_PASSWORD_FILE";

/// A name that differs from a known one in at most this many letters counts as a misspelling of it.
const LETTERS_TO_MISTYPE: usize = 3;

/// An environment variable; an empty one counts as unset.
pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The declaration of the command line without the variables that are empty, which count as unset.
pub(crate) fn without_empty_variables(command: Command) -> Command {
    let forget_empty = |argument: Arg| {
        let is_empty = argument
            .get_env()
            .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        if is_empty { argument.env(None) } else { argument }
    };
    command.mut_args(forget_empty).mut_subcommands(without_empty_variables)
}

/// Warnings about variables with our prefix, in the environment or in `.env`, that are not settings.
pub fn unknown_variables(program: &Program, in_file: &[String]) -> Vec<String> {
    let others = [PASSWORD, PASSWORD_FILE].iter().chain(program.other_variables);
    let mut known: Vec<String> = others.map(|name| program.variable(name)).collect();
    collect_variables(&program.command(), &mut known);
    let prefix = program.variable("");
    let in_environment = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let given: HashSet<String> = in_environment.chain(in_file.iter().cloned()).collect();
    let mut warnings: Vec<String> = given
        .into_iter()
        .filter(|name| name.starts_with(&prefix) && !known.contains(name))
        .map(|name| match nearest(&name, &known) {
            Some(meant) => format!("{name} is not a setting and is ignored; did you mean {meant}?"),
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
