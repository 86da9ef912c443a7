//! The sync itself, generic: it moves any star that is declared as `table::Star` and knows no word of Sakila.
//!
//! Imports go down only: full_load and incremental → catch_up → pipeline → {plan, read, transform, write, compare,
//! verify} → {table, lookup, scope, state, source, target}.

pub mod calendar;
pub mod catch_up;
pub mod compare;
pub mod full_load;
pub mod incremental;
pub mod key;
pub mod lock;
pub mod lookup;
pub mod pipeline;
pub mod plan;
pub mod progress;
pub mod read;
pub mod reject;
pub mod run;
pub mod scope;
pub mod source;
pub mod source_check;
pub mod source_table;
pub mod sql;
pub mod state;
pub mod statement;
pub mod stop;
pub mod table;
pub mod target;
pub mod transform;
pub mod validate;
pub mod verify;
pub mod write;
