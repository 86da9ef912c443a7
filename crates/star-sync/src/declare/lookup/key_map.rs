//! The map of a lookup: from keys to numbers, in about four bytes per key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::declare::lookup::{KeyRef, LookupKey};

/// A map from keys to numbers that takes four bytes per key where keys are dense, as auto-increment keys are.
#[derive(Clone, Debug, Default)]
pub struct KeyMap {
    /// `dense[key]` is the value plus one; 0 stands for no value.
    dense: Vec<u32>,
    /// Keys and values that do not fit into the array.
    sparse: HashMap<i64, i64>,
    texts: HashMap<Arc<str>, i64>,
    entries: usize,
}

/// The array may be this many times longer than the entries it holds; beyond that a hash map is smaller.
const DENSE_SLACK: usize = 8;
/// Array slots that are always allowed, so that the first keys of a table do not count as sparse.
const DENSE_FLOOR: usize = 65_536;

impl KeyMap {
    /// The value of a key.
    pub fn get<'a>(&self, key: impl Into<KeyRef<'a>>) -> Option<i64> {
        match key.into() {
            KeyRef::Number(key) => match usize::try_from(key).ok().and_then(|slot| self.dense.get(slot)) {
                Some(&stored) if stored != 0 => Some(i64::from(stored) - 1),
                _ if self.sparse.is_empty() => None,
                _ => self.sparse.get(&key).copied(),
            },
            KeyRef::Text(key) => self.texts.get(key).copied(),
        }
    }

    /// Sets the value of a key, instead of any earlier one.
    pub fn insert<'a>(&mut self, key: impl Into<KeyRef<'a>>, value: i64) {
        match key.into() {
            KeyRef::Number(key) => self.insert_number(key, value),
            KeyRef::Text(key) => {
                self.texts.insert(key.into(), value);
            }
        }
    }

    fn insert_number(&mut self, key: i64, value: i64) {
        self.entries += 1;
        let limit = DENSE_FLOOR + self.entries * DENSE_SLACK;
        match (usize::try_from(key), u32::try_from(value)) {
            (Ok(slot), Ok(value)) if slot < limit && value < u32::MAX => {
                if slot >= self.dense.len() {
                    self.dense.resize(slot + 1, 0);
                }
                self.dense[slot] = value + 1;
            }
            _ => {
                // A key is stored in one place: an older value in the array would hide this one.
                if let Some(stored) = usize::try_from(key).ok().and_then(|slot| self.dense.get_mut(slot)) {
                    *stored = 0;
                }
                self.sparse.insert(key, value);
            }
        }
    }

    /// Removes a key.
    pub fn remove<'a>(&mut self, key: impl Into<KeyRef<'a>>) {
        match key.into() {
            KeyRef::Number(key) => {
                if let Some(stored) = usize::try_from(key).ok().and_then(|slot| self.dense.get_mut(slot)) {
                    *stored = 0;
                }
                self.sparse.remove(&key);
            }
            KeyRef::Text(key) => {
                self.texts.remove(key);
            }
        }
    }

    /// The numeric keys.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = i64> {
        let dense = self.dense.iter().enumerate().filter(|(_, stored)| **stored != 0);
        let dense = dense.filter_map(|(slot, _)| i64::try_from(slot).ok());
        dense.chain(self.sparse.keys().copied())
    }

    /// The keys whose value is one of these.
    pub(crate) fn keys_of(&self, values: &HashSet<LookupKey>) -> Vec<LookupKey> {
        let keys = self.numbers().map(LookupKey::Number);
        let texts = self.texts.keys().map(|text| LookupKey::Text(Arc::clone(text)));
        let is_of_one = |key: &LookupKey| {
            let value = self.get(key);
            value.is_some_and(|value| values.contains(&LookupKey::Number(value)))
        };
        keys.chain(texts).filter(is_of_one).collect()
    }

    /// The keys whose values differ, and those that only one of the maps has.
    pub(crate) fn keys_that_differ(&self, other: &Self) -> Vec<LookupKey> {
        let keys = |map: &Self| -> Vec<LookupKey> {
            let texts = map.texts.keys().map(|text| LookupKey::Text(Arc::clone(text)));
            map.numbers().map(LookupKey::Number).chain(texts).collect()
        };
        let mut differing: Vec<LookupKey> = [keys(self), keys(other)].concat();
        differing.retain(|key| self.get(key) != other.get(key));
        differing.sort_unstable();
        differing.dedup();
        differing
    }

    /// Every value, unordered, as often as it occurs.
    pub fn values(&self) -> impl Iterator<Item = i64> {
        self.dense
            .iter()
            .filter(|&&stored| stored != 0)
            .map(|&stored| i64::from(stored) - 1)
            .chain(self.sparse.values().copied())
            .chain(self.texts.values().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_map_holds_dense_sparse_negative_and_wide_keys_and_values() {
        let pairs = [
            (0, 0),
            (1, 7),
            (40_000, 9),
            (-5, 3),
            (9_000_000_000, 4),
            (2, i64::from(u32::MAX)),
            (3, -1),
        ];
        let mut map = KeyMap::default();
        for (key, value) in pairs {
            map.insert(key, value);
        }
        for (key, value) in pairs {
            assert_eq!(map.get(key), Some(value), "key {key}");
        }
        assert_eq!(map.get(4), None);
        assert_eq!(map.values().count(), pairs.len());
    }

    #[test]
    fn texts_are_keys_of_their_own() {
        let mut map = KeyMap::default();
        map.insert("7", 1);
        map.insert(7, 2);
        map.insert("ABW", 3);
        assert_eq!(
            [map.get("7"), map.get(7), map.get("ABW")].map(Option::unwrap),
            [1, 2, 3]
        );
        assert_eq!(map.get("abw"), None);
        map.remove("ABW");
        assert_eq!(map.get("ABW"), None);
        assert_eq!(map.values().sum::<i64>(), 3);
    }

    #[test]
    fn keys_are_found_by_their_values_and_by_what_differs() {
        let map = |pairs: &[(i64, i64)]| {
            let mut map = KeyMap::default();
            map.insert("a", 1);
            for (key, value) in pairs {
                map.insert(*key, *value);
            }
            map
        };
        let before = map(&[(1, 10), (-2, 10), (3, 30), (4, 40)]);
        let now = map(&[(1, 10), (-2, 20), (3, 30), (5, 50)]);
        let numbers = |keys: &[i64]| keys.iter().copied().map(LookupKey::Number).collect::<Vec<_>>();
        assert_eq!(before.keys_that_differ(&now), numbers(&[-2, 4, 5]));
        let of = |value: i64| before.keys_of(&HashSet::from([LookupKey::Number(value)]));
        assert_eq!(of(10), numbers(&[1, -2]));
        assert_eq!(of(1), [LookupKey::Text("a".into())]);
    }

    #[test]
    fn the_last_value_of_a_key_wins_wherever_it_is_kept() {
        let mut map = KeyMap::default();
        map.insert(2, 5);
        map.insert(2, -1);
        assert_eq!(map.get(2), Some(-1));
        map.remove(2);
        assert_eq!(map.get(2), None);
    }
}
