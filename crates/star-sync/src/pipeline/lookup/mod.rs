//! Fills lookups completely from the database that they are read from. `of_page` fills them with the keys of one page.

pub(crate) mod cache;
pub(crate) mod loaded;
mod of_page;

use std::cmp::max;
use std::collections::HashSet;
use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use crate::declare::integer::Key;
use crate::declare::key_range::{KEYS_PER_STATEMENT, KeyRange};
use crate::declare::lookup::{self, KeyMap, KeyType, Lookup, LookupKey, LookupKeys, LookupUse, Lookups, Side};
use crate::declare::star::Star;
use crate::error::{Doing, Result};
use crate::pipeline::flow::Removed;
use crate::pipeline::lookup::cache::SnapshotLookups;
use crate::pipeline::lookup::loaded::{LoadedLookupGroup, LoadedLookups};
use crate::source::reader::SourceReader;
use crate::target::TargetReader;
use crate::target::bookkeeping::quarantine;

/// The most keys that one statement reads if they lie close together.
const KEYS_PER_RANGE: usize = 10_000;
/// The most keys that one statement reads if a lookup is filled completely.
const KEYS_PER_LOOKUP_PAGE: u64 = 20_000;

/// The databases and corrections from which lookups are filled.
#[derive(Clone)]
pub struct LookupSource {
    pub star: &'static Star,
    pub source: SourceReader,
    pub target: TargetReader,
    /// Rows of dimensions that are still in the target but count as deleted.
    pub removed: Arc<Removed>,
    /// Values that replace those of the target.
    pub corrected: Lookups,
    /// The source's lookups read so far, if all of them are read in one snapshot.
    pub snapshot: Option<Arc<SnapshotLookups>>,
    /// Whether to report dimension rows that the source has and the target lacks.
    pub(crate) finds_late_rows: bool,
    /// Where to record the rows with which lookups were filled, if at all.
    pub loaded: Option<Arc<LoadedLookups>>,
}

impl LookupSource {
    /// Lookups from source and target, without corrections.
    pub fn new(star: &'static Star, source: SourceReader, target: TargetReader) -> Self {
        Self {
            star,
            source,
            target,
            removed: Arc::default(),
            corrected: Lookups::default(),
            snapshot: None,
            finds_late_rows: false,
            loaded: None,
        }
    }

    /// Completely fills every lookup that is needed and not yet filled. It reads keyset pages, because the rows need
    /// far more memory than the map.
    pub async fn load(&self, uses: impl IntoIterator<Item = &LookupUse>, lookups: &mut Lookups) -> Result<()> {
        let mut missing: Vec<&'static Lookup> = uses.into_iter().map(|used| used.lookup).collect();
        while let Some(&first) = missing.first() {
            let (together, others): (Vec<_>, Vec<_>) =
                missing.into_iter().partition(|lookup| lookup.is_read_with(first));
            let together = distinct(together.into_iter().filter(|lookup| lookups.map(lookup).is_none()));
            if !together.is_empty() {
                let maps = self.load_whole(&together).await?;
                for (lookup, map) in together.into_iter().zip(maps) {
                    lookups.set(lookup, map);
                }
            }
            missing = others;
        }
        Ok(())
    }

    /// Completely fills lookups that are read from the same rows.
    pub(crate) async fn load_together(&self, together: &[&'static Lookup], lookups: &mut Lookups) -> Result<()> {
        let maps = self.load_whole(together).await?;
        for (lookup, map) in together.iter().zip(maps) {
            lookups.set(lookup, map);
        }
        Ok(())
    }

    pub(super) async fn load_whole(&self, lookups: &[&'static Lookup]) -> Result<Vec<KeyMap>> {
        let mut maps = vec![KeyMap::default(); lookups.len()];
        let mut after = None;
        let mut loaded = self.loaded.as_ref().and_then(|loaded| loaded.begin(lookups));
        loop {
            let (page, behind) = whole_page(lookups, after);
            let fetched = self
                .fetch(lookups, &page, &behind, (&mut maps, loaded.as_mut()))
                .await?;
            if fetched.rows < KEYS_PER_LOOKUP_PAGE || behind == LookupKeys::All {
                break;
            }
            after = fetched.last_key;
        }
        for (lookup, map) in lookups.iter().zip(&mut maps) {
            self.correct(lookup, &LookupKeys::All, map).await?;
        }
        if let (Some(all), Some(loaded)) = (&self.loaded, loaded) {
            all.end(loaded);
        }
        Ok(maps)
    }

    /// The values of lookups for these keys, and possibly for others between them.
    pub(super) async fn load_keys(
        &self,
        lookups: &[&'static Lookup],
        keys: &HashSet<LookupKey>,
    ) -> Result<Vec<KeyMap>> {
        let mut maps = vec![KeyMap::default(); lookups.len()];
        for key_range in LookupKeys::around(keys, KEYS_PER_STATEMENT, KEYS_PER_RANGE) {
            let select = lookup::select_values(lookups, &key_range);
            self.fetch(lookups, &select, &key_range, (&mut maps, None)).await?;
            for (lookup, map) in lookups.iter().zip(&mut maps) {
                self.correct(lookup, &key_range, map).await?;
            }
        }
        Ok(maps)
    }

    /// Fetches the rows of `select`: a key and a value for each lookup.
    async fn fetch(
        &self,
        lookups: &[&'static Lookup],
        select: &SelectStatement,
        key_range: &LookupKeys,
        (maps, loaded): (&mut [KeyMap], Option<&mut LoadedLookupGroup>),
    ) -> Result<Fetched> {
        let of = lookups[0];
        let doing = || format!("looking up {}, {key_range}", of.name);
        let mut fetched = Fetched::default();
        match of.side {
            Side::Source => {
                let rows = self.source.rows(select).await.source(doing)?;
                if let Some(loaded) = loaded {
                    loaded.add(&rows);
                }
                for row in rows.iter() {
                    let key = row.known(0).source(doing)?;
                    let value = |column| Ok(row.known(column).source(doing)?.map(|Key(number)| number));
                    fetched.add(key, value, maps)?;
                }
            }
            Side::Target => {
                for row in self.target.all(select).await.target(doing)? {
                    let key = match of.key_type {
                        KeyType::Number => row
                            .try_get_by_index::<Option<i64>>(0)
                            .target(doing)?
                            .map(LookupKey::Number),
                        KeyType::Text => {
                            let text: Option<String> = row.try_get_by_index(0).target(doing)?;
                            text.map(|text| LookupKey::Text(text.into()))
                        }
                    };
                    let value = |column| row.try_get_by_index(column).target(doing);
                    fetched.add(key, value, maps)?;
                }
            }
        }
        Ok(fetched)
    }

    /// Removes rows that count as deleted, and adds the values that the table assigns to quarantined rows.
    async fn correct(&self, lookup: &'static Lookup, key_range: &LookupKeys, map: &mut KeyMap) -> Result<()> {
        if lookup.side == Side::Source {
            return Ok(());
        }
        for row in self.removed.get(lookup.table).into_iter().flatten() {
            map.remove(&row.natural_key);
        }
        let Some(table) = self.star.table(lookup.table) else {
            return Ok(());
        };
        // A table fills lookups by its page key, which is a number.
        let numbers = match key_range {
            LookupKeys::Numbers(key_range) => key_range,
            LookupKeys::All => &KeyRange::ALL,
            LookupKeys::Texts(_) => return Ok(()),
        };
        if let Some(filled) = table.filled_lookups.iter().find(|filled| filled.lookup == lookup) {
            let doing = || format!("looking up quarantined rows of {}, {key_range}", table.source_table);
            let rejected = quarantine::missing_parents(&self.target, table, numbers).await;
            for (key, parent) in rejected.target(doing)? {
                if let Some(value) = (filled.rejected_as)(parent.as_deref()) {
                    map.insert(key, value);
                }
            }
        }
        Ok(())
    }
}

/// Selects the next rows of lookups that are read completely, in the order of their keys; all rows if the keys are
/// texts, because their order depends on the server's collation.
fn whole_page(lookups: &[&Lookup], after: Option<i64>) -> (SelectStatement, LookupKeys) {
    let first = lookups[0];
    if first.key_type == KeyType::Text {
        return (lookup::select_values(lookups, &LookupKeys::All), LookupKeys::All);
    }
    let behind = LookupKeys::Numbers(KeyRange::Between { after, up_to: None });
    let mut page = lookup::select_values(lookups, &behind);
    // Rows without a key would sort first, and a page of them has no key after which to continue.
    page.and_where(Expr::col(first.key).is_not_null())
        .order_by(first.key, Order::Asc)
        .limit(KEYS_PER_LOOKUP_PAGE);
    // A subquery, so that ORDER BY and LIMIT do not apply to the end row that is added to selects from the source (see
    // `answer::with_end`).
    let page = Query::select()
        .column(first.key)
        .columns(lookups.iter().map(|lookup| lookup.value))
        .from_subquery(page, "page")
        .to_owned();
    (page, behind)
}

/// The lookups without duplicates.
pub(super) fn distinct(lookups: impl Iterator<Item = &'static Lookup>) -> Vec<&'static Lookup> {
    let mut distinct: Vec<&'static Lookup> = Vec::new();
    for lookup in lookups {
        if !distinct.contains(&lookup) {
            distinct.push(lookup);
        }
    }
    distinct
}

/// The number of rows fetched, and the key of the last.
#[derive(Default)]
struct Fetched {
    rows: u64,
    last_key: Option<i64>,
}

impl Fetched {
    /// Adds the values of a row, which follow its key, to the maps.
    fn add(
        &mut self,
        key: Option<LookupKey>,
        value: impl Fn(usize) -> Result<Option<i64>>,
        maps: &mut [KeyMap],
    ) -> Result<()> {
        let Some(key) = key else {
            return Ok(());
        };
        self.rows += 1;
        if let LookupKey::Number(number) = key {
            self.last_key = max(self.last_key, Some(number));
        }
        for (position, map) in maps.iter_mut().enumerate() {
            if let Some(value) = value(position + 1)? {
                map.insert(&key, value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::SqliteQueryBuilder;

    use super::*;
    use crate::test_star;

    #[test]
    fn rows_without_a_key_are_left_out_of_the_pages_of_a_lookup() {
        let (page, _) = whole_page(&[&*test_star::BOOK], None);
        let sql = page.to_string(SqliteQueryBuilder);
        let expected = r#""book_id" IS NOT NULL ORDER BY "book_id" ASC LIMIT 20000"#;
        assert!(sql.contains(expected), "{sql}");
    }
}
