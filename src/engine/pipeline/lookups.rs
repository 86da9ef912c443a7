//! Fills lookups, from whichever database they are read from: whole, or with the keys of one page.

use std::collections::HashSet;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult};

use super::flow::Removed;
use crate::engine::declaration::integer::Integer;
use crate::engine::declaration::lookup::{KeyMap, KeysFrom, Lookup, Lookups, Need, Side};
use crate::engine::declaration::scope::Scope;
use crate::engine::declaration::table::{Star, Table};
use crate::engine::target_db::{TargetReader, reject};
use crate::error::{Doing, Result};

/// Keys that one statement asks for.
const KEYS_A_STATEMENT: usize = 1_000;

/// Where lookups are filled from.
#[derive(Clone)]
pub struct LookupSource {
    pub star: &'static Star,
    pub source: DatabaseConnection,
    pub target: TargetReader,
    /// These rows of dimensions are still there, but count as gone.
    pub removed: Arc<Removed>,
    /// What is known better than the target has it.
    pub corrected: Lookups,
}

impl LookupSource {
    /// Fills every lookup that `tables` need and that is not filled yet, whole.
    pub async fn load(&self, tables: &[Table], lookups: &mut Lookups) -> Result<()> {
        for Need { lookup, .. } in tables.iter().flat_map(|table| &table.needs) {
            if lookups.map(lookup).is_none() {
                let mut map = KeyMap::default();
                self.fetch(lookup, &Scope::ALL, &mut map).await?;
                lookups.set(lookup, map);
            }
        }
        Ok(())
    }

    /// Fills the lookups of one page with just the keys that its rows refer to.
    pub async fn of_page(&self, table: &Table, rows: &[QueryResult]) -> Result<Lookups> {
        let mut lookups = Lookups::default();
        for Need { lookup, keys } in &table.needs {
            let keys: HashSet<i64> = match keys {
                KeysFrom::Column(column) => column_keys(rows, *column),
                KeysFrom::Values(earlier) => lookups
                    .map(earlier)
                    .map(|map| map.values().collect())
                    .unwrap_or_default(),
            };
            let mut map = KeyMap::default();
            for scope in Scope::of_keys(keys.iter().copied(), KEYS_A_STATEMENT) {
                self.fetch(lookup, &scope, &mut map).await?;
            }
            for key in keys {
                if let Some(value) = self.corrected.get(lookup, key) {
                    map.insert(key, value);
                }
            }
            lookups.set(lookup, map);
        }
        Ok(lookups)
    }

    async fn fetch(&self, lookup: &'static Lookup, scope: &Scope, map: &mut KeyMap) -> Result<()> {
        let select = lookup.select(scope);
        let doing = || format!("looking up {}, {scope}", lookup.name);
        match lookup.side {
            Side::Source => {
                let rows = self.source.query_all(&select).await.source(doing)?;
                for row in &rows {
                    let (Integer(key), value): (_, Option<Integer>) = row.try_get_many_by_index().source(doing)?;
                    if let Some(Integer(value)) = value {
                        map.insert(key, value);
                    }
                }
            }
            Side::Target => self.fetch_held(lookup, scope, map).await.target(doing)?,
        }
        Ok(())
    }

    async fn fetch_held(
        &self,
        lookup: &'static Lookup,
        scope: &Scope,
        map: &mut KeyMap,
    ) -> std::result::Result<(), DbErr> {
        for row in self.target.all(&lookup.select(scope)).await? {
            let (key, value): (i64, i64) = row.try_get_many_by_index()?;
            map.insert(key, value);
        }
        for key in self.removed.get(lookup.table).into_iter().flatten() {
            map.remove(*key);
        }
        // Rows that could not be loaded are no strangers: their table says what dependants take them for.
        let publisher = lookup.published_by.and_then(|name| self.star.table(name));
        if let Some(table) = publisher
            && let Some(publish) = &table.publishes
        {
            for (key, parent) in reject::missing_parents(&self.target, table.source_table, scope).await? {
                if let Some(value) = (publish.rejected_as)(parent.as_deref()) {
                    map.insert(key, value);
                }
            }
        }
        Ok(())
    }
}

/// The distinct keys in a column. A cell that cannot be read is left to the mapping, which rejects its row.
fn column_keys(rows: &[QueryResult], column: usize) -> HashSet<i64> {
    rows.iter()
        .filter_map(|row| row.try_get_by_index::<Option<Integer>>(column).ok().flatten())
        .map(|key| key.0)
        .collect()
}
