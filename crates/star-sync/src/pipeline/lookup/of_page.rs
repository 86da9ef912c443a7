//! Fills the lookups of one page with only the keys that its rows refer to.

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

/// The lookups of a page that are filled so far.
#[derive(Default)]
struct PageLookups {
    lookups: Lookups,
    late: Late,
    found: Vec<Found>,
}

/// The keys of a page for a lookup, and the values found for them.
struct Found {
    lookup: &'static Lookup,
    keys: HashSet<LookupKey>,
    values: HashSet<LookupKey>,
}

impl PageLookups {
    fn found(&self, lookup: &Lookup) -> Option<&Found> {
        self.found.iter().find(|found| found.lookup == lookup)
    }

    /// Replaces earlier keys and values of the lookup.
    fn note(&mut self, lookup: &'static Lookup, keys: &HashSet<LookupKey>, values: HashSet<LookupKey>) {
        self.found.retain(|found| found.lookup != lookup);
        let keys = keys.clone();
        self.found.push(Found { lookup, keys, values });
    }
}

impl LookupSource {
    /// Fills the lookups of one page with only the keys that its rows refer to.
    pub(crate) async fn of_page(&self, uses: &[LookupUse], rows: &SourceRows) -> Result<(Lookups, Late)> {
        let mut page = PageLookups::default();
        // Two columns may contain keys of the same table, such as an origin and a destination.
        for used in uses {
            let KeysFrom::Column(_) = used.keys else { continue };
            if page.lookups.map(used.lookup).is_some() {
                continue;
            }
            let (mut together, mut keys) = (Vec::new(), HashSet::new());
            for other in uses {
                if let (KeysFrom::Column(column), true) = (other.keys, other.lookup.is_read_with(used.lookup)) {
                    together.push(other.lookup);
                    keys.extend(column_keys(rows, column));
                }
            }
            self.fill(&mut page, distinct(together.into_iter()), keys).await?;
        }
        for used in uses {
            let KeysFrom::Values(earlier) = used.keys else { continue };
            let mut keys = page
                .found(earlier)
                .map(|found| found.values.clone())
                .unwrap_or_default();
            if let Some(found) = page.found(used.lookup) {
                keys.extend(found.keys.iter().cloned());
            }
            self.fill(&mut page, vec![used.lookup], keys).await?;
        }
        Ok((page.lookups, page.late))
    }

    /// Fills lookups that are read from the same rows with these keys.
    async fn fill(
        &self,
        page: &mut PageLookups,
        together: Vec<&'static Lookup>,
        keys: HashSet<LookupKey>,
    ) -> Result<()> {
        if let Some(maps) = self.of_snapshot(&together, &keys).await? {
            for (lookup, map) in together.into_iter().zip(maps) {
                page.note(lookup, &keys, numbers(keys.iter().filter_map(|key| map.get(key))));
                page.lookups.set(lookup, map);
            }
            return Ok(());
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
                page.late.extend(self.late(lookup, missing).await?);
            }
            page.note(lookup, &keys, numbers(map.values()));
            page.lookups.set(lookup, map);
        }
        Ok(())
    }

    /// Like `fill`, from the lookups read in the snapshot; keys that are not cached are read first.
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

    /// An upper bound of the table's rows: the distance between the lowest and the highest key, which takes no scan. A
    /// table with text keys is small, so its rows are counted.
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

    /// The page keys of the source rows that have the missing keys of a dimension's lookup.
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
                // A text that only the server's collation treats as equal is another key.
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
