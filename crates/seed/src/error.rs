//! Errors of filling a schema or writing a business day.

use sea_orm::DbErr;

pub type Result<T> = std::result::Result<T, Error>;

/// The reason why a schema was not filled or not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server rejected a statement, or the connection was lost.
    #[error("the schema could not be filled: {doing} failed")]
    Failed {
        doing: String,
        #[source]
        cause: DbErr,
    },
    /// The schema must not be written to, or not in its present state. Nothing was changed.
    #[error("{why}")]
    Refused { why: String, hint: String },
    /// A task that writes rows panicked: a bug in this crate.
    #[error("a writer of the seed panicked")]
    Panicked,
}

/// Attaches what was being done to a database error.
pub(crate) trait Doing<T> {
    fn seed(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::result::Result<T, DbErr> {
    fn seed(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Failed { doing: doing(), cause })
    }
}
