//! Fills lookups, from whichever database they are read from: whole, or with the keys of one page.

use std::cmp::max;
use std::collections::HashSet;
use std::sync::Arc;

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Order, Query, SelectStatement};
use tracing::debug;

use crate::declare::integer::Key;
use crate::declare::lookup::{self, KeyMap, KeyType, KeysFrom, Lookup, LookupKey, LookupScope, Lookups, Need, Side};
use crate::declare::scope::{KEYS_A_STATEMENT, Scope};
use crate::declare::source_rows::SourceRows;
use crate::declare::star::Star;
use crate::declare::table::Kind;
use crate::error::{Doing, Result};
use crate::pipeline::flow::{Late, Removed};
use crate::pipeline::loaded_lookups::{LoadedLookups, LoadedTogether};
use crate::pipeline::snapshot_lookups::{Known, SnapshotLookups};
use crate::source::reader::SourceReader;
use crate::target::TargetReader;
use crate::target::bookkeeping::reject;

/// Keys that one statement brings, where they lie close together.
const KEYS_A_RANGE: usize = 10_000;
/// Keys that one statement brings, where a lookup is filled whole.
const KEYS_A_PAGE: u64 = 20_000;

/// Where lookups are filled from.
#[derive(Clone)]
pub struct LookupSource {
    pub star: &'static Star,
    pub source: SourceReader,
    pub target: TargetReader,
    /// These rows of dimensions are still there, but count as gone.
    pub removed: Arc<Removed>,
    /// What is known better than the target has it.
    pub corrected: Lookups,
    /// What is known of the source's lookups: only where all of them are read in one snapshot.
    pub snapshot: Option<Arc<SnapshotLookups>>,
    /// Whether to tell which dimensions' rows the source has and the target lacks.
    pub looks_for_late: bool,
    /// Where it is noted what lookups were filled with, if it is.
    pub loaded: Option<Arc<LoadedLookups>>,
}

impl LookupSource {
    /// Lookups that nothing else is known of than what source and target hold.
    pub fn of(star: &'static Star, source: SourceReader, target: TargetReader) -> Self {
        Self {
            star,
            source,
            target,
            removed: Arc::default(),
            corrected: Lookups::default(),
            snapshot: None,
            looks_for_late: false,
            loaded: None,
        }
    }

    /// Fills every lookup that is needed and not filled yet, whole, in keyset pages: a map is small, the rows that it
    /// is made from are not.
    pub async fn load(&self, needs: impl IntoIterator<Item = &Need>, lookups: &mut Lookups) -> Result<()> {
        let mut missing: Vec<&'static Lookup> = needs.into_iter().map(|need| need.lookup).collect();
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

    /// Fills lookups that are read from the same rows, whole.
    pub(crate) async fn load_together(&self, together: &[&'static Lookup], lookups: &mut Lookups) -> Result<()> {
        let maps = self.load_whole(together).await?;
        for (lookup, map) in together.iter().zip(maps) {
            lookups.set(lookup, map);
        }
        Ok(())
    }

    async fn load_whole(&self, lookups: &[&'static Lookup]) -> Result<Vec<KeyMap>> {
        let mut maps = vec![KeyMap::default(); lookups.len()];
        let mut after = None;
        let mut loaded = self.loaded.as_ref().and_then(|loaded| loaded.begin(lookups));
        loop {
            let (page, behind) = whole_page(lookups, after);
            let fetched = self
                .fetch(lookups, &page, &behind, (&mut maps, loaded.as_mut()))
                .await?;
            if fetched.rows < KEYS_A_PAGE || behind == LookupScope::All {
                break;
            }
            after = fetched.last_key;
        }
        for (lookup, map) in lookups.iter().zip(&mut maps) {
            self.correct(lookup, &LookupScope::All, map).await?;
        }
        if let (Some(all), Some(loaded)) = (&self.loaded, loaded) {
            all.end(loaded);
        }
        Ok(maps)
    }

    /// What lookups have for these keys, and maybe for others that lie between them.
    async fn load_keys(&self, lookups: &[&'static Lookup], keys: &HashSet<LookupKey>) -> Result<Vec<KeyMap>> {
        let mut maps = vec![KeyMap::default(); lookups.len()];
        for scope in LookupScope::around(keys, KEYS_A_STATEMENT, KEYS_A_RANGE) {
            let select = lookup::select_values(lookups, &scope);
            self.fetch(lookups, &select, &scope, (&mut maps, None)).await?;
            for (lookup, map) in lookups.iter().zip(&mut maps) {
                self.correct(lookup, &scope, map).await?;
            }
        }
        Ok(maps)
    }

    /// Fills the lookups of one page with just the keys that its rows refer to.
    pub(crate) async fn of_page(&self, needs: &[Need], rows: &SourceRows) -> Result<(Lookups, Late)> {
        let mut lookups = Lookups::default();
        let mut late = Late::new();
        // Of each lookup so far, what the page has found in it.
        let mut found: Vec<(&'static Lookup, HashSet<LookupKey>)> = Vec::new();
        for need in needs {
            if lookups.map(need.lookup).is_some() {
                continue;
            }
            let together = needs.iter().filter(|other| other.is_met_with(need));
            let together = distinct(together.map(|need| need.lookup));
            let keys: HashSet<LookupKey> = match need.keys {
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
                if self.looks_for_late {
                    let missing = keys.iter().filter(|key| map.get(*key).is_none());
                    late.extend(self.late(lookup, missing).await?);
                }
                found.push((lookup, numbers(map.values())));
                lookups.set(lookup, map);
            }
        }
        Ok((lookups, late))
    }

    /// The same from what is known of the snapshot, which is asked for what is not known yet.
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
        let known = Known::of(&mut all, lookups);
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

    /// As many rows as lie between the lowest and the highest key: both are found without going through the table. One that
    /// is keyed by texts is small: its rows are counted.
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
        for scope in LookupScope::around(missing.iter().copied(), KEYS_A_STATEMENT, KEYS_A_STATEMENT) {
            let select = Query::select()
                .expr(dimension.source_page_key())
                .expr(key.clone())
                .from(dimension.source_table)
                .cond_where(dimension.source_rows())
                .cond_where(scope.contains(&key))
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

    /// Fetches the rows that `select` asks for: a key and a value for each lookup.
    async fn fetch(
        &self,
        lookups: &[&'static Lookup],
        select: &SelectStatement,
        scope: &LookupScope,
        (maps, loaded): (&mut [KeyMap], Option<&mut LoadedTogether>),
    ) -> Result<Fetched> {
        let of = lookups[0];
        let doing = || format!("looking up {}, {scope}", of.name);
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

    /// Takes out what counts as gone and puts in what could not be loaded: rejected rows are no strangers, their table
    /// says what dependants take them for.
    async fn correct(&self, lookup: &'static Lookup, scope: &LookupScope, map: &mut KeyMap) -> Result<()> {
        if lookup.side == Side::Source {
            return Ok(());
        }
        for row in self.removed.get(lookup.table).into_iter().flatten() {
            map.remove(&row.natural_key);
        }
        let Some(table) = self.star.table(lookup.table) else {
            return Ok(());
        };
        // What a table publishes is published by its page key, a number.
        let numbers = match scope {
            LookupScope::Numbers(scope) => scope,
            LookupScope::All => &Scope::ALL,
            LookupScope::Texts(_) => return Ok(()),
        };
        if let Some(publish) = table.publishes.iter().find(|publish| publish.lookup == lookup) {
            let doing = || format!("looking up quarantined rows of {}, {scope}", table.source_table);
            let rejected = reject::missing_parents(&self.target, table, numbers).await;
            for (key, parent) in rejected.target(doing)? {
                if let Some(value) = (publish.rejected_as)(parent.as_deref()) {
                    map.insert(key, value);
                }
            }
        }
        Ok(())
    }
}

/// Selects the next rows of lookups that are read whole, in the order of their keys; all of them where the keys are texts,
/// whose order is the server's own.
fn whole_page(lookups: &[&Lookup], after: Option<i64>) -> (SelectStatement, LookupScope) {
    let first = lookups[0];
    if first.key_type == KeyType::Text {
        return (lookup::select_values(lookups, &LookupScope::All), LookupScope::All);
    }
    let behind = LookupScope::Numbers(Scope::Range { after, upto: None });
    let mut page = lookup::select_values(lookups, &behind);
    page.order_by(first.key, Order::Asc).limit(KEYS_A_PAGE);
    // A table of its own, so that what is asked for behind its rows is neither ordered nor limited with them.
    let page = Query::select()
        .column(first.key)
        .columns(lookups.iter().map(|lookup| lookup.value))
        .from_subquery(page, "page")
        .to_owned();
    (page, behind)
}

fn numbers(values: impl Iterator<Item = i64>) -> HashSet<LookupKey> {
    values.map(LookupKey::Number).collect()
}

/// Each lookup once.
fn distinct(lookups: impl Iterator<Item = &'static Lookup>) -> Vec<&'static Lookup> {
    let mut distinct: Vec<&'static Lookup> = Vec::new();
    for lookup in lookups {
        if !distinct.contains(&lookup) {
            distinct.push(lookup);
        }
    }
    distinct
}

/// How many rows came, and the key of the last.
#[derive(Default)]
struct Fetched {
    rows: u64,
    last_key: Option<i64>,
}

impl Fetched {
    /// Puts the values of a row, which stand behind its key, into the maps.
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

/// The distinct keys in a column. A cell that cannot be read is left to the mapping, which rejects its row.
fn column_keys(rows: &SourceRows, column: usize) -> HashSet<LookupKey> {
    rows.iter().filter_map(|row| row.cell(column)).collect()
}
