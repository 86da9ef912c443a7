//! Corrects totals that were computed with lookups that have changed since. Only rows that look up a changed key are
//! re-read.

use std::collections::HashSet;

use sea_orm::sea_query::{Alias, Expr};

use crate::compare::source_totals::SourceTotals;
use crate::declare::day_totals::{self, DayTotals};
use crate::declare::key_range::{KEYS_PER_STATEMENT, KeyRange};
use crate::declare::lookup::{KeysFrom, Lookup, LookupKey, LookupKeys, Lookups};
use crate::declare::table::Table;
use crate::declare::totals::Totals;
use crate::error::{Doing, Result};

/// The maximum number of changed keys for which rows are read by key; above it the whole table is read.
const MOST_KEYS: usize = 5_000;

impl SourceTotals<'_> {
    /// The correction for `changed` lookup keys in the totals of the rows outside `key_ranges`, which were computed
    /// with `before`. `None` if it cannot be determined, or if reading all rows is less work.
    pub(crate) async fn correction_for(
        &self,
        table: &'static Table,
        before: &Lookups,
        changed: &[(&'static Lookup, Vec<LookupKey>)],
        key_ranges: &[KeyRange],
    ) -> Result<Option<DayTotals>> {
        let mut moved = DayTotals::new();
        let declared = table
            .totals
            .as_ref()
            .zip(self.databases.star.source(table.source_table));
        let Some((totals, source_table)) = declared.filter(|_| table.has_unique_page_key()) else {
            return Ok(None);
        };
        let Some(looked_up) = looked_up_keys(totals, [before, &self.lookups], changed) else {
            return Ok(None);
        };
        let doing = || format!("adding up {} again", table.source_table);
        let mut seen = HashSet::new();
        for (column, keys) in looked_up {
            let column = &totals.columns[column];
            let column = Expr::col((Alias::new(&column.table), column.name));
            for key_range in LookupKeys::around(&keys, KEYS_PER_STATEMENT, KEYS_PER_STATEMENT) {
                let select = totals
                    .source_select(source_table)
                    .cond_where(table.source_rows())
                    .cond_where(key_range.contains(&column))
                    .to_owned();
                for row in self.source.rows(&select).await.source(doing)?.iter() {
                    let page_key = table.page_key_of(row).source(doing)?;
                    if key_ranges.iter().any(|key_range| key_range.holds(page_key)) || !seen.insert(page_key) {
                        continue;
                    }
                    let (mut then, mut now) = (DayTotals::new(), DayTotals::new());
                    totals.add(row, before, &mut then);
                    totals.add(row, &self.lookups, &mut now);
                    day_totals::subtract_all(&mut moved, then);
                    day_totals::add_all(&mut moved, now);
                }
            }
        }
        Ok(Some(moved))
    }
}

/// The columns of the totals' rows with the keys for which a lookup finds another value now; `None` if there are too
/// many. `sides` are the lookups before and now.
fn looked_up_keys(
    totals: &Totals,
    sides: [&Lookups; 2],
    changed: &[(&'static Lookup, Vec<LookupKey>)],
) -> Option<Vec<(usize, HashSet<LookupKey>)>> {
    let mut found = Vec::new();
    for used in &totals.lookups {
        let of_lookup = changed.iter().filter(|(lookup, _)| *lookup == used.lookup);
        let keys: HashSet<LookupKey> = of_lookup.flat_map(|(_, keys)| keys.iter().cloned()).collect();
        let mut ways = vec![(used.keys, keys)];
        while let Some((keys_from, keys)) = ways.pop().filter(|(_, keys)| !keys.is_empty()) {
            match keys_from {
                KeysFrom::Column(column) => found.push((column, keys)),
                KeysFrom::Values(through) => {
                    // The keys are values of another lookup: trace them back to the keys of that lookup, in any column.
                    let maps = sides.iter().filter_map(|lookups| lookups.map(through));
                    let keys: HashSet<LookupKey> = maps.flat_map(|map| map.keys_of(&keys)).collect();
                    let through = totals.lookups.iter().filter(|used| used.lookup == through);
                    ways.extend(through.map(|used| (used.keys, keys.clone())));
                }
            }
        }
    }
    let count: usize = found.iter().map(|(_, keys)| keys.len()).sum();
    (count <= MOST_KEYS).then_some(found)
}
