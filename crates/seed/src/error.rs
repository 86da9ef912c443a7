//! What can go wrong while a schema is filled or a day of business is written.

use sea_orm::DbErr;

pub type Result<T> = std::result::Result<T, Error>;

/// A schema that was not filled, or not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server has refused a statement, or was lost.
    #[error("the schema could not be filled: {doing} failed")]
    Failed {
        doing: String,
        #[source]
        cause: DbErr,
    },
    /// The schema is not one that may be written to, or not in this state. Nothing was changed.
    #[error("{why}")]
    Refused { why: String, hint: String },
    /// A task that writes rows has panicked: a defect of this crate.
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
