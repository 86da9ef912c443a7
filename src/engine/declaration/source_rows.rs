//! Rows of the source, decoded as they come.
//!
//! To the driver each row is allocations of its own. A reader that kept a page of them for another thread to decode
//! and to give back took half as long again as one that takes the cells out while the row is at hand
//! (docs/performance.md). What type a column has is asked once a page.

use chrono::{DateTime, NaiveDateTime, Utc};
use rayon::prelude::*;
use rust_decimal::Decimal;
use sea_orm::{DbErr, QueryResult};
use sqlx::mysql::{MySqlTypeInfo, MySqlValueRef};
use sqlx::{Column as _, Decode, MySql, Row, Type, ValueRef};

use crate::engine::declaration::integer::{Integer, Key};
use crate::engine::declaration::rejection::Rejection;

/// What an answer of the source holds.
#[derive(Default)]
pub struct SourceRows {
    columns: Vec<Column>,
    /// Row after row.
    cells: Vec<Cell>,
    rows: usize,
    bytes: u64,
}

struct Column {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unsigned,
    Signed,
    Time,
    Decimal,
    Text,
    /// Nothing that a declaration reads.
    Other,
}

/// One decoded cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Or a zero date.
    Null,
    Integer(i64),
    /// Beyond `i64::MAX`.
    Huge(u64),
    /// A DATETIME as it stands, a TIMESTAMP in UTC.
    Time(NaiveDateTime),
    Decimal(Decimal),
    Text(Box<str>),
    /// A date that is none, a number that its type cannot hold, a text that is no UTF-8.
    Unreadable,
}

/// One row of them.
#[derive(Clone, Copy)]
pub struct SourceRow<'a> {
    columns: &'a [Column],
    cells: &'a [Cell],
}

impl SourceRows {
    /// Decodes a row of the answer, which is the driver's own.
    ///
    /// # Errors
    /// None for a cell that cannot be read: that is for the mapping to say.
    pub fn add(&mut self, row: &QueryResult) -> Result<(), DbErr> {
        let row = row
            .try_as_mysql_row()
            .ok_or_else(|| DbErr::Type("not a row of MySQL".to_owned()))?;
        if self.columns.is_empty() {
            self.columns = row.columns().iter().map(Column::of).collect();
        }
        for (position, column) in self.columns.iter().enumerate() {
            let value = row
                .try_get_raw(position)
                .map_err(|error| DbErr::Type(error.to_string()))?;
            self.bytes += length(&value);
            self.cells.push(column.kind.decode(value));
        }
        self.rows += 1;
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The bytes of all cells, as they came.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn iter(&self) -> impl Iterator<Item = SourceRow<'_>> {
        self.rows_of(&self.cells)
    }

    /// Up to so many rows at a time, on rayon's threads.
    pub fn parts(
        &self,
        rows: usize,
    ) -> impl IndexedParallelIterator<Item = impl ExactSizeIterator<Item = SourceRow<'_>>> {
        let parts = self.cells.par_chunks(rows * self.width());
        parts.map(|cells| self.rows_of(cells))
    }

    fn rows_of<'a>(&'a self, cells: &'a [Cell]) -> impl ExactSizeIterator<Item = SourceRow<'a>> {
        let columns = &self.columns;
        let rows = cells.chunks_exact(self.width());
        rows.map(move |cells| SourceRow { columns, cells })
    }

    /// An answer without rows does not say.
    fn width(&self) -> usize {
        self.columns.len().max(1)
    }
}

impl Column {
    fn of(column: &sqlx::mysql::MySqlColumn) -> Self {
        Self {
            name: column.name().to_owned(),
            kind: Kind::of(column.type_info()),
        }
    }
}

impl Kind {
    fn of(type_info: &MySqlTypeInfo) -> Self {
        let is = |compatible: fn(&MySqlTypeInfo) -> bool| compatible(type_info);
        if is(<u64 as Type<MySql>>::compatible) {
            Self::Unsigned
        } else if is(<i64 as Type<MySql>>::compatible) {
            Self::Signed
        } else if is(<DateTime<Utc> as Type<MySql>>::compatible) {
            Self::Time
        } else if is(<Decimal as Type<MySql>>::compatible) {
            Self::Decimal
        } else if is(<str as Type<MySql>>::compatible) {
            Self::Text
        } else {
            Self::Other
        }
    }

    fn decode(self, value: MySqlValueRef<'_>) -> Cell {
        if value.is_null() {
            return Cell::Null;
        }
        let cell = match self {
            Self::Unsigned => decode(value, |number| {
                i64::try_from(number).map_or(Cell::Huge(number), Cell::Integer)
            }),
            Self::Signed => decode(value, Cell::Integer),
            Self::Time => decode(value, Cell::Time),
            Self::Decimal => decode(value, Cell::Decimal),
            Self::Text => decode(value, |text: &str| Cell::Text(text.into())),
            Self::Other => None,
        };
        cell.unwrap_or(Cell::Unreadable)
    }
}

fn decode<'a, T: Decode<'a, MySql>>(value: MySqlValueRef<'a>, cell: impl FnOnce(T) -> Cell) -> Option<Cell> {
    T::decode(value).ok().map(cell)
}

fn length(value: &MySqlValueRef<'_>) -> u64 {
    let bytes = <&[u8] as Decode<MySql>>::decode(value.clone());
    bytes.map_or(0, |bytes| bytes.len() as u64)
}

impl SourceRow<'_> {
    /// Its first columns, in the order of the table's select.
    pub fn read<T: FromRow>(self) -> Result<T, Rejection> {
        T::from_row(self)
    }

    /// One column; nothing for NULL and for what cannot be read as a `T`, such as a date that is none.
    pub fn cell<T: FromCell>(self, column: usize) -> Option<T> {
        T::from_cell(&self.cells[column])
    }

    /// A column that is part of a key.
    ///
    /// # Errors
    /// If it is no integer.
    pub fn key(self, column: usize) -> Result<i64, DbErr> {
        let key = self.cell(column).map(|Key(key)| key);
        key.ok_or_else(|| DbErr::Type(format!("{} is no integer", self.columns[column].name)))
    }

    /// A column that is part of a key, as the source has it.
    pub fn key_text(self, column: usize) -> String {
        match self.cells[column] {
            Cell::Integer(key) => key.to_string(),
            Cell::Huge(key) => key.to_string(),
            _ => "NULL".to_owned(),
        }
    }

    fn required<T: FromCell>(self, position: usize) -> Result<T, Rejection> {
        self.cell(position).ok_or_else(|| self.unreadable(position))
    }

    fn unreadable(self, position: usize) -> Rejection {
        let Column { name, kind } = &self.columns[position];
        Rejection::invalid(match (&self.cells[position], kind) {
            (Cell::Null, Kind::Time) => format!("{name} is NULL, or a zero date"),
            (Cell::Null, _) => format!("{name} is NULL"),
            _ => format!("{name} cannot be read"),
        })
    }
}

/// What a cell can be read as.
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

impl FromCell for Integer {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Integer(number) => Some(Integer(*number)),
            _ => None,
        }
    }
}

impl FromCell for Key {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Integer(number) => Some(Key(*number)),
            Cell::Huge(_) => Some(Key(i64::MAX)),
            _ => None,
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

impl FromCell for DateTime<Utc> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        NaiveDateTime::from_cell(cell).map(|time| time.and_utc())
    }
}

impl FromCell for Decimal {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Decimal(number) => Some(*number),
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

/// Several cells at once, as a tuple.
pub trait FromRow: Sized {
    fn from_row(row: SourceRow<'_>) -> Result<Self, Rejection>;
}

macro_rules! tuple {
    ($($cell:ident $position:literal),+) => {
        impl<$($cell: FromCell),+> FromRow for ($($cell,)+) {
            fn from_row(row: SourceRow<'_>) -> Result<Self, Rejection> {
                Ok(($(row.required::<$cell>($position)?,)+))
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
