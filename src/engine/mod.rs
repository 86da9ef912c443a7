//! The sync itself, generic: it moves any star that is declared as a `declaration::table::Star` and knows no word
//! of Sakila.
//!
//! | room | what it is for |
//! |---|---|
//! | `declaration` | what can be declared: tables, lookups, keys, scopes |
//! | `source_db` | the operational database: connections, snapshots, its check |
//! | `target_db` | the SQLite file: connections, lock, statements, what the sync remembers |
//! | `pipeline` | readers, the transform stage, the writer |
//! | `runs` | what a whole run does: full load, incremental, repair, validate, explain |
//!
//! Beside them: `sql`, the few statements that the ORM cannot say, `stop`, the request to end early, and `failpoint`,
//! where tests kill the program.
//! Imports go up in this list: `runs` → `pipeline` → `source_db`, `target_db` → `declaration`.

pub mod declaration;
pub mod failpoint;
pub mod pipeline;
pub mod runs;
pub mod source_db;
pub mod sql;
pub mod stop;
pub mod target_db;
