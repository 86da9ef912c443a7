//! The row count check: finds key ranges to compare row by row, because source and target have different row counts.

use std::collections::{HashMap, HashSet};

use crate::changes::apply::Applier;
use crate::changes::detect::SourceChangesByTable;
use crate::changes::verification;
use crate::declare::table::Table;
use crate::error::Result;
use crate::target::bookkeeping::quarantine;
use crate::target::bookkeeping::verified_ranges::VerificationRange;

/// Row counts by table, where they are known.
#[derive(Default)]
pub(crate) struct RowCounts {
    /// By source table, in the snapshot.
    pub source: HashMap<&'static str, i64>,
    /// By target table, as the pass leaves them.
    pub target: HashMap<&'static str, i64>,
}

impl RowCounts {
    /// The row counts that change detection has read.
    pub(crate) fn from_source_changes(source_changes: &SourceChangesByTable) -> Self {
        let counted = source_changes
            .iter()
            .filter_map(|(table, changes)| Some((*table, changes.rows?)));
        Self {
            source: counted.collect(),
            target: HashMap::new(),
        }
    }

    /// The row count of the source for a target table, if known.
    pub(super) fn of_source(&self, table: &Table) -> Option<i64> {
        let known = self.source.get(table.source_table).copied();
        known.filter(|_| table.only.is_none())
    }

    fn note_source(&mut self, table: &Table, rows: i64) {
        if table.only.is_none() {
            self.source.insert(table.source_table, rows);
        }
    }
}

/// The key ranges of a modified table with different row counts in source and target.
pub(crate) async fn miscounted(
    applier: &Applier<'_>,
    table: &'static Table,
    counts: &mut RowCounts,
) -> Result<Vec<VerificationRange>> {
    let pass = applier.pass;
    let sides = pass.sides().await?;
    let removed = applier.removed.get(table.name);
    let gone = removed.map_or(0, HashSet::len) as u64;
    let rows = sides.rows(table, gone, counts.of_source(table)).await?;
    counts.note_source(table, rows.source);
    let mut miscounted = Vec::new();
    if rows.differs() {
        for range in verification::ranges(pass, table, true).await? {
            let key_range = range.key_range();
            let gone = removed.map_or(0, |rows| {
                rows.iter().filter(|row| key_range.holds(row.page_key)).count()
            });
            let quarantined = quarantine::count(&*pass.transaction, table, &key_range).await?;
            if sides
                .rows_of(table, &key_range, gone as u64, quarantined)
                .await?
                .differs()
            {
                miscounted.push(range);
            }
        }
    }
    Ok(miscounted)
}
