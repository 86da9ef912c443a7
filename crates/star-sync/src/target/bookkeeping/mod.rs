//! What the sync remembers in the target: its own tables, each with its entity and the statements on it.
//!
//! Watermarks and row counts by source table (`state`), the runs (`history`, `history_length`) with the watermark that
//! each has reached (`watermark`), verified key ranges (`proof`), quarantined rows (`reject`), and which source all of it
//! came from (`source_record`).

pub mod history;
pub(crate) mod history_length;
pub mod proof;
pub mod reject;
pub mod source_record;
pub mod state;
pub mod watermark;
