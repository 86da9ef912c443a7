//! A whole command-line program out of one value: a [`Program`] with the star that it keeps in step.
//!
//! | module | what it is for |
//! |---|---|
//! | `program` | the value, and its `run`: parse, configure, run, exit |
//! | `commands` | one file per command, and the session that each is given |
//! | `exporter` | the metrics of the engine, served or written to a file |
//! | `status_page` | the status of the sync, as a page for a browser |
//! | `output` | all output to stdout and stderr, as text or JSON |
//! | `hint` | what the reader can do about an error |
//! | `cli`, `config`, `help` | the command line, settings, what help shows |
//! | `allocator`, `threads`, `files` | memory, threads and open files of the process |
//!
//! Imports go downwards in this list, and from there to the engine, `star_sync`; the value itself may be read by all. Texts
//! name the program, its variables and its source by placeholders, which are filled where they are shown: see
//! [`Program::fill`].

// Commands are futures in futures, down to the driver's: deeper than the compiler's own limit.
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
