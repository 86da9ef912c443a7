//! Why a source row cannot be loaded.

/// Why a row cannot be loaded. Names keys and columns, never other values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reason: String,
    /// The table of the parent that is not there, if that is the reason.
    pub missing_parent: Option<&'static str>,
}

impl Rejection {
    /// For want of the parent of this table and key.
    pub fn missing(parent: &'static str, key: i64) -> Self {
        Self {
            reason: format!("{parent} {key} does not exist"),
            missing_parent: Some(parent),
        }
    }

    /// For a value that the star has no place for.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            missing_parent: None,
        }
    }
}

/// One rejected source row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The source's primary key; its parts joined by commas, the page key first.
    pub key: String,
    pub rejection: Rejection,
}
