//! The effects of the rows of a page that differ: changed keys, dates, days, partitions, and descriptions for users.

use std::cmp::{max, min};
use std::collections::BTreeSet;

use sea_orm::Value;

use crate::declare::day_totals::WITHOUT_DAY;
use crate::declare::lookup::LookupKey;
use crate::declare::partition::{Partition, Partitioning};
use crate::declare::row::{key_part, key_text, text};
use crate::declare::table::{Kind, Table};
use crate::pipeline::flow::{Batch, BatchCounts, ColumnDifference, Difference, DifferenceKind, Job, Late};

/// The day on which a row counts in the totals of its table.
enum Day {
    /// The table has no totals.
    None,
    /// The totals have no days.
    Any,
    /// The day in this column.
    At(usize),
}

impl Day {
    fn of_table(table: &Table) -> Self {
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
    /// The last partition that was added: consecutive rows are mostly in the same one.
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

/// Collects the effects of the rows that differ.
pub(super) struct DifferenceCollector<'a> {
    table: &'a Table,
    described: usize,
    date_positions: Vec<usize>,
    day: Day,
    partitions: PartitionNotes,
    lookup_positions: Vec<usize>,
    changed: Vec<i64>,
    lookup_changed: Vec<i64>,
    dates: Option<(i32, i32)>,
    days: BTreeSet<i32>,
    /// The last day that was added to `days`: consecutive rows mostly have the same one.
    last_day: Option<i32>,
    differences: Vec<Difference>,
}

impl<'a> DifferenceCollector<'a> {
    pub(super) fn new(table: &'a Table, described: usize) -> Self {
        Self {
            table,
            described,
            date_positions: table.positions(&table.date_columns),
            day: Day::of_table(table),
            partitions: PartitionNotes::new(table),
            lookup_positions: table
                .filled_lookups
                .iter()
                .map(|filled| table.position(filled.lookup.value))
                .collect(),
            changed: Vec::new(),
            lookup_changed: Vec::new(),
            dates: None,
            days: BTreeSet::new(),
            last_day: None,
            differences: Vec::new(),
        }
    }

    /// Adds a row that differs between source and target.
    pub(super) fn add(&mut self, page_key: i64, source: Option<&[Value]>, target: Option<&[Value]>) {
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
        // A new dimension row may be the missing parent of other rows.
        let is_new_parent = self.table.kind == Kind::Dimension && target.is_none();
        if is_new_parent || self.lookup_positions.iter().any(differs) {
            self.lookup_changed.push(page_key);
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
                Day::Any => Some(WITHOUT_DAY),
                Day::At(position) => Some(date(position).unwrap_or(WITHOUT_DAY)),
            };
            if day != self.last_day {
                self.days.extend(day);
                self.last_day = day;
            }
        }
    }

    /// The key that identifies a row to users.
    fn key(&self, page_key: i64, cells: Option<&[Value]>) -> LookupKey {
        let table = self.table;
        let has_own_key = table.kind != Kind::Bridge && !table.has_unique_page_key();
        match (cells.filter(|_| has_own_key), &table.positions(&table.natural_key)[..]) {
            (None, _) => LookupKey::Number(page_key),
            (Some(cells), [only]) => key_part(&cells[*only]),
            (Some(cells), parts) => LookupKey::Text(key_text(parts.iter().map(|part| &cells[*part])).into()),
        }
    }

    /// The batch of these differences, without the rows to write.
    pub(super) fn into_batch(self, job: Job) -> Batch {
        Batch {
            job,
            inserts: Vec::new(),
            updates: Vec::new(),
            deletes: Vec::new(),
            rejected: Vec::new(),
            counts: BatchCounts::default(),
            changed: self.changed,
            lookup_changed: self.lookup_changed,
            dates: self.dates,
            days: self.days,
            partitions: self.partitions.changed,
            differences: self.differences,
            late: Late::new(),
            page_digest: None,
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
