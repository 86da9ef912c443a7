//! The entry points: whole runs, each from its first statement to its report.
//!
//! `full_load`, `incremental` and `repair` write; `validate` and `explain` only read. What they have in common at the
//! end is in `catch_up_run`, what they return in `report`.

pub(crate) mod catch_up_run;
pub mod explain;
pub mod full_load;
pub mod incremental;
mod load_start;
pub mod repair;
pub mod report;
pub mod validate;
mod validation_findings;
pub(crate) mod validation_pass;
