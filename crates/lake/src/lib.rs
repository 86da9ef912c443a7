//! Publishes a star as Delta tables, to a folder or to S3, for query engines that run on many machines.
//!
//! A publication (`publish`) writes the partitions of each table that changed since the last one, as Parquet files
//! (`rows`, with the columns of `layout`), and replaces the old files with one entry of the table's log (`log`; its
//! entries consist of `actions`, and every tenth version gets a `checkpoint`). `versions` is the table that records
//! which versions of all tables belong together. `check` compares a lake with the star, `vacuum` deletes files that no
//! reader needs any more, `store` is the folder or the bucket.
//!
//! This crate writes the log itself: five kinds of JSON lines and a checkpoint take less code than a library that
//! writes them all. The tests check the result with third-party readers (`docs/lake.md`).

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

/// Points at which tests kill or pause the program, as in the engine.
mod failpoint {
    /// Aborts the process if a test has enabled this point.
    pub(crate) fn pass(name: &'static str) {
        let _ = name;
        fail::fail_point!(name, |_| std::process::abort());
    }

    /// If a test has enabled this point, creates the file that it names, and waits until the file is deleted.
    pub(crate) async fn hold(name: &'static str) {
        if let Some(path) = argument(name) {
            let _ = std::fs::write(&path, "");
            while std::path::Path::new(&path).exists() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }

    /// The argument that a test has set for this point: `FAILPOINTS="lake-file-rows=return(8192)"`.
    pub(crate) fn argument(name: &'static str) -> Option<String> {
        let _ = name;
        fail::fail_point!(name, |argument| argument);
        None
    }
}
