//! The entry points: whole runs, each from its first statement to its report.
//!
//! `full_load`, `incremental` and `repair` write; `validate` and `explain` only read. What they have in common at the end
//! is in `closing`, what they return in `report`.

pub(crate) mod closing;
pub mod explain;
pub mod full_load;
pub mod incremental;
pub mod repair;
pub mod report;
pub mod validate;
pub(crate) mod validation_look;
