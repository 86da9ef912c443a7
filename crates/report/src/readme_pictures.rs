//! Pictures for the command reference, of what its commands print: the test of the documents types them.

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

/// Draws the commands into a folder, a file each.
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

/// The result, which is all that a terminal shows of a run without warnings. The reader's schema has another name than the
/// test's.
fn picture(command: &Command) -> Result<String> {
    let text = terminal::prompt(&command.line()) + &command.stdout.replace("`sakila_1`", "`sakila`");
    terminal::svg(&text, "Terminal", 0)
}
