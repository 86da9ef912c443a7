//! Lookups: in-memory maps from a source key to a number, which is a surrogate key or another source key.
//!
//! A full load reads them completely; an incremental run reads the keys that its pages refer to, or the whole table if
//! it needs many of them. The mapping functions are the same for both.

mod key;
mod key_map;
mod page_keys;

use std::sync::Arc;

use sea_orm::ColumnTrait;
use sea_orm::sea_query::ColumnType;

pub use self::key::{KeyRef, LookupKey};
pub use self::key_map::KeyMap;
pub(crate) use self::page_keys::{LookupKeys, select_values};
use crate::declare::rejection::Rejection;

/// A map from a key to an integer, which mappings use: from a natural key to a surrogate key of the star, or from a key
/// to another column of a source table. Declared as a `static`; two with the same fields are the same lookup.
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
    /// The name of the parent in messages and in `sync_reject`, such as `member`.
    pub name: &'static str,
    pub side: Side,
    pub table: &'static str,
    /// The key's column, an integer or a text. Texts are compared exactly, regardless of the server's collation.
    pub key: &'static str,
    pub key_type: KeyType,
    /// The value's column, an integer.
    pub value: &'static str,
}

impl Lookup {
    /// A lookup in the star: from the natural key of a dimension to its surrogate key, or from the natural key of a
    /// fact to another column of the fact, which declares this with
    /// [`Table::fills_lookup`](crate::declare::Table::fills_lookup).
    pub fn in_target<C: ColumnTrait>(name: &'static str, key: C, value: C) -> Self {
        Self::new(name, Side::Target, key, value)
    }

    /// A lookup in the source: from a key to another column of the same table, an integer.
    pub fn in_source<C: ColumnTrait>(name: &'static str, key: C, value: C) -> Self {
        Self::new(name, Side::Source, key, value)
    }

    fn new<C: ColumnTrait>(name: &'static str, side: Side, key: C, value: C) -> Self {
        Self {
            name,
            side,
            table: key.entity_name().to_string().leak(),
            key: key.as_str(),
            key_type: KeyType::from_column(&key),
            value: value.as_str(),
        }
    }

    /// Whether both lookups are read from the same rows.
    pub(crate) fn is_read_with(&self, other: &Self) -> bool {
        (self.side, self.table, self.key) == (other.side, other.table, other.key)
    }
}

impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        // This is called for each row, mostly with the same `static`.
        std::ptr::eq(self, other) || (self.value == other.value && self.is_read_with(other) && self.name == other.name)
    }
}

impl Eq for Lookup {}

/// The type of a lookup's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    Number,
    Text,
}

impl KeyType {
    pub(crate) fn from_column(column: &impl ColumnTrait) -> Self {
        match column.def().get_column_type() {
            ColumnType::Char(_) | ColumnType::String(_) | ColumnType::Text => Self::Text,
            _ => Self::Number,
        }
    }
}

/// Which database a lookup is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source,
    Target,
}

/// A lookup that a table's mapping uses, and the origin of a page's keys for it.
pub struct LookupUse {
    pub lookup: &'static Lookup,
    pub keys: KeysFrom,
}

/// The origin of the keys to look up.
#[derive(Clone, Copy)]
pub enum KeysFrom {
    /// This column of the source rows.
    Column(usize),
    /// The values of a lookup that is earlier in the list.
    Values(&'static Lookup),
}

/// The lookups of a table, filled for one page or for one phase of a load.
#[derive(Clone, Default)]
pub struct Lookups {
    maps: Vec<(&'static Lookup, Arc<KeyMap>)>,
}

impl Lookups {
    /// The value of `key`, or `None` if the source or the star does not have it.
    ///
    /// # Panics
    /// If the table does not declare the lookup with [`Table::looks_up`](crate::declare::Table::looks_up): otherwise
    /// its rows would be quarantined as rows without a parent.
    pub fn get<'a>(&self, lookup: &Lookup, key: impl Into<KeyRef<'a>>) -> Option<i64> {
        let Some(map) = self.map(lookup) else {
            let Lookup { name, table, .. } = lookup;
            panic!("the lookup {name} in {table} is used by a mapping whose table does not declare it with looks_up");
        };
        map.get(key)
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// A [`Rejection`] that names the missing parent.
    ///
    /// # Panics
    /// As [`Lookups::get`].
    pub fn find<'a>(&self, lookup: &Lookup, key: impl Into<KeyRef<'a>>) -> Result<i64, Rejection> {
        let key = key.into();
        self.get(lookup, key).ok_or_else(|| Rejection::missing(lookup, key))
    }

    /// The map of a lookup, if it was filled.
    pub fn map(&self, lookup: &Lookup) -> Option<&KeyMap> {
        // This is called for each row, nearly always with the same `static`.
        let found = self
            .maps
            .iter()
            .find(|(of, _)| std::ptr::eq(*of, lookup) || *of == lookup);
        found.map(|(_, map)| &**map)
    }

    /// Like `map`, but shared.
    pub(crate) fn shared(&self, lookup: &Lookup) -> Option<Arc<KeyMap>> {
        let found = self.maps.iter().find(|(of, _)| *of == lookup);
        found.map(|(_, map)| Arc::clone(map))
    }

    /// Sets the map of a lookup and replaces an earlier one.
    pub fn set(&mut self, lookup: &'static Lookup, map: impl Into<Arc<KeyMap>>) {
        self.maps.retain(|(of, _)| *of != lookup);
        self.maps.push((lookup, map.into()));
    }
}
