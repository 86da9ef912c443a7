//! In-memory maps from a key of the source to the number it stands for: a surrogate key, or another source key.
//!
//! A full load fills them whole; an incremental run fetches just the keys that a page refers to. Either way the
//! mapping functions see the same thing.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::sea_query::{Expr, Query, SelectStatement};

use crate::declare::rejection::Rejection;
use crate::declare::scope::Scope;

/// A map that mapping functions consult, declared once as a `static`.
pub struct Lookup {
    /// What its keys are keys of, as messages name it: `customer`.
    pub name: &'static str,
    pub side: Side,
    pub table: &'static str,
    /// The key's column, an integer.
    pub key: &'static str,
    /// The value's column, an integer.
    pub value: &'static str,
    /// The star table whose load fills this map as it goes, if there is one.
    pub published_by: Option<&'static str>,
}

impl Lookup {
    /// Whether both are read from the same rows.
    pub fn is_read_with(&self, other: &Self) -> bool {
        (self.side, self.table, self.key) == (other.side, other.table, other.key)
    }
}

/// Selects the keys in `scope` and the value of each of these lookups, which are read from the same rows.
pub fn select_values(lookups: &[&Lookup], scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    for lookup in lookups.iter().take(1) {
        select.column(lookup.key).from(lookup.table);
        select.cond_where(scope.contains(&Expr::col(lookup.key)));
    }
    select.columns(lookups.iter().map(|lookup| lookup.value));
    select
}

/// Which database a lookup is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source,
    Target,
}

/// A lookup that a table's mapping consults, and where a page's keys for it come from.
pub struct Need {
    pub lookup: &'static Lookup,
    pub keys: KeysFrom,
}

impl Need {
    /// Whether one statement answers both.
    pub fn is_met_with(&self, other: &Self) -> bool {
        self.lookup.is_read_with(other.lookup)
            && match (&self.keys, &other.keys) {
                (KeysFrom::Column(one), KeysFrom::Column(other)) => one == other,
                _ => std::ptr::eq(self, other),
            }
    }
}

/// Where the keys to look up are found.
pub enum KeysFrom {
    /// In this column of the source rows.
    Column(usize),
    /// Among the values of a lookup that stands earlier in the list.
    Values(&'static Lookup),
}

/// The maps that are filled for one page, or for one phase of a load.
#[derive(Clone, Default)]
pub struct Lookups {
    maps: Vec<(&'static Lookup, Arc<KeyMap>)>,
}

impl Lookups {
    /// The value of `key`, if the source (or the star) has it.
    pub fn get(&self, lookup: &'static Lookup, key: i64) -> Option<i64> {
        self.map(lookup).and_then(|map| map.get(key))
    }

    /// The value of `key`, or the rejection that says its parent is not there.
    pub fn find(&self, lookup: &'static Lookup, key: i64) -> Result<i64, Rejection> {
        self.get(lookup, key)
            .ok_or_else(|| Rejection::missing(lookup.name, key))
    }

    /// The filled map of a lookup, if it is there.
    pub fn map(&self, lookup: &'static Lookup) -> Option<&KeyMap> {
        let found = self.maps.iter().find(|(of, _)| std::ptr::eq(*of, lookup));
        found.map(|(_, map)| &**map)
    }

    /// Puts a filled map in, instead of any earlier one of the same lookup.
    pub fn set(&mut self, lookup: &'static Lookup, map: impl Into<Arc<KeyMap>>) {
        self.maps.retain(|(of, _)| !std::ptr::eq(*of, lookup));
        self.maps.push((lookup, map.into()));
    }
}

/// A map from keys to numbers that costs four bytes a key where keys are dense, as auto-increment keys are.
#[derive(Clone, Debug, Default)]
pub struct KeyMap {
    /// `dense[key]` is the value plus one; 0 stands for no value.
    dense: Vec<u32>,
    /// Keys or values that do not fit the array.
    sparse: HashMap<i64, i64>,
    entries: usize,
}

/// The array may be this many times longer than the entries it holds; beyond that a hash map is smaller.
const DENSE_SLACK: usize = 8;
/// Array slots that are always allowed, so that the first keys of a table do not count as sparse.
const DENSE_FLOOR: usize = 65_536;

impl KeyMap {
    /// The value of a key.
    pub fn get(&self, key: i64) -> Option<i64> {
        match usize::try_from(key).ok().and_then(|slot| self.dense.get(slot)) {
            Some(&stored) if stored != 0 => Some(i64::from(stored) - 1),
            _ if self.sparse.is_empty() => None,
            _ => self.sparse.get(&key).copied(),
        }
    }

    /// Sets the value of a key, instead of any earlier one.
    pub fn insert(&mut self, key: i64, value: i64) {
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
                // A key has one place: an older value in the array would hide this one.
                if let Some(stored) = usize::try_from(key).ok().and_then(|slot| self.dense.get_mut(slot)) {
                    *stored = 0;
                }
                self.sparse.insert(key, value);
            }
        }
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: i64) {
        if let Some(stored) = usize::try_from(key).ok().and_then(|slot| self.dense.get_mut(slot)) {
            *stored = 0;
        }
        self.sparse.remove(&key);
    }

    /// Every value, in no order, repeated as often as it occurs.
    pub fn values(&self) -> impl Iterator<Item = i64> {
        self.dense
            .iter()
            .filter(|&&stored| stored != 0)
            .map(|&stored| i64::from(stored) - 1)
            .chain(self.sparse.values().copied())
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
    fn the_last_value_of_a_key_wins_wherever_it_is_kept() {
        let mut map = KeyMap::default();
        map.insert(2, 5);
        map.insert(2, -1);
        assert_eq!(map.get(2), Some(-1));
        map.remove(2);
        assert_eq!(map.get(2), None);
    }
}
