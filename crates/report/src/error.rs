//! Errors of creating a report.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Error)]
pub enum Error {
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{program} cannot be run: {cause}")]
    Program { program: &'static str, cause: io::Error },
    #[error("the tests could not be built")]
    Build,
    #[error("line {line} of {}: {cause}", path.display())]
    Transcript {
        path: PathBuf,
        line: usize,
        cause: serde_json::Error,
    },
    #[error("{} holds no figures of `scripts/test`", .0.display())]
    NoSuite(PathBuf),
    #[error("a picture cannot be drawn: {0}")]
    Picture(String),
    #[error("{}: {cause}", path.display())]
    Document {
        path: PathBuf,
        cause: zip::result::ZipError,
    },
    #[error("the document is not what it should be: {0}")]
    Unsound(String),
    #[error("a test has failed: the report says which")]
    Failed,
}

impl Error {
    /// For `map_err`: an error of a file.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |cause| Self::File {
            path: path.to_owned(),
            cause,
        }
    }

    /// For `map_err`: a program that could not be run.
    pub fn program(program: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Program { program, cause }
    }
}
