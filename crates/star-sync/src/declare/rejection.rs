//! The reason why a source row is quarantined: a stable code and a sentence.
//!
//! `docs/errors.md` lists the codes; a test checks that it matches this list.

use std::fmt;

use crate::codes;
use crate::declare::lookup::Lookup;

codes! {
    /// The stable code of a reason, for scripts and tests to match; the sentence may change.
    ReasonCode =>
    MissingParent "MISSING_PARENT" "The row refers to a row that the source does not have, or that is quarantined itself and so not in the star."
        "insert the parent in the source, or correct the reference; if sync_reject has the parent, see the parent's own reason",
    ParentQuarantined "PARENT_QUARANTINED" "The row takes values from a row of another fact, which is quarantined."
        "see the parent's own reason in sync_reject",
    ValueNull "VALUE_NULL" "A column that the star needs is NULL."
        "set the value in the source",
    ValueUnreadable "VALUE_UNREADABLE" "A value cannot be read as the column's type, such as text that is not valid UTF-8."
        "correct the value in the source",
    ValueOutOfRange "VALUE_OUT_OF_RANGE" "A number does not fit the star's column, or an amount has more decimal places than its column."
        "correct the value in the source, or declare the column with a wider type",
    DateInvalid "DATE_INVALID" "A date or time is NULL or a zero date where the star needs one, is not a date, or is not in the years 1900 to 2199."
        "correct the date in the source",
}

/// Why a row is quarantined. A mapping returns it instead of a target row. The reason may contain keys and names of
/// columns, never other values.
///
/// The row is kept in `sync_reject`, with its surrogate key if it had one. A run retries it if one of its source tables
/// was modified, or if its missing parent may have been inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub code: ReasonCode,
    pub reason: String,
    /// The missing or quarantined parent, if that is the reason: the name of the lookup that did not find it, or of the
    /// joined table. When the parent of a lookup appears, the quarantined rows are found by this name.
    pub missing_parent: Option<&'static str>,
}

impl Rejection {
    /// The parent row with this key is missing in `lookup`. [`Lookups::find`](crate::declare::Lookups::find) returns
    /// it.
    pub fn missing(lookup: &Lookup, key: impl fmt::Display) -> Self {
        let parent = lookup.name;
        Self {
            code: ReasonCode::MissingParent,
            reason: format!("{parent} {key} does not exist"),
            missing_parent: Some(parent),
        }
    }

    /// The row of a joined table is missing.
    pub fn missing_joined(table: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code: ReasonCode::MissingParent,
            reason: reason.into(),
            missing_parent: Some(table),
        }
    }

    /// The parent row in `lookup` is itself quarantined.
    pub fn parent_quarantined(lookup: &Lookup) -> Self {
        let parent = lookup.name;
        Self {
            code: ReasonCode::ParentQuarantined,
            reason: format!("its {parent} is quarantined"),
            missing_parent: Some(parent),
        }
    }

    /// A value that does not fit its column in the star.
    pub fn invalid(code: ReasonCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            missing_parent: None,
        }
    }
}

/// A source row that its mapping rejected and that will be quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    pub page_key: i64,
    /// The source's primary key: its parts joined by commas, the page key first.
    pub key: String,
    pub rejection: Rejection,
}
