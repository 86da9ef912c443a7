//! Totals that source and target must agree on: of each day, by a group if there is one, the number of rows and any sums.

use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

use sea_orm::sea_query::SelectStatement;
use serde::Serialize;

use crate::declare::lookup::{Lookup, Lookups, Need};
use crate::declare::source_rows::SourceRow;

/// More measures than these cannot be declared.
pub const MOST_MEASURES: usize = 4;

/// What source and target must agree on. The target adds it up itself. Of the source it is added up row by row, by a
/// join in memory: joining millions of rows for totals takes a server many times longer than handing them out. Neither
/// the table's mapping nor what a load has looked up is used for it.
pub struct Totals {
    /// What the groups are called, as in `store`; nothing where days alone are added up.
    pub grouped_by: Option<&'static str>,
    /// The sums, beside the number of rows.
    pub measures: Vec<Measure>,
    /// Selects what the totals are made of, unfiltered: of each row of the source table its page key, its last change,
    /// and then what `entry` reads.
    pub source: fn() -> SelectStatement,
    /// What `entry` looks up, in tables of the source alone.
    pub needs: Vec<Need>,
    /// What one of these rows adds to the totals.
    pub entry: fn(SourceRow<'_>, &Lookups) -> Entry,
    /// A lookup that later tables' totals need and that these rows are all it takes to fill.
    pub fills: Option<Fill>,
    /// The column of the source table that the period applies to, a DATETIME or DATE.
    pub source_date: &'static str,
    /// Selects from the target: the date key, the group if there is one, the number of rows, and each of the sums.
    pub target: fn() -> SelectStatement,
    pub target_date: &'static str,
}

/// A sum over the rows of a group, in whole numbers of its smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// In JSON and metrics, with the unit: `cents`.
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

/// What one source row adds to the totals, beside its count of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// 0 where the source's date is none.
    pub date_key: i32,
    /// None where there are no groups, or where that of the row cannot be found.
    pub group: Option<Group>,
    /// One for each of the measures, in their order.
    pub amounts: [i64; MOST_MEASURES],
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

/// A lookup, and in which columns of a select its key and its value stand.
pub struct Fill {
    pub lookup: &'static Lookup,
    pub key: usize,
    pub value: usize,
}

impl Totals {
    /// The number of rows and the sums, with their values in a total.
    pub(crate) fn figures(&self, total: Total) -> impl Iterator<Item = (Measure, i64)> {
        let sums = self.measures.iter().copied().zip(total.amounts);
        [(ROWS, total.rows)].into_iter().chain(sums)
    }
}
