//! Totals by day and group, of some rows of a fact.

use std::collections::HashMap;

use crate::declare::lookup::Lookups;
use crate::declare::source_rows::SourceRow;
use crate::declare::totals::{Group, Total, Totals};

/// Date key and group.
pub(crate) type DayAndGroup = (i32, Option<Group>);
/// In place of the date key of a row that has none, or whose totals have no days.
pub(crate) const WITHOUT_DAY: i32 = 0;
/// Totals by day and group.
pub(crate) type DayTotals = HashMap<DayAndGroup, Total>;

impl Totals {
    /// Adds a source row, as the totals' own record has its columns.
    pub(crate) fn add(&self, row: SourceRow<'_>, lookups: &Lookups, totals: &mut DayTotals) {
        let entry = (self.entry)(row, lookups);
        *totals.entry((entry.date_key, entry.group)).or_default() += Total {
            rows: 1,
            amounts: entry.amounts,
        };
    }
}

/// Adds the second to the first.
pub(crate) fn add_all(totals: &mut DayTotals, others: impl IntoIterator<Item = (DayAndGroup, Total)>) {
    for (key, total) in others {
        *totals.entry(key).or_default() += total;
    }
}

/// Takes the second out of the first.
pub(crate) fn subtract_all(totals: &mut DayTotals, others: impl IntoIterator<Item = (DayAndGroup, Total)>) {
    for (key, total) in others {
        *totals.entry(key).or_default() -= total;
    }
}
