//! Which key ranges of a target table were last compared with the source row by row, and in which run.
//!
//! A range is proven while no source table that it is made from has moved in a later run than the one that proved it.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::declare::scope::Scope;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::{Doing, Result};
use crate::target::bookkeeping::state::States;

pub mod sync_proof {
    //! One row a key range of a target table.
    use sea_orm::entity::prelude::*;

    /// The range from the one before up to `upto`. Times are UTC, `YYYY-MM-DD HH:MM:SS`, by the source's clock.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_proof")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub target_table: String,
        /// The last page key of the range; the largest there is stands for no end.
        #[sea_orm(primary_key, auto_increment = false)]
        pub upto: i64,
        /// The run that last compared it; NULL if none has.
        pub proven_run: Option<i64>,
        pub proven_at: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use sync_proof::{ActiveModel, Column, Entity};

/// Ranges that one statement names.
const RANGES_A_STATEMENT: usize = 500;

/// One key range and when it was last compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub after: Option<i64>,
    pub upto: Option<i64>,
    pub proven_run: Option<i64>,
    pub proven_at: Option<String>,
}

impl Range {
    /// Every key, never compared.
    pub(crate) const ALL: Self = Self {
        after: None,
        upto: None,
        proven_run: None,
        proven_at: None,
    };

    /// The scope of its keys.
    pub(crate) fn scope(&self) -> Scope {
        Scope::Range {
            after: self.after,
            upto: self.upto,
        }
    }

    fn behind(before: Option<&Range>, row: sync_proof::Model) -> Self {
        Self {
            after: before.and_then(|before| before.upto),
            upto: (row.upto != i64::MAX).then_some(row.upto),
            proven_run: row.proven_run,
            proven_at: row.proven_at,
        }
    }

    /// The range of an interval.
    pub(crate) fn of_scope(scope: &Scope, proven_run: Option<i64>, proven_at: Option<String>) -> Option<Self> {
        match scope {
            Scope::Range { after, upto } => Some(Self {
                after: *after,
                upto: *upto,
                proven_run,
                proven_at,
            }),
            Scope::Keys(_) => None,
        }
    }
}

/// The ranges of each table, ascending.
pub type Ranges = BTreeMap<String, Vec<Range>>;

/// All that is known.
pub async fn load<C: ConnectionTrait>(connection: &C) -> Result<Ranges> {
    let rows = Entity::find()
        .order_by_asc(Column::TargetTable)
        .order_by_asc(Column::Upto)
        .all(connection)
        .await
        .target(|| "reading sync_proof".to_owned())?;
    let mut ranges = Ranges::new();
    for row in rows {
        let of_table = ranges.entry(row.target_table.clone()).or_default();
        of_table.push(Range::behind(of_table.last(), row));
    }
    Ok(ranges)
}

/// The ranges of one table, ascending.
pub(crate) async fn of_table<C: ConnectionTrait>(connection: &C, table: &str) -> Result<Vec<Range>> {
    let rows = Entity::find()
        .filter(Column::TargetTable.eq(table))
        .order_by_asc(Column::Upto)
        .all(connection)
        .await
        .target(|| format!("reading the key ranges of {table}"))?;
    let mut ranges: Vec<Range> = Vec::with_capacity(rows.len());
    for row in rows {
        ranges.push(Range::behind(ranges.last(), row));
    }
    Ok(ranges)
}

/// Puts `ranges` in the place of all that is known of the keys behind `after`.
pub(crate) async fn replace<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    after: Option<i64>,
    ranges: &[Range],
) -> Result<()> {
    let doing = || format!("writing the key ranges of {table}");
    let mut old = Entity::delete_many().filter(Column::TargetTable.eq(table));
    if let Some(after) = after {
        old = old.filter(Column::Upto.gt(after));
    }
    old.exec(connection).await.target(doing)?;
    for ranges in ranges.chunks(RANGES_A_STATEMENT) {
        let rows = ranges.iter().map(|range| ActiveModel {
            target_table: Set(table.to_owned()),
            upto: Set(range.upto.unwrap_or(i64::MAX)),
            proven_run: Set(range.proven_run),
            proven_at: Set(range.proven_at.clone()),
        });
        Entity::insert_many(rows)
            .exec_without_returning(connection)
            .await
            .target(doing)?;
    }
    Ok(())
}

/// Notes that ranges of a table, named by their ends, were compared.
pub(crate) async fn note<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    ends: &[Option<i64>],
    run_id: i64,
    at: &str,
) -> Result<()> {
    for ends in ends.chunks(RANGES_A_STATEMENT) {
        Entity::update_many()
            .col_expr(Column::ProvenRun, run_id.into())
            .col_expr(Column::ProvenAt, at.into())
            .filter(Column::TargetTable.eq(table))
            .filter(Column::Upto.is_in(ends.iter().map(|end| end.unwrap_or(i64::MAX))))
            .exec(connection)
            .await
            .target(|| format!("noting what is proven of {table}"))?;
    }
    Ok(())
}

/// The last run that found anything moved that `table` is made from.
pub(crate) fn moved_run(star: &Star, table: &Table, states: &States) -> Option<i64> {
    star.sources
        .iter()
        .filter(|source| table.is_made_from(source.name))
        .filter_map(|source| states.get(source.name)?.moved_run)
        .max()
}

/// How much of a table is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub ranges: u64,
    pub unproven: u64,
    /// When the unproven range that has waited longest was last compared; `Some(None)` if never.
    pub oldest: Option<Option<String>>,
}

/// Sums up the ranges of one table.
pub(crate) fn sum_up(ranges: &[Range], moved_run: Option<i64>) -> Summary {
    let mut summary = Summary::default();
    for range in ranges {
        summary.ranges += 1;
        if is_unproven(range, moved_run) {
            summary.unproven += 1;
            summary.oldest = Some(match summary.oldest.take() {
                Some(oldest) => oldest.min(range.proven_at.clone()),
                None => range.proven_at.clone(),
            });
        }
    }
    summary
}

/// Sums up the ranges of all tables.
pub fn sum_up_all(star: &Star, ranges: &Ranges, states: &States) -> Summary {
    let mut all = Summary::default();
    for table in star.tables() {
        let of_table = ranges.get(table.name).map_or(&[][..], Vec::as_slice);
        let summary = sum_up(of_table, moved_run(star, table, states));
        all.ranges += summary.ranges;
        all.unproven += summary.unproven;
        all.oldest = match (all.oldest.take(), summary.oldest) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    all
}

/// Whether something that the range is made from has moved since it was compared.
pub(crate) fn is_unproven(range: &Range, moved_run: Option<i64>) -> bool {
    range.proven_run.is_none_or(|proven| moved_run > Some(proven))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(proven_run: Option<i64>, proven_at: &str) -> Range {
        Range {
            after: None,
            upto: None,
            proven_run,
            proven_at: proven_run.map(|_| proven_at.to_owned()),
        }
    }

    #[test]
    fn a_range_is_proven_until_its_source_moves_in_a_later_run() {
        assert!(!is_unproven(&range(Some(7), "-"), None));
        assert!(!is_unproven(&range(Some(7), "-"), Some(7)));
        assert!(is_unproven(&range(Some(7), "-"), Some(8)));
        assert!(is_unproven(&range(None, "-"), None));
    }

    #[test]
    fn the_unproven_range_that_waited_longest_is_told_and_never_is_the_longest() {
        let ranges = [
            range(Some(3), "2026-01-03"),
            range(Some(2), "2026-01-02"),
            range(Some(9), "2026-01-09"),
        ];
        let summary = sum_up(&ranges, Some(5));
        assert_eq!((summary.ranges, summary.unproven), (3, 2));
        assert_eq!(summary.oldest, Some(Some("2026-01-02".to_owned())));
        assert_eq!(
            sum_up(&[range(None, ""), range(Some(1), "2026")], Some(5)).oldest,
            Some(None)
        );
        assert_eq!(sum_up(&ranges, Some(1)).oldest, None);
    }
}
