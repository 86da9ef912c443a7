//! Finds what differs between the rows that the target should hold of a scope and those that it does.

use std::collections::{BTreeSet, HashMap};

use sea_orm::Value;

use crate::engine::declaration::rejection::Reject;
use crate::engine::declaration::row::{NaturalKey, integer};
use crate::engine::declaration::table::Table;
use crate::engine::pipeline::flow::{Batch, BatchCounts, ColumnDifference, Difference, DifferenceKind, Job};
use crate::engine::pipeline::lookups::Late;

/// A scope is authoritative: what is held and not wanted is deleted, what is equal is not written. Up to
/// `described` differing rows are described. A row that is rejected for want of its parent goes from the target only
/// if the lookups are current; else it stays as it is, for the pass that looks again at all rejects.
pub fn compare(
    job: Job,
    described: usize,
    wanted: Vec<(i64, std::result::Result<Vec<Value>, Reject>)>,
    held: Vec<(i64, Vec<Value>)>,
    are_lookups_current: bool,
) -> Batch {
    let table = job.table;
    let positions_of_key = table.positions(&table.natural_key);
    let date_positions = table.positions(&table.date_columns);
    let natural_key = |cells: &[Value]| natural_key(&positions_of_key, cells);
    let mut counts = BatchCounts {
        read: wanted.len() as u64,
        ..BatchCounts::default()
    };
    let mut held: HashMap<NaturalKey, (i64, Vec<Value>)> = held
        .into_iter()
        .map(|(page_key, cells)| (natural_key(&cells), (page_key, cells)))
        .collect();
    let mut upserts = Vec::with_capacity(wanted.len() * table.columns.len());
    let mut rejects = Vec::new();
    let mut changed = Vec::new();
    let mut dates = BTreeSet::new();
    let mut differences = Vec::new();
    let mut describe = |key, kind, source: Option<&[Value]>, target: Option<&[Value]>| {
        if differences.len() < described {
            let columns = columns_that_differ(table, source, target);
            differences.push(Difference { key, kind, columns });
        }
    };
    for (page_key, row) in wanted {
        let cells = match row {
            Ok(cells) => cells,
            Err(reject) => {
                if !are_lookups_current && reject.rejection.missing_parent.is_some() && table.is_keyed_by_page_key() {
                    held.remove(&[page_key, 0]);
                }
                rejects.push(reject);
                changed.push(page_key);
                continue;
            }
        };
        match held.remove(&natural_key(&cells)) {
            Some((_, held)) if held == cells => {
                counts.unchanged += 1;
                continue;
            }
            Some((_, held)) => {
                counts.updated += 1;
                describe(page_key, DifferenceKind::Different, Some(&cells), Some(&held));
                add_dates(&date_positions, &held, &mut dates);
            }
            None => {
                counts.inserted += 1;
                describe(page_key, DifferenceKind::Missing, Some(&cells), None);
            }
        }
        changed.push(page_key);
        add_dates(&date_positions, &cells, &mut dates);
        upserts.extend(cells);
    }
    let mut deletes = Vec::with_capacity(held.len());
    for (key, (page_key, cells)) in held {
        describe(page_key, DifferenceKind::Extra, None, Some(&cells));
        add_dates(&date_positions, &cells, &mut dates);
        changed.push(page_key);
        deletes.push(key);
    }
    counts.deleted = deletes.len() as u64;
    counts.rejected = rejects.len() as u64;
    Batch {
        job,
        upserts,
        deletes,
        rejects,
        counts,
        changed,
        dates,
        differences,
        late: Late::new(),
    }
}

fn columns_that_differ(table: &Table, source: Option<&[Value]>, target: Option<&[Value]>) -> Vec<ColumnDifference> {
    let cell = |cells: Option<&[Value]>, position: usize| cells.map(|cells| cells[position].clone());
    table
        .columns
        .iter()
        .enumerate()
        .map(|(position, column)| (column, cell(source, position), cell(target, position)))
        .filter(|(_, source, target)| source != target)
        .map(|(column, source, target)| ColumnDifference {
            column: column.name,
            source: source.as_ref().and_then(text),
            target: target.as_ref().and_then(text),
        })
        .collect()
}

/// A cell as people read it; `None` for NULL.
pub fn text(cell: &Value) -> Option<String> {
    match cell {
        Value::BigInt(number) => number.map(|number| number.to_string()),
        Value::Int(number) => number.map(|number| number.to_string()),
        Value::Double(number) => number.map(|number| number.to_string()),
        Value::Bool(flag) => flag.map(|flag| i32::from(flag).to_string()),
        Value::String(text) => text.clone(),
        _ => unreachable!("the star has cells of no other type"),
    }
}

fn natural_key(positions: &[usize], cells: &[Value]) -> NaturalKey {
    let mut key = NaturalKey::default();
    for (part, &position) in key.iter_mut().zip(positions) {
        *part = integer(&cells[position]);
    }
    key
}

fn add_dates(positions: &[usize], cells: &[Value], dates: &mut BTreeSet<i32>) {
    for &position in positions {
        if let Value::Int(Some(date)) = cells[position] {
            dates.insert(date);
        }
    }
}
