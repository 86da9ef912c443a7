//! The figures by which source and target are compared, among them row counts.

use std::collections::BTreeMap;

use sea_orm::Condition;
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query};
use serde::{Serialize, Serializer};

use crate::compare::verdict::Tally;
use crate::declare::key_range::KeyRange;
use crate::declare::table::Table;
use crate::declare::totals::{self, Group, Measure};
use crate::error::{Doing, Result};
use crate::metrics::DeltaLabels;
use crate::source::indexes::Indexes;
use crate::source::reader::SourceReader;
use crate::target::TargetReader;

/// One figure of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub table: &'static str,
    #[serde(serialize_with = "name_of")]
    pub measure: Measure,
    /// The name of the groups of the table's totals; `None` for a figure that is not a total.
    #[serde(skip)]
    pub grouped_by: Option<&'static str>,
    /// The group, if the figure is of one group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// YYYYMMDD, if the figure is of one day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_key: Option<i32>,
    pub source: i64,
    pub target: i64,
    /// Source rows that are in sync_reject; they explain that part of the difference.
    pub quarantined: i64,
    /// The pending part: what the next incremental run adds to the target.
    pub pending: i64,
}

/// Serializes a measure as its name.
pub(crate) fn name_of<S: Serializer>(measure: &Measure, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(measure.name)
}

impl Comparison {
    /// Row counts of a table, quarantined rows counted separately.
    pub(crate) fn of_rows(table: &Table, source: i64, target: i64, quarantined: u64) -> Self {
        Self {
            table: table.name,
            measure: totals::ROWS,
            grouped_by: None,
            group: None,
            date_key: None,
            source,
            target,
            quarantined: signed(quarantined),
            pending: 0,
        }
    }

    /// The labels of the delta metric of this figure, as compared by `command`.
    pub fn labels(&self, command: &'static str) -> DeltaLabels {
        let group = match (&self.group, self.grouped_by) {
            (Some(group), _) => group.to_string(),
            (None, Some(_)) => "(none)".to_owned(),
            (None, None) => String::new(),
        };
        (command, self.table, self.measure.name, group)
    }

    /// Target minus source, after the parts that quarantined rows and pending changes explain.
    pub fn delta(&self) -> i64 {
        self.target + self.quarantined + self.pending - self.source
    }

    /// Whether the sides differ in a way that neither quarantined rows nor pending changes explain.
    pub fn differs(&self) -> bool {
        self.delta() != 0
    }
}

/// Both sides of a comparison, each in one consistent state.
pub(crate) struct Sides<'a> {
    pub source: SourceReader,
    /// The indexes of the source.
    pub indexes: &'a Indexes,
    pub target: TargetReader,
    /// Quarantined rows by target table.
    pub quarantined: BTreeMap<String, u64>,
}

impl Sides<'_> {
    /// Row counts of a whole table. `removed` target rows are about to be deleted. The source is not counted again if
    /// `source_rows` is known.
    pub(crate) async fn rows(&self, table: &Table, removed: u64, source_rows: Option<i64>) -> Result<Comparison> {
        let source = async {
            match source_rows {
                Some(known) => Ok(known),
                None => self.all_source_rows(table).await,
            }
        };
        let (source, target) = tokio::try_join!(source, self.target_rows(table, &KeyRange::ALL))?;
        let target = target - signed(removed);
        let quarantined = self.quarantined.get(table.name).copied().unwrap_or(0);
        Ok(Comparison::of_rows(table, source, target, quarantined))
    }

    /// Row counts of a key range of a table.
    pub(crate) async fn rows_of(
        &self,
        table: &Table,
        key_range: &KeyRange,
        removed: u64,
        quarantined: u64,
    ) -> Result<Comparison> {
        let (source, target) =
            tokio::try_join!(self.source_rows(table, key_range), self.target_rows(table, key_range))?;
        let target = target - signed(removed);
        Ok(Comparison::of_rows(table, source, target, quarantined))
    }

    /// The row count of the source for a whole table.
    pub(crate) async fn all_source_rows(&self, table: &Table) -> Result<i64> {
        if table.only.is_some() {
            return self.source_rows(table, &KeyRange::ALL).await;
        }
        let number = self.source.number(&self.indexes.count(table.source_table)).await;
        number.source(|| format!("counting {}", table.source_table))
    }

    /// The row count of the source in a key range.
    pub(crate) async fn source_rows(&self, table: &Table, key_range: &KeyRange) -> Result<i64> {
        let mut select = table.source_rows_in(key_range);
        let number = self.source.number(select.expr(Expr::col(Asterisk).count())).await;
        number.source(|| format!("counting {}, {key_range}", table.source_table))
    }

    /// The row count of the target in a key range.
    pub(crate) async fn target_rows(&self, table: &Table, key_range: &KeyRange) -> Result<i64> {
        count(&self.target, table, key_range.contains(&table.target_page_key())).await
    }
}

/// The number of target rows that meet a condition.
pub(crate) async fn count(target: &TargetReader, table: &Table, condition: Condition) -> Result<i64> {
    let mut select = Query::select();
    select.expr(Expr::col(Asterisk).count());
    if condition.is_empty() {
        // Counts all rows, including bridge rows without their dimension row. Without a condition SQLite counts page by
        // page; with any condition, even TRUE, it visits each row.
        select.from(table.name);
    } else {
        table.add_target_tables(&mut select);
        select.cond_where(condition);
    }
    let rows = target.number(&select).await;
    rows.target(|| format!("counting {}", table.name))
}

/// Counts rows, up to `limit`.
pub(crate) async fn count_at_most(
    target: &TargetReader,
    table: &Table,
    condition: Condition,
    limit: u64,
) -> Result<u64> {
    let mut rows = Query::select();
    rows.expr(Expr::val(1));
    table.add_target_tables(&mut rows);
    rows.cond_where(condition).limit(limit);
    let select = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from_subquery(rows, "held")
        .to_owned();
    let rows = target.number(&select).await;
    let rows = rows.target(|| format!("counting {}", table.name))?;
    Ok(u64::try_from(rows).unwrap_or(0))
}

/// Counts each figure of a whole table or period as one check. It matches if its difference, and the difference of each
/// of its days, is within the tolerance.
pub(crate) fn count_checks(figures: &[Comparison], tolerance: u64, tally: &mut Tally) {
    let within = |figure: &Comparison| figure.delta().unsigned_abs() <= tolerance;
    let is_part = |day: &Comparison, whole: &Comparison| {
        let of = |figure: &Comparison| (figure.table, figure.measure.name, figure.grouped_by);
        of(day) == of(whole) && day.group == whole.group
    };
    let (whole, days): (Vec<_>, Vec<_>) = figures.iter().partition(|figure| figure.date_key.is_none());
    let off: Vec<_> = days.into_iter().filter(|day| !within(day)).collect();
    for figure in whole {
        tally.add(within(figure) && !off.iter().any(|day| is_part(day, figure)));
    }
}

/// Sums figures over the days, to one per group and measure; row counts come first.
pub(crate) fn by_group(daily: &[Comparison]) -> Vec<Comparison> {
    let mut groups: BTreeMap<(&str, bool, &str, &Option<Group>), Comparison> = BTreeMap::new();
    for figure in daily {
        let is_sum = figure.measure != totals::ROWS;
        groups
            .entry((figure.table, is_sum, figure.measure.name, &figure.group))
            .and_modify(|sum| {
                sum.source += figure.source;
                sum.target += figure.target;
                sum.quarantined += figure.quarantined;
                sum.pending += figure.pending;
            })
            .or_insert_with(|| Comparison {
                date_key: None,
                ..figure.clone()
            });
    }
    groups.into_values().collect()
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
