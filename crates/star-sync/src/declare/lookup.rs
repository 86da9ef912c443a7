//! In-memory maps from a key of the source to the number it stands for: a surrogate key, or another source key.
//!
//! A full load fills them whole; an incremental run fetches just the keys that a page refers to. Either way the
//! mapping functions see the same thing.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use sea_orm::sea_query::{ColumnType, Expr, ExprTrait, IntoCondition, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, Value};
use serde::Serialize;

use crate::declare::cell::{Cell, FromCell};
use crate::declare::integer::{Integer, Key};
use crate::declare::rejection::Rejection;
use crate::declare::scope::Scope;

/// A map that mapping functions consult. Two with the same content are the same lookup.
///
/// ```
/// # mod country {
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "dim_country")]
/// #     pub struct Model {
/// #         #[sea_orm(primary_key)]
/// #         pub country_key: i64,
/// #         #[sea_orm(unique)]
/// #         pub code: String,
/// #     }
/// #     #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// use std::sync::LazyLock;
/// use star_sync::declare::lookup::Lookup;
///
/// /// code to country_key.
/// pub static COUNTRY: LazyLock<Lookup> =
///     LazyLock::new(|| Lookup::in_target("country", country::Column::Code, country::Column::CountryKey));
/// ```
#[derive(Debug)]
pub struct Lookup {
    /// What its keys are keys of, as messages name it: `member`.
    pub name: &'static str,
    pub side: Side,
    pub table: &'static str,
    /// The key's column, an integer or a text. Texts are compared as they are, whatever the server's collation takes for
    /// equal.
    pub key: &'static str,
    pub key_type: KeyType,
    /// The value's column, an integer.
    pub value: &'static str,
}

impl Lookup {
    /// A lookup in the star: from a dimension's natural key, or a fact's, to another column of the table.
    pub fn in_target<C: ColumnTrait>(name: &'static str, key: C, value: C) -> Self {
        Self::new(name, Side::Target, key, value)
    }

    /// A lookup in the source: from a key to another column of the table.
    pub fn in_source<C: ColumnTrait>(name: &'static str, key: C, value: C) -> Self {
        Self::new(name, Side::Source, key, value)
    }

    fn new<C: ColumnTrait>(name: &'static str, side: Side, key: C, value: C) -> Self {
        Self {
            name,
            side,
            table: key.entity_name().to_string().leak(),
            key: key.as_str(),
            key_type: KeyType::of(&key),
            value: value.as_str(),
        }
    }

    /// Whether both are read from the same rows.
    pub fn is_read_with(&self, other: &Self) -> bool {
        (self.side, self.table, self.key) == (other.side, other.table, other.key)
    }
}

impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        // Most are the same `static`; and this is asked for each row.
        std::ptr::eq(self, other) || (self.value == other.value && self.is_read_with(other) && self.name == other.name)
    }
}

impl Eq for Lookup {}

/// What a lookup's keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    Number,
    Text,
}

impl KeyType {
    pub(crate) fn of(column: &impl ColumnTrait) -> Self {
        match column.def().get_column_type() {
            ColumnType::Char(_) | ColumnType::String(_) | ColumnType::Text => Self::Text,
            _ => Self::Number,
        }
    }
}

/// A key of a lookup; also a row's natural key of one column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum LookupKey {
    Number(i64),
    Text(Arc<str>),
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRef<'a> {
    Number(i64),
    Text(&'a str),
}

impl From<i64> for KeyRef<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Integer> for KeyRef<'_> {
    fn from(Integer(number): Integer) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for KeyRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for KeyRef<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a LookupKey> for KeyRef<'a> {
    fn from(key: &'a LookupKey) -> Self {
        match key {
            LookupKey::Number(number) => Self::Number(*number),
            LookupKey::Text(text) => Self::Text(text),
        }
    }
}

impl From<KeyRef<'_>> for LookupKey {
    fn from(key: KeyRef<'_>) -> Self {
        match key {
            KeyRef::Number(number) => Self::Number(number),
            KeyRef::Text(text) => Self::Text(text.into()),
        }
    }
}

impl From<LookupKey> for Value {
    fn from(key: LookupKey) -> Self {
        match key {
            LookupKey::Number(number) => Value::BigInt(Some(number)),
            LookupKey::Text(text) => Value::String(Some(text.as_ref().to_owned())),
        }
    }
}

impl fmt::Display for KeyRef<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => text.fmt(formatter),
        }
    }
}

impl fmt::Display for LookupKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        KeyRef::from(self).fmt(formatter)
    }
}

impl FromCell for LookupKey {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(Self::Text(text.as_ref().into())),
            cell => Key::from_cell(cell).map(|Key(number)| Self::Number(number)),
        }
    }
}

/// Keys that one statement of a lookup brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookupScope {
    All,
    Numbers(Scope),
    Texts(Vec<Arc<str>>),
}

impl LookupScope {
    /// The scope as a condition on `key`.
    pub(crate) fn contains(&self, key: &Expr) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::Numbers(scope) => scope.contains(key),
            Self::Texts(texts) => key.clone().is_in(texts.iter().map(|text| &**text)).into_condition(),
        }
    }

    /// Scopes that hold a set of keys, and maybe numbers that lie between them.
    pub(crate) fn around<'a>(
        keys: impl IntoIterator<Item = &'a LookupKey>,
        size: usize,
        size_of_range: usize,
    ) -> Vec<Self> {
        let mut texts: Vec<Arc<str>> = Vec::new();
        let mut numbers = Vec::new();
        for key in keys {
            match key {
                LookupKey::Number(number) => numbers.push(*number),
                LookupKey::Text(text) => texts.push(Arc::clone(text)),
            }
        }
        texts.sort_unstable();
        let numbers = Scope::around_keys(numbers, size, size_of_range);
        let texts = texts.chunks(size).map(|texts| Self::Texts(texts.to_vec()));
        numbers.into_iter().map(Self::Numbers).chain(texts).collect()
    }
}

impl fmt::Display for LookupScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(formatter, "all keys"),
            Self::Numbers(scope) => scope.fmt(formatter),
            Self::Texts(texts) => write!(formatter, "{} keys", texts.len()),
        }
    }
}

/// Selects the keys in `scope` and the value of each of these lookups, which are read from the same rows.
pub(crate) fn select_values(lookups: &[&Lookup], scope: &LookupScope) -> SelectStatement {
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
#[derive(Clone, Copy)]
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
    ///
    /// # Panics
    /// If the table does not declare the lookup: a row must not be taken for one without its parent because of that.
    pub fn get<'a>(&self, lookup: &Lookup, key: impl Into<KeyRef<'a>>) -> Option<i64> {
        let Some(map) = self.map(lookup) else {
            let Lookup { name, table, .. } = lookup;
            panic!("the lookup {name} in {table} is used by a mapping whose table does not declare it with looks_up");
        };
        map.get(key)
    }

    /// The value of `key`, or the rejection that says its parent is not there.
    ///
    /// # Errors
    /// If there is none.
    ///
    /// # Panics
    /// As [`Lookups::get`].
    pub fn find<'a>(&self, lookup: &Lookup, key: impl Into<KeyRef<'a>>) -> Result<i64, Rejection> {
        let key = key.into();
        self.get(lookup, key).ok_or_else(|| Rejection::missing(lookup, key))
    }

    /// The filled map of a lookup, if it is there.
    pub fn map(&self, lookup: &Lookup) -> Option<&KeyMap> {
        // Asked once a row: nearly always it is the very same declaration.
        let found = self
            .maps
            .iter()
            .find(|(of, _)| std::ptr::eq(*of, lookup) || *of == lookup);
        found.map(|(_, map)| &**map)
    }

    /// The same, shared.
    pub(crate) fn shared(&self, lookup: &Lookup) -> Option<Arc<KeyMap>> {
        let found = self.maps.iter().find(|(of, _)| *of == lookup);
        found.map(|(_, map)| Arc::clone(map))
    }

    /// Puts a filled map in, instead of any earlier one of the same lookup.
    pub fn set(&mut self, lookup: &'static Lookup, map: impl Into<Arc<KeyMap>>) {
        self.maps.retain(|(of, _)| *of != lookup);
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
                // A key has one place: an older value in the array would hide this one.
                if let Some(stored) = usize::try_from(key).ok().and_then(|slot| self.dense.get_mut(slot)) {
                    *stored = 0;
                }
                self.sparse.insert(key, value);
            }
        }
    }

    /// Forgets a key.
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

    /// The keys that are numbers.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = i64> {
        let dense = self.dense.iter().enumerate().filter(|(_, stored)| **stored != 0);
        let dense = dense.filter_map(|(slot, _)| i64::try_from(slot).ok());
        dense.chain(self.sparse.keys().copied())
    }

    /// The keys for which one of these values is found.
    pub(crate) fn keys_of(&self, values: &HashSet<LookupKey>) -> Vec<LookupKey> {
        let keys = self.numbers().map(LookupKey::Number);
        let texts = self.texts.keys().map(|text| LookupKey::Text(Arc::clone(text)));
        let is_of_one = |key: &LookupKey| {
            let value = self.get(key);
            value.is_some_and(|value| values.contains(&LookupKey::Number(value)))
        };
        keys.chain(texts).filter(is_of_one).collect()
    }

    /// The keys of which the other has another value, or one of both has none.
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

    /// Every value, in no order, repeated as often as it occurs.
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
    fn keys_of_both_kinds_are_named_in_one_condition_each() {
        use crate::made_up::dim_book::Column;
        let lookup = Lookup::in_target("book", Column::BookId, Column::BookKey);
        let keys = HashSet::from([LookupKey::Text("b".into()), LookupKey::Text("a".into())]);
        let scopes = LookupScope::around(&keys, 10, 10);
        let sql = |scope| select_values(&[&lookup], scope).to_string(sea_orm::sea_query::SqliteQueryBuilder);
        assert_eq!(
            scopes.iter().map(sql).collect::<Vec<_>>(),
            [r#"SELECT "book_id", "book_key" FROM "dim_book" WHERE "book_id" IN ('a', 'b')"#]
        );
        assert_eq!(
            sql(&LookupScope::All),
            r#"SELECT "book_id", "book_key" FROM "dim_book" WHERE TRUE"#
        );
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
