//! Draws the pictures of the command reference from the output of the test that runs the documents' commands.

use std::fs;
use std::path::Path;

use crate::assignment::Described;
use crate::error::{Error, Result};
use crate::run;
use crate::terminal;
use crate::transcript::{Command, Event};

const README: Described = Described {
    name: "readme::the_documents_show_what_the_commands_print",
    title: "README",
    command: "",
    verifies: "",
    how: "",
};
const SHOWN: [&str; 4] = ["full-load", "incremental", "validate", "status"];

/// Draws each command to a file in a folder.
pub fn draw(folder: &Path) -> Result<()> {
    run::build()?;
    let outcome = run::run(README)?;
    if !outcome.passed {
        eprintln!("{}", outcome.runner);
        return Err(Error::Failed);
    }
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    for event in &outcome.events {
        let Event::Command(command) = event else { continue };
        let name = command.arguments.first().map_or("", String::as_str);
        if SHOWN.contains(&name) {
            let path = folder.join(format!("{name}.svg"));
            fs::write(&path, picture(command)?).map_err(Error::file(&path))?;
            eprintln!("drawn: {}", path.display());
        }
    }
    Ok(())
}

/// Draws the result, which is all that a terminal shows of a run without warnings. The test's schema name is replaced
/// with the one in the documents.
fn picture(command: &Command) -> Result<String> {
    let text = terminal::prompt(&command.line()) + &command.stdout.replace("sakila_1", "sakila");
    terminal::svg(&text, "Terminal", 0)
}
