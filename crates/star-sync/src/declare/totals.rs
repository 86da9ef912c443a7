//! The totals by which source and target are reconciled: the number of rows and any sums, by day and by one group, if
//! declared.

use std::ops::{AddAssign, SubAssign};

use chrono::NaiveDateTime;
use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Func, JoinType, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, RelationDef};

use crate::declare::date_key;
use crate::declare::day_totals::WITHOUT_DAY;
use crate::declare::lookup::{KeysFrom, Lookup, LookupKey, LookupUse, Lookups};
use crate::declare::source_record::{SelectedColumn, SourceRecord, joined_of, position_of};
use crate::declare::source_rows::SourceRow;
use crate::declare::source_table::{Family, SourceTable};

/// The most measures that totals can have, besides the number of rows.
pub(crate) const MOST_MEASURES: usize = 4;
/// How many group numbers can be packed into one number with a day, which is less than 2^27.
const GROUPS_PER_DAY: i64 = 1 << 36;
const DAYS: i64 = 1 << 27;
/// The packed number for rows without a group.
const WITHOUT_GROUP: i64 = GROUPS_PER_DAY - 1;

/// The totals by which source and target are reconciled. SQLite computes those of the target. The engine adds up those
/// of the source row by row, with joins in memory, because a server takes many times longer to join millions of rows
/// than to return them. Neither the table's mapping nor the lookups of a load are used for them, so that a mistake in
/// the mapping is not repeated here.
///
/// Amounts are whole numbers of a measure's smallest unit, so that sums are exact.
pub struct Totals {
    /// The group; `None` for totals without groups.
    pub(crate) group: Option<GroupedBy>,
    /// The sums besides the number of rows, each with the target's expression for a row.
    pub(crate) sums: Vec<(Measure, fn() -> Expr)>,
    /// The columns of a source row that are read, and the tables that are joined for them.
    pub(crate) columns: Vec<SelectedColumn>,
    pub(crate) joined: Vec<&'static str>,
    select: fn() -> SelectStatement,
    /// The lookups of `entry`, only in tables of the source.
    pub(crate) lookups: Vec<LookupUse>,
    /// Computes the entry of a row.
    pub(crate) entry: ReadEntry,
    /// A lookup that these rows alone fill, for the totals of later tables.
    pub(crate) fills: Option<Fill>,
    pub(crate) dates: Option<Dates>,
    pub(crate) mistakes: Vec<String>,
}

type ReadEntry = Box<dyn Fn(SourceRow<'_>, &Lookups) -> Entry + Send + Sync>;

/// The column that the rows of a table are grouped by.
pub(crate) struct GroupedBy {
    /// The name in messages and JSON, such as `branch`.
    pub name: &'static str,
    /// The target's column.
    pub column: SelectedColumn,
    /// The joins from the table to the column.
    pub relations: Vec<RelationDef>,
}

impl GroupedBy {
    fn column(&self) -> Expr {
        Expr::col((Alias::new(&self.column.table), self.column.name))
    }
}

/// Unpacks day and group from a number that `packed_target_select` selected.
pub(crate) fn unpacked(packed: i64) -> (i64, Option<Group>) {
    let group = packed.rem_euclid(GROUPS_PER_DAY);
    let day = packed.div_euclid(GROUPS_PER_DAY);
    (day, (group != WITHOUT_GROUP).then_some(Group::Number(group)))
}

/// The columns with the day on which a row counts.
pub(crate) struct Dates {
    /// A DATETIME or DATE of the source table, or of one that the record joins.
    pub source: SelectedColumn,
    /// A date key.
    pub target: &'static str,
}

/// A sum over rows, as an integer of its smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The name in JSON and metrics, with the unit, such as `pence`.
    pub name: &'static str,
    /// The label in tables, such as `total`.
    pub label: &'static str,
    /// Digits after the point in tables: with 2, the value 699 is shown as 6.99.
    pub decimals: u32,
}

/// The number of rows, which every table has.
pub const ROWS: Measure = Measure {
    name: "rows",
    label: "rows",
    decimals: 0,
};

/// The value that rows are grouped by: a natural key, or a text such as a country.
pub type Group = LookupKey;

/// What one source row contributes to the totals: its day, group and amounts. It counts as one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// 0 if the source has no valid date.
    pub(crate) date_key: i32,
    pub(crate) group: Option<Group>,
    /// One amount per measure, in their order.
    pub(crate) amounts: [i64; MOST_MEASURES],
}

impl Entry {
    /// Counts the row on the day of `time`; on no day if that is `None`.
    #[must_use]
    pub fn on(mut self, time: Option<NaiveDateTime>) -> Self {
        self.date_key = time.map_or(0, |time| date_key::of_day(time.date()));
        self
    }

    /// Counts the row in this group; in the group NULL if that is `None`.
    #[must_use]
    pub fn in_group(mut self, group: Option<impl Into<Group>>) -> Self {
        self.group = group.map(Into::into);
        self
    }

    /// Adds these amounts to the sums, in the order in which [`Totals::sum`] declares them, each in whole numbers of
    /// its measure's smallest unit. More than four do not compile.
    #[must_use]
    pub fn adds<const SUMS: usize>(mut self, amounts: [i64; SUMS]) -> Self {
        const { assert!(SUMS <= MOST_MEASURES, "so many sums cannot be declared") };
        self.amounts[..SUMS].copy_from_slice(&amounts);
        self
    }
}

/// A number of rows, and their sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
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

/// A lookup, and the positions of its key and value in a record.
pub(crate) struct Fill {
    pub lookup: &'static Lookup,
    pub key: usize,
    pub value: usize,
}

impl Totals {
    /// Totals of the number of rows. `entry` returns the day, the group and the amounts of one source row, read into a
    /// record of its own, whose first column has to be the page key. A row whose record cannot be read counts as one
    /// row, without day, group and amounts.
    pub fn of<R: SourceRecord>(entry: fn(R, &Lookups) -> Entry) -> Self {
        Self {
            group: None,
            sums: vec![],
            columns: R::columns(),
            joined: joined_of::<R>(),
            select: R::select,
            lookups: vec![],
            entry: Box::new(move |row, lookups| {
                R::read(row).map_or_else(|_| Entry::default(), |record| entry(record, lookups))
            }),
            fills: None,
            dates: None,
            mistakes: vec![],
        }
    }

    /// Reconciles by day, and enables `validate --days`. `source` is a DATE or DATETIME of the source table or of a
    /// table that both records of the fact join; `target` is the date key (YYYYMMDD) of the target.
    #[must_use]
    pub fn dated(mut self, source: impl ColumnTrait, target: impl ColumnTrait) -> Self {
        self.dates = Some(Dates {
            source: SelectedColumn::new(source),
            target: target.as_str(),
        });
        self
    }

    /// Reconciles by group. `name` is the group's name in messages and JSON; `column` is the target's column with the
    /// group, and `relations` are the joins from the table to it, empty for a column of the table itself.
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

    /// Adds a sum: `of_target` is the target's expression for one row, in whole numbers of the measure's smallest unit.
    /// NULL adds nothing. Totals have at most four sums.
    #[must_use]
    pub fn sum(mut self, measure: Measure, of_target: fn() -> Expr) -> Self {
        self.sums.push((measure, of_target));
        self
    }

    /// Declares a lookup that `entry` uses, which must be in the source; `column` of the record holds its keys.
    #[must_use]
    pub fn looks_up(mut self, lookup: &'static Lookup, column: impl ColumnTrait) -> Self {
        let keys = KeysFrom::Column(self.position(column));
        self.lookups.push(LookupUse { lookup, keys });
        self
    }

    /// Declares a lookup whose keys are the values of another lookup, `through`, which is declared before it.
    #[must_use]
    pub fn looks_up_through(mut self, through: &'static Lookup, lookup: &'static Lookup) -> Self {
        let keys = KeysFrom::Values(through);
        self.lookups.push(LookupUse { lookup, keys });
        self
    }

    /// Declares that these rows fill a lookup for the totals of later tables, with keys from the record's column `key`
    /// and values from `value`.
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

    /// Selects the columns of the record, unfiltered, followed by the change timestamp of the row.
    pub(crate) fn source_select(&self, source: &SourceTable) -> SelectStatement {
        let mut select = (self.select)();
        select.expr(source.change_time());
        select
    }

    /// The position of the change timestamp in `source_select`.
    pub(crate) fn change_time_position(&self) -> usize {
        self.columns.len()
    }

    /// Selects from the target, unfiltered: the date key, or 0 for none; the group, or NULL; the number of rows; the
    /// sums.
    pub(crate) fn target_select(&self, table: &str) -> SelectStatement {
        let mut select = self.target_tables(table);
        match &self.dates {
            Some(dates) => {
                let date_key = Expr::col((Alias::new(table), dates.target));
                let day = Expr::expr(date_key.clone()).if_null(WITHOUT_DAY);
                select.expr(day).add_group_by([date_key]);
            }
            None => {
                select.expr(Expr::val(0));
            }
        }
        match &self.group {
            Some(group) => {
                let column = group.column();
                select.expr(column.clone()).add_group_by([column]);
            }
            None => {
                select.expr(Expr::val(None::<i64>));
            }
        }
        self.add_figures(&mut select);
        select
    }

    /// Like `target_select`, with day and group packed in one number ([`unpacked`]): SQLite groups faster by one number
    /// than by two. `None` without days, or if the group is not a number in another table.
    pub(crate) fn packed_target_select(&self, table: &str) -> Option<SelectStatement> {
        let (dates, group) = self.dates.as_ref().zip(self.number_group())?;
        let day = Expr::expr(Expr::col((Alias::new(table), dates.target))).if_null(WITHOUT_DAY);
        let packed = day
            .mul(GROUPS_PER_DAY)
            .add(Expr::expr(group.column()).if_null(WITHOUT_GROUP));
        let mut select = self.target_tables(table);
        // By position, because a name could be that of a column.
        select.expr(packed).add_group_by([Expr::cust("1")]);
        self.add_figures(&mut select);
        Some(select)
    }

    /// Selects that count the values of the target that cannot be packed: groups, and the lowest and highest day.
    pub(crate) fn unpackable(&self, table: &str) -> Vec<SelectStatement> {
        let Some((dates, group)) = self.dates.as_ref().zip(self.number_group()) else {
            return Vec::new();
        };
        let cannot_be = |column: Expr, numbers: i64| {
            Condition::any()
                .add(column.clone().not_between(0, numbers - 1))
                .add(column.clone().cast_as("INTEGER").ne(column))
        };
        let count = |from: &str, condition| {
            let mut select = Query::select();
            select.expr(Expr::col(Asterisk).count()).from(Alias::new(from));
            select.cond_where(condition).to_owned()
        };
        let day = || Expr::col((Alias::new(table), dates.target));
        // With an index on the day, each end is found in one step.
        let of_days = [day().min(), day().max()].map(|end| {
            let end = Query::select()
                .expr_as(end, dates.target)
                .from(Alias::new(table))
                .to_owned();
            let mut select = Query::select();
            select.expr(Expr::col(Asterisk).count()).from_subquery(end, "ends");
            select
                .cond_where(cannot_be(Expr::col(("ends", dates.target)), DAYS))
                .to_owned()
        });
        let of_groups = count(&group.column.table, cannot_be(group.column(), WITHOUT_GROUP));
        of_days.into_iter().chain([of_groups]).collect()
    }

    /// The group, if it is a number in another table, which has far fewer rows to check.
    fn number_group(&self) -> Option<&GroupedBy> {
        let group = self.group.as_ref();
        group.filter(|group| group.column.family == Family::Integer && !group.relations.is_empty())
    }

    fn target_tables(&self, table: &str) -> SelectStatement {
        let mut select = Query::select();
        select.from(Alias::new(table));
        for relation in self.group.iter().flat_map(|group| &group.relations) {
            select.join(JoinType::LeftJoin, relation.to_tbl.clone(), relation.clone());
        }
        select
    }

    fn add_figures(&self, select: &mut SelectStatement) {
        select.expr(Expr::col(Asterisk).count());
        for (_, of_target) in &self.sums {
            select.expr(Expr::expr(Func::sum(of_target())).if_null(0));
        }
    }

    /// The name of the group, if any.
    pub(crate) fn grouped_by_name(&self) -> Option<&'static str> {
        self.group.as_ref().map(|group| group.name)
    }

    /// The number of rows and the sums, with their values in a total.
    pub(crate) fn figures(&self, total: Total) -> impl Iterator<Item = (Measure, i64)> {
        let sums = self.sums.iter().map(|(measure, _)| *measure).zip(total.amounts);
        [(ROWS, total.rows)].into_iter().chain(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_and_group_are_unpacked_from_one_number() {
        let packed = |day: i64, group: i64| unpacked(day * GROUPS_PER_DAY + group);
        assert_eq!(packed(20_050_524, 2), (20_050_524, Some(Group::Number(2))));
        assert_eq!(packed(WITHOUT_DAY.into(), 0), (0, Some(Group::Number(0))));
        let last = WITHOUT_GROUP - 1;
        assert_eq!(packed(99_991_231, last), (99_991_231, Some(Group::Number(last))));
        assert_eq!(packed(20_050_524, WITHOUT_GROUP), (20_050_524, None));
    }
}
