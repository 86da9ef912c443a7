//! The bookkeeping in the target: its own tables, each with its entity and the statements on it.
//!
//! How far each source table is loaded, and its watermark (`state`), the runs (`history`) with the watermarks that each
//! has reached (`watermark`), when each command last ended well (`success`), verified key ranges (`verification`), what
//! is remembered of rows that are only looked up (`source_rows`), quarantined rows (`quarantine`), which source all of
//! it came from (`source_record`), which partitions changed in which run (`partition`), and the lakes that they were
//! published to (`publication`). `migrations` makes the tables, `time` is the format of their times.

pub mod history;
mod migrations;
pub mod partition;
pub mod publication;
pub mod quarantine;
pub mod source_record;
pub(crate) mod source_rows;
pub mod state;
pub mod success;
pub(crate) mod target_table;
pub mod time;
pub mod verification;
pub(crate) mod watermark;

pub(crate) use self::migrations::migrations;
