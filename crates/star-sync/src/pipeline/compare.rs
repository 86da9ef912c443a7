//! Finds what differs between the rows that the target should hold of a scope and those that it does.

use std::cmp::{Ordering, max, min};
use std::collections::{BTreeMap, BTreeSet, HashSet};

use sea_orm::Value;

use crate::declare::lookup::LookupKey;
use crate::declare::partition::{Partition, Partitioning};
use crate::declare::rejection::Reject;
use crate::declare::row::{Columns, HeldRow, key_part, key_text, order, text};
use crate::declare::table::{Kind, Table};
use crate::pipeline::flow::{
    Batch, BatchCounts, ColumnDifference, Difference, DifferenceKind, Job, Late, Updates, Wanted,
};
use crate::target::sqlite::held::Held;

/// A scope is authoritative: what is held and not wanted is deleted, what is equal is not written. Up to
/// `described` differing rows are described. A row that is rejected for want of its parent goes from the target only
/// if the lookups are current; else it stays as it is, for the pass that looks again at all rejects.
pub(crate) fn compare(job: Job, described: usize, wanted: Wanted, held: &Held, are_lookups_current: bool) -> Batch {
    let table = job.table;
    let Wanted {
        page_keys,
        cells,
        rejects,
    } = wanted;
    let width = table.columns.len();
    let row = |position: usize| &cells[position * width..(position + 1) * width];
    let matched = Matched::of(table, page_keys.len(), row, held);

    let mut differences = DifferenceCollector::new(table, described);
    let mut updates: BTreeMap<Columns, Vec<Value>> = BTreeMap::new();
    let mut updated = 0;
    for &(wanted, position) in &matched.both {
        let (after, before) = (row(wanted), held.row(position));
        if after != before {
            updated += 1;
            differences.add(page_keys[wanted], Some(after), Some(before));
            let columns = Columns::that_differ(after, before);
            updates.entry(columns).or_default().extend_from_slice(after);
        }
    }
    for wanted in &matched.missing {
        differences.add(page_keys[*wanted], Some(row(*wanted)), None);
    }
    // What stays although its source row is rejected.
    let left_alone: HashSet<i64> = rejects
        .iter()
        .filter(|reject| !are_lookups_current && reject.rejection.missing_parent.is_some())
        .filter(|_| table.is_keyed_by_page_key())
        .map(|reject| reject.page_key)
        .collect();
    let mut deletes = Vec::with_capacity(matched.extra.len());
    let key_positions = table.positions(&table.natural_key);
    for position in matched.extra {
        let (page_key, row) = (held.page_key(position), held.row(position));
        if !left_alone.contains(&page_key) {
            differences.add(page_key, None, Some(row));
            deletes.push(HeldRow {
                page_key,
                natural_key: key_positions.iter().map(|position| row[*position].clone()).collect(),
            });
        }
    }
    let counts = BatchCounts {
        read: (page_keys.len() + rejects.len()) as u64,
        inserted: matched.missing.len() as u64,
        updated,
        deleted: deletes.len() as u64,
        unchanged: matched.both.len() as u64 - updated,
        quarantined: rejects.len() as u64,
    };
    let new = matched.missing.iter().flat_map(|wanted| row(*wanted));
    let inserts = vec![new.cloned().collect()];
    let updates = updates.into_iter().map(|(columns, cells)| Updates { columns, cells });
    let rows = RowsToWrite {
        inserts,
        updates: updates.collect(),
        deletes,
        rejects,
        counts,
    };
    differences.into_batch(job, rows)
}

/// The same for a scope of which the target holds nothing, as it is in a first load: no row has to be matched or copied.
pub(crate) fn all_new(job: Job, described: usize, parts: Vec<Wanted>) -> Batch {
    let table = job.table;
    let mut differences = DifferenceCollector::new(table, described);
    let (mut inserts, mut rejects) = (Vec::new(), Vec::new());
    let mut counts = BatchCounts::default();
    for part in parts {
        for (page_key, row) in part.page_keys.iter().zip(part.cells.chunks_exact(table.columns.len())) {
            differences.add(*page_key, Some(row), None);
        }
        counts.inserted += part.page_keys.len() as u64;
        counts.quarantined += part.rejects.len() as u64;
        inserts.push(part.cells);
        rejects.extend(part.rejects);
    }
    counts.read = counts.inserted + counts.quarantined;
    let rows = RowsToWrite {
        inserts,
        updates: Vec::new(),
        deletes: Vec::new(),
        rejects,
        counts,
    };
    differences.into_batch(job, rows)
}

/// Positions of rows, matched by their natural keys.
#[derive(Default)]
struct Matched {
    /// Wanted, and held.
    both: Vec<(usize, usize)>,
    /// Wanted, and not held.
    missing: Vec<usize>,
    /// Held, and not wanted.
    extra: Vec<usize>,
}

impl Matched {
    /// Goes through both sides in the order of their keys.
    fn of<'a>(table: &Table, wanted_rows: usize, wanted_row: impl Fn(usize) -> &'a [Value], held: &'a Held) -> Self {
        let positions = table.positions(&table.natural_key);
        let wanted = in_order(&positions, &wanted_row, wanted_rows);
        let held_rows = in_order(&positions, |row| held.row(row), held.len());
        let mut matched = Self::default();
        let (mut wanted, mut held_rows) = (wanted.into_iter().peekable(), held_rows.into_iter().peekable());
        loop {
            let order = match (wanted.peek(), held_rows.peek()) {
                (Some(&one), Some(&other)) => order_of_keys(&positions, wanted_row(one), held.row(other)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return matched,
            };
            match order {
                Ordering::Less => matched.missing.extend(wanted.next()),
                Ordering::Greater => matched.extra.extend(held_rows.next()),
                Ordering::Equal => matched.both.extend(wanted.next().zip(held_rows.next())),
            }
        }
    }
}

/// At which day a row counts in its table's totals.
enum Day {
    /// There are no totals.
    None,
    /// Totals without days.
    Any,
    /// The one in this column.
    At(usize),
}

impl Day {
    fn of(table: &Table) -> Self {
        match table.totals.as_ref().map(|totals| &totals.dates) {
            None => Self::None,
            Some(None) => Self::Any,
            Some(Some(dates)) => Self::At(table.position(dates.target)),
        }
    }
}

/// The partitions of rows that differ.
struct PartitionNotes {
    by: Option<usize>,
    changed: BTreeSet<Partition>,
    /// The last one that was added: most come many times, one after the other.
    last: Option<Partition>,
}

impl PartitionNotes {
    fn new(table: &Table) -> Self {
        Self {
            by: match table.partitioning() {
                Partitioning::Whole => None,
                Partitioning::ByMonth { date_column } => Some(table.position(date_column)),
            },
            changed: BTreeSet::new(),
            last: None,
        }
    }

    fn add(&mut self, cells: &[Value]) {
        let partition = self.by.map_or(Partition::WHOLE, |position| match cells[position] {
            Value::Int(Some(date_key)) => Partition::of_date(date_key),
            _ => Partition::WITHOUT_DATE,
        });
        if self.last != Some(partition) {
            self.changed.insert(partition);
            self.last = Some(partition);
        }
    }
}

/// What has to be written of a page.
struct RowsToWrite {
    inserts: Vec<Vec<Value>>,
    updates: Vec<Updates>,
    deletes: Vec<HeldRow>,
    rejects: Vec<Reject>,
    counts: BatchCounts,
}

/// Collects what the rows that differ come down to.
struct DifferenceCollector<'a> {
    table: &'a Table,
    described: usize,
    date_positions: Vec<usize>,
    day: Day,
    partitions: PartitionNotes,
    published_positions: Vec<usize>,
    changed: Vec<i64>,
    republished: Vec<i64>,
    dates: Option<(i32, i32)>,
    days: BTreeSet<i32>,
    /// The last one that came to `days`: most come many times, one after the other.
    last_day: Option<i32>,
    differences: Vec<Difference>,
}

impl<'a> DifferenceCollector<'a> {
    fn new(table: &'a Table, described: usize) -> Self {
        Self {
            table,
            described,
            date_positions: table.positions(&table.date_columns),
            day: Day::of(table),
            partitions: PartitionNotes::new(table),
            published_positions: table
                .publishes
                .iter()
                .map(|publish| table.position(publish.lookup.value))
                .collect(),
            changed: Vec::new(),
            republished: Vec::new(),
            dates: None,
            days: BTreeSet::new(),
            last_day: None,
            differences: Vec::new(),
        }
    }

    /// Takes note of a row that is one thing in the source and another in the target.
    fn add(&mut self, page_key: i64, source: Option<&[Value]>, target: Option<&[Value]>) {
        if self.differences.len() < self.described {
            self.differences.push(Difference {
                key: self.key(page_key, source.or(target)),
                kind: match (source, target) {
                    (Some(_), Some(_)) => DifferenceKind::Different,
                    (Some(_), None) => DifferenceKind::Missing,
                    (None, _) => DifferenceKind::Extra,
                },
                columns: columns_that_differ(self.table, source, target),
            });
        }
        self.changed.push(page_key);
        let differs = |&position: &usize| source.map(|cells| &cells[position]) != target.map(|cells| &cells[position]);
        if self.published_positions.iter().any(differs) {
            self.republished.push(page_key);
        }
        for cells in [source, target].into_iter().flatten() {
            self.partitions.add(cells);
            let date = |position: usize| match cells[position] {
                Value::Int(date) => date,
                _ => None,
            };
            for date in self.date_positions.iter().filter_map(|position| date(*position)) {
                let (first, last) = self.dates.unwrap_or((date, date));
                self.dates = Some((min(first, date), max(last, date)));
            }
            let day = match self.day {
                Day::None => None,
                Day::Any => Some(0),
                Day::At(position) => date(position),
            };
            if day != self.last_day {
                self.days.extend(day);
                self.last_day = day;
            }
        }
    }

    /// What people know a row by.
    fn key(&self, page_key: i64, cells: Option<&[Value]>) -> LookupKey {
        let table = self.table;
        let has_own_key = table.kind != Kind::Bridge && !table.is_told_by_page_key();
        match (cells.filter(|_| has_own_key), &table.positions(&table.natural_key)[..]) {
            (None, _) => LookupKey::Number(page_key),
            (Some(cells), [only]) => key_part(&cells[*only]),
            (Some(cells), parts) => LookupKey::Text(key_text(parts.iter().map(|part| &cells[*part])).into()),
        }
    }

    /// What has to be done about it.
    fn into_batch(self, job: Job, rows: RowsToWrite) -> Batch {
        let RowsToWrite {
            inserts,
            updates,
            deletes,
            rejects,
            counts,
        } = rows;
        Batch {
            job,
            inserts,
            updates,
            deletes,
            rejects,
            counts,
            changed: self.changed,
            republished: self.republished,
            dates: self.dates,
            days: self.days,
            partitions: self.partitions.changed,
            differences: self.differences,
            late: Late::new(),
            sums: None,
        }
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

/// The places of rows, in the order of their natural keys.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(by: Option<usize>, dates: &[Option<i32>]) -> Vec<i32> {
        let mut notes = PartitionNotes {
            by,
            changed: BTreeSet::new(),
            last: None,
        };
        for date_key in dates {
            notes.add(&[Value::Int(*date_key)]);
        }
        notes.changed.into_iter().map(Partition::number).collect()
    }

    #[test]
    fn a_changed_row_is_noted_at_the_month_that_it_is_in() {
        let dates = [Some(20_050_731), Some(20_050_524), Some(20_050_501), None];
        assert_eq!(notes(Some(0), &dates), [0, 200_505, 200_507]);
        assert_eq!(notes(None, &dates), [0]);
        assert_eq!(notes(None, &[]), Vec::<i32>::new());
    }
}
