//! A copy of the star for readers: one file without a write-ahead log, which every account with read permission can
//! open, and which is replaced atomically.
//!
//! It contains the star's tables and views, but nothing of the sync or of other programs. Rows are copied from the
//! target into a new file (`content`), so that file never contains the values left out; the finished file replaces the
//! copy (`file`). A copy is not a backup: runs cannot use it as a target.

mod content;
pub mod due;
mod file;
mod views;

use std::path::{Path, PathBuf};

use sea_orm::DbErr;
use serde::Serialize;

use crate::declare::personal::PersonalColumn;
use crate::declare::star::Star;
use crate::error::{Doing, Error, Result};
use crate::target::open_to_read;

pub use self::content::pseudonym;

/// What to copy, and the path of the copy.
pub struct Request<'a> {
    pub star: &'a Star,
    pub target: &'a Path,
    pub copy: &'a Path,
    /// Permissions of the copy, as `chmod` takes them.
    pub mode: u32,
    /// In these columns text is replaced by a pseudonym, any other value by NULL.
    pub without: &'a [PersonalColumn],
}

/// The contents of a copy.
#[derive(Debug, Serialize)]
pub struct Report {
    pub copy: PathBuf,
    pub bytes: u64,
    /// Octal.
    pub mode: String,
    pub tables: Vec<CopiedTable>,
    pub views: Vec<String>,
    /// The personal columns whose values are pseudonyms.
    pub pseudonymized: Vec<PersonalColumn>,
}

/// A table of a copy. A view that reads the sync's own tables becomes a table.
#[derive(Debug, Serialize)]
pub struct CopiedTable {
    pub table: String,
    pub rows: u64,
}

/// Makes or replaces the copy. The source is not contacted. A run that ends meanwhile waits for it up to 10 s, to empty
/// the write-ahead log; after that it ends with the log kept.
///
/// # Errors
/// `NotLoaded` before a full load has finished, and while a later one is unfinished; any error of reading the target or
/// writing the copy. The previous copy is then unchanged.
pub async fn run(request: &Request<'_>) -> Result<Report> {
    // Checks that the file is a target of this star and version.
    let target = open_to_read(request.target, request.star, 1).await?;
    target.close().await.target(|| "closing the file".to_owned())?;
    let unfinished = file::Unfinished::create(request.copy, request.target, &request.star.names)?;
    let content = content::write(request, unfinished.path()).await?;
    let mode = request.mode;
    let replaced = tokio::task::spawn_blocking(move || unfinished.replace_copy(mode)).await;
    let bytes = replaced.map_err(|_| Error::Panicked { stage: "copy" })??;
    Ok(Report {
        copy: request.copy.to_owned(),
        bytes,
        mode: format!("{:04o}", request.mode),
        tables: content.tables,
        views: content.views,
        pseudonymized: request.without.to_vec(),
    })
}

/// Converts a database error into one that names the copy.
fn failed(copy: &Path, doing: impl Into<String>) -> impl FnOnce(DbErr) -> Error {
    let (path, doing) = (copy.to_owned(), doing.into());
    move |cause| Error::Copy { path, doing, cause }
}
