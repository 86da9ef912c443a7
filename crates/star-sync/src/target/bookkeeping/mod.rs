//! The bookkeeping in the target: its own tables, each with its entity and the statements on it.
//!
//! | module | table | contents |
//! |---|---|---|
//! | `state` | `sync_state` | how far each source table is loaded, and its watermark |
//! | `target_table` | `sync_target_table` | how far each target table is loaded, and its rows |
//! | `history` | `sync_run` | the runs |
//! | `watermark` | `sync_watermark` | the watermarks that each run has reached |
//! | `success` | `sync_success` | when each command last succeeded |
//! | `verified_ranges` | `sync_verification` | key ranges with their digests, and the run that verified them |
//! | `lookup_row_digests` | `sync_source_rows` | row digests of tables that contribute to the star table of another |
//! | `quarantine` | `sync_reject` | quarantined rows |
//! | `source_identity` | `sync_source` | the source that the target was loaded from |
//! | `changed_partitions` | `sync_partition` | the run that last changed each partition |
//! | `publication` | `sync_publication` | the lakes that the star was published to |
//!
//! `migrations` creates the tables; `time` is the format of their times.

pub mod changed_partitions;
pub mod history;
pub(crate) mod lookup_row_digests;
mod migrations;
pub mod publication;
pub mod quarantine;
pub mod source_identity;
pub mod state;
pub mod success;
pub(crate) mod target_table;
pub mod time;
pub mod verified_ranges;
pub(crate) mod watermark;

pub(crate) use self::migrations::migrations;
