//! Fills the lookups of one page, with just the keys that its rows refer to.

use std::collections::HashSet;
use std::sync::Arc;

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query};
use tracing::debug;

use crate::declare::integer::Key;
use crate::declare::key_range::KEYS_PER_STATEMENT;
use crate::declare::lookup::{KeyMap, KeyType, KeysFrom, Lookup, LookupKey, LookupKeys, LookupUse, Lookups, Side};
use crate::declare::source_rows::SourceRows;
use crate::declare::table::Kind;
use crate::error::{Doing, Result};
use crate::pipeline::flow::Late;
use crate::pipeline::lookup::cache::CachedLookups;
use crate::pipeline::lookup::{LookupSource, distinct};

impl LookupSource {
    /// Fills the lookups of one page with just the keys that its rows refer to.
    pub(crate) async fn of_page(&self, uses: &[LookupUse], rows: &SourceRows) -> Result<(Lookups, Late)> {
        let mut lookups = Lookups::default();
        let mut late = Late::new();
        // Of each lookup so far, what the page has found in it.
        let mut found: Vec<(&'static Lookup, HashSet<LookupKey>)> = Vec::new();
        for used in uses {
            if lookups.map(used.lookup).is_some() {
                continue;
            }
            let together = uses.iter().filter(|other| other.is_met_with(used));
            let together = distinct(together.map(|used| used.lookup));
            let keys: HashSet<LookupKey> = match used.keys {
                KeysFrom::Column(column) => column_keys(rows, column),
                KeysFrom::Values(earlier) => {
                    let earlier = found.iter().find(|(of, _)| *of == earlier);
                    earlier.map(|(_, values)| values.clone()).unwrap_or_default()
                }
            };
            if let Some(maps) = self.of_snapshot(&together, &keys).await? {
                for (lookup, map) in together.into_iter().zip(maps) {
                    found.push((lookup, numbers(keys.iter().filter_map(|key| map.get(key)))));
                    lookups.set(lookup, map);
                }
                continue;
            }
            let maps = self.load_keys(&together, &keys).await?;
            for (lookup, mut map) in together.into_iter().zip(maps) {
                for key in &keys {
                    if let Some(value) = self.corrected.map(lookup).and_then(|map| map.get(key)) {
                        map.insert(key, value);
                    }
                }
                if self.finds_late_rows {
                    let missing = keys.iter().filter(|key| map.get(*key).is_none());
                    late.extend(self.late(lookup, missing).await?);
                }
                found.push((lookup, numbers(map.values())));
                lookups.set(lookup, map);
            }
        }
        Ok((lookups, late))
    }

    /// The same from the lookups that were read in the snapshot; missing keys are read first.
    async fn of_snapshot(
        &self,
        lookups: &[&'static Lookup],
        keys: &HashSet<LookupKey>,
    ) -> Result<Option<Vec<Arc<KeyMap>>>> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(None);
        };
        if lookups.iter().any(|lookup| lookup.side == Side::Target) {
            return Ok(None);
        }
        let mut all = snapshot.lock().await;
        let known = CachedLookups::entry(&mut all, lookups);
        if known.rows_at_most.is_none() {
            known.rows_at_most = Some(self.rows_at_most(lookups[0]).await?);
        }
        let unknown = known.unknown(keys);
        if known.is_worth_reading_whole(unknown.len()) {
            known.forget();
            known.set_whole(self.load_whole(&known.lookups).await?);
            let columns: Vec<_> = known.lookups.iter().map(|lookup| lookup.value).collect();
            debug!(
                table = lookups[0].table,
                columns = columns.join(", "),
                "lookups loaded whole"
            );
        } else {
            let maps = self.load_keys(&known.lookups, &unknown).await?;
            known.add(unknown, &maps);
        }
        Ok(Some(known.maps(lookups, keys)))
    }

    /// As many rows as lie between the lowest and the highest key: both are found without going through the table. One
    /// that is keyed by texts is small: its rows are counted.
    async fn rows_at_most(&self, lookup: &Lookup) -> Result<u64> {
        if lookup.key_type == KeyType::Text {
            let select = Query::select()
                .expr(Expr::col(Asterisk).count())
                .from(lookup.table)
                .to_owned();
            let doing = || format!("counting the rows of {}", lookup.table);
            return Ok(self.source.number(&select).await.source(doing)?.unsigned_abs());
        }
        let doing = || format!("looking up the first and last {}", lookup.name);
        let select = Query::select()
            .expr(Expr::col(lookup.key).min())
            .expr(Expr::col(lookup.key).max())
            .from(lookup.table)
            .to_owned();
        let ends: Option<(Option<Key>, Option<Key>)> = match self.source.one(&select).await.source(doing)? {
            Some(row) => Some(row.try_get_many_by_index().source(doing)?),
            None => None,
        };
        Ok(match ends {
            Some((Some(first), Some(last))) => last.0.abs_diff(first.0).saturating_add(1),
            _ => 0,
        })
    }

    /// Which rows the source has of the missing keys of a dimension's lookup: their page keys.
    async fn late(
        &self,
        lookup: &'static Lookup,
        missing: impl Iterator<Item = &LookupKey>,
    ) -> Result<Option<(&'static str, Vec<i64>)>> {
        let dimension = self
            .star
            .table(lookup.table)
            .filter(|table| lookup.side == Side::Target && table.kind == Kind::Dimension);
        let Some((dimension, key)) = dimension.and_then(|table| Some((table, table.source_key.first()?))) else {
            return Ok(None);
        };
        let doing = || format!("searching for late-arriving rows of {}", dimension.source_table);
        let missing: HashSet<&LookupKey> = missing.collect();
        let key = Expr::col((dimension.source_table, key.name));
        let mut late = Vec::new();
        for key_range in LookupKeys::around(missing.iter().copied(), KEYS_PER_STATEMENT, KEYS_PER_STATEMENT) {
            let select = Query::select()
                .expr(dimension.source_page_key())
                .expr(key.clone())
                .from(dimension.source_table)
                .cond_where(dimension.source_rows())
                .cond_where(key_range.contains(&key))
                .to_owned();
            for row in self.source.rows(&select).await.source(doing)?.iter() {
                // A text that the server takes for equal is another key.
                if row.cell(1).is_some_and(|key: LookupKey| missing.contains(&key)) {
                    late.push(row.key(0).source(doing)?);
                }
            }
        }
        Ok((!late.is_empty()).then_some((dimension.name, late)))
    }
}

/// The distinct keys in a column. A cell that cannot be read is left to the mapping, which rejects its row.
fn column_keys(rows: &SourceRows, column: usize) -> HashSet<LookupKey> {
    rows.iter().filter_map(|row| row.cell(column)).collect()
}

fn numbers(values: impl Iterator<Item = i64>) -> HashSet<LookupKey> {
    values.map(LookupKey::Number).collect()
}
