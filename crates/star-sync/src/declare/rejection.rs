//! Why a source row is quarantined: a stable code, and a sentence.
//!
//! `docs/errors.md` lists the codes; a test holds it to this list.

use std::fmt;

use crate::codes;

codes! {
    /// The stable code of a reason: what scripts and tests match, where the sentence may change.
    ReasonCode =>
    MissingParent "MISSING_PARENT" "The row refers to a row that the source does not have, or that is quarantined itself.",
    ParentQuarantined "PARENT_QUARANTINED" "The row that it belongs to is quarantined itself.",
    ValueNull "VALUE_NULL" "A column that the star needs is NULL.",
    ValueUnreadable "VALUE_UNREADABLE" "A value cannot be read as the column's type, such as text that is not valid UTF-8.",
    ValueOutOfRange "VALUE_OUT_OF_RANGE" "A number does not fit the star's column, or an amount is not in whole cents.",
    DateInvalid "DATE_INVALID" "A date or time is NULL or a zero date where the star needs one, is not a date, or lies outside the calendar.",
}

/// Why a row is quarantined. Names keys and columns, never other values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub code: ReasonCode,
    pub reason: String,
    /// The parent that is not there, if that is the reason, as the lookup is named that did not find it.
    pub missing_parent: Option<&'static str>,
}

impl Rejection {
    /// The parent that a lookup of this name has not found is missing.
    pub fn missing(parent: &'static str, key: impl fmt::Display) -> Self {
        Self {
            code: ReasonCode::MissingParent,
            reason: format!("{parent} {key} does not exist"),
            missing_parent: Some(parent),
        }
    }

    /// A value has no place in the star.
    pub fn invalid(code: ReasonCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            missing_parent: None,
        }
    }
}

/// One quarantined source row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub page_key: i64,
    /// The source's primary key; its parts joined by commas, the page key first.
    pub key: String,
    pub rejection: Rejection,
}
