//! `completions` and `man`: shell completions and man pages, generated from the command line's declaration.

use clap_complete::Shell;
use clap_mangen::Man;

use crate::error::{Code, Error, Result};
use crate::output::Output;
use crate::program::Program;

pub(crate) fn completions(program: &Program, shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program.command_for_shells(), program.name(), &mut script);
    Output::file(&script)?;
    Ok(0)
}

/// Prints the man page of the program, or of the command that `words` name.
pub(crate) fn page(program: &Program, words: &[String]) -> Result<u8> {
    let mut described = program.command();
    described.build();
    for word in words {
        let known: Vec<&str> = described.get_subcommands().map(clap::Command::get_name).collect();
        let hint = format!("the commands are {}", known.join(", "));
        let command = described.find_subcommand(word).cloned();
        described =
            command.ok_or_else(|| Error::setting(Code::NameUnknown, format!("there is no command {word}"), hint))?;
    }
    let mut page = Vec::new();
    Man::new(described)
        .render(&mut page)
        .expect("writing to memory does not fail");
    Output::file(&page)?;
    Ok(0)
}
