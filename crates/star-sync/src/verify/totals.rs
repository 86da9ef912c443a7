//! The facts' totals by day and group, of either side: what both must agree on, to the last digit.
//!
//! The target's are its own SQL. The source's are added up here from rows that the declaration selects for it, with
//! maps of their own, page by page: what a load has read or made of a row has no part in them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sea_orm::sea_query::{ExprTrait, Query};
use sea_orm::{DbErr, QueryResult};
use serde::Serialize;

use crate::declare::day_totals::{DayAndGroup, DayTotals, add_all, subtract_all};
use crate::declare::integer::Key;
use crate::declare::lookup::{KeyMap, Lookup, Lookups, Need};
use crate::declare::period::Period;
use crate::declare::scope::{KEYS_A_STATEMENT, Scope};
use crate::declare::source_rows::{SourceRow, SourceRows};
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::declare::totals::{Group, Measure, Total};
use crate::error::{Doing, Error, Result};
use crate::pipeline::flow::Outcomes;
use crate::pipeline::look::Look;
use crate::pipeline::lookups::LookupSource;
use crate::pipeline::page_sums;
use crate::pipeline::plan::Intervals;
use crate::pipeline::snapshot_lookups::SnapshotLookups;
use crate::source::reader::SourceReader;
use crate::target::TargetReader;
use crate::target::bookkeeping::reject;
use crate::verify::figures::{self, Comparison};

/// Adds up the source's side, of one instant. Tables have to come in the star's order: the rows of one may fill the
/// lookups of the next.
pub(crate) struct SourceTotals<'a> {
    pub(super) look: &'a Look<'a>,
    pub(super) source: SourceReader,
    /// Filled whole, as far as the totals of whole tables need them.
    pub(super) lookups: Lookups,
    /// What the totals of parts need.
    known: Arc<SnapshotLookups>,
}

impl<'a> SourceTotals<'a> {
    /// Reads one snapshot. What a run knows of its lookups is not taken over: a value that it had wrong would make both
    /// sides agree.
    pub(crate) fn new(look: &'a Look<'a>, source: SourceReader) -> Self {
        Self {
            look,
            source,
            lookups: Lookups::default(),
            known: Arc::default(),
        }
    }

    /// The same with lookups that are those of the snapshot.
    pub(crate) fn with_lookups(look: &'a Look<'a>, source: SourceReader, lookups: Lookups) -> Self {
        Self {
            lookups,
            ..Self::new(look, source)
        }
    }

    /// Takes over a lookup that the rows of a table have filled.
    pub(crate) fn set_lookup(&mut self, lookup: &'static Lookup, map: KeyMap) {
        self.lookups.set(lookup, map);
    }

    /// The totals of a period that is known to hold few rows: of one statement, where an index finds them.
    pub(crate) async fn of_short_period(&mut self, table: &'static Table, period: &Period) -> Result<DayTotals> {
        match &table.totals {
            Some(_) if self.is_indexed(table).await? => self.of_scope(table, period, &Scope::ALL).await,
            _ => self.of_period(table, period).await,
        }
    }

    /// The totals of a period, of all rows that the source has.
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
        let planner = self.look.planner(table, self.source.clone(), TargetReader::Empty);
        let (after, last) = self.ends(table, period).await?;
        let mut intervals = Intervals::new(table, planner.await?, after);
        while let Some(scope) = intervals.next().await? {
            add_all(&mut figures, self.of_scope(table, period, &scope).await?);
            if last.is_some_and(|last| !scope.ends_before(last)) {
                break;
            }
        }
        Ok(figures)
    }

    /// The keys before and at the end of a period's rows, where an index finds them: keys grow with time, so that few
    /// intervals hold the rows of a few days.
    async fn ends(&self, table: &Table, period: &Period) -> Result<(Option<i64>, Option<i64>)> {
        if !self.is_indexed(table).await? {
            return Ok((None, None));
        }
        let doing = || format!("reading the first and last key of {}", table.source_table);
        let mut select = Query::select();
        table.from_source(
            select
                .expr(table.source_page_key().min())
                .expr(table.source_page_key().max()),
        );
        select.cond_where(table.source_rows());
        select.cond_where(table.source_in(period));
        let row = self.source.one(&select).await.source(doing)?;
        let ends: Option<(Option<Key>, Option<Key>)> =
            row.map(|row| row.try_get_many_by_index()).transpose().source(doing)?;
        // Where there are none, one interval is enough.
        let (first, last) = ends.unwrap_or((None, None));
        Ok((
            first.map(|Key(key)| key.saturating_sub(1)),
            Some(last.map_or(i64::MIN, |Key(key)| key)),
        ))
    }

    /// Whether an index finds the rows of a day.
    async fn is_indexed(&self, table: &Table) -> Result<bool> {
        let Some(dates) = table.totals.as_ref().and_then(|totals| totals.dates.as_ref()) else {
            return Ok(false);
        };
        let indexes = self.look.source.indexes(&self.source).await?;
        Ok(indexes.begin_with(&dates.source.table, dates.source.name))
    }

    /// The totals of all rows. Each of them is shown to `also`, as the declaration selects it.
    pub(crate) async fn of_all(
        &mut self,
        table: &'static Table,
        mut also: impl FnMut(SourceRow<'_>) -> Result<()>,
    ) -> Result<DayTotals> {
        let Some(totals) = &table.totals else {
            return Ok(DayTotals::new());
        };
        self.load(&totals.needs).await?;
        let mut figures = DayTotals::new();
        let mut filled = KeyMap::default();
        // The next page is on its way while this one is added up.
        let mut scopes = self.intervals(table).await?.into_iter();
        let mut coming = scopes.next().map(|scope| self.fetch(table, &Period::All, scope));
        while let Some(page) = coming {
            let rows = page.await.map_err(|_| Error::Panicked { stage: "reader" })??;
            coming = scopes.next().map(|scope| self.fetch(table, &Period::All, scope));
            for row in rows.iter() {
                totals.add(row, &self.lookups, &mut figures);
                if let (key, Some(value)) = page_sums::shown(table, totals, row)? {
                    filled.insert(key, value);
                }
                also(row)?;
            }
            if self.look.stop.is_requested() {
                return Err(Error::Stopped);
            }
        }
        if let Some(fill) = &totals.fills {
            self.lookups.set(fill.lookup, filled);
        }
        Ok(figures)
    }

    /// The totals of the rows in `scope`, within the period.
    pub(crate) async fn of_scope(&self, table: &'static Table, period: &Period, scope: &Scope) -> Result<DayTotals> {
        Ok(self.of_scope_shown(table, period, scope).await?.0)
    }

    /// The same, and what the rows show of the lookup that the table fills.
    pub(crate) async fn of_scope_shown(
        &self,
        table: &'static Table,
        period: &Period,
        scope: &Scope,
    ) -> Result<(DayTotals, Vec<(i64, Option<i64>)>)> {
        let (mut figures, mut shown) = (DayTotals::new(), Vec::new());
        let Some(totals) = &table.totals else {
            return Ok((figures, shown));
        };
        let page = self.fetch(table, period, scope.clone());
        let rows = page.await.map_err(|_| Error::Panicked { stage: "reader" })??;
        let (lookups, _) = self.lookup_source().of_page(&totals.needs, &rows).await?;
        for row in rows.iter() {
            totals.add(row, &lookups, &mut figures);
        }
        if let Some(fill) = &totals.fills {
            let of_rows: Result<Vec<_>> = rows.iter().map(|row| page_sums::shown(table, totals, row)).collect();
            shown = of_rows?;
            self.known.learn(fill.lookup, shown.iter().copied()).await;
        }
        Ok((figures, shown))
    }

    /// What quarantined rows have added, which explains itself. Where a page key is not all of a row's key, other rows stand
    /// beside them: less what the target holds, so that both sides count as equal for these page keys.
    pub(crate) async fn of_quarantined(
        &self,
        table: &'static Table,
        period: &Period,
        quarantined: &[i64],
        target: &TargetReader,
    ) -> Result<DayTotals> {
        let mut figures = DayTotals::new();
        for scope in Scope::of_keys(quarantined.iter().copied(), KEYS_A_STATEMENT) {
            add_all(&mut figures, self.of_scope(table, period, &scope).await?);
            if !table.is_told_by_page_key() {
                subtract_all(&mut figures, of_target(target, table, period, &scope).await?);
            }
        }
        Ok(figures)
    }

    /// Begins to read the rows of `scope`.
    fn fetch(
        &self,
        table: &'static Table,
        period: &Period,
        scope: Scope,
    ) -> tokio::task::JoinHandle<Result<SourceRows>> {
        let source = self.source.clone();
        let declared = table.totals.as_ref().zip(self.look.star.source(table.source_table));
        let select = declared.map(|(totals, declared)| {
            totals
                .source_select(declared)
                .cond_where(table.source_rows())
                .cond_where(table.source_in(period))
                .cond_where(scope.contains(&table.source_page_key()))
                .to_owned()
        });
        tokio::spawn(async move {
            let doing = || format!("adding up {}, {scope}", table.source_table);
            match select {
                Some(select) => source.rows(&select).await.source(doing),
                None => Ok(SourceRows::default()),
            }
        })
    }

    async fn intervals(&self, table: &Table) -> Result<Vec<Scope>> {
        let planner = self
            .look
            .planner(table, self.source.clone(), TargetReader::Empty)
            .await?;
        Intervals::new(table, planner, None).all().await
    }

    async fn load(&mut self, needs: &[Need]) -> Result<()> {
        let source = self.lookup_source();
        source.load(needs, &mut self.lookups).await
    }

    fn lookup_source(&self) -> LookupSource {
        LookupSource {
            snapshot: Some(Arc::clone(&self.known)),
            ..LookupSource::of(self.look.star, self.source.clone(), TargetReader::Empty)
        }
    }
}

/// The totals of the rows that the target has in `scope`, within the period.
pub(crate) async fn of_target(
    target: &TargetReader,
    table: &Table,
    period: &Period,
    scope: &Scope,
) -> Result<DayTotals> {
    let Some(totals) = &table.totals else {
        return Ok(DayTotals::new());
    };
    if period.is_empty() {
        return Ok(DayTotals::new());
    }
    let doing = || format!("adding up {}", table.name);
    let mut select = totals.target_select(table.name);
    select
        .cond_where(table.target_in(period))
        .cond_where(scope.contains(&table.target_page_key()));
    let mut figures = DayTotals::new();
    for row in target.all(&select).await.target(doing)? {
        let date_key = row.try_get_by_index(0).target(doing)?;
        let group = group_of(&row).target(doing)?;
        let mut total = Total {
            rows: row.try_get_by_index(2).target(doing)?,
            ..Total::default()
        };
        for (position, amount) in total.amounts.iter_mut().enumerate().take(totals.sums.len()) {
            *amount = row.try_get_by_index(3 + position).target(doing)?;
        }
        // Without groups and dates, SQL makes a row of nothing.
        if total.rows > 0 {
            figures.insert((date_key, group), total);
        }
    }
    Ok(figures)
}

/// The group of a row, which stands behind its date.
fn group_of(row: &QueryResult) -> std::result::Result<Option<Group>, DbErr> {
    if let Ok(number) = row.try_get_by_index::<Option<i64>>(1) {
        return Ok(number.map(Group::Number));
    }
    let text: Option<String> = row.try_get_by_index(1)?;
    Ok(text.map(|text| Group::Text(text.into())))
}

/// What the rows named by `scopes` will add to the target's totals when they are brought up to date.
pub(crate) async fn pending(
    source: &SourceTotals<'_>,
    target: &TargetReader,
    table: &'static Table,
    period: &Period,
    scopes: &[Scope],
) -> Result<DayTotals> {
    let mut pending = DayTotals::new();
    for scope in scopes {
        add_all(&mut pending, source.of_scope(table, period, scope).await?);
        subtract_all(&mut pending, of_target(target, table, period, scope).await?);
    }
    Ok(pending)
}

/// Both sides day by day and group by group, and what is pending there.
pub(crate) fn compare(
    table: &'static Table,
    source: &DayTotals,
    target: &DayTotals,
    pending: &DayTotals,
) -> Vec<Comparison> {
    let Some(totals) = &table.totals else {
        return Vec::new();
    };
    let mut keys: Vec<&DayAndGroup> = [source, target, pending].into_iter().flat_map(HashMap::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let of = |figures: &DayTotals, key| totals.figures(figures.get(key).copied().unwrap_or_default());
    let mut comparisons = Vec::new();
    for key in keys {
        let sides = of(source, key).zip(of(target, key)).zip(of(pending, key));
        for (((measure, source), (_, target)), (_, pending)) in sides {
            comparisons.push(Comparison {
                table: table.name,
                measure,
                grouped_by: totals.grouped_by_name(),
                group: key.1.clone(),
                date_key: Some(key.0),
                source,
                target,
                quarantined: 0,
                pending,
            });
        }
    }
    comparisons
}

/// A total before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TotalChange {
    pub table: &'static str,
    #[serde(serialize_with = "figures::name_of")]
    pub measure: Measure,
    #[serde(skip)]
    pub grouped_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// In whole numbers of the measure's smallest unit.
    pub before: i64,
    pub after: i64,
}

/// How the totals of the days that a run has touched changed from what is committed to what it has written.
pub(crate) async fn changes(
    star: &Star,
    outcomes: &Outcomes,
    committed: &TargetReader,
    written: &TargetReader,
) -> Result<Vec<TotalChange>> {
    let mut changes = Vec::new();
    for table in star.tables() {
        let (Some(outcome), Some(totals)) = (outcomes.get(table.name), &table.totals) else {
            continue;
        };
        let period = Period::of_days(outcome.days.iter().copied());
        let mut groups: BTreeMap<Option<Group>, [Total; 2]> = BTreeMap::new();
        for (side, target) in [committed, written].into_iter().enumerate() {
            for ((_, group), total) in of_target(target, table, &period, &Scope::ALL).await? {
                groups.entry(group).or_default()[side] += total;
            }
        }
        for (group, [before, after]) in groups {
            for ((measure, before), (_, after)) in totals.figures(before).zip(totals.figures(after)) {
                changes.push(TotalChange {
                    table: table.name,
                    measure,
                    grouped_by: totals.grouped_by_name(),
                    group: group.clone(),
                    before,
                    after,
                });
            }
        }
    }
    Ok(changes)
}

/// Takes totals of some rows out of those of all.
pub(crate) fn take_out(all: &mut DayTotals, some: DayTotals) {
    subtract_all(all, some);
    all.retain(|_, total| *total != Total::default());
}

/// The page keys of the quarantined rows of a table.
pub(crate) async fn quarantined(
    target: &TargetReader,
    table: &Table,
    counts: &BTreeMap<String, u64>,
) -> Result<Vec<i64>> {
    if counts.get(table.name).is_none_or(|count| *count == 0) {
        return Ok(Vec::new());
    }
    reject::page_keys(target, table).await
}
