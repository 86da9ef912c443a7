//! The transform stage: maps a page's rows on rayon and finds what the target lacks of them.

use std::collections::BTreeSet;

use rayon::prelude::*;
use sea_orm::{QueryResult, Value};

use super::compare::{self, NaturalKey};
use super::key::Key;
use super::lookup::KeyMap;
use super::pipeline::Job;
use super::read::Page;
use super::reject::Reject;
use super::table::{Cell, SourceRow, Table};
use crate::error::{Doing, Result};

/// What has to be done to the target to make one scope of it right.
pub struct Batch {
    pub job: Job,
    /// Cells of the rows to insert or update, row after row, each as wide as the table's columns.
    pub upserts: Vec<Value>,
    pub deletes: Vec<NaturalKey>,
    pub rejects: Vec<Reject>,
    pub counts: BatchCounts,
    /// Page keys of rows that were inserted, updated, deleted, or rejected.
    pub changed: Vec<i64>,
    /// Days in the rows that change, as they were and as they will be.
    pub dates: BTreeSet<i32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    pub read: u64,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub unchanged: u64,
    pub rejected: u64,
}

/// Maps and compares one page; adds what its table publishes to `published`.
pub fn transform(page: Page, published: Option<&mut KeyMap>) -> Result<Batch> {
    let Page {
        job,
        rows,
        held,
        lookups,
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
        for (page_key, row) in &mapped {
            match row {
                Ok(cells) => map.insert(integer(&cells[publish.key]), integer(&cells[publish.value])),
                Err(reject) => {
                    if let Some(value) = (publish.rejected_as)(reject.rejection.missing_parent) {
                        map.insert(*page_key, value);
                    }
                }
            }
        }
    }

    Ok(compare::compare(job, mapped, held))
}

fn map_row(
    table: &Table,
    row: &QueryResult,
    lookups: &super::lookup::Lookups,
) -> Result<(i64, std::result::Result<Vec<Value>, Reject>)> {
    let doing = || format!("reading the key of a row of {}", table.source_table);
    let Key(page_key) = row.try_get_by_index(0).source(doing)?;
    match (table.map)(&SourceRow(row), lookups) {
        Ok(cells) => Ok((page_key, Ok(cells))),
        Err(rejection) => {
            let mut key = page_key.to_string();
            for column in 1..table.source_key_columns {
                let Key(part) = row.try_get_by_index(column).source(doing)?;
                key.push(',');
                key.push_str(&part.to_string());
            }
            Ok((page_key, Err(Reject { key, rejection })))
        }
    }
}

/// The cells of a row that the target holds, as `held_rows` selects them: the page key, then the columns.
fn held_cells(table: &Table, row: &QueryResult) -> Result<(i64, Vec<Value>)> {
    let page_key = row
        .try_get_by_index(0)
        .target(|| format!("reading the key of a row of {}", table.name))?;
    let mut cells = Vec::with_capacity(table.columns.len());
    for (position, column) in table.columns.iter().enumerate() {
        let index = position + 1;
        let cell = match column.cell {
            Cell::BigInteger => row.try_get_by_index(index).map(Value::BigInt),
            Cell::Integer => row.try_get_by_index(index).map(Value::Int),
            Cell::Text => row.try_get_by_index(index).map(Value::String),
            Cell::Real => row.try_get_by_index(index).map(Value::Double),
            Cell::Boolean => row.try_get_by_index(index).map(Value::Bool),
        };
        cells.push(cell.target(|| format!("reading {}.{}", table.name, column.name))?);
    }
    Ok((page_key, cells))
}

/// The number in an integer cell; keys and date keys are never NULL where this is asked.
pub fn integer(cell: &Value) -> i64 {
    match cell {
        Value::BigInt(Some(number)) => *number,
        Value::Int(Some(number)) => i64::from(*number),
        _ => unreachable!("declarations name integer columns only as keys"),
    }
}
