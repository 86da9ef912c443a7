//! Finds what differs between the rows that the target should hold of a scope and those that it does.

use std::collections::{BTreeSet, HashMap};

use sea_orm::Value;

use crate::engine::declaration::rejection::Reject;
use crate::engine::declaration::row::{NaturalKey, integer};
use crate::engine::pipeline::flow::{Batch, BatchCounts, Job};

/// A scope is authoritative: what is held and not wanted is deleted, what is equal is not written.
pub fn compare(
    job: Job,
    wanted: Vec<(i64, std::result::Result<Vec<Value>, Reject>)>,
    held: Vec<(i64, Vec<Value>)>,
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
    for (page_key, row) in wanted {
        let cells = match row {
            Ok(cells) => cells,
            Err(reject) => {
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
                add_dates(&date_positions, &held, &mut dates);
            }
            None => counts.inserted += 1,
        }
        changed.push(page_key);
        add_dates(&date_positions, &cells, &mut dates);
        upserts.extend(cells);
    }
    let mut deletes = Vec::with_capacity(held.len());
    for (key, (page_key, cells)) in held {
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
