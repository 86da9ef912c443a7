//! Verification of source tables that contribute to the star table of another source table, such as cities. The target
//! stores the digest of each of their rows. In a key range whose digest differs, these show exactly which keys changed,
//! and only their dependents are compared: a modified lookup table does not put whole facts into the backlog.

use std::collections::HashMap;
use std::time::Instant;

use sea_orm::DbErr;
use tracing::{debug, info};

use crate::changes::detect::{SourceChanges, SourceChangesByTable};
use crate::changes::digests;
use crate::changes::lookup_check::ChangedKeys;
use crate::changes::pass::Pass;
use crate::changes::range_digests::VerifyDeadline;
use crate::declare::digest::Digest;
use crate::declare::key_range::KeyRange;
use crate::declare::source_rows::SourceRows;
use crate::declare::source_table::SourceTable;
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::{Doing, Result};
use crate::source::digest::DigestPlan;
use crate::source::digest_plans::DigestPlans;
use crate::source::reader::SourceReader;
use crate::target::bookkeeping::lookup_row_digests::{self, ChangedRows, RowDigests, SourceRange};
use crate::target::bookkeeping::state::{SourceState, States};

/// Rows per stored range. If one row changes, all rows of its range are read.
const ROWS_PER_RANGE: usize = 1_000;
/// Rows per page when a whole table is read.
const ROWS_PER_PAGE: u64 = 20_000;

/// The key of a row, and its checksum.
type RowDigest = (i64, u32);

/// The source tables that are joined or looked up by a target table that is made from another source table.
pub(crate) fn tables(star: &'static Star) -> impl Iterator<Item = &'static SourceTable> {
    star.sources.iter().filter(|source| {
        let mut tables = star.tables();
        tables.any(|table| table.source_table != source.name && table.is_made_from(source.name))
    })
}

/// Stores the digests of rows in the snapshot of the pass, in place of all stored earlier.
pub(crate) async fn note(
    pass: &Pass<'_>,
    states: &mut States,
    rows: &HashMap<&'static str, Vec<SourceRange>>,
) -> Result<()> {
    for (table, state) in states.iter_mut() {
        if let Some(rows) = rows.get(table) {
            lookup_row_digests::replace(&*pass.transaction, table, rows).await?;
            state.verified_run = Some(pass.run_id).filter(|_| !rows.is_empty());
        }
    }
    Ok(())
}

/// Verifies lookup tables by digest: first those that were modified since they were last verified, until the deadline,
/// then the others, for at most half of the time, because the rest is reserved for key ranges. Tables that were
/// verified longest ago come first. Returns the keys whose change no timestamp shows, and the tables with deleted rows
/// whose dependents cannot be found by a join.
pub(super) async fn verify(
    pass: &Pass<'_>,
    states: &mut States,
    source_changes: &SourceChangesByTable,
    time: VerifyDeadline,
) -> Result<LookupTableChanges> {
    let mut found = LookupTableChanges::default();
    let Some(digesting) = digests::digesting(pass.context, &*pass.transaction).await? else {
        return Ok(found);
    };
    let is_verified = |table: &&SourceTable| states.get(table.name).is_some_and(SourceState::is_verified);
    let mut tables: Vec<_> = tables(pass.star()).collect();
    tables.sort_by_key(|table| states.get(table.name).and_then(|state| state.verified_run));
    let (at_rest, modified): (Vec<_>, Vec<_>) = tables.into_iter().partition(is_verified);
    let modified = modified.into_iter().map(|table| (table, time.deadline()));
    let at_rest = at_rest.into_iter().map(|table| (table, time.half()));
    for (table, deadline) in modified.chain(at_rest) {
        if Instant::now() >= deadline {
            break;
        }
        let remembered = lookup_row_digests::of_table(&*pass.transaction, table.name).await?;
        if remembered.is_empty() {
            continue;
        }
        let differing = DifferingRows::read(&pass.source(), &digesting, table, &remembered).await?;
        for ranges in &differing.ranges {
            lookup_row_digests::replace(&*pass.transaction, table.name, ranges).await?;
        }
        for (name, state) in states.iter_mut().filter(|(name, _)| *name == table.name) {
            state.verified_run = Some(pass.run_id);
            debug!(table = name, "verified by its stored rows");
        }
        found.rows_verified_by_digest += differing.rows_verified_by_digest;
        if differing.is_unnamed {
            found.add_unnamed(table, source_changes);
        } else {
            found.add(pass.star(), table, differing.rows, source_changes);
        }
    }
    Ok(found)
}

/// Discards the digests of changed rows in tables that this pass has not verified: the target no longer has the rows
/// that they stand for. If such a row changed back without a change timestamp, its old digest would hide that.
pub(super) async fn forget_changed(
    pass: &Pass<'_>,
    states: &States,
    source_changes: &SourceChangesByTable,
) -> Result<()> {
    for table in tables(pass.star()) {
        let changed = source_changes.get(table.name).map_or(&[][..], |changes| &changes.keys);
        let verified_run = states.get(table.name).and_then(|state| state.verified_run);
        if changed.is_empty() || verified_run == Some(pass.run_id) {
            continue;
        }
        for range in lookup_row_digests::of_table(&*pass.transaction, table.name).await? {
            if let Some(range) = range.without(changed) {
                lookup_row_digests::replace(&*pass.transaction, table.name, &[range]).await?;
            }
        }
    }
    Ok(())
}

/// The changes found by verification in source tables that contribute to the star table of another.
#[derive(Default)]
pub(super) struct LookupTableChanges {
    pub source_changes: SourceChangesByTable,
    /// Tables with deleted rows whose dependents can no longer be found by a join or a declaration.
    pub lost: Vec<&'static str>,
    /// Tables without an integer key in which unknown rows have changed.
    pub unnamed: Vec<&'static str>,
    /// Rows of ranges whose digest is unchanged.
    pub rows_verified_by_digest: u64,
}

impl LookupTableChanges {
    fn add(
        &mut self,
        star: &Star,
        table: &'static SourceTable,
        rows: ChangedRows,
        source_changes: &SourceChangesByTable,
    ) {
        let known = source_changes.get(table.name).map_or(&[][..], |changes| &changes.keys);
        let is_new = |key: &i64| known.binary_search(key).is_err();
        let keys: Vec<i64> = rows.changed.into_iter().filter(is_new).collect();
        if keys.is_empty() && rows.gone.is_empty() {
            return;
        }
        info!(
            table = table.name,
            changed = keys.len(),
            gone = rows.gone.len(),
            "digest found changes without a change timestamp"
        );
        if !rows.gone.is_empty() && star.tables().any(|of_star| of_star.loses_sight_of(table.name)) {
            self.lost.push(table.name);
        }
        let changes = self.source_changes.entry(table.name).or_default();
        changes.add(ChangedKeys::Some([keys, rows.gone].concat()));
    }

    /// Adds a change of a table without an integer key. If the pass has detected a change there itself, everything that
    /// is made from the table is compared already.
    fn add_unnamed(&mut self, table: &'static SourceTable, source_changes: &SourceChangesByTable) {
        let is_seen = |changes: &SourceChanges| changes.is_unexplained || !changes.keys.is_empty();
        if source_changes.get(table.name).is_some_and(is_seen) {
            return;
        }
        info!(table = table.name, "digest found changes without a change timestamp");
        self.unnamed.push(table.name);
    }

    /// Whether no changed keys were found.
    pub(super) fn is_empty(&self) -> bool {
        self.source_changes.is_empty()
    }

    /// Whether all rows of a table must be compared.
    pub(super) fn compares_all(&self, table: &Table) -> bool {
        let is_lookup = |name: &&'static str| table.source_table != *name && table.is_made_from(name);
        self.lost.iter().any(|lost| table.loses_sight_of(lost)) || self.unnamed.iter().any(is_lookup)
    }
}

/// Reads and digests all rows of a table, to store the digests.
pub(crate) async fn read_all(
    source: &SourceReader,
    digesting: &DigestPlans,
    table: &SourceTable,
) -> Result<Vec<SourceRange>> {
    let Some(plan) = digesting.source_table(table) else {
        return Ok(Vec::new());
    };
    if table.key.is_none() {
        return Ok(vec![whole(source, &plan).await?]);
    }
    let mut ranges = Vec::new();
    let (mut after, mut rows_per_page) = (None, ROWS_PER_PAGE);
    loop {
        let doing = || format!("reading {}, to store its rows", table.name);
        let rows = source.rows(&plan.select_page(after, rows_per_page)).await;
        let rows = digests_of(&plan, &rows.source(doing)?).source(doing)?;
        if (rows.len() as u64) < rows_per_page {
            ranges.extend(cut((after, None), &rows));
            return Ok(ranges);
        }
        // Further rows of the last key may follow in the next page.
        let complete = rows.last().map_or(&[][..], |(last, _)| {
            &rows[..rows.partition_point(|(key, _)| key < last)]
        });
        match complete.last() {
            Some((key, _)) => {
                ranges.extend(cut((after, Some(*key)), complete));
                after = Some(*key);
            }
            None => rows_per_page *= 2,
        }
    }
}

/// Digests rows, in the order of their keys.
fn digests_of(plan: &DigestPlan, rows: &SourceRows) -> std::result::Result<Vec<RowDigest>, DbErr> {
    let mut digests = Vec::with_capacity(rows.len());
    for row in rows.iter() {
        digests.push((row.key(0)?, plan.of_row(row)));
    }
    digests.sort_unstable_by_key(|(key, _)| *key);
    Ok(digests)
}

/// The digest of a whole table without an integer key; no digests of single rows are stored.
async fn whole(source: &SourceReader, plan: &DigestPlan) -> Result<SourceRange> {
    let found = digests::of_key_ranges(source, plan, &[KeyRange::ALL]).await?;
    let digest = found.first().map_or_else(Digest::default, |found| found.digest);
    Ok(SourceRange::new((None, None), digest, &RowDigests::new()))
}

/// Sums the checksums of rows with the same key.
fn by_key(rows: &[RowDigest]) -> RowDigests {
    let mut by_key = RowDigests::new();
    for (key, checksum) in rows {
        let sum = by_key.entry(*key).or_insert(0);
        *sum = sum.wrapping_add(*checksum);
    }
    by_key
}

fn range(ends: (Option<i64>, Option<i64>), rows: &[RowDigest]) -> SourceRange {
    let mut digest = Digest::default();
    for (_, checksum) in rows {
        digest += Digest::of_row(*checksum);
    }
    SourceRange::new(ends, digest, &by_key(rows))
}

/// The rows of a table that differ from the stored ranges.
#[derive(Default)]
struct DifferingRows {
    rows: ChangedRows,
    /// The ranges to store in place of the changed ones.
    ranges: Vec<Vec<SourceRange>>,
    /// Rows of the unchanged ranges.
    rows_verified_by_digest: u64,
    /// Whether it is unknown which rows have changed.
    is_unnamed: bool,
}

impl DifferingRows {
    /// Reads the ranges whose digest differs.
    async fn read(
        source: &SourceReader,
        digesting: &DigestPlans,
        table: &SourceTable,
        remembered: &[SourceRange],
    ) -> Result<Self> {
        let mut all = Self::default();
        let Some(plan) = digesting.source_table(table) else {
            return Ok(all);
        };
        if table.key.is_none() {
            let now = whole(source, &plan).await?;
            all.is_unnamed = remembered != [now.clone()];
            if all.is_unnamed {
                all.ranges.push(vec![now]);
            } else {
                all.rows_verified_by_digest = now.digest.rows;
            }
            return Ok(all);
        }
        all.rows_verified_by_digest = remembered.iter().map(|range| range.digest.rows).sum();
        for range in differing(source, &plan, remembered).await? {
            let doing = || format!("reading {}, {}", table.name, range.key_range());
            let mut select = plan.select_rows();
            select.cond_where(range.key_range().contains(&plan.key()));
            let rows = source.rows(&select).await.source(doing)?;
            let digests = digests_of(&plan, &rows).source(doing)?;
            let differing = range.changes(&by_key(&digests));
            all.rows.changed.extend(differing.changed);
            all.rows.gone.extend(differing.gone);
            all.ranges.push(cut((range.after, range.up_to), &digests));
            all.rows_verified_by_digest -= range.digest.rows;
        }
        Ok(all)
    }
}

/// Splits many rows into ranges. All rows of a key are in one range.
fn cut(ends: (Option<i64>, Option<i64>), rows: &[RowDigest]) -> Vec<SourceRange> {
    let (mut after, last) = ends;
    let (mut ranges, mut rest) = (Vec::new(), rows);
    while rest.len() > 2 * ROWS_PER_RANGE {
        let key = rest[ROWS_PER_RANGE - 1].0;
        let (part, others) = rest.split_at(rest.partition_point(|(of_row, _)| *of_row <= key));
        if others.is_empty() {
            break;
        }
        ranges.push(range((after, Some(key)), part));
        (after, rest) = (Some(key), others);
    }
    ranges.push(range((after, last), rest));
    ranges
}

/// The ranges whose digest on the server differs from the stored one.
async fn differing<'a>(
    source: &SourceReader,
    plan: &DigestPlan,
    remembered: &'a [SourceRange],
) -> Result<Vec<&'a SourceRange>> {
    // For most tables one digest shows that nothing has changed.
    let mut sum = Digest::default();
    for range in remembered {
        sum += range.digest;
    }
    let whole = digests::of_key_ranges(source, plan, &[KeyRange::ALL]).await?;
    if whole.first().is_some_and(|whole| whole.digest == sum) {
        return Ok(Vec::new());
    }
    let key_ranges: Vec<KeyRange> = remembered.iter().map(SourceRange::key_range).collect();
    let found = digests::of_key_ranges(source, plan, &key_ranges).await?;
    let pairs = remembered.iter().zip(found);
    let differing = pairs.filter(|(range, found)| range.digest != found.digest);
    Ok(differing.map(|(range, _)| range).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_star;

    #[test]
    fn nothing_is_remembered_of_tables_that_are_neither_joined_nor_looked_up() {
        assert_eq!(tables(test_star::star()).count(), 0);
    }

    /// The ends and row counts of the ranges for rows with these keys.
    fn cut_at(keys: impl Iterator<Item = i64>) -> Vec<(Option<i64>, Option<i64>, u64)> {
        let rows: Vec<RowDigest> = keys.map(|key| (key, 5)).collect();
        let ranges = cut((Some(-1), None), &rows).into_iter();
        ranges
            .map(|range| (range.after, range.up_to, range.digest.rows))
            .collect()
    }

    #[test]
    fn many_rows_are_cut_into_ranges_that_keep_their_ends() {
        assert_eq!(cut_at(0..0), [(Some(-1), None, 0)]);
        assert_eq!(cut_at(0..2_000), [(Some(-1), None, 2_000)]);
        assert_eq!(
            cut_at(0..3_500),
            [
                (Some(-1), Some(999), 1_000),
                (Some(999), Some(1_999), 1_000),
                (Some(1_999), None, 1_500)
            ]
        );
    }

    #[test]
    fn rows_of_one_key_are_in_one_range() {
        let thrice = (0..3_000).map(|row| row / 3);
        assert_eq!(cut_at(thrice), [(Some(-1), Some(333), 1_002), (Some(333), None, 1_998)]);
        assert_eq!(cut_at((0..5_000).map(|_| 7)), [(Some(-1), None, 5_000)]);
    }
}
