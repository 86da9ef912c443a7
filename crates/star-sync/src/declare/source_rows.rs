//! Rows of the source, decoded on arrival. They are declared here because mappings receive them.
//!
//! The driver allocates each row separately. Decoding a row when it arrives is faster than keeping a page of driver
//! rows for another thread to decode and free (docs/performance.md). The type of a column is determined once per page.

use rayon::prelude::*;
use sea_orm::{DbErr, QueryResult};
use sqlx::mysql::{MySqlColumn, MySqlValueRef};
use sqlx::{Column as _, Decode, MySql, Row};

use crate::declare::cell::{Cell, Decoding, FromCell};
use crate::declare::integer::Key;
use crate::declare::rejection::{ReasonCode, Rejection};

/// The rows of one result set of the source.
#[derive(Default)]
pub struct SourceRows {
    columns: Vec<Column>,
    /// The cells, row by row.
    cells: Vec<Cell>,
    rows: usize,
    bytes: u64,
}

struct Column {
    name: String,
    decoding: Decoding,
}

/// One of the rows.
#[derive(Clone, Copy)]
pub struct SourceRow<'a> {
    columns: &'a [Column],
    cells: &'a [Cell],
    /// The positions of its columns, if they differ from the order of the select.
    positions: Option<&'a [usize]>,
}

impl SourceRows {
    /// Decodes a row of the driver and adds it.
    ///
    /// # Errors
    /// Not for a cell that cannot be decoded: the mapping reports it.
    pub fn add(&mut self, row: &QueryResult) -> Result<(), DbErr> {
        let row = row
            .try_as_mysql_row()
            .ok_or_else(|| DbErr::Type("not a row of MySQL".to_owned()))?;
        if self.columns.is_empty() {
            self.columns = row.columns().iter().map(Column::from_driver).collect();
        }
        for (position, column) in self.columns.iter().enumerate() {
            let value = row
                .try_get_raw(position)
                .map_err(|error| DbErr::Type(error.to_string()))?;
            self.bytes += length(&value);
            self.cells.push(column.decoding.decode(value));
        }
        self.rows += 1;
        Ok(())
    }

    /// Drops the last row; only an injected fault does this.
    pub(crate) fn lose_last(&mut self) {
        self.rows = self.rows.saturating_sub(1);
        self.cells.truncate(self.rows * self.width());
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The size of all cells, as received.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn iter(&self) -> impl Iterator<Item = SourceRow<'_>> {
        self.rows_of(&self.cells)
    }

    /// Parts of up to `rows` rows, on rayon's threads.
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
        rows.map(move |cells| SourceRow {
            columns,
            cells,
            positions: None,
        })
    }

    /// At least 1, because a result set without rows has no columns here.
    fn width(&self) -> usize {
        self.columns.len().max(1)
    }
}

impl Column {
    fn from_driver(column: &MySqlColumn) -> Self {
        Self {
            name: column.name().to_owned(),
            decoding: Decoding::from_type(column.type_info()),
        }
    }
}

fn length(value: &MySqlValueRef<'_>) -> u64 {
    let bytes = <&[u8] as Decode<MySql>>::decode(value.clone());
    bytes.map_or(0, |bytes| bytes.len() as u64)
}

impl<'a> SourceRow<'a> {
    /// The same row, reduced to these columns in this order.
    pub(crate) fn of_columns(self, positions: &'a [usize]) -> Self {
        Self {
            positions: Some(positions),
            ..self
        }
    }

    /// One column, as decoded.
    pub(crate) fn raw(&self, column: usize) -> &Cell {
        &self.cells[self.at(column)]
    }

    fn at(&self, column: usize) -> usize {
        self.positions.map_or(column, |positions| positions[column])
    }

    fn column(&self, column: usize) -> &Column {
        &self.columns[self.at(column)]
    }

    /// One column; `None` for NULL and for a cell that cannot be read as a `T`, such as an invalid date.
    pub fn cell<T: FromCell>(self, column: usize) -> Option<T> {
        T::from_cell(self.raw(column))
    }

    /// One column; `None` only for NULL.
    ///
    /// # Errors
    /// If it cannot be read as a `T`.
    pub fn known<T: FromCell>(self, column: usize) -> Result<Option<T>, DbErr> {
        let cell = self.cell(column);
        cell.ok_or_else(|| DbErr::Type(format!("{} cannot be read", self.column(column).name)))
    }

    /// A column that is part of a key.
    ///
    /// # Errors
    /// If it is NULL or not an integer.
    pub fn key(self, column: usize) -> Result<i64, DbErr> {
        let key = self.known(column)?.map(|Key(key)| key);
        key.ok_or_else(|| DbErr::Type(format!("{} is NULL", self.column(column).name)))
    }

    /// A column that is part of a key, as text. Errors as for `known`.
    pub(crate) fn key_text(self, column: usize) -> Result<String, DbErr> {
        Ok(match self.raw(column) {
            Cell::Huge(key) => key.to_string(),
            Cell::Text(key) => key.as_ref().to_owned(),
            Cell::Time(time) if self.column(column).decoding == Decoding::Date => time.date().to_string(),
            Cell::Time(time) => time.to_string(),
            _ => self
                .known(column)?
                .map_or_else(|| "NULL".to_owned(), |Key(key)| key.to_string()),
        })
    }

    /// One column, as the type that a mapping requires.
    ///
    /// # Errors
    /// If it cannot be read as a `T`, or is NULL and `T` is not an `Option`.
    pub fn required<T: FromCell>(self, position: usize) -> Result<T, Rejection> {
        self.cell(position).ok_or_else(|| self.unreadable(position))
    }

    fn unreadable(self, position: usize) -> Rejection {
        let Column { name, decoding } = self.column(position);
        let (code, what) = match (self.raw(position), decoding) {
            (Cell::Null, Decoding::Time | Decoding::Date) => (ReasonCode::DateInvalid, "is NULL, or a zero date"),
            (Cell::Null, _) => (ReasonCode::ValueNull, "is NULL"),
            (_, Decoding::Time | Decoding::Date) => (ReasonCode::DateInvalid, "cannot be read"),
            (Cell::Huge(_), _) | (Cell::Unreadable, Decoding::Signed | Decoding::Unsigned | Decoding::Decimal) => {
                (ReasonCode::ValueOutOfRange, "cannot be read")
            }
            _ => (ReasonCode::ValueUnreadable, "cannot be read"),
        };
        Rejection::invalid(code, format!("{name} {what}"))
    }
}
