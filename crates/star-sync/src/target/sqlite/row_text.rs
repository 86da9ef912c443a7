//! Reads the target's rows of one key range, as one text.
//!
//! SQLite returns a key range as one text, because the driver copies each cell of each row separately: that made
//! comparing all rows of the star take almost 50% longer (docs/performance.md). Rows and cells are separated by the
//! characters that ASCII has for this. A cell is a number, or a mark and its text in hexadecimal, so that no text can
//! end a cell. NULL is an empty cell, but for a REAL the word NULL. A REAL that is a whole number of hundredths, as
//! amounts are, is written as that number: SQLite is slow at finding the digits of others.

use sea_orm::sea_query::{BinOper, Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{DbErr, Value};

use crate::declare::row::{CellType, Column, integer};
use crate::declare::star::Calendar;
use crate::declare::table::{Table, TargetPageKey, WHOLE_TABLE};
use crate::error::{Doing, Result};

/// Between rows: ASCII's record separator.
const ROW_SEPARATOR: char = '\x1e';
/// Between cells: ASCII's unit separator.
const CELL_SEPARATOR: char = '\x1f';
/// Precedes each text.
const TEXT_MARK: &str = "x";

/// Rows of a table, decoded.
#[derive(Default)]
pub(crate) struct TargetRows {
    width: usize,
    /// The cells of one row after the other.
    cells: Vec<Value>,
    page_keys: Vec<i64>,
}

/// Selects all rows of a table as one text, unfiltered; NULL if there are none.
pub(crate) fn select(table: &Table) -> SelectStatement {
    let through = matches!(table.target_page_key, TargetPageKey::Through { .. });
    let mut select = select_rows(table.name, &table.columns, through.then(|| table.target_page_key()));
    table.add_target_tables(&mut select);
    select
}

/// Selects all rows of a calendar as one text.
pub(crate) fn select_days(calendar: &Calendar) -> SelectStatement {
    let mut select = select_rows(calendar.table, &calendar.columns, None);
    select.from(calendar.table);
    select
}

fn select_rows(table: &'static str, columns: &[Column], more: Option<Expr>) -> SelectStatement {
    let cells = columns
        .iter()
        .map(|column| encoded(Expr::col((table, column.name)), column.cell_type));
    // `concat_ws` would skip NULL.
    let cells = cells.chain(more).map(|cell| cell.if_null(""));
    let row = Func::cust("concat_ws").args([CELL_SEPARATOR.to_string().into()].into_iter().chain(cells));
    let mut select = Query::select();
    select.expr(Func::cust("group_concat").args([row.into(), Expr::val(ROW_SEPARATOR.to_string())]));
    select
}

/// Decodes the rows of such a text, ignoring cells after these columns.
pub(crate) fn days<'a>(calendar: &'a Calendar, text: &'a str) -> impl Iterator<Item = Vec<Value>> + 'a {
    let rows = text.split(ROW_SEPARATOR).filter(|row| !row.is_empty());
    rows.map(|row| {
        let cells = calendar.columns.iter().zip(row.split(CELL_SEPARATOR));
        cells.map(|(column, text)| decoded(column, text)).collect()
    })
}

fn encoded(cell: Expr, cell_type: CellType) -> Expr {
    match cell_type {
        CellType::BigInteger | CellType::Integer | CellType::Boolean => cell,
        CellType::Real => {
            let hundredths = Expr::expr(Func::round(cell.clone().mul(100))).cast_as("INTEGER");
            let is_exact = hundredths.clone().div(100.0).eq(cell.clone());
            // As many digits as distinguish it from its neighbours; 15 if that is enough. NULL becomes the word NULL.
            let digits = Func::cust("quote").arg(cell);
            Expr::case(is_exact, hundredths).finally(digits).into()
        }
        // For NULL, `hex` returns an empty text.
        CellType::Text | CellType::Date | CellType::Unsupported => {
            let marked = Expr::val(TEXT_MARK).binary(BinOper::Custom("||"), cell);
            Func::cust("hex").arg(marked).into()
        }
    }
}

impl TargetRows {
    /// Decodes the text that `select` yields.
    ///
    /// # Errors
    /// `Target` if a key is not a number. Any other cell of the wrong type, which another program may have written, is
    /// decoded as text, so that it differs from the expected value.
    pub(crate) fn parse(table: &Table, text: &str) -> Result<Self> {
        let row_count = text.matches(ROW_SEPARATOR).count() + 1;
        let width = table.columns.len();
        let mut rows = Self {
            width,
            cells: Vec::with_capacity(row_count * width),
            page_keys: Vec::with_capacity(row_count),
        };
        let own_page_key = match table.target_page_key {
            TargetPageKey::Own(page_key) => Some(table.position(page_key)),
            TargetPageKey::Through { .. } | TargetPageKey::Whole => None,
        };
        for row in text.split(ROW_SEPARATOR).filter(|row| !row.is_empty()) {
            let mut texts = row.split(CELL_SEPARATOR);
            let first = rows.cells.len();
            for (column, text) in table.columns.iter().zip(&mut texts) {
                rows.cells.push(decoded(column, text));
            }
            let cells = &rows.cells[first..];
            let page_key = match (own_page_key.map(|position| cells.get(position)), table.target_page_key) {
                (Some(Some(cell @ (Value::BigInt(Some(_)) | Value::Int(Some(_))))), _) => Some(integer(cell)),
                (Some(_), _) => None,
                (None, TargetPageKey::Whole) => Some(WHOLE_TABLE),
                (None, _) => texts.next().and_then(|text| text.parse().ok()),
            };
            let page_key = page_key
                .filter(|_| cells.len() == width)
                .ok_or_else(|| DbErr::Type("a key is not a number".to_owned()))
                .target(|| format!("reading the rows of {}", table.name))?;
            rows.page_keys.push(page_key);
        }
        Ok(rows)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.page_keys.is_empty()
    }

    /// The cells of a row.
    pub(crate) fn row(&self, position: usize) -> &[Value] {
        &self.cells[position * self.width..(position + 1) * self.width]
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.page_keys.len()
    }

    /// The page key of the row at this position.
    pub(crate) fn page_key(&self, position: usize) -> i64 {
        self.page_keys[position]
    }
}

fn decoded(column: &Column, text: &str) -> Value {
    let value = match column.cell_type {
        CellType::BigInteger if text.is_empty() => Some(Value::BigInt(None)),
        CellType::BigInteger => text.parse().ok().map(|number| Value::BigInt(Some(number))),
        CellType::Integer if text.is_empty() => Some(Value::Int(None)),
        CellType::Integer => text.parse().ok().map(|number| Value::Int(Some(number))),
        CellType::Boolean if text.is_empty() => Some(Value::Bool(None)),
        CellType::Boolean => match text {
            "0" => Some(Value::Bool(Some(false))),
            "1" => Some(Value::Bool(Some(true))),
            _ => None,
        },
        CellType::Real if text == "NULL" => Some(Value::Double(None)),
        CellType::Real => real(text).map(|number| Value::Double(Some(number))),
        CellType::Date if text.is_empty() => Some(Value::ChronoDate(None)),
        CellType::Date => text_of(text)
            .and_then(|text| text.parse().ok())
            .map(|day| Value::ChronoDate(Some(day))),
        CellType::Text | CellType::Unsupported if text.is_empty() => Some(Value::String(None)),
        CellType::Text | CellType::Unsupported => text_of(text).map(|text| Value::String(Some(text))),
    };
    value.unwrap_or_else(|| Value::String(Some(text.to_owned())))
}

/// The number in a cell: hundredths, or digits with a point or an exponent.
fn real(cell: &str) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "SQLite has made sure that it comes out as what it was"
    )]
    let of_hundredths = |number: i64| number as f64 / 100.0;
    cell.parse().map(of_hundredths).ok().or_else(|| cell.parse().ok())
}

/// The text in a cell.
fn text_of(cell: &str) -> Option<String> {
    let text = String::from_utf8(hex::decode(cell).ok()?).ok()?;
    text.strip_prefix(TEXT_MARK).map(str::to_owned)
}
