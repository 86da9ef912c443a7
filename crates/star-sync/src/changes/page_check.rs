//! Checks whether the pages of a full load equal the snapshot of the catch-up pass, without re-reading their rows: the
//! server digests the same key ranges and the gaps between them. A range whose digest differs was changed after its
//! page was read, or its page was incomplete: it is compared row by row.
//!
//! Where the pages equal the snapshot, so do the totals and lookups that were computed from them.

use std::collections::HashMap;

use tracing::{debug, info};

use crate::changes::Context;
use crate::changes::digests;
use crate::changes::lookup_check::ChangedKeys;
use crate::changes::lookup_tables;
use crate::changes::page_cover::{Piece, cover};
use crate::changes::survey::{self, Survey};
use crate::changes::verification;
use crate::compare::source_totals::SourceTotals;
use crate::declare::digest::Digest;
use crate::declare::integer::Key;
use crate::declare::key_range::KeyRange;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::page_digest::PageDigestPlan;
use crate::pipeline::pages::PagesOutcome;
use crate::source::Snapshot;
use crate::source::digest::RangeDigest;
use crate::source::digest_plans::DigestPlans;
use crate::target::bookkeeping::lookup_row_digests::SourceRange;
use crate::target::bookkeeping::state::States;
use crate::target::bookkeeping::verified_ranges::{VerificationMark, VerificationRange};

/// The pages that a run compared with the source before its catch-up pass: the result of the page check of a full load,
/// or of a repair, which sets only the key ranges.
#[derive(Default)]
pub(crate) struct CheckedPages {
    /// Key ranges to compare row by row, by target table: those that differ from their pages, those that an interrupted
    /// load wrote, and tables without key ranges.
    pub differing: HashMap<&'static str, Vec<KeyRange>>,
    /// Changed keys of source tables that are looked up, in addition to those that the pass detects, by source table.
    pub changed: HashMap<&'static str, ChangedKeys>,
    /// The verified key ranges, by target table, with their digests.
    pub ranges: HashMap<&'static str, Vec<VerificationRange>>,
    /// The surveys of facts in the snapshot, by target table, if they were made before the pass.
    pub surveys: HashMap<&'static str, Survey>,
    /// The row digests of source tables that contribute to the star table of another, in the snapshot, by source table.
    pub source_rows: HashMap<&'static str, Vec<SourceRange>>,
    /// Rows of the pages that equal the snapshot.
    pub rows_verified_by_digest: u64,
}

/// The inputs of the page check.
pub(crate) struct PageCheck<'a> {
    pub context: &'a Context<'a>,
    pub snapshot: &'a Snapshot,
    pub states: &'a States,
    pub pages_outcome: &'a PagesOutcome,
    pub digesting: DigestPlans,
    /// The last key of each table that was loaded before the load was interrupted.
    pub loaded_before: &'a HashMap<String, i64>,
    pub verified: VerificationMark,
}

/// The pieces of a table, with their digests in the snapshot.
pub(super) struct CheckedTable<'a> {
    pub table: &'static Table,
    pub plan: &'a PageDigestPlan,
    pub pieces: Vec<Piece<'a>>,
    pub found: Vec<RangeDigest>,
}

impl PageCheck<'_> {
    /// Checks all tables, in the star's order.
    pub(crate) async fn run(self) -> Result<CheckedPages> {
        let mut checked = CheckedPages::default();
        let mut totals_lookups = self.pages_outcome.totals_lookups.clone();
        let mut changed_lookups = self.changed_lookups(&mut totals_lookups, &mut checked).await?;
        let mut totals = SourceTotals::with_lookups(&self.context.databases, self.snapshot.reader(), totals_lookups);
        for table in self.context.databases.star.tables() {
            if let Some(of_table) = self.check(table).await? {
                let differing = of_table.differing();
                checked.rows_verified_by_digest += of_table.rows_verified_by_digest();
                if !differing.is_empty() {
                    info!(
                        table = table.name,
                        ranges = differing.len(),
                        "changed since its pages were read"
                    );
                }
                let survey = self.survey(&of_table, &differing, &mut totals, &mut changed_lookups);
                checked.surveys.extend(survey.await?.map(|survey| (table.name, survey)));
                checked.ranges.insert(table.name, self.ranges(&of_table).await?);
                checked.differing.insert(table.name, differing);
            } else if table.page_key.is_none() {
                // A table without key ranges is read again in the snapshot: it is small.
                checked.differing.insert(table.name, vec![KeyRange::ALL]);
                checked.ranges.insert(table.name, self.whole(table).await?);
            }
            let before = self.written_before(table);
            if !before.is_empty() {
                info!(
                    table = table.name,
                    ranges = before.len(),
                    "comparing rows that the interrupted load wrote"
                );
                checked.differing.entry(table.name).or_default().extend(before);
            }
            let ranges = checked.ranges.entry(table.name);
            ranges.or_insert_with(|| verification::ranges_of(self.planned_ranges(table), self.verified));
            if survey::is_surveyed(self.context.databases.star, table) && !checked.surveys.contains_key(table.name) {
                let survey = survey::of_table(&mut totals, self.states, table).await?;
                checked.surveys.insert(table.name, survey);
            }
            debug!(table = table.name, "pages checked");
        }
        for table in lookup_tables::tables(self.context.databases.star) {
            let rows = lookup_tables::read_all(&self.snapshot.reader(), &self.digesting, table).await?;
            checked.source_rows.insert(table.name, rows);
        }
        Ok(checked)
    }

    /// Digests the pieces of a table in the snapshot; `None` if its pages were not digested.
    async fn check(&self, table: &'static Table) -> Result<Option<CheckedTable<'_>>> {
        let Some(plan) = self.pages_outcome.digest_plans.get(table.name) else {
            return Ok(None);
        };
        let pages = self.pages_outcome.outcomes.get(table.name);
        let pages = pages.map_or(&[][..], |outcome| &outcome.pages);
        let after = self.loaded_before.get(table.name).copied();
        let pieces = if after == Some(Key::LARGEST) {
            Vec::new()
        } else {
            cover(pages, after)
        };
        let key_ranges: Vec<KeyRange> = pieces.iter().map(|piece| piece.key_range.clone()).collect();
        let found = digests::of_key_ranges(&self.snapshot.reader(), &plan.digest, &key_ranges).await?;
        Ok(Some(CheckedTable {
            table,
            plan,
            pieces,
            found,
        }))
    }

    /// The key ranges that an interrupted load wrote. They must be compared: rows in them, or in tables that they look
    /// up, may have changed since without a newer timestamp, and the digests of their pages are not stored.
    fn written_before(&self, table: &Table) -> Vec<KeyRange> {
        let Some(loaded) = self.loaded_before.get(table.name).filter(|_| table.page_key.is_some()) else {
            return Vec::new();
        };
        let is_before = |key_range: &&KeyRange| {
            let (_, up_to) = key_range.ends();
            *loaded == Key::LARGEST || up_to.is_some_and(|up_to| up_to <= *loaded)
        };
        self.planned_ranges(table).iter().filter(is_before).cloned().collect()
    }

    fn planned_ranges(&self, table: &Table) -> &[KeyRange] {
        let planned_ranges = self.pages_outcome.planned_ranges.get(table.name);
        planned_ranges.map_or(&[], Vec::as_slice)
    }

    /// The only range of a table without an integer key, with its digest in the snapshot.
    async fn whole(&self, table: &Table) -> Result<Vec<VerificationRange>> {
        let mut ranges = verification::ranges_of(&[KeyRange::ALL], self.verified);
        if let Some(own) = self.digesting.own(table) {
            let found = digests::of_key_ranges(&self.snapshot.reader(), &own, &[KeyRange::ALL]).await?;
            for (range, found) in ranges.iter_mut().zip(found) {
                range.digest = Some(found.digest);
            }
        }
        Ok(ranges)
    }

    /// The verified key ranges of a table, with their digests in the snapshot.
    async fn ranges(&self, of_table: &CheckedTable<'_>) -> Result<Vec<VerificationRange>> {
        let Some(own) = self.digesting.own(of_table.table) else {
            return Ok(Vec::new());
        };
        let key_ranges: Vec<KeyRange> = of_table.pieces.iter().map(|piece| piece.key_range.clone()).collect();
        let own_digests: Vec<Digest> = if own.columns() == of_table.plan.digest.columns() {
            of_table.found.iter().map(|found| found.digest).collect()
        } else {
            let found = digests::of_key_ranges(&self.snapshot.reader(), &own, &key_ranges).await?;
            found.into_iter().map(|found| found.digest).collect()
        };
        let first = key_ranges.first().and_then(|key_range| key_range.ends().0);
        let before = self.planned_ranges(of_table.table).iter().filter(|key_range| {
            key_ranges.is_empty()
                || key_range
                    .ends()
                    .1
                    .is_some_and(|up_to| first.is_some_and(|first| up_to <= first))
        });
        let mut ranges = verification::ranges_of(before, self.verified);
        let digested = verification::ranges_of(&key_ranges, self.verified)
            .into_iter()
            .zip(own_digests);
        ranges.extend(digested.map(|(range, digest)| VerificationRange {
            digest: Some(digest),
            ..range
        }));
        Ok(ranges)
    }
}

impl CheckedTable<'_> {
    /// The pieces that differ from their pages.
    fn differing(&self) -> Vec<KeyRange> {
        let pieces = self.pieces.iter().zip(&self.found);
        pieces
            .filter(|(piece, found)| piece.digest() != found.digest)
            .map(|(piece, _)| piece.key_range.clone())
            .collect()
    }

    /// The rows of the pieces that equal their pages.
    fn rows_verified_by_digest(&self) -> u64 {
        let pieces = self.pieces.iter().zip(&self.found);
        let equal = pieces.filter(|(piece, found)| piece.digest() == found.digest);
        equal.map(|(_, found)| found.digest.rows).sum()
    }
}
