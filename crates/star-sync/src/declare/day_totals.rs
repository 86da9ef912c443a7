//! Totals by day and group, of some rows of a fact.

use std::collections::HashMap;

use crate::declare::lookup::Lookups;
use crate::declare::source_rows::SourceRow;
use crate::declare::totals::{Group, Total, Totals};

/// A date key and a group.
pub(crate) type DayAndGroup = (i32, Option<Group>);
/// Replaces the date key of a row that has none, or whose totals have no days.
pub(crate) const WITHOUT_DAY: i32 = 0;
/// Totals by day and group.
pub(crate) type DayTotals = HashMap<DayAndGroup, Total>;

impl Totals {
    /// Adds a source row whose columns are those of the totals' own record.
    pub(crate) fn add(&self, row: SourceRow<'_>, lookups: &Lookups, totals: &mut DayTotals) {
        let entry = (self.entry)(row, lookups);
        *totals.entry((entry.date_key, entry.group)).or_default() += Total {
            rows: 1,
            amounts: entry.amounts,
        };
    }
}

/// Adds `others` to `totals`.
pub(crate) fn add_all(totals: &mut DayTotals, others: impl IntoIterator<Item = (DayAndGroup, Total)>) {
    for (key, total) in others {
        *totals.entry(key).or_default() += total;
    }
}

/// Subtracts `others` from `totals`.
pub(crate) fn subtract_all(totals: &mut DayTotals, others: impl IntoIterator<Item = (DayAndGroup, Total)>) {
    for (key, total) in others {
        *totals.entry(key).or_default() -= total;
    }
}
