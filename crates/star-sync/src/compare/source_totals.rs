//! The source's totals by day and group. They are computed from separately selected rows and with separate lookups,
//! independently of what a load read or transformed.

use std::sync::Arc;

use sea_orm::sea_query::{ExprTrait, Query};

use crate::compare::totals::of_target;
use crate::declare::day_totals::{DayTotals, add_all, subtract_all};
use crate::declare::integer::Key;
use crate::declare::key_range::{KEYS_PER_STATEMENT, KeyRange};
use crate::declare::lookup::{KeyMap, Lookup, LookupUse, Lookups};
use crate::declare::period::Period;
use crate::declare::source_rows::{SourceRow, SourceRows};
use crate::declare::table::Table;
use crate::error::{Doing, Error, Result};
use crate::pipeline::databases::Databases;
use crate::pipeline::lookup::LookupSource;
use crate::pipeline::lookup::cache::SnapshotLookups;
use crate::pipeline::page_digest;
use crate::pipeline::plan::PlannedRanges;
use crate::source::reader::SourceReader;
use crate::target::TargetReader;

/// Computes the source's totals in one snapshot. Tables must come in the star's order: the rows of one may fill the
/// lookups of the next.
pub(crate) struct SourceTotals<'a> {
    pub(super) databases: &'a Databases<'a>,
    pub(super) source: SourceReader,
    /// Complete lookups, as far as the totals of whole tables need them.
    pub(super) lookups: Lookups,
    /// The lookups of totals that are read in parts.
    known: Arc<SnapshotLookups>,
}

impl<'a> SourceTotals<'a> {
    /// Totals of one snapshot. The lookups of the run are not used: a wrong value in them would make both sides match.
    pub(crate) fn new(databases: &'a Databases<'a>, source: SourceReader) -> Self {
        Self {
            databases,
            source,
            lookups: Lookups::default(),
            known: Arc::default(),
        }
    }

    /// Like [`SourceTotals::new`], with lookups that were read in the snapshot.
    pub(crate) fn with_lookups(databases: &'a Databases<'a>, source: SourceReader, lookups: Lookups) -> Self {
        Self {
            lookups,
            ..Self::new(databases, source)
        }
    }

    /// Sets a lookup that the rows of a table filled.
    pub(crate) fn set_lookup(&mut self, lookup: &'static Lookup, map: KeyMap) {
        self.lookups.set(lookup, map);
    }

    /// The totals of a period that is known to have few rows: read by one statement if an index finds them.
    pub(crate) async fn of_short_period(&mut self, table: &'static Table, period: &Period) -> Result<DayTotals> {
        match &table.totals {
            Some(_) if self.is_indexed(table).await? => self.of_key_range(table, period, &KeyRange::ALL).await,
            _ => self.of_period(table, period).await,
        }
    }

    /// The totals of all source rows in a period.
    pub(crate) async fn of_period(&mut self, table: &'static Table, period: &Period) -> Result<DayTotals> {
        if period.is_empty() {
            return Ok(DayTotals::new());
        }
        if *period == Period::All {
            return self.of_all(table, |_| Ok(())).await;
        }
        let mut figures = DayTotals::new();
        if table.totals.is_none() {
            return Ok(figures);
        }
        let planner = self.databases.planner(table, self.source.clone(), TargetReader::Empty);
        let (after, last) = self.ends(table, period).await?;
        let mut planned_ranges = PlannedRanges::new(table, planner.await?, after);
        while let Some(key_range) = planned_ranges.next().await? {
            add_all(&mut figures, self.of_key_range(table, period, &key_range).await?);
            if last.is_some_and(|last| !key_range.ends_before(last)) {
                break;
            }
        }
        Ok(figures)
    }

    /// The key before the first row of a period and the key of its last row, if an index finds them. Keys grow with
    /// time, so that few key ranges contain the rows of a few days.
    async fn ends(&self, table: &Table, period: &Period) -> Result<(Option<i64>, Option<i64>)> {
        if !self.is_indexed(table).await? {
            return Ok((None, None));
        }
        let doing = || format!("reading the first and last key of {}", table.source_table);
        let mut select = Query::select();
        table.add_source_tables(
            select
                .expr(table.source_page_key().min())
                .expr(table.source_page_key().max()),
        );
        select.cond_where(table.source_rows());
        select.cond_where(table.source_in(period));
        let row = self.source.one(&select).await.source(doing)?;
        let ends: Option<(Option<Key>, Option<Key>)> =
            row.map(|row| row.try_get_many_by_index()).transpose().source(doing)?;
        // If the period has no rows, one key range is enough.
        let (first, last) = ends.unwrap_or((None, None));
        Ok((
            first.and_then(|Key(key)| key.checked_sub(1)),
            Some(last.map_or(i64::MIN, |Key(key)| key)),
        ))
    }

    /// Whether an index finds the rows of a day.
    async fn is_indexed(&self, table: &Table) -> Result<bool> {
        let Some(dates) = table.totals.as_ref().and_then(|totals| totals.dates.as_ref()) else {
            return Ok(false);
        };
        let indexes = self.databases.source.indexes(&self.source).await?;
        Ok(indexes.begin_with(&dates.source.table, dates.source.name))
    }

    /// The totals of all rows. Calls `also` with each selected row.
    pub(crate) async fn of_all(
        &mut self,
        table: &'static Table,
        mut also: impl FnMut(SourceRow<'_>) -> Result<()>,
    ) -> Result<DayTotals> {
        let Some(totals) = &table.totals else {
            return Ok(DayTotals::new());
        };
        self.load(&totals.lookups).await?;
        let mut figures = DayTotals::new();
        let mut filled = KeyMap::default();
        // The next page is fetched while this one is summed.
        let mut key_ranges = self.planned_ranges(table).await?.into_iter();
        let mut coming = key_ranges
            .next()
            .map(|key_range| self.fetch(table, &Period::All, key_range));
        while let Some(page) = coming {
            let rows = page.await.map_err(|_| Error::Panicked { stage: "reader" })??;
            coming = key_ranges
                .next()
                .map(|key_range| self.fetch(table, &Period::All, key_range));
            for row in rows.iter() {
                totals.add(row, &self.lookups, &mut figures);
                if let (key, Some(value)) = page_digest::lookup_entry(table, totals, row)? {
                    filled.insert(key, value);
                }
                also(row)?;
            }
            if self.databases.stop.is_requested() {
                return Err(Error::Stopped);
            }
        }
        if let Some(fill) = &totals.fills {
            self.lookups.set(fill.lookup, filled);
        }
        Ok(figures)
    }

    /// The totals of the rows in `key_range`, within the period.
    pub(crate) async fn of_key_range(
        &self,
        table: &'static Table,
        period: &Period,
        key_range: &KeyRange,
    ) -> Result<DayTotals> {
        Ok(self.of_key_range_shown(table, period, key_range).await?.0)
    }

    /// Like [`SourceTotals::of_key_range`], with the keys and values that the rows add to the lookup that the table
    /// fills.
    pub(crate) async fn of_key_range_shown(
        &self,
        table: &'static Table,
        period: &Period,
        key_range: &KeyRange,
    ) -> Result<(DayTotals, Vec<(i64, Option<i64>)>)> {
        let (mut figures, mut shown) = (DayTotals::new(), Vec::new());
        let Some(totals) = &table.totals else {
            return Ok((figures, shown));
        };
        let page = self.fetch(table, period, key_range.clone());
        let rows = page.await.map_err(|_| Error::Panicked { stage: "reader" })??;
        let (lookups, _) = self.lookup_source().of_page(&totals.lookups, &rows).await?;
        for row in rows.iter() {
            totals.add(row, &lookups, &mut figures);
        }
        if let Some(fill) = &totals.fills {
            let of_rows: Result<Vec<_>> = rows
                .iter()
                .map(|row| page_digest::lookup_entry(table, totals, row))
                .collect();
            shown = of_rows?;
            self.known.learn(fill.lookup, shown.iter().copied()).await;
        }
        Ok((figures, shown))
    }

    /// The totals of quarantined rows, which explain a difference. Where other rows share their page keys, the target's
    /// totals for these keys are subtracted, so that both sides count as equal for them.
    pub(crate) async fn of_quarantined(
        &self,
        table: &'static Table,
        period: &Period,
        quarantined: &[i64],
        target: &TargetReader,
    ) -> Result<DayTotals> {
        let mut figures = DayTotals::new();
        for key_range in KeyRange::of_keys(quarantined.iter().copied(), KEYS_PER_STATEMENT) {
            add_all(&mut figures, self.of_key_range(table, period, &key_range).await?);
            if !table.has_unique_page_key() {
                subtract_all(&mut figures, of_target(target, table, period, &key_range).await?);
            }
        }
        Ok(figures)
    }

    /// Starts to read the rows of `key_range`.
    fn fetch(
        &self,
        table: &'static Table,
        period: &Period,
        key_range: KeyRange,
    ) -> tokio::task::JoinHandle<Result<SourceRows>> {
        let source = self.source.clone();
        let declared = table
            .totals
            .as_ref()
            .zip(self.databases.star.source(table.source_table));
        let select = declared.map(|(totals, declared)| {
            totals
                .source_select(declared)
                .cond_where(table.source_rows())
                .cond_where(table.source_in(period))
                .cond_where(key_range.contains(&table.source_page_key()))
                .to_owned()
        });
        tokio::spawn(async move {
            let doing = || format!("adding up {}, {key_range}", table.source_table);
            match select {
                Some(select) => source.rows(&select).await.source(doing),
                None => Ok(SourceRows::default()),
            }
        })
    }

    async fn planned_ranges(&self, table: &Table) -> Result<Vec<KeyRange>> {
        let planner = self
            .databases
            .planner(table, self.source.clone(), TargetReader::Empty)
            .await?;
        PlannedRanges::new(table, planner, None).all().await
    }

    async fn load(&mut self, uses: &[LookupUse]) -> Result<()> {
        let source = self.lookup_source();
        source.load(uses, &mut self.lookups).await
    }

    fn lookup_source(&self) -> LookupSource {
        LookupSource {
            snapshot: Some(Arc::clone(&self.known)),
            ..LookupSource::new(self.databases.star, self.source.clone(), TargetReader::Empty)
        }
    }
}
