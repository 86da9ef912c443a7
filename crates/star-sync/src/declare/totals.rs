//! Totals that source and target must agree on: of each day, by a group if there is one, the number of rows and any sums.

use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

use chrono::NaiveDateTime;
use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Func, JoinType, Query, SelectStatement};
use sea_orm::{ColumnTrait, RelationDef};
use serde::Serialize;

use crate::declare::date_key;
use crate::declare::lookup::{KeysFrom, Lookup, Lookups, Need};
use crate::declare::source_record::{SelectedColumn, SourceRecord, joined_of, position_of};
use crate::declare::source_rows::SourceRow;
use crate::declare::source_table::SourceTable;

/// More measures than these cannot be declared.
pub const MOST_MEASURES: usize = 4;

/// What source and target must agree on. The target adds it up itself. Of the source it is added up row by row, by a
/// join in memory: joining millions of rows for totals takes a server many times longer than handing them out. Neither
/// the table's mapping nor what a load has looked up is used for it.
pub struct Totals {
    /// What the rows are grouped by; nothing where days alone are added up.
    pub(crate) group: Option<GroupedBy>,
    /// The sums beside the number of rows, each with the target's expression for a row.
    pub(crate) sums: Vec<(Measure, fn() -> Expr)>,
    /// What of a source row is read for it, and from which tables beside its own.
    pub(crate) columns: Vec<SelectedColumn>,
    pub(crate) joined: Vec<&'static str>,
    select: fn() -> SelectStatement,
    /// What `entry` looks up, in tables of the source alone.
    pub(crate) needs: Vec<Need>,
    /// What a row adds to the totals.
    pub(crate) entry: ReadEntry,
    /// A lookup that later tables' totals need and that these rows are all it takes to fill.
    pub(crate) fills: Option<Fill>,
    pub(crate) dates: Option<Dates>,
    pub(crate) mistakes: Vec<String>,
}

type ReadEntry = Box<dyn Fn(SourceRow<'_>, &Lookups) -> Entry + Send + Sync>;

/// What the rows of a table are grouped by.
pub(crate) struct GroupedBy {
    /// As messages and JSON name it: `branch`.
    pub name: &'static str,
    /// The target's column.
    pub column: SelectedColumn,
    /// How the table comes to it.
    pub relations: Vec<RelationDef>,
}

/// The day at which a row counts.
pub(crate) struct Dates {
    /// A DATETIME or DATE of the source table, or of one that the record joins.
    pub source: SelectedColumn,
    /// A date key.
    pub target: &'static str,
}

/// A sum over the rows of a group, in whole numbers of its smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// In JSON and metrics, with the unit: `pence`.
    pub name: &'static str,
    /// For people: `total`.
    pub label: &'static str,
    /// How many digits of the number stand behind the point for people.
    pub decimals: u32,
}

/// The number of rows, which every table has.
pub const ROWS: Measure = Measure {
    name: "rows",
    label: "rows",
    decimals: 0,
};

/// What rows are grouped by: a natural key, or a text such as a country.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum Group {
    Number(i64),
    Text(Arc<str>),
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => write!(formatter, "{text}"),
        }
    }
}

impl From<i64> for Group {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Group {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// What one source row adds to the totals, beside its count of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// 0 where the source's date is none.
    pub(crate) date_key: i32,
    pub(crate) group: Option<Group>,
    /// One for each of the measures, in their order.
    pub(crate) amounts: [i64; MOST_MEASURES],
}

impl Entry {
    /// The row counts on this day.
    #[must_use]
    pub fn on(mut self, time: Option<NaiveDateTime>) -> Self {
        self.date_key = time.map_or(0, |time| date_key::of_day(time.date()));
        self
    }

    /// The row counts in this group; in that of all others if none can be found.
    #[must_use]
    pub fn in_group(mut self, group: Option<impl Into<Group>>) -> Self {
        self.group = group.map(Into::into);
        self
    }

    /// The row adds this to the sums, in the order in which they are declared.
    #[must_use]
    pub fn adds<const SUMS: usize>(mut self, amounts: [i64; SUMS]) -> Self {
        const { assert!(SUMS <= MOST_MEASURES, "so many sums cannot be declared") };
        self.amounts[..SUMS].copy_from_slice(&amounts);
        self
    }
}

/// How many rows, and their sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub rows: i64,
    pub amounts: [i64; MOST_MEASURES],
}

impl AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        for (amount, other) in self.amounts.iter_mut().zip(other.amounts) {
            *amount += other;
        }
    }
}

impl SubAssign for Total {
    fn sub_assign(&mut self, other: Self) {
        self.rows -= other.rows;
        for (amount, other) in self.amounts.iter_mut().zip(other.amounts) {
            *amount -= other;
        }
    }
}

/// A lookup, and in which columns of a record its key and its value stand.
pub(crate) struct Fill {
    pub lookup: &'static Lookup,
    pub key: usize,
    pub value: usize,
}

impl Totals {
    /// The number of rows, made from a record of its own; the page key has to be the first that it reads. A row of which
    /// the record cannot be read is quarantined, and adds nothing but itself.
    pub fn of<R: SourceRecord + 'static>(entry: fn(R, &Lookups) -> Entry) -> Self {
        Self {
            group: None,
            sums: vec![],
            columns: R::columns(),
            joined: joined_of::<R>(),
            select: R::select,
            needs: vec![],
            entry: Box::new(move |row, lookups| {
                R::read(row).map_or_else(|_| Entry::default(), |record| entry(record, lookups))
            }),
            fills: None,
            dates: None,
            mistakes: vec![],
        }
    }

    /// Days are compared one by one, and a period of days by itself: the DATE or DATETIME of the source, which may stand in
    /// a table that both records of the fact join, and the date key (YYYYMMDD) of the target.
    #[must_use]
    pub fn dated(mut self, source: impl ColumnTrait, target: impl ColumnTrait) -> Self {
        self.dates = Some(Dates {
            source: SelectedColumn::new(source),
            target: target.as_str(),
        });
        self
    }

    /// Groups are compared one by one: the target's column that tells the group, and how the table comes to it.
    #[must_use]
    pub fn grouped_by(
        mut self,
        name: &'static str,
        column: impl ColumnTrait,
        relations: impl IntoIterator<Item = RelationDef>,
    ) -> Self {
        self.group = Some(GroupedBy {
            name,
            column: SelectedColumn::new(column),
            relations: relations.into_iter().collect(),
        });
        self
    }

    /// A sum: what a row of the target adds to it, in whole numbers of its smallest unit. NULL adds nothing.
    #[must_use]
    pub fn sum(mut self, measure: Measure, of_target: fn() -> Expr) -> Self {
        self.sums.push((measure, of_target));
        self
    }

    /// `entry` looks up the keys that stand in this column.
    #[must_use]
    pub fn looks_up(mut self, lookup: &'static Lookup, column: impl ColumnTrait) -> Self {
        let keys = KeysFrom::Column(self.position(column));
        self.needs.push(Need { lookup, keys });
        self
    }

    /// `entry` looks up what another lookup, declared before, has found.
    #[must_use]
    pub fn looks_up_through(mut self, through: &'static Lookup, lookup: &'static Lookup) -> Self {
        let keys = KeysFrom::Values(through);
        self.needs.push(Need { lookup, keys });
        self
    }

    /// Tables that are added up later look up the value of one of these columns by the key in another.
    #[must_use]
    pub fn fills(mut self, lookup: &'static Lookup, key: impl ColumnTrait, value: impl ColumnTrait) -> Self {
        self.fills = Some(Fill {
            lookup,
            key: self.position(key),
            value: self.position(value),
        });
        self
    }

    fn position(&mut self, column: impl ColumnTrait) -> usize {
        position_of(&self.columns, column).unwrap_or_else(|column| {
            self.mistakes
                .push(format!("totals use {column}, which their record does not read"));
            0
        })
    }

    /// Selects what they are made of, unfiltered; and behind the record's columns the time of a row's last change.
    pub(crate) fn source_select(&self, source: &SourceTable) -> SelectStatement {
        let mut select = (self.select)();
        select.expr(source.change_time());
        select
    }

    /// In which column of that the time of change stands.
    pub(crate) fn change_time_position(&self) -> usize {
        self.columns.len()
    }

    /// Selects from the target, unfiltered: the date key, or 0 for none; the group, or NULL; the number of rows, and each of
    /// the sums.
    pub(crate) fn target_select(&self, table: &str) -> SelectStatement {
        let mut select = Query::select();
        select.from(Alias::new(table));
        match &self.dates {
            Some(dates) => {
                let date_key = Expr::col((Alias::new(table), dates.target));
                select.expr(date_key.clone()).add_group_by([date_key]);
            }
            None => {
                select.expr(Expr::val(0));
            }
        }
        match &self.group {
            Some(group) => {
                for relation in &group.relations {
                    select.join(JoinType::LeftJoin, relation.to_tbl.clone(), relation.clone());
                }
                let column = Expr::col((Alias::new(&group.column.table), group.column.name));
                select.expr(column.clone()).add_group_by([column]);
            }
            None => {
                select.expr(Expr::val(None::<i64>));
            }
        }
        select.expr(Expr::col(Asterisk).count());
        for (_, of_target) in &self.sums {
            select.expr(Expr::expr(Func::sum(of_target())).if_null(0));
        }
        select
    }

    /// What the groups are called, if there are any.
    pub(crate) fn grouped_by_name(&self) -> Option<&'static str> {
        self.group.as_ref().map(|group| group.name)
    }

    /// The number of rows and the sums, with their values in a total.
    pub(crate) fn figures(&self, total: Total) -> impl Iterator<Item = (Measure, i64)> {
        let sums = self.sums.iter().map(|(measure, _)| *measure).zip(total.amounts);
        [(ROWS, total.rows)].into_iter().chain(sums)
    }
}
