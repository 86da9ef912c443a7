//! Keeps a SQLite star schema in step with an operational MySQL database: any star that is declared as a
//! [`Star`](declare::star::Star).
//!
//! ```text
//!          MySQL                                                             SQLite
//!  ┌───────────────────┐  jobs  ┌─────────┐ pages ┌───────────┐ batches ┌────────────┐
//!  │ planner: key      │ ─────▶ │ readers │ ────▶ │ transform │ ──────▶ │ the writer │
//!  │ ranges            │        │ × N     │       │ (rayon)   │         │            │
//!  └───────────────────┘        └─────────┘       └───────────┘         └────────────┘
//! ```
//!
//! One idea carries it: a target table is a value ([`declare::table::Table`]). Full load, incremental run and validation
//! are uses of the same declaration. The engine names no table of any source.
//!
//! | module | what it is for |
//! |---|---|
//! | `runs` | whole runs: full load, incremental, repair, validate, explain |
//! | `changes` | finding what changed in the source, and applying it |
//! | `verify` | counts, totals, integrity, and the comparison of every row |
//! | `pipeline` | readers, the transform stage, the writer |
//! | `target` | the SQLite file, and what the sync remembers in it |
//! | `source` | MySQL: connections, snapshots, the check of the schema |
//! | `declare` | what can be declared: the star, its tables, lookups, keys |
//!
//! Imports go downwards in this list; `source` and `target` do not import each other. Beside them: `error` and `metrics`,
//! which name what they report from `target` and `source`; `sql` (statements that the ORM has no way to say), `stop` (the
//! request to end early) and `failpoint` (where tests kill the program). `rules` holds the code to this.

pub mod changes;
pub mod declare;
pub mod error;
pub(crate) mod failpoint;
#[cfg(test)]
mod made_up;
pub mod metrics;
pub mod pipeline;
#[cfg(test)]
mod rules;
pub mod runs;
pub mod source;
pub(crate) mod sql;
pub mod stop;
pub mod target;
pub mod verify;

pub use error::{Error, Result};
