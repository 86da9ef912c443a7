//! Verified key ranges: which ranges of a target table were last compared with the source row by row, and by which run.
//!
//! A range is in the backlog if a source table that it is made from was modified in a later run than the one that
//! verified it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::Serialize;

use crate::declare::digest::Digest;
use crate::declare::integer::Key;
use crate::declare::key_range::KeyRange;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::{Doing, Result};
use crate::target::bookkeeping::state::States;
use crate::target::bookkeeping::time::stored;
use sync_verification::{ActiveModel, Column, Entity, Model};

pub(crate) mod sync_verification {
    //! One row per key range of a target table.
    use sea_orm::entity::prelude::*;

    /// The range from the end of the previous one up to a key. Times are by the source's clock.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_verification")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub target_table: String,
        /// The last page key of the range; `Key::LARGEST` means no end.
        #[sea_orm(primary_key, auto_increment = false)]
        pub up_to: i64,
        /// The run that last verified it; NULL if none has, or if the verification is no longer valid.
        pub verified_run: Option<i64>,
        /// When a run last verified it; NULL if none has.
        pub verified_at: Option<DateTime>,
        /// The digest of the source's rows at that time, as `rows:sum`; NULL if none was computed. The sum is
        /// 18446744073709551615 once rows have changed that no run has verified since.
        pub digest: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

const RANGES_PER_STATEMENT: usize = 500;

/// One key range, and which run last verified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationRange {
    pub after: Option<i64>,
    pub up_to: Option<i64>,
    pub verified: Option<VerificationMark>,
    /// When a run last verified it, even if the verification is no longer valid.
    pub last_verified_at: Option<DateTime<Utc>>,
    /// The digest of the source's rows when it was verified, if one was computed.
    pub digest: Option<Digest>,
}

/// A run, and its time by the source's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerificationMark {
    pub run_id: i64,
    pub at: DateTime<Utc>,
}

impl VerificationRange {
    /// All keys, never verified.
    pub(crate) const ALL: Self = Self {
        after: None,
        up_to: None,
        verified: None,
        last_verified_at: None,
        digest: None,
    };

    pub(crate) fn key_range(&self) -> KeyRange {
        KeyRange::Between {
            after: self.after,
            up_to: self.up_to,
        }
    }

    /// The range of a key range; `None` for a set of keys.
    pub(crate) fn of_key_range(key_range: &KeyRange, verified: Option<VerificationMark>) -> Option<Self> {
        match *key_range {
            KeyRange::Between { after, up_to } => Some(Self {
                after,
                up_to,
                verified,
                last_verified_at: verified.map(|verified| verified.at),
                digest: None,
            }),
            KeyRange::Keys(_) => None,
        }
    }

    /// Whether a table that the range is made from was modified since the range was verified.
    pub(crate) fn is_in_backlog(&self, modified_run: Option<i64>) -> bool {
        self.verified
            .is_none_or(|verified| modified_run > Some(verified.run_id))
    }

    fn behind(before: Option<&Self>, row: &Model) -> Self {
        let at = row.verified_at.map(|at| at.and_utc());
        Self {
            after: before.and_then(|before| before.up_to),
            up_to: (row.up_to != Key::LARGEST).then_some(row.up_to),
            verified: row
                .verified_run
                .zip(at)
                .map(|(run_id, at)| VerificationMark { run_id, at }),
            last_verified_at: at,
            digest: row.digest.as_deref().and_then(|digest| digest.parse().ok()),
        }
    }
}

/// The ranges of each table, in ascending order.
pub type Ranges = BTreeMap<String, Vec<VerificationRange>>;

/// All ranges.
pub async fn load<C: ConnectionTrait>(connection: &C) -> Result<Ranges> {
    read(connection, Entity::find()).await
}

/// The ranges of one table, in ascending order.
pub(crate) async fn of_table<C: ConnectionTrait>(connection: &C, table: &str) -> Result<Vec<VerificationRange>> {
    let of_table = Entity::find().filter(Column::TargetTable.eq(table));
    Ok(read(connection, of_table).await?.remove(table).unwrap_or_default())
}

async fn read<C: ConnectionTrait>(connection: &C, select: Select<Entity>) -> Result<Ranges> {
    let ascending = select.order_by_asc(Column::TargetTable).order_by_asc(Column::UpTo);
    let rows = ascending.all(connection).await;
    let mut ranges = Ranges::new();
    for row in rows.target(|| "reading sync_verification".to_owned())? {
        let of_table = ranges.entry(row.target_table.clone()).or_default();
        of_table.push(VerificationRange::behind(of_table.last(), &row));
    }
    Ok(ranges)
}

/// Whether a table of the star has a range without a valid verification that was not verified after this time, by the
/// source's clock.
pub(crate) async fn is_any_unverified_since<C: ConnectionTrait>(
    connection: &C,
    star: &Star,
    time: DateTime<Utc>,
) -> Result<bool> {
    let not_since = Condition::any()
        .add(Column::VerifiedAt.is_null())
        .add(Column::VerifiedAt.lte(stored(time)));
    let unverified = Entity::find()
        .filter(Column::TargetTable.is_in(star.tables().map(|table| table.name)))
        .filter(Column::VerifiedRun.is_null())
        .filter(not_since);
    let found = unverified.limit(1).one(connection).await;
    Ok(found.target(|| "reading sync_verification".to_owned())?.is_some())
}

/// Replaces all ranges of the keys after `after` with `ranges`.
pub(crate) async fn replace<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    after: Option<i64>,
    ranges: &[VerificationRange],
) -> Result<()> {
    let doing = || format!("writing the key ranges of {table}");
    let mut old = Entity::delete_many().filter(Column::TargetTable.eq(table));
    if let Some(after) = after {
        old = old.filter(Column::UpTo.gt(after));
    }
    old.exec(connection).await.target(doing)?;
    for ranges in ranges.chunks(RANGES_PER_STATEMENT) {
        Entity::insert_many(ranges.iter().map(|range| row(table, range)))
            .exec_without_returning(connection)
            .await
            .target(doing)?;
    }
    Ok(())
}

/// Replaces a range with the pieces that it was split into; the last piece has the same end.
pub(crate) async fn replace_one<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    pieces: &[VerificationRange],
) -> Result<()> {
    let columns = [Column::VerifiedRun, Column::VerifiedAt, Column::Digest];
    update(connection, table, pieces, &columns).await
}

/// Marks the ranges of a table as unverified. The time of the last verification is kept, because it determines their
/// age in the backlog.
pub(crate) async fn forget<C: ConnectionTrait>(connection: &C, table: &str) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::VerifiedRun, Expr::val(None::<i64>))
        .col_expr(Column::Digest, Expr::val(None::<String>))
        .filter(Column::TargetTable.eq(table))
        .exec(connection)
        .await
        .target(|| format!("resetting the verified key ranges of {table}"))?;
    Ok(())
}

/// Resets the digests of these ranges of a table, but keeps their row counts.
pub(crate) async fn forget_digests<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    ranges: &[VerificationRange],
) -> Result<()> {
    let forgotten = ranges.iter().map(|range| VerificationRange {
        digest: range.digest.map(|digest| Digest::unknown(digest.rows)),
        ..*range
    });
    update(connection, table, &forgotten.collect::<Vec<_>>(), &[Column::Digest]).await
}

/// Records that ranges of a table were verified, each with its current digest.
pub(crate) async fn note<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    ranges: &[VerificationRange],
    verified: VerificationMark,
) -> Result<()> {
    let noted = ranges.iter().map(|range| VerificationRange {
        verified: Some(verified),
        last_verified_at: Some(verified.at),
        ..*range
    });
    let columns = [Column::VerifiedRun, Column::VerifiedAt, Column::Digest];
    update(connection, table, &noted.collect::<Vec<_>>(), &columns).await
}

/// Writes these columns of ranges, each of which is identified by its end.
async fn update<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    ranges: &[VerificationRange],
    columns: &[Column],
) -> Result<()> {
    for ranges in ranges.chunks(RANGES_PER_STATEMENT) {
        let on_conflict = OnConflict::columns([Column::TargetTable, Column::UpTo])
            .update_columns(columns.iter().copied())
            .to_owned();
        Entity::insert_many(ranges.iter().map(|range| row(table, range)))
            .on_conflict(on_conflict)
            .exec_without_returning(connection)
            .await
            .target(|| format!("recording the verified key ranges of {table}"))?;
    }
    Ok(())
}

fn row(table: &str, range: &VerificationRange) -> ActiveModel {
    ActiveModel {
        target_table: Set(table.to_owned()),
        up_to: Set(range.up_to.unwrap_or(Key::LARGEST)),
        verified_run: Set(range.verified.map(|verified| verified.run_id)),
        verified_at: Set(range.last_verified_at.map(stored)),
        digest: Set(range.digest.map(|digest| digest.to_string())),
    }
}

/// The last run that found a table modified that `table` is made from, except its own source table and tables that were
/// verified by their stored rows since.
pub(crate) fn modified_run_of_others(star: &Star, table: &Table, states: &States) -> Option<i64> {
    star.sources
        .iter()
        .filter(|source| source.name != table.source_table && table.is_made_from(source.name))
        .filter_map(|source| {
            states
                .get(source.name)
                .filter(|state| !state.is_verified())?
                .modified_run
        })
        .max()
}

/// The last run that found a table modified that `table` is made from.
pub(crate) fn modified_run(star: &Star, table: &Table, states: &States) -> Option<i64> {
    let own = states.get(table.source_table).and_then(|state| state.modified_run);
    own.max(modified_run_of_others(star, table, states))
}

/// How much of the star is verified row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerificationSummary {
    pub ranges: u64,
    /// Key ranges with rows that may have changed since they were verified, without a change timestamp or row count
    /// that shows it.
    pub backlog_ranges: u64,
    /// Target tables with such ranges.
    pub backlog_tables: u64,
    /// Source rows in these ranges when they were last verified; `None` if one of the ranges has no digest.
    pub backlog_rows: Option<u64>,
    /// The age of the oldest of these ranges, by the source's clock; `None` without a backlog, or if one was never
    /// verified.
    pub backlog_age_seconds: Option<i64>,
}

impl VerificationSummary {
    /// The age of the oldest range in the backlog, as a metric: 0 without a backlog. A range that was never verified is
    /// as old as the last full load, which verifies all ranges that exist then.
    pub(crate) fn age_seconds(&self, loaded: DateTime<Utc>, clock: DateTime<Utc>) -> i64 {
        match self.backlog_age_seconds {
            Some(seconds) => seconds,
            None if self.backlog_ranges == 0 => 0,
            None => (clock - loaded).num_seconds().max(0),
        }
    }
}

/// Sums up the ranges of all tables.
pub fn sum_up(star: &Star, ranges: &Ranges, states: &States, clock: DateTime<Utc>) -> VerificationSummary {
    let of_tables = star.tables().map(|table| {
        let of_table = ranges.get(table.name).map_or(&[][..], Vec::as_slice);
        (of_table, modified_run(star, table, states))
    });
    sum_up_ranges(of_tables, clock)
}

/// Sums up the ranges of each table, given with the run that last found it modified.
fn sum_up_ranges<'a>(
    tables: impl Iterator<Item = (&'a [VerificationRange], Option<i64>)>,
    clock: DateTime<Utc>,
) -> VerificationSummary {
    let (mut ranges, mut backlog_tables) = (0, 0);
    let mut backlog = Vec::<&VerificationRange>::new();
    for (of_table, modified_run) in tables {
        let before = backlog.len();
        ranges += of_table.len() as u64;
        backlog.extend(of_table.iter().filter(|range| range.is_in_backlog(modified_run)));
        backlog_tables += u64::from(backlog.len() > before);
    }
    let rows = |range: &&VerificationRange| Some(range.digest?.rows);
    // `None` sorts before any time.
    let oldest = backlog.iter().map(|range| range.last_verified_at).min();
    VerificationSummary {
        ranges,
        backlog_ranges: backlog.len() as u64,
        backlog_tables,
        backlog_rows: backlog.iter().map(rows).sum(),
        backlog_age_seconds: oldest.flatten().map(|at| (clock - at).num_seconds()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_star::{self, time};

    fn range(run_id: Option<i64>, seconds: i64) -> VerificationRange {
        let at = time(seconds);
        VerificationRange {
            verified: run_id.map(|run_id| VerificationMark { run_id, at }),
            last_verified_at: run_id.map(|_| at),
            ..VerificationRange::ALL
        }
    }

    #[test]
    fn a_range_is_in_the_backlog_once_its_source_is_modified_in_a_later_run() {
        assert!(!range(Some(7), 0).is_in_backlog(None));
        assert!(!range(Some(7), 0).is_in_backlog(Some(7)));
        assert!(range(Some(7), 0).is_in_backlog(Some(8)));
        assert!(range(None, 0).is_in_backlog(None));
    }

    #[test]
    fn the_oldest_of_the_backlog_counts_and_never_has_no_age() {
        let summary = |ranges: &[VerificationRange], modified_run| {
            let summary = sum_up_ranges([(ranges, modified_run)].into_iter(), time(100));
            (summary.ranges, summary.backlog_ranges, summary.backlog_age_seconds)
        };
        let ranges = [range(Some(3), 30), range(Some(2), 20), range(Some(9), 90)];
        assert_eq!(summary(&ranges, Some(5)), (3, 2, Some(80)));
        assert_eq!(summary(&ranges, Some(1)), (3, 0, None));
        assert_eq!(summary(&[range(None, 0), range(Some(1), 10)], Some(5)), (2, 2, None));
    }

    #[test]
    fn a_backlog_that_was_never_verified_is_as_old_as_the_load() {
        let age = |ranges: &[VerificationRange]| {
            let summary = sum_up_ranges([(ranges, Some(5))].into_iter(), time(100));
            summary.age_seconds(time(40), time(100))
        };
        assert_eq!(age(&[range(Some(5), 10)]), 0, "no backlog");
        assert_eq!(age(&[range(Some(3), 70), range(Some(4), 90)]), 30);
        assert_eq!(age(&[range(Some(3), 70), range(None, 0)]), 60);
        let forgotten = VerificationRange {
            verified: None,
            ..range(Some(3), 70)
        };
        assert_eq!(age(&[forgotten]), 30, "verified once, and no longer");
    }

    #[test]
    fn rows_and_tables_of_the_backlog_are_counted_from_digests() {
        let digested = |run_id, rows| VerificationRange {
            digest: Some(Digest { rows, sum: 0 }),
            ..range(Some(run_id), 0)
        };
        let summary = |tables: &[&[VerificationRange]]| {
            let tables = tables.iter().map(|ranges| (*ranges, Some(5)));
            let summary = sum_up_ranges(tables, time(100));
            (summary.backlog_ranges, summary.backlog_tables, summary.backlog_rows)
        };
        let (old, new) = (digested(4, 100), digested(5, 1_000));
        assert_eq!(summary(&[&[old, new], &[old, old], &[new]]), (3, 2, Some(300)));
        assert_eq!(summary(&[&[new]]), (0, 0, Some(0)));
        assert_eq!(summary(&[&[old], &[range(None, 0)]]), (2, 2, None));
    }

    #[tokio::test]
    async fn ranges_are_cut_anew_behind_a_key_and_noted_by_their_ends() {
        let connection = test_star::database_of(Entity).await;
        let cut = |after, up_to| VerificationRange {
            after,
            up_to,
            ..VerificationRange::ALL
        };
        let first = [cut(None, Some(10)), cut(Some(10), None)];
        replace(&connection, "fact_loan", None, &first).await.unwrap();
        let behind = [cut(Some(10), Some(20)), cut(Some(20), None)];
        replace(&connection, "fact_loan", Some(10), &behind).await.unwrap();
        let verified = VerificationMark { run_id: 7, at: time(5) };
        let digest = Some(Digest { rows: 3, sum: 4 });
        let ranges = [cut(None, Some(10)), cut(Some(20), None)].map(|range| VerificationRange { digest, ..range });
        note(&connection, "fact_loan", &ranges, verified).await.unwrap();
        let expected = [cut(None, Some(10)), cut(Some(10), Some(20)), cut(Some(20), None)];
        let mut expected = expected.to_vec();
        for range in [0, 2] {
            expected[range].verified = Some(verified);
            expected[range].last_verified_at = Some(verified.at);
            expected[range].digest = digest;
        }
        assert_eq!(of_table(&connection, "fact_loan").await.unwrap(), expected);
        assert_eq!(load(&connection).await.unwrap()["fact_loan"], expected);
        forget_digests(&connection, "fact_loan", &expected[2..]).await.unwrap();
        expected[2].digest = Some(Digest::unknown(3));
        assert_eq!(of_table(&connection, "fact_loan").await.unwrap(), expected);
        forget(&connection, "fact_loan").await.unwrap();
        let forgotten = load(&connection).await.unwrap()["fact_loan"].clone();
        let is_forgotten = |range: &VerificationRange| range.verified.is_none() && range.digest.is_none();
        assert!(forgotten.len() == 3 && forgotten.iter().all(is_forgotten));
        let ages: Vec<_> = forgotten.iter().map(|range| range.last_verified_at).collect();
        assert_eq!(ages, [Some(time(5)), None, Some(time(5))]);
    }
}
