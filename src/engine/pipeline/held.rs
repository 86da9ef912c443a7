//! Rows that the target holds, as `Table::target_rows` selects them.

use sea_orm::{QueryResult, TryGetable, Value};

use crate::engine::declaration::row::{CellType, NaturalKey, integer};
use crate::engine::declaration::table::Table;
use crate::error::{Doing, Result};

pub fn page_key(table: &Table, row: &QueryResult) -> Result<i64> {
    row.try_get_by_index(table.page_key_position())
        .target(|| format!("reading the key of a row of {}", table.name))
}

/// The natural key, whose columns stand at `positions`.
pub fn natural_key(table: &Table, positions: &[usize], row: &QueryResult) -> Result<NaturalKey> {
    let mut key = NaturalKey::default();
    for (part, &position) in key.iter_mut().zip(positions) {
        *part = integer(&cell(table, row, position)?);
    }
    Ok(key)
}

/// All cells of a row.
pub fn cells(table: &Table, row: &QueryResult) -> Result<Vec<Value>> {
    (0..table.columns.len())
        .map(|position| cell(table, row, position))
        .collect()
}

/// Whether a row has these very cells.
pub fn equals(table: &Table, row: &QueryResult, cells: &[Value]) -> Result<bool> {
    for (position, wanted) in cells.iter().enumerate() {
        if cell(table, row, position)? != *wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

fn cell(table: &Table, row: &QueryResult, position: usize) -> Result<Value> {
    let column = &table.columns[position];
    let cell = match column.cell_type {
        CellType::BigInteger => get(row, position).map(Value::BigInt),
        CellType::Integer => get(row, position).map(Value::Int),
        CellType::Text => get(row, position).map(Value::String),
        CellType::Real => get(row, position).map(Value::Double),
        CellType::Boolean => get(row, position).map(Value::Bool),
    };
    cell.target(|| format!("reading {}.{}", table.name, column.name))
}

fn get<T: TryGetable>(row: &QueryResult, position: usize) -> std::result::Result<Option<T>, sea_orm::DbErr> {
    row.try_get_by_index(position)
}
