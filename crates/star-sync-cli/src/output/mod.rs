//! All output to stdout and stderr: results as text or JSON, errors, logs.
//!
//! Text has colours on terminals that show them, and elsewhere if CLICOLOR_FORCE is set; nowhere if NO_COLOR is.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use clap::error::{ContextKind, ContextValue};
use serde::Serialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::{Global, LogFormat};
use crate::error::{Code, Error, Result};
use crate::program::Program;

pub(crate) mod explanation;
pub mod human;
pub mod next;
pub mod progress;
pub(crate) mod report;
mod terminal;
pub(crate) mod validation;
pub(crate) mod verdict;

/// The version of the JSON documents' shape; it grows when a field changes its meaning or goes.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// How results are to be shown.
#[derive(Clone, Copy)]
pub struct Output {
    program: &'static Program,
    pub json: bool,
    pub quiet: bool,
    /// Whether each document is one line, as there are many.
    pub one_line: bool,
}

/// What every JSON document begins with.
#[derive(Serialize)]
struct Document<'a, T> {
    schema_version: u32,
    command: &'a str,
    seconds: f64,
    #[serde(flatten)]
    result: T,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'static str,
    error: String,
    causes: Vec<String>,
    hint: &'a str,
    exit_code: u8,
}

impl Output {
    pub(crate) fn new(program: &'static Program, global: &Global, one_line: bool) -> Self {
        Self {
            program,
            json: global.json,
            quiet: global.quiet,
            one_line,
        }
    }

    /// Prints a command's result. Returns whether somebody still reads.
    ///
    /// # Errors
    /// If it cannot be written; a reader that has gone (`| head`) is no error.
    pub fn result<T: Serialize>(&self, command: &str, seconds: f64, result: &T, text: &str) -> Result<bool> {
        if self.json {
            write(io::stdout(), self.document(command, seconds, result).as_bytes())
        } else if self.quiet || text.is_empty() {
            Ok(true)
        } else {
            self.text(&as_shown(text, human::terminal_columns()))
        }
    }

    /// Prints a line of what is going on.
    pub fn text(&self, text: &str) -> Result<bool> {
        if self.quiet {
            return Ok(true);
        }
        write(anstream::stdout(), format!("{text}\n").as_bytes())
    }

    /// Prints a file's contents, whatever the options say.
    pub(crate) fn file(bytes: &[u8]) -> Result<bool> {
        write(io::stdout(), bytes)
    }

    /// Prints an error with its causes and what to do: to stderr, and as the document where JSON was asked for.
    pub(crate) fn error(&self, command: &str, seconds: f64, error: &Error) {
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            let text = error.to_string();
            // Drivers repeat their cause's text in their own.
            if !causes.last().is_some_and(|last: &String| last.contains(&text)) {
                causes.push(text);
            }
            cause = error.source();
        }
        let hint = self.program.fill(&error.hint());
        if self.json {
            let failure = Failure {
                code: error.code(),
                error: error.to_string(),
                causes: causes.clone(),
                hint: &hint,
                exit_code: error.exit_code(),
            };
            // Where stdout is what has failed, stderr still tells.
            let _ = write(io::stdout(), self.document(command, seconds, &failure).as_bytes());
        }
        let mut text = format!("{}: {error}\n", human::bad(format!("error[{}]", error.code())));
        for cause in causes {
            let _ = writeln!(text, "  caused by: {cause}");
        }
        let _ = writeln!(text, "\n{} {hint}", human::advice("hint:"));
        write_error(&text);
    }

    fn document<T: Serialize>(self, command: &str, seconds: f64, result: &T) -> String {
        let document = Document {
            schema_version: SCHEMA_VERSION,
            command,
            seconds: (seconds * 1000.0).round() / 1000.0,
            result,
        };
        let text = if self.one_line {
            serde_json::to_string(&document)
        } else {
            serde_json::to_string_pretty(&document)
        };
        let text = text.expect("reports are plain data");
        format!("{text}\n")
    }
}

/// A text without what tables pad their last column with; on a terminal, lines that are too long are broken between words.
fn as_shown(text: &str, terminal_columns: Option<u16>) -> String {
    let line_as_shown = |line: &str| match terminal_columns {
        Some(columns) => broken(line.trim_end(), columns.into()),
        None => line.trim_end().to_owned(),
    };
    let lines: Vec<String> = text.trim_end().lines().map(line_as_shown).collect();
    lines.join("\n")
}

/// Writes a text to stderr; what cannot be written there cannot be told anywhere.
fn write_error(text: &str) {
    let text = as_shown(text, human::error_terminal_columns());
    let _ = anstream::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Breaks a line that is too long for a terminal between words, and indents what follows.
fn broken(line: &str, columns: usize) -> String {
    if textwrap::core::display_width(line) <= columns {
        return line.to_owned();
    }
    let indented = line.len() - line.trim_start().len() + 2;
    let indent = " ".repeat(indented);
    // Words that are longer than a line are names of files: they stay whole, so that they can be copied.
    let options = textwrap::Options::new(columns)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(line, options)
}

fn write(mut stdout: impl Write, bytes: &[u8]) -> Result<bool> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(cause) => Err(Error::Output { cause }),
    }
}

/// Prints what clap has to say instead of running a command: help, the version, or what is wrong with the command
/// line. Returns the exit code.
pub(crate) fn usage(program: &'static Program, error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        let _ = error.print();
        return 0;
    }
    let rendered = error.render();
    let shown = |text: String| without_secrets(text, error);
    let text = shown(rendered.to_string());
    // Whether JSON was asked for cannot be said by a command line that is none.
    let is_json = std::env::args_os().any(|argument| argument == "--json")
        || std::env::var(program.variable("JSON"))
            .is_ok_and(|value| !matches!(&*value, "" | "0" | "false" | "no" | "off"));
    let problem = Error::setting(
        Code::Usage,
        text.trim_start_matches("error: ").lines().next().unwrap_or_default(),
        "`{program} --help` lists commands and options, `{program} COMMAND --help` those of a command",
    );
    if is_json {
        let output = Output {
            program,
            json: true,
            quiet: false,
            one_line: false,
        };
        output.error("", 0.0, &problem);
    } else {
        let coded =
            shown(rendered.ansi().to_string()).replacen("error:", &format!("error[{}]:", Code::Usage.name()), 1);
        // In place of clap's own advice, the hint that every error ends with.
        let what = coded.split("\nFor more information").next().unwrap_or_default();
        let hint = program.fill(&problem.hint());
        write_error(&format!("{}\n\n{} {hint}", what.trim_end(), human::advice("hint:")));
    }
    problem.exit_code()
}

/// Leaves out URLs, which can hold a password or be the secret of a service, from what clap says of a command line.
fn without_secrets(text: String, error: &clap::Error) -> String {
    let is_of_ping = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(argument)) if argument.starts_with("--ping")
    );
    let secrets = error.context().filter_map(|(kind, value)| match value {
        ContextValue::String(value) if value.contains("://") => Some(value),
        ContextValue::String(value) if kind == ContextKind::InvalidValue && is_of_ping => Some(value),
        _ => None,
    });
    secrets
        // Shorter ones are part of other words.
        .filter(|secret| secret.len() > 5)
        .fold(text, |text, secret| text.replace(secret, "..."))
}

/// Levels of other crates' logs and of our own, by how many steps above the warnings that a terminal shows.
const LEVELS: [(&str, &str); 4] = [("warn", "warn"), ("warn", "info"), ("warn", "debug"), ("info", "trace")];

/// Which logs are shown. On a terminal the bars and the result say what `info` says; a journal or a file begins with it.
fn levels(quiet: bool, verbose: u8, is_terminal: bool) -> (&'static str, &'static str) {
    if quiet {
        return ("error", "error");
    }
    let steps = usize::from(verbose) + usize::from(!is_terminal);
    LEVELS[steps.min(LEVELS.len() - 1)]
}

/// Sends logs to stderr, past the progress bars. `RUST_LOG` overrides the level.
pub(crate) fn start_logging(program: &Program, global: &Global) {
    let (others, own) = levels(global.quiet, global.verbose, io::stderr().is_terminal());
    // The engine's and this crate's names begin alike.
    let level = format!("{others},star_sync={own},{}={own}", program.name().replace('-', "_"));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogWriter)
        .with_ansi(AutoStream::choice(&io::stderr()) != ColorChoice::Never);
    match global.log_format {
        LogFormat::Text => logs.with_target(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}

/// Writes to stderr while the progress bars stand aside.
#[derive(Clone, Copy)]
struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A terminal or a reader that has gone is no reason to end a run: what cannot be logged is not.
        let _ = progress::aside(|| io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_warnings_and_a_journal_what_is_done() {
        assert_eq!(levels(false, 0, true), ("warn", "warn"));
        assert_eq!(levels(false, 1, true), ("warn", "info"));
        assert_eq!(levels(false, 0, false), ("warn", "info"));
        assert_eq!(levels(false, 9, false), ("info", "trace"));
        assert_eq!(levels(true, 0, false), ("error", "error"));
    }

    #[test]
    fn long_lines_break_between_words_and_are_indented() {
        let text = "a table  \nhint: some words\n";
        assert_eq!(as_shown(text, Some(12)), "a table\nhint: some\n  words");
        assert_eq!(as_shown(text, None), "a table\nhint: some words");
        assert_eq!(broken("short", 10), "short");
        assert_eq!(broken("  some words-more", 12), "  some\n    words-more");
        assert_eq!(broken("a /long/name/of/a/file", 10), "a\n  /long/name/of/a/file");
    }
}
