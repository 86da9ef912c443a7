//! The digests of the rows of source tables that contribute to the star table of another source table, by key, so that
//! the changed keys of a range whose digest differs can be determined. Twelve bytes per row, packed range by range.

use std::collections::HashMap;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::declare::digest::Digest;
use crate::declare::integer::Key;
use crate::declare::key_range::KeyRange;
use crate::error::{Doing, Result};
use sync_source_rows::{ActiveModel, Column, Entity, Model};

/// The checksum of a row whose digest is unknown. One row in four billion has the same checksum by chance.
const UNKNOWN: u32 = u32::MAX;

pub(crate) mod sync_source_rows {
    //! One row per key range of a source table.
    use sea_orm::entity::prelude::*;

    /// The range from the end of the previous one up to a key.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_source_rows")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_table: String,
        /// The last key of the range; `Key::LARGEST` means no end.
        #[sea_orm(primary_key, auto_increment = false)]
        pub up_to: i64,
        /// The digest of the range, as `rows:sum`.
        pub digest: String,
        /// The key of each row, in 8 bytes, and the digest of the row, in 4.
        #[sea_orm(column_type = "Blob")]
        pub row_digests: Vec<u8>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The digests of single rows, by key.
pub(crate) type RowDigests = HashMap<i64, u32>;

/// A key range of a source table, as of its last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceRange {
    pub after: Option<i64>,
    pub up_to: Option<i64>,
    pub digest: Digest,
    /// Packed until needed, because most ranges do not change.
    rows: Vec<u8>,
}

const KEY_BYTES: usize = 8;
const ROW_BYTES: usize = 12;

impl SourceRange {
    /// A range with its current rows.
    pub(crate) fn new((after, up_to): (Option<i64>, Option<i64>), digest: Digest, rows: &RowDigests) -> Self {
        Self {
            after,
            up_to,
            digest,
            rows: packed(rows),
        }
    }

    pub(crate) fn key_range(&self) -> KeyRange {
        KeyRange::Between {
            after: self.after,
            up_to: self.up_to,
        }
    }

    /// The range with the digests of these keys, which must ascend, marked as unknown, and a digest that differs from
    /// any other; `None` if none of the keys is in the range. These rows then count as changed or deleted.
    pub(crate) fn without(&self, keys: &[i64]) -> Option<Self> {
        let first = keys.partition_point(|key| self.after.is_some_and(|after| *key <= after));
        let behind = keys.partition_point(|key| self.up_to.is_none_or(|up_to| *key <= up_to));
        let keys = keys.get(first..behind).filter(|keys| !keys.is_empty())?;
        let mut rows = unpacked(&self.rows);
        for key in keys {
            rows.insert(*key, UNKNOWN);
        }
        let digest = Digest::unknown(rows.len() as u64);
        Some(Self::new((self.after, self.up_to), digest, &rows))
    }

    /// The keys of changed and inserted rows, and separately those of deleted rows.
    pub(crate) fn changes(&self, now: &RowDigests) -> ChangedRows {
        let before = unpacked(&self.rows);
        let changed = now.iter().filter(|(key, digest)| before.get(key) != Some(digest));
        let gone = before.keys().filter(|key| !now.contains_key(key));
        let mut changes = ChangedRows {
            changed: changed.map(|(key, _)| *key).collect(),
            gone: gone.copied().collect(),
        };
        changes.changed.sort_unstable();
        changes.gone.sort_unstable();
        changes
    }

    fn behind(before: Option<&Self>, row: &Model) -> Self {
        Self {
            after: before.and_then(|before| before.up_to),
            up_to: (row.up_to != Key::LARGEST).then_some(row.up_to),
            // An unreadable digest becomes `0:0`, which differs from that of any range with rows.
            digest: row.digest.parse().unwrap_or_default(),
            rows: row.row_digests.clone(),
        }
    }
}

/// What has changed in a range.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ChangedRows {
    pub changed: Vec<i64>,
    pub gone: Vec<i64>,
}

/// The ranges of a table in ascending order; empty if none are stored.
pub(crate) async fn of_table<C: ConnectionTrait>(connection: &C, table: &str) -> Result<Vec<SourceRange>> {
    let rows = Entity::find()
        .filter(Column::SourceTable.eq(table))
        .order_by_asc(Column::UpTo)
        .all(connection)
        .await;
    let mut ranges: Vec<SourceRange> = Vec::new();
    for row in rows.target(|| format!("reading the stored rows of {table}"))? {
        ranges.push(SourceRange::behind(ranges.last(), &row));
    }
    Ok(ranges)
}

/// Replaces the stored ranges of the same keys with `ranges`.
pub(crate) async fn replace<C: ConnectionTrait>(connection: &C, table: &str, ranges: &[SourceRange]) -> Result<()> {
    let doing = || format!("storing rows of {table}");
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
        return Ok(());
    };
    let mut old = Entity::delete_many().filter(Column::SourceTable.eq(table));
    if let Some(after) = first.after {
        old = old.filter(Column::UpTo.gt(after));
    }
    old = old.filter(Column::UpTo.lte(last.up_to.unwrap_or(Key::LARGEST)));
    old.exec(connection).await.target(doing)?;
    for range in ranges {
        let row = ActiveModel {
            source_table: Set(table.to_owned()),
            up_to: Set(range.up_to.unwrap_or(Key::LARGEST)),
            digest: Set(range.digest.to_string()),
            row_digests: Set(range.rows.clone()),
        };
        let inserted = Entity::insert(row).exec_without_returning(connection).await;
        inserted.target(doing)?;
    }
    Ok(())
}

fn packed(rows: &RowDigests) -> Vec<u8> {
    let mut keys: Vec<i64> = rows.keys().copied().collect();
    keys.sort_unstable();
    let of_row = |key: i64| [&key.to_le_bytes()[..], &rows[&key].to_le_bytes()[..]].concat();
    keys.into_iter().flat_map(of_row).collect()
}

fn unpacked(bytes: &[u8]) -> RowDigests {
    let rows = bytes.chunks_exact(ROW_BYTES).filter_map(|row| {
        let (key, digest) = row.split_at(KEY_BYTES);
        Some((
            i64::from_le_bytes(key.try_into().ok()?),
            u32::from_le_bytes(digest.try_into().ok()?),
        ))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_star;

    fn range(after: Option<i64>, up_to: Option<i64>, rows: &[(i64, u32)]) -> SourceRange {
        let digest = Digest {
            rows: rows.len() as u64,
            sum: 7,
        };
        SourceRange::new((after, up_to), digest, &rows.iter().copied().collect())
    }

    #[test]
    fn changed_new_and_missing_rows_are_named() {
        let before = range(None, None, &[(1, 10), (-2, 20), (3, 30)]);
        let now = RowDigests::from([(1, 10), (-2, 21), (4, 40)]);
        let expected = ChangedRows {
            changed: vec![-2, 4],
            gone: vec![3],
        };
        assert_eq!(before.changes(&now), expected);
        assert_eq!(
            before.changes(&RowDigests::from([(1, 10), (-2, 20), (3, 30)])),
            ChangedRows::default()
        );
    }

    #[test]
    fn rows_that_are_forgotten_count_as_changed_in_a_range_that_differs_from_any() {
        let before = range(Some(0), Some(9), &[(1, 10), (2, 20)]);
        assert_eq!(before.without(&[0, 10]), None);
        let without = before.without(&[0, 2, 10]).unwrap();
        assert_eq!(without.without(&[0, 2, 10]).as_ref(), Some(&without), "forgotten again");
        assert_eq!((without.after, without.up_to), (Some(0), Some(9)));
        assert_eq!(without.digest, Digest::unknown(2));
        let changes = without.changes(&RowDigests::from([(1, 10), (2, 20)]));
        assert_eq!((changes.changed, changes.gone), (vec![2], vec![]));
        let changes = without.changes(&RowDigests::from([(1, 10)]));
        assert_eq!((changes.changed, changes.gone), (vec![], vec![2]));
    }

    #[tokio::test]
    async fn what_is_remembered_is_read_back_range_by_range() {
        let connection = test_star::database_of(Entity).await;
        let first = range(None, Some(10), &[(i64::MIN, 1), (10, u32::MAX)]);
        let last = range(Some(10), None, &[(11, 0), (Key::LARGEST, 2)]);
        let all = [first.clone(), last.clone()];
        replace(&connection, "book", &all).await.unwrap();
        replace(&connection, "shelf", &[range(None, None, &[])]).await.unwrap();
        assert_eq!(of_table(&connection, "book").await.unwrap(), all);
        // One range is split, and the others stay.
        let parts = [range(Some(10), Some(20), &[(11, 5)]), range(Some(20), None, &[(21, 6)])];
        replace(&connection, "book", &parts).await.unwrap();
        let changed = range(None, Some(10), &[(10, 9)]);
        replace(&connection, "book", std::slice::from_ref(&changed))
            .await
            .unwrap();
        let expected = [changed, parts[0].clone(), parts[1].clone()];
        assert_eq!(of_table(&connection, "book").await.unwrap(), expected);
    }
}
