//! Errors of a lake: variants, stable codes and hints.

use std::error::Error as StdError;
use std::io::ErrorKind;

use object_store::Error as StoreError;
use star_sync::codes;

pub type Result<T> = std::result::Result<T, Error>;

codes! {
    /// A stable code of an error of a lake.
    Code =>
    LocationInvalid "LAKE_LOCATION_INVALID" "The lake is not a folder or an s3: URL."
        "name a folder, such as /srv/lake, or s3://BUCKET/PREFIX with --lake",
    Missing "LAKE_MISSING" "The lake's bucket or folder does not exist, or nothing was published to it."
        "check the name of the folder or bucket (buckets are not created); `{program} publish --lake URL` publishes to it",
    Denied "LAKE_DENIED" "There are no credentials for the lake, or they do not allow the request."
        "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and AWS_ENDPOINT_URL for a server other than AWS; the account must be able to list, read, write and delete objects below the prefix",
    Full "LAKE_FULL" "The lake's disk is full, or a quota is exceeded."
        "free space and run the command again; each table of the lake is complete, and the next publication completes the rest",
    Unwritable "LAKE_UNWRITABLE" "The lake's folder cannot be written."
        "make the folder writable by this user, or name another one with --lake",
    Failed "LAKE_FAILED" "The lake's storage cannot be reached, or failed."
        "run the command again; each table of the lake is complete, and the next publication completes the rest",
    Foreign "LAKE_FOREIGN" "The lake has contents other than published tables."
        "name an empty folder or prefix with --lake; nothing was changed",
    OtherStar "LAKE_OTHER_STAR" "The lake was published from another target."
        "name an empty folder or prefix with --lake; `{program} publish --force` replaces all rows of the lake's tables",
    Changed "LAKE_CHANGED" "Another program has written to a table of the lake since the last publication."
        "let no other program write to the lake; `{program} publish --force` replaces all rows of its tables",
    Restored "LAKE_RESTORED" "The lake has runs that the target does not have: the target is a restored backup."
        "`{program} publish --force` replaces all rows of the lake's tables",
    Conflict "LAKE_CONFLICT" "Another program wrote to a table of the lake during the publication."
        "let only one program publish to the lake, and run the command again",
    Damaged "LAKE_DAMAGED" "The log of a table in the lake cannot be read."
        "name an empty folder or prefix with --lake, and publish there",
    Mismatch "LAKE_MISMATCH" "A run has found a mismatch between source and target that no later run has resolved; the target is not published."
        "`{program} validate --all --deep` shows the mismatch, `{program} repair` corrects it; `{program} publish --force` publishes the target as it is",
    Personal "LAKE_PERSONAL" "The lake was published with pseudonyms in place of personal data that this publication contains."
        "replace the same columns: `{program} publish --without`, `{program} incremental --lake-without`; to publish the data, name an empty folder or prefix with --lake",
    ValueUnfit "LAKE_VALUE_UNFIT" "A value of the star does not fit its column in the lake."
        "correct the value in the source, or declare the column with more digits; nothing of the table was published",
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Engine(#[from] star_sync::Error),
    #[error("{location:?} cannot be a lake: {problem}")]
    LocationInvalid { location: String, problem: String },
    #[error("nothing was published to {lake}")]
    NotPublished { lake: String },
    #[error("no credentials for {lake} were found")]
    NoCredentials {
        lake: String,
        #[source]
        cause: Box<StoreError>,
    },
    #[error("the lake {lake} failed while {doing}")]
    Store {
        lake: String,
        doing: String,
        #[source]
        cause: Box<StoreError>,
    },
    #[error("the lake {lake} has contents other than published tables: {found}")]
    Foreign { lake: String, found: String },
    #[error("{table} in the lake {lake} was published from another target")]
    OtherStar { lake: String, table: String },
    #[error("another program has written version {version} of {table} in the lake {lake}")]
    Changed { lake: String, table: String, version: i64 },
    #[error("{table} in the lake {lake} is of run {run}, which is not a run of this target")]
    Restored { lake: String, table: String, run: i64 },
    #[error("another program wrote version {version} of {table} in the lake {lake} at the same time")]
    Conflict { lake: String, table: String, version: i64 },
    #[error("the log of {table} in the lake {lake} cannot be read: {problem}")]
    Damaged {
        lake: String,
        table: String,
        problem: String,
    },
    #[error("the last run found a mismatch between source and target")]
    Mismatch,
    #[error(
        "{table} in the lake {lake} has pseudonyms in place of {columns}, and this publication would have the data"
    )]
    Personal {
        lake: String,
        table: String,
        columns: String,
    },
    #[error("{table}.{column} holds a value that does not fit {fits}")]
    ValueUnfit {
        table: String,
        column: &'static str,
        fits: String,
    },
    #[error("a file of {table} cannot be encoded")]
    Encoding {
        table: String,
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
}

impl Error {
    /// The name of the error's stable code; for an error of the engine, the engine's code.
    pub fn code_name(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.code().name(),
            error => error.code().name(),
        }
    }

    /// Whether the error is in the settings, and nothing was contacted.
    pub fn is_setting(&self) -> bool {
        matches!(self, Self::LocationInvalid { .. })
    }

    /// Whether `--force` resolves the error by replacing the table.
    pub(crate) fn is_mended_by_force(&self) -> bool {
        matches!(
            self,
            Self::OtherStar { .. } | Self::Changed { .. } | Self::Restored { .. }
        )
    }

    fn code(&self) -> Code {
        match self {
            Self::LocationInvalid { .. } => Code::LocationInvalid,
            Self::NotPublished { .. } => Code::Missing,
            Self::NoCredentials { .. } => Code::Denied,
            Self::Store { cause, .. } => class_of(cause),
            Self::Foreign { .. } => Code::Foreign,
            Self::OtherStar { .. } => Code::OtherStar,
            Self::Changed { .. } => Code::Changed,
            Self::Restored { .. } => Code::Restored,
            Self::Conflict { .. } => Code::Conflict,
            Self::Damaged { .. } => Code::Damaged,
            Self::Mismatch => Code::Mismatch,
            Self::Personal { .. } => Code::Personal,
            Self::ValueUnfit { .. } | Self::Encoding { .. } => Code::ValueUnfit,
            Self::Engine(_) => Code::Failed,
        }
    }

    /// What the user can do about it, with placeholders such as `{program}`.
    pub fn hint(&self) -> &'static str {
        self.code().remedy()
    }
}

/// The code for an error of the storage.
fn class_of(cause: &StoreError) -> Code {
    let mut next: Option<&(dyn StdError + 'static)> = Some(cause);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => return Code::Full,
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
                    return Code::Unwritable;
                }
                _ => {}
            }
        }
        next = error.source();
    }
    match cause {
        StoreError::NotFound { .. } => Code::Missing,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => Code::Denied,
        other => class_of_text(&other.to_string()),
    }
}

/// The code for the error of an S3 list request, of which only the text is available.
fn class_of_text(text: &str) -> Code {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["NoSuchBucket"]) {
        Code::Missing
    } else if has(&[
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "403 Forbidden",
    ]) {
        Code::Denied
    } else {
        Code::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_folder_that_may_not_be_written_and_from_all_else() {
        let answer = |kind: ErrorKind| {
            class_of(&StoreError::Generic {
                store: "LocalFileSystem",
                source: Box::new(std::io::Error::from(kind)),
            })
        };
        assert_eq!(answer(ErrorKind::StorageFull), Code::Full);
        assert_eq!(answer(ErrorKind::PermissionDenied), Code::Unwritable);
        assert_eq!(answer(ErrorKind::ConnectionRefused), Code::Failed);
        assert_eq!(class_of_text("404 Not Found: <Code>NoSuchBucket</Code>"), Code::Missing);
        assert_eq!(class_of_text("403 Forbidden: <Code>AccessDenied</Code>"), Code::Denied);
    }
}
