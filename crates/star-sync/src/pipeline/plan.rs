//! Divides a table into key ranges of about one page of rows each.
//!
//! Where keys are dense, as auto-increment keys are, key ranges are computed: a range of `n` keys has at most `n` rows,
//! and neither side has to count them. Otherwise they are cut by walking the key's index, so that gaps and skew do not
//! matter.

use sea_orm::sea_query::{Expr, Func, Order, Query, SelectStatement};

use crate::declare::integer::Key;
use crate::declare::key_range::KeyRange;
use crate::declare::table::Table;
use crate::error::{Doing, Result};
use crate::source::reader::SourceReader;
use crate::target::TargetReader;

/// Keys are dense if there are at most this many of them per row, on average.
const KEYS_PER_ROW: i64 = 4;

/// Settings for dividing a table.
#[derive(Clone)]
pub struct Planner {
    pub source: SourceReader,
    /// The target's keys are planned for, too: the target may still have many rows that the source lost.
    pub target: TargetReader,
    /// The rows of the source, by its own estimate. It only determines how key ranges are cut.
    pub estimated_rows: u64,
    /// The most rows that a key range may have, on either side.
    pub rows: u64,
}

/// The distribution of keys, which is determined with the first key range.
#[derive(Clone, Copy)]
enum Keys {
    Unknown,
    /// Close together; `highest` is the highest key of both sides.
    Dense {
        highest: i64,
    },
    Sparse,
}

/// The key ranges of one table, ascending. Together they cover all 64-bit keys, or all after a given one.
pub struct PlannedRanges<'a> {
    table: &'a Table,
    planner: Planner,
    after: Option<i64>,
    keys: Keys,
    finished: bool,
}

impl<'a> PlannedRanges<'a> {
    /// The key ranges after `after`.
    pub fn new(table: &'a Table, planner: Planner, after: Option<i64>) -> Self {
        Self {
            table,
            planner,
            after,
            keys: Keys::Unknown,
            finished: false,
        }
    }

    /// All key ranges.
    pub async fn all(self) -> Result<Vec<KeyRange>> {
        self.until(None).await
    }

    /// The key ranges up to a key, at which the last one ends.
    pub(crate) async fn until(mut self, end: Option<i64>) -> Result<Vec<KeyRange>> {
        let mut key_ranges = Vec::new();
        while let Some(key_range) = self.next().await? {
            if let (KeyRange::Between { after, up_to }, Some(end)) = (&key_range, end)
                && up_to.is_none_or(|up_to| up_to >= end)
            {
                key_ranges.push(KeyRange::Between {
                    after: *after,
                    up_to: Some(end),
                });
                break;
            }
            key_ranges.push(key_range);
        }
        Ok(key_ranges)
    }

    /// The next key range; the last one has no upper end.
    pub(crate) async fn next(&mut self) -> Result<Option<KeyRange>> {
        if self.finished {
            return Ok(None);
        }
        if self.table.page_key.is_none() {
            self.finished = true;
            return Ok(Some(KeyRange::ALL));
        }
        if matches!(self.keys, Keys::Unknown) {
            self.keys = self.find_density().await?;
        }
        let up_to = match self.keys {
            Keys::Dense { highest } => self.by_arithmetic(highest).await?,
            Keys::Sparse | Keys::Unknown => self.by_walking().await?,
        };
        let key_range = KeyRange::Between {
            after: self.after,
            up_to,
        };
        self.after = up_to;
        self.finished = up_to.is_none();
        Ok(Some(key_range))
    }

    /// Keys that may have several rows each, as in bridges, count as sparse.
    async fn find_density(&self) -> Result<Keys> {
        if !self.table.has_page_key_as_natural_key() {
            return Ok(Keys::Sparse);
        }
        let ends = self.ask_both(|select, key| select.expr(Func::min(key.clone())).expr(Func::max(key)).to_owned());
        let ends: Vec<i64> = ends.await?.into_iter().flatten().collect();
        let Some((lowest, highest)) = ends.iter().min().zip(ends.iter().max()) else {
            return Ok(Keys::Sparse);
        };
        let rows = i64::try_from(self.planner.estimated_rows).unwrap_or(i64::MAX);
        let is_dense = highest.saturating_sub(*lowest) / KEYS_PER_ROW < rows;
        Ok(if is_dense {
            Keys::Dense { highest: *highest }
        } else {
            Keys::Sparse
        })
    }

    /// The end of a key range that has as many keys as it may have rows, counted from the next existing key.
    async fn by_arithmetic(&self, highest: i64) -> Result<Option<i64>> {
        let next = self
            .ask_both(|select, key| select.expr(Func::min(key)).to_owned())
            .await?;
        let keys = i64::try_from(self.planner.rows).unwrap_or(i64::MAX);
        let up_to = next
            .into_iter()
            .flatten()
            .min()
            .map(|next| next.saturating_add(keys - 1));
        Ok(up_to.filter(|up_to| *up_to < highest))
    }

    /// The last key of a full key range: of source and target, whichever reaches the number of rows first.
    async fn by_walking(&self) -> Result<Option<i64>> {
        let rows = self.planner.rows;
        let boundaries = self.ask_both(|select, key| {
            let select = select.expr(key.clone()).order_by_expr(key, Order::Asc);
            select.offset(rows - 1).limit(1).to_owned()
        });
        // `Key::LARGEST` also represents larger unsigned keys, so no range may end there.
        Ok(boundaries
            .await?
            .into_iter()
            .flatten()
            .min()
            .filter(|up_to| *up_to < Key::LARGEST))
    }

    /// Runs a query about the keys after `after` on both sides. Returns the numbers of both rows.
    async fn ask_both(&self, ask: impl Fn(&mut SelectStatement, Expr) -> SelectStatement) -> Result<Vec<Option<i64>>> {
        let behind = KeyRange::Between {
            after: self.after,
            up_to: None,
        };
        let doing = || format!("planning the pages of {}", self.table.source_table);
        let key = self.table.source_page_key();
        let mut select = Query::select();
        select.from(self.table.source_table).cond_where(behind.contains(&key));
        let row = self.planner.source.one(&ask(&mut select, key)).await.source(doing)?;
        let mut numbers = Vec::new();
        if let Some(row) = row {
            for column in 0..row.column_names().len() {
                let number: Option<Key> = row.try_get_by_index(column).source(doing)?;
                numbers.push(number.map(|number| number.0));
            }
        }
        let doing = || format!("planning the pages of {}", self.table.name);
        let key = self.table.target_page_key();
        let mut select = Query::select();
        self.table.add_target_tables(&mut select);
        select.cond_where(behind.contains(&key));
        for row in self.planner.target.all(&ask(&mut select, key)).await.target(doing)? {
            for column in 0..row.column_names().len() {
                numbers.push(row.try_get_by_index(column).target(doing)?);
            }
        }
        Ok(numbers)
    }
}
