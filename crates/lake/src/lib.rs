//! Publishes a star as Delta tables, to a folder or to S3, where engines that work on many machines read it.
//!
//! A publication writes the partitions of each table that have changed since the last one (`publish`), as Parquet files
//! (`rows`, in the columns that `layout` says), and replaces them with one entry of the table's log (`log`, whose entries
//! are `actions`; every tenth is summed up by a `checkpoint`). `versions` is the table that tells which versions of all
//! tables belong together. `check` compares a lake with the star, `vacuum` deletes files that no reader needs any more,
//! `store` is the folder or the bucket.
//!
//! The log is written by ourselves: five kinds of JSON lines and a checkpoint are less than a library that writes them all,
//! and readers of other makes judge them in the tests (`docs/lake.md`).

mod actions;
pub mod check;
mod checkpoint;
pub mod error;
mod layout;
mod log;
pub mod publish;
mod rows;
mod store;
pub mod vacuum;
mod versions;

pub use error::{Code, Error, Result};
pub use store::Lake;

/// Where tests kill the program; as in the engine.
mod failpoint {
    /// Dies here if a test wants it, as if killed.
    pub(crate) fn pass(name: &'static str) {
        let _ = name;
        fail::fail_point!(name, |_| std::process::abort());
    }

    /// Creates the file that a test names, and waits until it is deleted.
    pub(crate) async fn hold(name: &'static str) {
        if let Some(path) = argument(name) {
            let _ = std::fs::write(&path, "");
            while std::path::Path::new(&path).exists() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }

    /// What a test has set this to: `FAILPOINTS="lake-file-rows=return(8192)"`.
    pub(crate) fn argument(name: &'static str) -> Option<String> {
        let _ = name;
        fail::fail_point!(name, |argument| argument);
        None
    }
}
