//! The totals of facts by day and group: computes those of the target in SQL, and compares them exactly with those of
//! the source (`source_totals`).

use std::collections::{BTreeMap, HashMap};

use sea_orm::{DbErr, QueryResult};
use serde::Serialize;

use crate::compare::figures::{self, Comparison};
use crate::compare::source_totals::SourceTotals;
use crate::declare::day_totals::{DayAndGroup, DayTotals, add_all, subtract_all};
use crate::declare::key_range::KeyRange;
use crate::declare::period::Period;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::declare::totals::{self, Group, Measure, Total, Totals};
use crate::error::{Doing, Result};
use crate::pipeline::flow::TableOutcomes;
use crate::target::TargetReader;
use crate::target::bookkeeping::quarantine;

/// The totals of the rows that the target has in `key_range`, within the period.
pub(crate) async fn of_target(
    target: &TargetReader,
    table: &Table,
    period: &Period,
    key_range: &KeyRange,
) -> Result<DayTotals> {
    let Some(totals) = &table.totals else {
        return Ok(DayTotals::new());
    };
    if period.is_empty() {
        return Ok(DayTotals::new());
    }
    let doing = || format!("adding up {}", table.name);
    if *period == Period::All
        && *key_range == KeyRange::ALL
        && let Some(figures) = of_whole_target(target, table, totals).await?
    {
        return Ok(figures);
    }
    let mut select = totals.target_select(table.name);
    select
        .cond_where(table.target_in(period))
        .cond_where(key_range.contains(&table.target_page_key()));
    let mut figures = DayTotals::new();
    for row in target.all(&select).await.target(doing)? {
        let date_key = row.try_get_by_index(0).target(doing)?;
        let group = group_of(&row).target(doing)?;
        let total = total_of(&row, 2, totals).target(doing)?;
        // Without groups and dates, SQL returns one row even if there are no rows to sum.
        if total.rows > 0 {
            *figures.entry((date_key, group)).or_default() += total;
        }
    }
    Ok(figures)
}

/// The totals of all rows that the target has, if days and groups can be packed into one number.
async fn of_whole_target(target: &TargetReader, table: &Table, totals: &Totals) -> Result<Option<DayTotals>> {
    let doing = || format!("adding up {}", table.name);
    let Some(select) = totals.packed_target_select(table.name) else {
        return Ok(None);
    };
    for unpackable in totals.unpackable(table.name) {
        if target.number(&unpackable).await.target(doing)? > 0 {
            return Ok(None);
        }
    }
    let mut figures = DayTotals::new();
    for row in target.all(&select).await.target(doing)? {
        let (day, group) = totals::unpacked(row.try_get_by_index(0).target(doing)?);
        let date_key = i32::try_from(day).map_err(|error| DbErr::Type(error.to_string()));
        *figures.entry((date_key.target(doing)?, group)).or_default() += total_of(&row, 1, totals).target(doing)?;
    }
    Ok(Some(figures))
}

/// The figures of a row, from this column on.
fn total_of(row: &QueryResult, first: usize, totals: &Totals) -> std::result::Result<Total, DbErr> {
    let mut total = Total {
        rows: row.try_get_by_index(first)?,
        ..Total::default()
    };
    for (position, amount) in total.amounts.iter_mut().enumerate().take(totals.sums.len()) {
        *amount = row.try_get_by_index(first + 1 + position)?;
    }
    Ok(total)
}

/// The group of a row, in the column after its date.
fn group_of(row: &QueryResult) -> std::result::Result<Option<Group>, DbErr> {
    if let Ok(number) = row.try_get_by_index::<Option<i64>>(1) {
        return Ok(number.map(Group::Number));
    }
    let text: Option<String> = row.try_get_by_index(1)?;
    Ok(text.map(|text| Group::Text(text.into())))
}

/// The change of the target's totals when the rows of `key_ranges` are brought up to date.
pub(crate) async fn pending(
    source: &SourceTotals<'_>,
    target: &TargetReader,
    table: &'static Table,
    period: &Period,
    key_ranges: &[KeyRange],
) -> Result<DayTotals> {
    let mut pending = DayTotals::new();
    for key_range in key_ranges {
        add_all(&mut pending, source.of_key_range(table, period, key_range).await?);
        subtract_all(&mut pending, of_target(target, table, period, key_range).await?);
    }
    Ok(pending)
}

/// Both sides day by day and group by group, and what explains differences.
#[derive(Default)]
pub(crate) struct BothTotals {
    pub source: DayTotals,
    pub target: DayTotals,
    /// The totals of quarantined source rows.
    pub quarantined: DayTotals,
    /// What the next incremental run adds to the target's totals.
    pub pending: DayTotals,
}

/// Compares both sides, day by day and group by group.
pub(crate) fn compare(table: &'static Table, both: &BothTotals) -> Vec<Comparison> {
    let BothTotals {
        source,
        target,
        quarantined,
        pending,
    } = both;
    let Some(totals) = &table.totals else {
        return Vec::new();
    };
    let all = [source, target, quarantined, pending];
    let mut keys: Vec<&DayAndGroup> = all.into_iter().flat_map(HashMap::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let of = |figures: &DayTotals, key| totals.figures(figures.get(key).copied().unwrap_or_default());
    let mut comparisons = Vec::new();
    for key in keys {
        let sides = of(source, key).zip(of(target, key));
        let explained = of(quarantined, key).zip(of(pending, key));
        for (((measure, source), (_, target)), ((_, quarantined), (_, pending))) in sides.zip(explained) {
            comparisons.push(Comparison {
                table: table.name,
                measure,
                grouped_by: totals.grouped_by_name(),
                group: key.1.clone(),
                date_key: Some(key.0),
                source,
                target,
                quarantined,
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
    /// In the smallest unit of the measure.
    pub before: i64,
    pub after: i64,
}

/// The changes of the totals of the days that a run touched, from the committed to the written state.
pub(crate) async fn changes(
    star: &Star,
    outcomes: &TableOutcomes,
    committed: &TargetReader,
    written: &TargetReader,
) -> Result<Vec<TotalChange>> {
    let mut changes = Vec::new();
    for table in star.tables() {
        let (Some(outcome), Some(totals)) = (outcomes.get(table.name), &table.totals) else {
            continue;
        };
        let period = outcome.touched_days();
        let mut groups: BTreeMap<Option<Group>, [Total; 2]> = BTreeMap::new();
        for (side, target) in [committed, written].into_iter().enumerate() {
            for ((_, group), total) in of_target(target, table, &period, &KeyRange::ALL).await? {
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

/// The page keys of the quarantined rows of a table.
pub(crate) async fn quarantined(
    target: &TargetReader,
    table: &Table,
    counts: &BTreeMap<String, u64>,
) -> Result<Vec<i64>> {
    if counts.get(table.name).is_none_or(|count| *count == 0) {
        return Ok(Vec::new());
    }
    quarantine::page_keys(target, table).await
}
