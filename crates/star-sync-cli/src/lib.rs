//! Builds a command-line program from one value: a [`Program`] with the star schema that it keeps in sync.
//!
//! | module | purpose |
//! |---|---|
//! | `program` | `Program` and its `run`: parse, configure, run, exit |
//! | `commands` | one file per command, and the session passed to each |
//! | `exporter` | metrics of the engine, served over HTTP or written to a file |
//! | `status_page` | the status of the sync as an HTML page |
//! | `output` | all output to stdout and stderr, as text or JSON |
//! | `hint` | hints for errors |
//! | `cli`, `config`, `help` | the command line, settings, help texts |
//! | `allocator`, `threads`, `files` | memory, threads and open files of the process |
//!
//! A module imports only modules below it in this list and the engine, `star_sync`; all modules may use `Program`.
//! Texts name the program, its variables and its source by placeholders, which [`Program::fill`] replaces when a text
//! is shown.

// The futures of commands are nested more deeply, down to the driver, than the compiler's default limit allows.
#![recursion_limit = "256"]

mod allocator;
pub mod cli;
mod commands;
pub mod config;
pub mod error;
mod exporter;
mod files;
mod help;
pub mod hint;
pub mod output;
mod program;
mod status_page;
mod threads;

pub use commands::Session;
pub use error::{Error, Result};
pub use program::{ExtraCommand, Program, Run};
pub use threads::Work;
