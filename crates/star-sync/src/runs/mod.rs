//! The entry points: whole runs, each from its first statement to its report.
//!
//! `full_load`, `incremental` and `repair` write; `validate` and `explain` only read. `catch_up_run` is the last step
//! of the runs that write, `report` is what they return.

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
