//! The sync itself: it moves any star that is declared as a `declaration::table::Star`.
//!
//! It names no table of Sakila. Of Sakila's conventions it assumes three: each source table has its time of last change
//! in `last_update`, totals are those of a store and a day, and money is counted in cents.
//!
//! | module | what it is for |
//! |---|---|
//! | `runs` | what a whole run does: full load, incremental, repair, validate, explain |
//! | `pipeline` | readers, the transform stage, the writer |
//! | `source_db` | the operational database: connections, snapshots, its check |
//! | `target_db` | the SQLite file: connections, lock, statements, what the sync remembers |
//! | `declaration` | what can be declared: tables, lookups, keys, scopes |
//!
//! Imports go downwards in this list, as they do in `lib.rs`; `source_db` and `target_db` do not import each other.
//! Beside them: `sql`, the few statements that the ORM cannot say, `stop`, the request to end early, and `failpoint`,
//! where tests kill the program.

pub mod declaration;
pub mod failpoint;
pub mod pipeline;
pub mod runs;
pub mod source_db;
pub mod sql;
pub mod stop;
pub mod target_db;
