//! `sakila-sync` keeps a SQLite star schema in step with an operational MySQL database.
//!
//! ```text
//!          MySQL                                                             SQLite
//!  ┌───────────────────┐  jobs  ┌─────────┐ pages ┌───────────┐ batches ┌────────────┐
//!  │ planner: key      │ ─────▶ │ readers │ ────▶ │ transform │ ──────▶ │ the writer │
//!  │ intervals         │        │ × N     │       │ (rayon)   │         │            │
//!  └───────────────────┘        └─────────┘       └───────────┘         └────────────┘
//! ```
//!
//! One idea carries it: a target table is a value (`engine::declare::table::Table`), declared once in a file of
//! `sakila::star`. Full load, incremental run and validation are uses of the same declaration.
//!
//! Who may import whom, downwards only:
//! `main` → `commands` → `sakila`, `output` → `engine` → `metrics`, `error`; `commands` and `output` also read
//! `config`, `cli` and `threads`. The engine never imports `sakila`, `commands`, `cli`, `config` or `output`, and of
//! `engine` `sakila` sees `declaration` alone. Beside it, `crates/seed` fills a source of our own making and starts
//! throw-away servers, for the demonstration and the tests.

pub mod cli;
pub mod commands;
pub mod config;
#[cfg(test)]
mod documentation;
pub mod error;
mod exporter;
mod hint;
pub mod output;
pub mod sakila;
pub mod threads;
