//! Checks whether the lookups that the pages of a load used equal those in the snapshot of the catch-up pass, and finds
//! the keys that differ.

use std::collections::{HashMap, HashSet};

use tracing::info;

use crate::changes::digests;
use crate::changes::page_check::{CheckedPages, PageCheck};
use crate::declare::key_range::KeyRange;
use crate::declare::lookup::{KeyMap, Lookup, LookupKey, Lookups};
use crate::error::Result;
use crate::pipeline::lookup::LookupSource;
use crate::pipeline::lookup::loaded::LoadedLookupGroup;
use crate::target::TargetReader;

/// Which rows of a source table have changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChangedKeys {
    /// The rows with these keys.
    Some(Vec<i64>),
    /// Unknown rows: their integer keys cannot be determined.
    Unnamed,
}

impl PageCheck<'_> {
    /// Returns the lookups whose values differ in the snapshot, with the changed keys, and records the changes in
    /// `checked`. The lookups of totals are corrected.
    pub(super) async fn changed_lookups(
        &self,
        totals_lookups: &mut Lookups,
        checked: &mut CheckedPages,
    ) -> Result<Vec<(&'static Lookup, Vec<LookupKey>)>> {
        let source = LookupSource::new(self.context.databases.star, self.snapshot.reader(), TargetReader::Empty);
        let mut changed = Vec::new();
        for LoadedLookupGroup { lookups, digest } in &self.pages_outcome.loaded {
            if let Some((plan, digest)) = digest {
                let found = digests::of_key_ranges(&self.snapshot.reader(), plan, &[KeyRange::ALL]).await?;
                if found.first().is_some_and(|found| found.digest == *digest) {
                    continue;
                }
            }
            let mut now = Lookups::default();
            source.load_together(lookups, &mut now).await?;
            for lookup in lookups {
                let Some(map) = now.shared(lookup) else {
                    continue;
                };
                for before in [self.pages_outcome.lookups.map(lookup), totals_lookups.map(lookup)] {
                    let keys = before.map(|before| before.keys_that_differ(&map)).unwrap_or_default();
                    if !keys.is_empty() {
                        info!(
                            table = lookup.table,
                            keys = keys.len(),
                            "changed since it was looked up"
                        );
                        checked.note_changed(self.key_of(lookup), (lookup.table, lookup.key), &keys);
                        let is_gone = |key: &LookupKey| map.get(key).is_none();
                        if keys.iter().any(is_gone) && self.is_lost_sight_of(lookup.table) {
                            checked.changed.insert(lookup.table, ChangedKeys::Unnamed);
                        }
                        changed.push((*lookup, keys));
                    }
                }
                if totals_lookups.map(lookup).is_some() {
                    totals_lookups.set(lookup, map);
                }
            }
        }
        Ok(changed)
    }

    /// Whether deleted rows of a source table leave no key by which their dependents can be found.
    fn is_lost_sight_of(&self, source_table: &str) -> bool {
        let mut tables = self.context.databases.star.tables();
        tables.any(|table| table.loses_sight_of(source_table))
    }

    /// The key column of a lookup's source table.
    fn key_of(&self, lookup: &Lookup) -> Option<&'static str> {
        self.context.databases.star.source(lookup.table)?.key
    }
}

impl CheckedPages {
    fn note_changed(&mut self, key: Option<&str>, lookup: (&'static str, &'static str), keys: &[LookupKey]) {
        let (table, lookup_key) = lookup;
        let number = |key: &LookupKey| match key {
            LookupKey::Number(number) => Some(*number),
            LookupKey::Text(_) => None,
        };
        let numbers: Option<Vec<i64>> = keys.iter().map(number).collect();
        match numbers.filter(|_| key == Some(lookup_key)) {
            Some(numbers) => {
                let changed = self.changed.entry(table).or_insert(ChangedKeys::Some(Vec::new()));
                if let ChangedKeys::Some(all) = changed {
                    all.extend(numbers);
                }
            }
            None => {
                self.changed.insert(table, ChangedKeys::Unnamed);
            }
        }
    }
}

/// Corrects a lookup that was filled from pages: in the key ranges `differing`, its entries are replaced by those of
/// the snapshot, which are in `shown`. Also returns the keys whose value changed.
pub(super) fn corrected(
    mut map: KeyMap,
    differing: &[KeyRange],
    shown: HashMap<i64, Option<i64>>,
) -> (KeyMap, Vec<LookupKey>) {
    let mut changed = HashSet::new();
    let before = map
        .numbers()
        .filter(|key| differing.iter().any(|key_range| key_range.holds(*key)));
    let gone: Vec<i64> = before.filter(|key| !shown.contains_key(key)).collect();
    for key in gone {
        map.remove(key);
        changed.insert(LookupKey::Number(key));
    }
    for (key, value) in shown {
        if map.get(key) != value {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(key),
            }
            changed.insert(LookupKey::Number(key));
        }
    }
    (map, changed.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_is_corrected_by_the_rows_of_the_ranges_that_differ() {
        let mut map = KeyMap::default();
        for (key, value) in [(1, 10), (11, 110), (12, 120), (13, 130)] {
            map.insert(key, value);
        }
        let differing = [KeyRange::Between {
            after: Some(10),
            up_to: Some(20),
        }];
        let shown = HashMap::from([(11, Some(110)), (12, Some(999)), (14, Some(140)), (15, None)]);
        let (map, mut changed) = corrected(map, &differing, shown);
        changed.sort_unstable();
        assert_eq!(changed, [12, 13, 14].map(LookupKey::Number));
        assert_eq!(
            [1, 11, 12, 13, 14, 15].map(|key| map.get(key)),
            [Some(10), Some(110), Some(999), None, Some(140), None]
        );
    }

    #[test]
    fn changed_keys_are_named_where_they_are_those_of_the_table() {
        let mut checked = CheckedPages::default();
        let numbers = [LookupKey::Number(7)];
        checked.note_changed(Some("item_id"), ("item", "item_id"), &numbers);
        checked.note_changed(Some("item_id"), ("item", "item_id"), &[LookupKey::Number(8)]);
        checked.note_changed(Some("item_id"), ("shelf", "code"), &[LookupKey::Text("a".into())]);
        checked.note_changed(None, ("place", "place_id"), &numbers);
        assert_eq!(checked.changed["item"], ChangedKeys::Some(vec![7, 8]));
        assert_eq!(checked.changed["shelf"], ChangedKeys::Unnamed);
        assert_eq!(checked.changed["place"], ChangedKeys::Unnamed);
    }
}
