//! A decoded cell of the source, and the types that it can be read as.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sqlx::mysql::{MySqlTypeInfo, MySqlValueRef};
use sqlx::{Decode, MySql, Type, ValueRef};

/// One decoded cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL or a zero date.
    Null,
    Integer(i64),
    /// A number beyond `i64::MAX`.
    Huge(u64),
    /// A DATETIME unchanged, a TIMESTAMP in UTC, midnight of a DATE.
    Time(NaiveDateTime),
    Decimal(Decimal),
    Text(Box<str>),
    /// An invalid date, a number beyond the range of its type, a text that is not UTF-8.
    Unreadable,
}

/// How the cells of a column are decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoding {
    Unsigned,
    Signed,
    Time,
    Date,
    Decimal,
    Text,
    /// A type that no declaration reads.
    Other,
}

impl Decoding {
    /// The decoding for a column of this type.
    pub(crate) fn from_type(type_info: &MySqlTypeInfo) -> Self {
        let is = |compatible: fn(&MySqlTypeInfo) -> bool| compatible(type_info);
        if is(<u64 as Type<MySql>>::compatible) {
            Self::Unsigned
        } else if is(<i64 as Type<MySql>>::compatible) {
            Self::Signed
        } else if is(<DateTime<Utc> as Type<MySql>>::compatible) {
            Self::Time
        } else if is(<NaiveDate as Type<MySql>>::compatible) {
            Self::Date
        } else if is(<Decimal as Type<MySql>>::compatible) {
            Self::Decimal
        } else if is(<[u8] as Type<MySql>>::compatible) {
            Self::Text
        } else {
            Self::Other
        }
    }

    /// Decodes a value; if that fails, the cell is `Unreadable`.
    pub fn decode(self, value: MySqlValueRef<'_>) -> Cell {
        if value.is_null() {
            return Cell::Null;
        }
        let cell = match self {
            Self::Unsigned => decode(value, |number| {
                i64::try_from(number).map_or(Cell::Huge(number), Cell::Integer)
            }),
            Self::Signed => decode(value, Cell::Integer),
            Self::Time => decode(value, Cell::Time),
            Self::Date => decode(value, |day: NaiveDate| Cell::Time(day.and_time(NaiveTime::MIN))),
            Self::Decimal => decode(value, Cell::of_decimal),
            Self::Text => decode(value, |text: &str| Cell::Text(text.into())),
            Self::Other => None,
        };
        cell.unwrap_or(Cell::Unreadable)
    }
}

impl Cell {
    /// A DECIMAL without fraction digits becomes an integer: MariaDB returns unsigned columns of a UNION as DECIMAL.
    fn of_decimal(number: Decimal) -> Self {
        if number.scale() > 0 {
            return Self::Decimal(number);
        }
        match (number.to_i64(), number.to_u64()) {
            (Some(number), _) => Self::Integer(number),
            (None, Some(number)) => Self::Huge(number),
            (None, None) => Self::Decimal(number),
        }
    }
}

fn decode<'a, T: Decode<'a, MySql>>(value: MySqlValueRef<'a>, cell: impl FnOnce(T) -> Cell) -> Option<Cell> {
    T::decode(value).ok().map(cell)
}

/// A type that a cell can be decoded to.
pub trait FromCell: Sized {
    fn from_cell(cell: &Cell) -> Option<Self>;
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

impl FromCell for NaiveDateTime {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Time(time) => Some(*time),
            _ => None,
        }
    }
}

impl FromCell for NaiveDate {
    fn from_cell(cell: &Cell) -> Option<Self> {
        NaiveDateTime::from_cell(cell).map(|time| time.date())
    }
}

/// False for 0, true for any other number, as in MySQL's IF.
impl FromCell for bool {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Integer(number) => Some(*number != 0),
            _ => None,
        }
    }
}

impl FromCell for DateTime<Utc> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        NaiveDateTime::from_cell(cell).map(|time| time.and_utc())
    }
}

impl FromCell for Decimal {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Decimal(number) => Some(*number),
            Cell::Integer(number) => Some((*number).into()),
            Cell::Huge(number) => Some((*number).into()),
            _ => None,
        }
    }
}

impl FromCell for String {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text.as_ref().to_owned()),
            _ => None,
        }
    }
}
