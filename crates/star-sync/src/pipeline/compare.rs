//! Compares the rows that the target should have in a key range with those that it has.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use sea_orm::Value;

use crate::declare::row::{Columns, TargetRow, order};
use crate::declare::table::Table;
use crate::pipeline::differences::DifferenceCollector;
use crate::pipeline::flow::{Batch, BatchCounts, Job, MappedRows, Updates};
use crate::target::sqlite::row_text::TargetRows;

/// A key range is authoritative: rows that only the target has are deleted, rows that are equal are not written. Up to
/// `described` differing rows are described. If the lookups may be out of date, a row that is quarantined because its
/// parent is missing stays in the target until the run re-reads the quarantined rows; but only in a table whose natural
/// key is the page key alone, where the row can be identified.
pub(crate) fn compare(
    job: Job,
    described: usize,
    mapped: MappedRows,
    target_rows: &TargetRows,
    are_lookups_current: bool,
) -> Batch {
    let table = job.table;
    let MappedRows {
        page_keys,
        cells,
        rejected,
    } = mapped;
    let width = table.columns.len();
    let row = |position: usize| &cells[position * width..(position + 1) * width];
    let matches = RowMatches::find(table, page_keys.len(), row, target_rows);

    let mut differences = DifferenceCollector::new(table, described);
    let mut updates: BTreeMap<Columns, Vec<Value>> = BTreeMap::new();
    let mut updated = 0;
    for &(mapped, position) in &matches.both {
        let (after, before) = (row(mapped), target_rows.row(position));
        if after != before {
            updated += 1;
            differences.add(page_keys[mapped], Some(after), Some(before));
            let columns = Columns::that_differ(after, before);
            updates.entry(columns).or_default().extend_from_slice(after);
        }
    }
    for mapped in &matches.missing {
        differences.add(page_keys[*mapped], Some(row(*mapped)), None);
    }
    // Quarantined rows that stay in the target for now, because the lookups may be out of date.
    let left_alone: HashSet<i64> = rejected
        .iter()
        .filter(|row| !are_lookups_current && row.rejection.missing_parent.is_some())
        .filter(|_| table.has_page_key_as_natural_key())
        .map(|row| row.page_key)
        .collect();
    let mut deletes = Vec::with_capacity(matches.extra.len());
    let key_positions = table.positions(&table.natural_key);
    for position in matches.extra {
        let (page_key, row) = (target_rows.page_key(position), target_rows.row(position));
        if !left_alone.contains(&page_key) {
            differences.add(page_key, None, Some(row));
            deletes.push(TargetRow {
                page_key,
                natural_key: key_positions.iter().map(|position| row[*position].clone()).collect(),
            });
        }
    }
    let counts = BatchCounts {
        read: (page_keys.len() + rejected.len()) as u64,
        inserted: matches.missing.len() as u64,
        updated,
        deleted: deletes.len() as u64,
        unchanged: matches.both.len() as u64 - updated,
        quarantined: rejected.len() as u64,
    };
    let new = matches.missing.iter().flat_map(|mapped| row(*mapped));
    let updates = updates.into_iter().map(|(columns, cells)| Updates { columns, cells });
    Batch {
        inserts: vec![new.cloned().collect()],
        updates: updates.collect(),
        deletes,
        rejected,
        counts,
        ..differences.into_batch(job)
    }
}

/// Like [`compare`], for a key range without rows in the target, as in a first load: no row has to be matched or
/// copied.
pub(crate) fn all_new(job: Job, described: usize, parts: Vec<MappedRows>) -> Batch {
    let table = job.table;
    let mut differences = DifferenceCollector::new(table, described);
    let (mut inserts, mut rejected) = (Vec::new(), Vec::new());
    let mut counts = BatchCounts::default();
    for part in parts {
        for (page_key, row) in part.page_keys.iter().zip(part.cells.chunks_exact(table.columns.len())) {
            differences.add(*page_key, Some(row), None);
        }
        counts.inserted += part.page_keys.len() as u64;
        counts.quarantined += part.rejected.len() as u64;
        inserts.push(part.cells);
        rejected.extend(part.rejected);
    }
    counts.read = counts.inserted + counts.quarantined;
    Batch {
        inserts,
        rejected,
        counts,
        ..differences.into_batch(job)
    }
}

/// Positions of rows, matched by their natural keys.
#[derive(Default)]
struct RowMatches {
    /// Rows on both sides.
    both: Vec<(usize, usize)>,
    /// Rows that only the source has.
    missing: Vec<usize>,
    /// Rows that only the target has.
    extra: Vec<usize>,
}

impl RowMatches {
    /// Merges both sides in the order of their keys.
    fn find<'a>(
        table: &Table,
        mapped_count: usize,
        mapped_row: impl Fn(usize) -> &'a [Value],
        target_rows: &'a TargetRows,
    ) -> Self {
        let positions = table.positions(&table.natural_key);
        let mapped = in_order(&positions, &mapped_row, mapped_count);
        let target_order = in_order(&positions, |row| target_rows.row(row), target_rows.len());
        let mut matches = Self::default();
        let (mut mapped, mut target_order) = (mapped.into_iter().peekable(), target_order.into_iter().peekable());
        loop {
            let order = match (mapped.peek(), target_order.peek()) {
                (Some(&one), Some(&other)) => order_of_keys(&positions, mapped_row(one), target_rows.row(other)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return matches,
            };
            match order {
                Ordering::Less => matches.missing.extend(mapped.next()),
                Ordering::Greater => matches.extra.extend(target_order.next()),
                Ordering::Equal => matches.both.extend(mapped.next().zip(target_order.next())),
            }
        }
    }
}

/// The positions of rows, in the order of their natural keys.
fn in_order<'a>(positions: &[usize], row: impl Fn(usize) -> &'a [Value], rows: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..rows).collect();
    places.sort_unstable_by(|one, other| order_of_keys(positions, row(*one), row(*other)));
    places
}

fn order_of_keys(positions: &[usize], one: &[Value], other: &[Value]) -> Ordering {
    let parts = positions
        .iter()
        .map(|&position| order(&one[position], &other[position]));
    parts.fold(Ordering::Equal, Ordering::then)
}
