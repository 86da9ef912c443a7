//! The transform stage: maps a page's rows on rayon and finds what the target lacks of them.

use rayon::prelude::*;
use sea_orm::{QueryResult, Value};

use crate::engine::declaration::integer::Integer;
use crate::engine::declaration::lookup::KeyMap;
use crate::engine::declaration::rejection::Reject;
use crate::engine::declaration::row::{CellType, SourceRow, integer};
use crate::engine::declaration::table::Table;
use crate::engine::pipeline::compare;
use crate::engine::pipeline::flow::{Batch, Page};
use crate::error::{Doing, Result};

/// Maps and compares one page; adds what its table publishes to `published`, and describes up to `described` rows
/// that differ.
pub fn transform(page: Page, published: Option<&mut KeyMap>, described: usize) -> Result<Batch> {
    let Page {
        job,
        rows,
        held,
        lookups,
        late,
        are_lookups_current,
    } = page;
    let table = job.table;
    let mapped: Vec<(i64, std::result::Result<Vec<Value>, Reject>)> = rows
        .par_iter()
        .map(|row| map_row(table, row, &lookups))
        .collect::<Result<_>>()?;
    let held: Vec<(i64, Vec<Value>)> = held
        .par_iter()
        .map(|row| held_cells(table, row))
        .collect::<Result<_>>()?;

    if let (Some(publish), Some(map)) = (&table.publishes, published) {
        let (key, value) = (table.position(publish.key), table.position(publish.value));
        for (page_key, row) in &mapped {
            match row {
                Ok(cells) => map.insert(integer(&cells[key]), integer(&cells[value])),
                Err(reject) => {
                    if let Some(value) = (publish.rejected_as)(reject.rejection.missing_parent) {
                        map.insert(*page_key, value);
                    }
                }
            }
        }
    }

    let mut batch = compare::compare(job, described, mapped, held, are_lookups_current);
    batch.late = late;
    Ok(batch)
}

pub fn map_row(
    table: &Table,
    row: &QueryResult,
    lookups: &crate::engine::declaration::lookup::Lookups,
) -> Result<(i64, std::result::Result<Vec<Value>, Reject>)> {
    let doing = || format!("reading the key of a row of {}", table.source_table);
    let Integer(page_key) = row.try_get_by_index(0).source(doing)?;
    match (table.map)(&SourceRow(row), lookups) {
        Ok(cells) => Ok((page_key, Ok(cells))),
        Err(rejection) => {
            let mut key = page_key.to_string();
            for column in 1..table.primary_key_columns {
                let Integer(part) = row.try_get_by_index(column).source(doing)?;
                key.push(',');
                key.push_str(&part.to_string());
            }
            Ok((page_key, Err(Reject { key, rejection })))
        }
    }
}

/// The cells of a row that the target holds, as `target_rows` selects them: the page key, then the columns.
pub fn held_cells(table: &Table, row: &QueryResult) -> Result<(i64, Vec<Value>)> {
    let page_key = row
        .try_get_by_index(0)
        .target(|| format!("reading the key of a row of {}", table.name))?;
    let mut cells = Vec::with_capacity(table.columns.len());
    for (position, column) in table.columns.iter().enumerate() {
        let index = position + 1;
        let cell = match column.cell_type {
            CellType::BigInteger => row.try_get_by_index(index).map(Value::BigInt),
            CellType::Integer => row.try_get_by_index(index).map(Value::Int),
            CellType::Text => row.try_get_by_index(index).map(Value::String),
            CellType::Real => row.try_get_by_index(index).map(Value::Double),
            CellType::Boolean => row.try_get_by_index(index).map(Value::Bool),
        };
        cells.push(cell.target(|| format!("reading {}.{}", table.name, column.name))?);
    }
    Ok((page_key, cells))
}
