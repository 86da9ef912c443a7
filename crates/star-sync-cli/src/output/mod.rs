//! All output to stdout and stderr: results as text or JSON, errors, logs.
//!
//! Text has colours on terminals that support them, and elsewhere if CLICOLOR_FORCE is set. NO_COLOR disables colours.

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

/// The schema version of the JSON documents; incremented when a field changes its meaning or is removed.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// How results are printed.
#[derive(Clone, Copy)]
pub struct Output {
    program: &'static Program,
    pub json: bool,
    pub quiet: bool,
    /// Whether each document is on one line, because many are printed.
    pub one_line: bool,
}

/// The first fields of every JSON document.
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

    /// Prints a command's result. Returns false if the reader has closed the pipe (`| head`).
    ///
    /// # Errors
    /// If the result cannot be written; a closed pipe is no error.
    pub fn result<T: Serialize>(&self, command: &str, seconds: f64, result: &T, text: &str) -> Result<bool> {
        if self.json {
            write(io::stdout(), self.document(command, seconds, result).as_bytes())
        } else if self.quiet || text.is_empty() {
            Ok(true)
        } else {
            self.text(&as_shown(text, human::terminal_columns()))
        }
    }

    /// Prints a line of text unless `--quiet` is set.
    pub fn text(&self, text: &str) -> Result<bool> {
        if self.quiet {
            return Ok(true);
        }
        write(anstream::stdout(), format!("{text}\n").as_bytes())
    }

    /// Prints a file's contents, regardless of the options.
    pub(crate) fn file(bytes: &[u8]) -> Result<bool> {
        write(io::stdout(), bytes)
    }

    /// Prints an error with its causes and hint to stderr, and with --json also a document to stdout.
    pub(crate) fn error(&self, command: &str, seconds: f64, error: &Error) {
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            let text = error.to_string();
            // The messages of drivers often include their cause's message.
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
            // If stdout cannot be written to, the error still goes to stderr.
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

/// Removes the padding of tables' last columns, and on a terminal breaks long lines between words.
fn as_shown(text: &str, terminal_columns: Option<u16>) -> String {
    let line_as_shown = |line: &str| match terminal_columns {
        Some(columns) => broken(line.trim_end(), columns.into()),
        None => line.trim_end().to_owned(),
    };
    let lines: Vec<String> = text.trim_end().lines().map(line_as_shown).collect();
    lines.join("\n")
}

/// Writes a text to stderr. Failures are ignored, as they cannot be reported anywhere.
fn write_error(text: &str) {
    let text = as_shown(text, human::error_terminal_columns());
    let _ = anstream::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Breaks a line that is too long for the terminal between words, and indents the continuation lines.
fn broken(line: &str, columns: usize) -> String {
    if textwrap::core::display_width(line) <= columns {
        return line.to_owned();
    }
    let indented = line.len() - line.trim_start().len() + 2;
    let indent = " ".repeat(indented);
    // Words that are longer than a line are paths: they are not broken, so that they can be copied.
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

/// Prints clap's output if no command is run: help, the version, or an error in the command line. Returns the exit
/// code.
pub(crate) fn usage(program: &'static Program, error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        let _ = error.print();
        return 0;
    }
    let rendered = error.render();
    let shown = |text: String| without_secrets(text, error);
    let text = shown(rendered.to_string());
    // The command line could not be parsed, so look for --json in the raw arguments.
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
        // Replaces clap's advice by the hint that ends every error.
        let what = coded.split("\nFor more information").next().unwrap_or_default();
        let hint = program.fill(&problem.hint());
        write_error(&format!("{}\n\n{} {hint}", what.trim_end(), human::advice("hint:")));
    }
    problem.exit_code()
}

/// Removes URLs from clap's message: they can contain a password or be the secret of a service.
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
        // Shorter values may be part of other words.
        .filter(|secret| secret.len() > 5)
        .fold(text, |text, secret| text.replace(secret, "..."))
}

/// Log levels of other crates and of our own, in order of verbosity. A terminal shows the first by default.
const LEVELS: [(&str, &str); 4] = [("warn", "warn"), ("warn", "info"), ("warn", "debug"), ("info", "trace")];

/// The log levels to show. A terminal starts at `warn`, as bars and result cover `info`; a journal or file at `info`.
fn levels(quiet: bool, verbose: u8, is_terminal: bool) -> (&'static str, &'static str) {
    if quiet {
        return ("error", "error");
    }
    let steps = usize::from(verbose) + usize::from(!is_terminal);
    LEVELS[steps.min(LEVELS.len() - 1)]
}

/// Sends logs to stderr without disturbing the progress bars. `RUST_LOG` overrides the level.
pub(crate) fn start_logging(program: &Program, global: &Global) {
    let (others, own) = levels(global.quiet, global.verbose, io::stderr().is_terminal());
    // `star_sync` is a prefix of this crate's name, too.
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

/// Writes to stderr while the progress bars are suspended.
#[derive(Clone, Copy)]
struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A closed terminal or pipe must not end a run: messages that cannot be logged are dropped.
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
