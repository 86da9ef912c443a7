//! The key of a lookup: a number or a text, owned or borrowed.

use std::fmt;
use std::sync::Arc;

use sea_orm::Value;
use serde::Serialize;

use crate::declare::cell::{Cell, FromCell};
use crate::declare::integer::{Integer, Key};

/// A key of a lookup; also a row's natural key of one column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum LookupKey {
    Number(i64),
    Text(Arc<str>),
}

/// A borrowed [`LookupKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRef<'a> {
    Number(i64),
    Text(&'a str),
}

impl From<i64> for KeyRef<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Integer> for KeyRef<'_> {
    fn from(Integer(number): Integer) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for KeyRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for KeyRef<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a LookupKey> for KeyRef<'a> {
    fn from(key: &'a LookupKey) -> Self {
        match key {
            LookupKey::Number(number) => Self::Number(*number),
            LookupKey::Text(text) => Self::Text(text),
        }
    }
}

impl From<i64> for LookupKey {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for LookupKey {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<KeyRef<'_>> for LookupKey {
    fn from(key: KeyRef<'_>) -> Self {
        match key {
            KeyRef::Number(number) => Self::Number(number),
            KeyRef::Text(text) => Self::Text(text.into()),
        }
    }
}

impl From<LookupKey> for Value {
    fn from(key: LookupKey) -> Self {
        match key {
            LookupKey::Number(number) => Value::BigInt(Some(number)),
            LookupKey::Text(text) => Value::String(Some(text.as_ref().to_owned())),
        }
    }
}

impl fmt::Display for KeyRef<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => text.fmt(formatter),
        }
    }
}

impl fmt::Display for LookupKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        KeyRef::from(self).fmt(formatter)
    }
}

impl FromCell for LookupKey {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(Self::Text(text.as_ref().into())),
            cell => Key::from_cell(cell).map(|Key(number)| Self::Number(number)),
        }
    }
}
