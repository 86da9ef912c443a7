//! A copy of the star for readers: one file without a write-ahead log, which any account that may read it can open, and
//! which is replaced atomically.
//!
//! It holds the star's tables and views, and nothing of the sync or of other programs. Rows go from the target into a
//! new file (`content`), so what is left out was never in it; the file takes the place of the copy when it is finished
//! (`file`). A copy is no backup: no run can go on from it.

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
    /// Who may read the copy: permissions as `chmod` takes them.
    pub mode: u32,
    /// Text is replaced by a pseudonym, any other value by NULL.
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

/// A table of a copy. A view that reads the sync's own tables is a table there.
#[derive(Debug, Serialize)]
pub struct CopiedTable {
    pub table: String,
    pub rows: u64,
}

/// Makes the copy, or replaces the one that is there. The source is not contacted. A run that ends meanwhile waits for
/// it to empty the write-ahead log, for 10 s at most.
///
/// # Errors
/// `NotLoaded` before a full load has finished, and while a later one is unfinished; whatever keeps the target from
/// being read or the copy from being written, with the copy from before left as it was.
pub async fn run(request: &Request<'_>) -> Result<Report> {
    // Whether it is a target of this star and version.
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

/// Attaches to an answer of SQLite that it was about the copy.
fn failed(copy: &Path, doing: impl Into<String>) -> impl FnOnce(DbErr) -> Error {
    let (path, doing) = (copy.to_owned(), doing.into());
    move |cause| Error::Copy { path, doing, cause }
}
