//! A cache for the source's lookups in one snapshot.
//!
//! Reading a single key takes as long as reading several rows of the table in order. So keys are read one by one until
//! that has taken about as long as reading the whole table would; then the table is read completely. This takes at most
//! twice as long as the better of both, whatever keys a run needs.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use crate::declare::lookup::{KeyMap, KeyRef, Lookup, LookupKey};

/// Rows that are read in order in the time of one key that is read singly (docs/performance.md).
const ROWS_PER_KEY: u64 = 8;
/// The most keys that are kept although no page needed them, to limit the memory.
const KEYS_TO_LEARN: usize = 100_000;

/// The lookups read so far, all in one snapshot.
#[derive(Default)]
pub struct SnapshotLookups(Mutex<Vec<CachedLookups>>);

/// The cached keys and values of lookups that are read from the same rows.
pub(crate) struct CachedLookups {
    pub lookups: Vec<&'static Lookup>,
    /// An upper bound of the number of rows in the table, once it was determined.
    pub rows_at_most: Option<u64>,
    cache: Cache,
}

enum Cache {
    /// The values of these keys, of which `asked` were requested by pages.
    Keys {
        keys: HashSet<LookupKey>,
        asked: usize,
        maps: Vec<KeyMap>,
    },
    Whole(Vec<Arc<KeyMap>>),
}

impl SnapshotLookups {
    /// Locked while a lookup is filled, because a concurrent reader would read the same keys again.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, Vec<CachedLookups>> {
        self.0.lock().await
    }

    /// Adds entries found in rows that were read for another purpose: keys, and the lookup's value for each.
    pub(crate) async fn learn(&self, lookup: &'static Lookup, shown: impl IntoIterator<Item = (i64, Option<i64>)>) {
        let mut all = self.lock().await;
        let known = CachedLookups::entry(&mut all, &[lookup]);
        if let (Cache::Keys { keys, maps, .. }, [_]) = (&mut known.cache, &known.lookups[..]) {
            for (key, value) in shown {
                if keys.len() >= KEYS_TO_LEARN {
                    break;
                }
                keys.insert(KeyRef::Number(key).into());
                if let Some(value) = value {
                    maps[0].insert(key, value);
                }
            }
        }
    }
}

impl Cache {
    fn nothing(lookups: usize) -> Self {
        Self::Keys {
            keys: HashSet::new(),
            asked: 0,
            maps: vec![KeyMap::default(); lookups],
        }
    }
}

impl CachedLookups {
    /// The cache of these lookups; it may contain further ones.
    pub(crate) fn entry<'a>(all: &'a mut Vec<Self>, lookups: &[&'static Lookup]) -> &'a mut Self {
        let holds_all = |known: &Self| lookups.iter().all(|lookup| known.position(lookup).is_some());
        let position = all.iter().position(holds_all).unwrap_or(all.len());
        if position == all.len() {
            all.push(Self {
                lookups: lookups.to_vec(),
                rows_at_most: None,
                cache: Cache::nothing(lookups.len()),
            });
        }
        &mut all[position]
    }

    fn position(&self, lookup: &'static Lookup) -> Option<usize> {
        self.lookups.iter().position(|known| *known == lookup)
    }

    /// Those of the keys that are not cached.
    pub(crate) fn unknown(&self, keys: &HashSet<LookupKey>) -> HashSet<LookupKey> {
        match &self.cache {
            Cache::Keys { keys: known, .. } => keys.difference(known).cloned().collect(),
            Cache::Whole(_) => HashSet::new(),
        }
    }

    /// Whether to read the whole table, now that `more` further keys are requested.
    pub(crate) fn is_worth_reading_whole(&self, more: usize) -> bool {
        match (&self.cache, self.rows_at_most) {
            (Cache::Keys { asked, .. }, Some(rows)) if more > 0 => (asked + more) as u64 * ROWS_PER_KEY >= rows,
            _ => false,
        }
    }

    /// Caches the table's values for these keys, one map per lookup.
    pub(crate) fn add(&mut self, asked_for: HashSet<LookupKey>, fetched: &[KeyMap]) {
        if let Cache::Keys { keys, asked, maps } = &mut self.cache {
            for (map, fetched) in maps.iter_mut().zip(fetched) {
                for key in &asked_for {
                    if let Some(value) = fetched.get(key) {
                        map.insert(key, value);
                    }
                }
            }
            *asked += asked_for.len();
            keys.extend(asked_for);
        }
    }

    /// Frees the cached keys before the table is read completely.
    pub(crate) fn forget(&mut self) {
        self.cache = Cache::nothing(self.lookups.len());
    }

    /// Caches all values of the table.
    pub(crate) fn set_whole(&mut self, maps: Vec<KeyMap>) {
        self.cache = Cache::Whole(maps.into_iter().map(Arc::new).collect());
    }

    /// The values of these lookups for these keys, and possibly for others.
    pub(crate) fn maps(&self, lookups: &[&'static Lookup], keys: &HashSet<LookupKey>) -> Vec<Arc<KeyMap>> {
        let positions = lookups.iter().filter_map(|lookup| self.position(lookup));
        match &self.cache {
            Cache::Whole(maps) => positions.map(|position| Arc::clone(&maps[position])).collect(),
            // A copy, because the map itself still grows.
            Cache::Keys { maps, .. } => positions
                .map(|position| {
                    let mut of_keys = KeyMap::default();
                    for key in keys {
                        if let Some(value) = maps[position].get(key) {
                            of_keys.insert(key, value);
                        }
                    }
                    Arc::new(of_keys)
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::declare::lookup::{KeyType, Side};

    fn of_copy(value: &'static str) -> Lookup {
        Lookup {
            name: "copy",
            side: Side::Source,
            table: "copy",
            key: "copy_id",
            key_type: KeyType::Number,
            value,
        }
    }

    static BOOK: LazyLock<Lookup> = LazyLock::new(|| of_copy("book_id"));
    static SHELF: LazyLock<Lookup> = LazyLock::new(|| of_copy("shelf_id"));

    fn keys(numbers: impl IntoIterator<Item = i64>) -> HashSet<LookupKey> {
        numbers.into_iter().map(LookupKey::Number).collect()
    }

    fn map(pairs: &[(i64, i64)]) -> KeyMap {
        let mut map = KeyMap::default();
        for (key, value) in pairs {
            map.insert(*key, *value);
        }
        map
    }

    #[test]
    fn a_key_is_asked_for_once_whether_or_not_the_source_has_it() {
        let mut all = Vec::new();
        let known = CachedLookups::entry(&mut all, &[&BOOK, &SHELF]);
        let asked = keys([1, 2]);
        assert_eq!(known.unknown(&asked), asked);
        // A range contains rows that were not needed.
        known.add(asked, &[map(&[(1, 10), (3, 30)]), map(&[(1, 100), (3, 300)])]);
        let known = CachedLookups::entry(&mut all, &[&SHELF]);
        assert_eq!(known.unknown(&keys([1, 2, 3])), keys([3]));
        let maps = known.maps(&[&SHELF], &keys([1, 2]));
        assert_eq!(maps.iter().map(|map| map.get(1)).collect::<Vec<_>>(), [Some(100)]);
        assert_eq!([maps[0].get(2), maps[0].get(3)], [None, None]);
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn a_table_is_read_whole_once_its_keys_have_cost_as_much() {
        let mut all = Vec::new();
        let known = CachedLookups::entry(&mut all, &[&BOOK]);
        assert!(!known.is_worth_reading_whole(1_000), "nobody knows how long it is");
        known.rows_at_most = Some(800);
        assert!(!known.is_worth_reading_whole(99));
        known.add(keys(1..=60), &[KeyMap::default()]);
        assert!(!known.is_worth_reading_whole(39));
        assert!(known.is_worth_reading_whole(40));
        known.set_whole(vec![map(&[(700, 7)])]);
        assert!(!known.is_worth_reading_whole(40));
        assert!(known.unknown(&keys([700, 701])).is_empty());
        assert_eq!(known.maps(&[&BOOK], &keys([]))[0].get(700), Some(7));
    }

    #[tokio::test]
    async fn what_rows_have_shown_is_not_asked_for() {
        let lookups = SnapshotLookups::default();
        lookups.learn(&BOOK, [(1, Some(10)), (2, None)]).await;
        let beyond = i64::try_from(KEYS_TO_LEARN).unwrap() + 1;
        lookups.learn(&BOOK, (3..=beyond).map(|key| (key, Some(1)))).await;
        let mut all = lookups.lock().await;
        let known = CachedLookups::entry(&mut all, &[&BOOK]);
        // The learned keys do not count as requested.
        known.rows_at_most = Some(80);
        assert!(!known.is_worth_reading_whole(9));
        assert!(known.is_worth_reading_whole(10));
        let asked = keys([1, 2, beyond - 1, beyond]);
        assert_eq!(known.unknown(&asked), keys([beyond]));
        let map = &known.maps(&[&BOOK], &asked)[0];
        assert_eq!([1, 2].map(|key| map.get(key)), [Some(10), None]);
    }
}
