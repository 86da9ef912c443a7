//! Whether the pages of a full load are what its closing snapshot holds, without reading their rows a second time: the
//! server digests the same key ranges, and all that lies between them. A range whose digest differs was changed after its page
//! was read, or its page was not whole: it is compared row by row.
//!
//! Where the pages are those of the snapshot, so are the totals that were added up from them, and the lookups likewise.

use std::cmp::max;
use std::collections::{HashMap, HashSet};

use tracing::{debug, info};

use crate::changes::Context;
use crate::changes::detect::Delta;
use crate::changes::digests;
use crate::changes::looked_up;
use crate::changes::survey::{self, Survey};
use crate::changes::verification;
use crate::declare::day_totals::{self, DayTotals};
use crate::declare::lookup::{KeyMap, Lookup, LookupKey, Lookups};
use crate::declare::period::Period;
use crate::declare::scope::Scope;
use crate::declare::table::Table;
use crate::declare::totals::Total;
use crate::error::{Doing, Result};
use crate::pipeline::loaded_lookups::LoadedTogether;
use crate::pipeline::lookups::LookupSource;
use crate::pipeline::page_sums::{PageSums, SumPlan};
use crate::pipeline::pages::Walked;
use crate::source::Snapshot;
use crate::source::digest::{Digest, ScopeDigest};
use crate::source::digest_plans::Digesting;
use crate::target::TargetReader;
use crate::target::bookkeeping::source_rows::SourceRange;
use crate::target::bookkeeping::state::States;
use crate::target::bookkeeping::verification::{VerificationRange, Verified};
use crate::verify::totals::SourceTotals;

/// What the closing pass of a load goes by.
#[derive(Default)]
pub(crate) struct CheckedPages {
    /// Scopes that are not what the pages brought, by target table.
    pub differing: HashMap<&'static str, Vec<Scope>>,
    /// What has changed in source tables that are looked up, by their names.
    pub changed: HashMap<&'static str, ChangedKeys>,
    /// The verified key ranges, by target table, with their digests.
    pub ranges: HashMap<&'static str, Vec<VerificationRange>>,
    pub surveys: HashMap<&'static str, Survey>,
    /// The rows of source tables that are only looked up, by their names.
    pub source_rows: HashMap<&'static str, Vec<SourceRange>>,
    /// Rows of the pages that are what the snapshot holds.
    pub rows_verified: u64,
}

/// Which rows of a source table have changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChangedKeys {
    /// Those with these keys.
    Some(Vec<i64>),
    /// Some that no key names.
    Unnamed,
}

/// What pages are checked with.
pub(crate) struct PageCheck<'a> {
    pub context: &'a Context<'a>,
    pub snapshot: &'a Snapshot,
    pub states: &'a States,
    pub walked: &'a Walked,
    pub digesting: Digesting,
    /// Up to which key tables were loaded before the load was interrupted.
    pub loaded_before: &'a HashMap<String, i64>,
    pub verified: Verified,
}

/// A part of a table's keys, and the page that has brought it.
#[derive(Clone, Debug)]
struct Piece<'a> {
    scope: Scope,
    page: Option<&'a PageSums>,
}

impl Piece<'_> {
    /// Of what its page brought.
    fn digest(&self) -> Digest {
        self.page.map_or_else(Digest::default, |page| page.digest)
    }
}

/// Pieces of a table, as the snapshot has them.
struct CheckedTable<'a> {
    table: &'static Table,
    plan: &'a SumPlan,
    pieces: Vec<Piece<'a>>,
    found: Vec<ScopeDigest>,
}

impl PageCheck<'_> {
    /// Checks all tables, in the star's order.
    pub(crate) async fn run(self) -> Result<CheckedPages> {
        let mut checked = CheckedPages::default();
        let mut totals_lookups = self.walked.totals_lookups.clone();
        let mut changed_lookups = self.changed_lookups(&mut totals_lookups).await?;
        for (lookup, keys) in &changed_lookups {
            checked.note_changed(self.key_of(lookup), (lookup.table, lookup.key), keys);
        }
        let mut totals = SourceTotals::with_lookups(&self.context.look, self.snapshot.reader(), totals_lookups);
        for table in self.context.look.star.tables() {
            if let Some(of_table) = self.check(table).await? {
                let differing = of_table.differing();
                checked.rows_verified += of_table.rows_verified();
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
                // A table without a digest is read again: it is small.
                checked.differing.insert(table.name, vec![Scope::ALL]);
            }
            checked.ranges.entry(table.name).or_insert_with(|| {
                let intervals = self.walked.intervals.get(table.name).map_or(&[][..], Vec::as_slice);
                verification::ranges_of(intervals, self.verified)
            });
            if survey::is_surveyed(self.context.look.star, table) && !checked.surveys.contains_key(table.name) {
                let survey = survey::of_table(&mut totals, self.states, table).await?;
                checked.surveys.insert(table.name, survey);
            }
            debug!(table = table.name, "pages checked");
        }
        for table in looked_up::tables(self.context.look.star) {
            let rows = looked_up::read_all(&self.snapshot.reader(), &self.digesting, table).await?;
            checked.source_rows.insert(table.name, rows);
        }
        Ok(checked)
    }

    /// Digests the pieces of a table in the snapshot; nothing if its pages were not added up.
    async fn check(&self, table: &'static Table) -> Result<Option<CheckedTable<'_>>> {
        let Some(plan) = self.walked.sums.get(table.name) else {
            return Ok(None);
        };
        let pages = self.walked.outcomes.get(table.name);
        let pages = pages.map_or(&[][..], |outcome| &outcome.pages);
        let after = self.loaded_before.get(table.name).copied();
        let pieces = if after == Some(i64::MAX) {
            Vec::new()
        } else {
            cover(pages, after)
        };
        let scopes: Vec<Scope> = pieces.iter().map(|piece| piece.scope.clone()).collect();
        let found = digests::of_scopes(&self.snapshot.reader(), &plan.digest, &scopes).await?;
        Ok(Some(CheckedTable {
            table,
            plan,
            pieces,
            found,
        }))
    }

    /// The delta and the totals of a fact from its pages; nothing if they do not show them, or if what they were added up
    /// with has changed.
    async fn survey(
        &self,
        of_table: &CheckedTable<'_>,
        differing: &[Scope],
        totals: &mut SourceTotals<'_>,
        changed_lookups: &mut Vec<(&'static Lookup, Vec<LookupKey>)>,
    ) -> Result<Option<Survey>> {
        let table = of_table.table;
        let Some((declared, before)) = table.totals.as_ref().zip(of_table.plan.totals_lookups()) else {
            return Ok(None);
        };
        let mut day_totals = DayTotals::new();
        let (mut read_again, mut shown) = (Vec::new(), HashMap::new());
        for (piece, found) in of_table.pieces.iter().zip(&of_table.found) {
            let of_page = piece.page.filter(|page| page.digest == found.digest);
            if let Some(of_page) = of_page.and_then(|page| page.totals.as_ref()) {
                day_totals::add_all(&mut day_totals, of_page.unpack());
            } else if found.digest.rows > 0 {
                read_again.push(piece.scope.clone());
                let (of_scope, pairs) = totals.of_scope_shown(table, &Period::All, &piece.scope).await?;
                day_totals::add_all(&mut day_totals, of_scope);
                shown.extend(pairs);
            }
        }
        if let Some(fill) = &declared.fills {
            let map = self.walked.totals_lookups.map(fill.lookup).cloned().unwrap_or_default();
            let (map, keys) = corrected(map, differing, shown);
            totals.set_lookup(fill.lookup, map);
            if !keys.is_empty() {
                changed_lookups.push((fill.lookup, keys));
            }
        }
        let is_changed = |lookup: &Lookup| changed_lookups.iter().any(|(changed, _)| *changed == lookup);
        if declared.needs.iter().any(|need| is_changed(need.lookup)) {
            match totals.moved_by(table, before, changed_lookups, &read_again).await? {
                Some(moved) => day_totals::add_all(&mut day_totals, moved),
                None => return Ok(None),
            }
        }
        // What the target has nothing of is no total.
        day_totals.retain(|_, total| *total != Total::default());
        debug!(
            table = table.name,
            ranges = read_again.len(),
            "totals taken from the pages, but for some ranges"
        );
        let delta = self.delta(of_table, differing).await?;
        Ok(Some(Survey {
            delta,
            totals: day_totals,
        }))
    }

    /// What has changed behind the pages: the rows that tell so by their change timestamps.
    async fn delta(&self, of_table: &CheckedTable<'_>, differing: &[Scope]) -> Result<Delta> {
        let table = of_table.table;
        let rows = of_table.found.iter().map(|found| found.digest.rows).sum::<u64>();
        let newest = of_table
            .found
            .iter()
            .fold(None, |newest, found| max(newest, found.newest));
        let mut keys = Vec::new();
        if let Some(source_table) = self.context.look.star.source(table.source_table) {
            let began = survey::began(self.states, table);
            for scope in differing {
                let doing = || format!("reading what changed in {}, {scope}", table.source_table);
                let mut select = source_table.changed_since(began);
                select.cond_where(scope.contains(&table.source_page_key()));
                for row in self.snapshot.reader().rows(&select).await.source(doing)?.iter() {
                    keys.push(row.key(0).source(doing)?);
                }
            }
        }
        Ok(Delta::surveyed(i64::try_from(rows).unwrap_or(i64::MAX), keys, newest))
    }

    /// The key ranges of a table, verified with the digests that they have in the snapshot.
    async fn ranges(&self, of_table: &CheckedTable<'_>) -> Result<Vec<VerificationRange>> {
        let intervals = self
            .walked
            .intervals
            .get(of_table.table.name)
            .map_or(&[][..], Vec::as_slice);
        let Some(own) = self.digesting.own(of_table.table) else {
            return Ok(Vec::new());
        };
        let scopes: Vec<Scope> = of_table.pieces.iter().map(|piece| piece.scope.clone()).collect();
        let own_digests: Vec<Digest> = if own.columns() == of_table.plan.digest.columns() {
            of_table.found.iter().map(|found| found.digest).collect()
        } else {
            let found = digests::of_scopes(&self.snapshot.reader(), &own, &scopes).await?;
            found.into_iter().map(|found| found.digest).collect()
        };
        let first = scopes.first().and_then(|scope| scope.ends().0);
        let before = intervals.iter().filter(|scope| {
            scopes.is_empty()
                || scope
                    .ends()
                    .1
                    .is_some_and(|upto| first.is_some_and(|first| upto <= first))
        });
        let mut ranges = verification::ranges_of(before, self.verified);
        let digested = verification::ranges_of(&scopes, self.verified)
            .into_iter()
            .zip(own_digests);
        ranges.extend(digested.map(|(range, digest)| VerificationRange {
            digest: Some(digest),
            ..range
        }));
        Ok(ranges)
    }

    /// The lookups for which the snapshot has other values than they were filled with. Those of totals are corrected.
    async fn changed_lookups(&self, totals_lookups: &mut Lookups) -> Result<Vec<(&'static Lookup, Vec<LookupKey>)>> {
        let source = LookupSource::of(self.context.look.star, self.snapshot.reader(), TargetReader::Empty);
        let mut changed = Vec::new();
        for LoadedTogether { lookups, digest } in &self.walked.loaded {
            if let Some((plan, digest)) = digest {
                let found = digests::of_scopes(&self.snapshot.reader(), plan, &[Scope::ALL]).await?;
                if found.first().is_some_and(|found| found.digest == *digest) {
                    continue;
                }
            }
            let mut now = Lookups::default();
            source.load_together(lookups, &mut now).await?;
            for lookup in lookups {
                let Some(map) = now.shared(lookup) else {
                    continue;
                };
                for before in [self.walked.lookups.map(lookup), totals_lookups.map(lookup)] {
                    let keys = before.map(|before| before.keys_that_differ(&map)).unwrap_or_default();
                    if !keys.is_empty() {
                        info!(
                            table = lookup.table,
                            keys = keys.len(),
                            "changed since it was looked up"
                        );
                        changed.push((*lookup, keys));
                    }
                }
                if totals_lookups.map(lookup).is_some() {
                    totals_lookups.set(lookup, map);
                }
            }
        }
        Ok(changed)
    }

    /// The column that names the changed rows of a lookup's table.
    fn key_of(&self, lookup: &Lookup) -> Option<&'static str> {
        self.context.look.star.source(lookup.table)?.key
    }
}

impl CheckedPages {
    fn note_changed(&mut self, key: Option<&str>, lookup: (&'static str, &'static str), keys: &[LookupKey]) {
        let (table, lookup_key) = lookup;
        let number = |key: &LookupKey| match key {
            LookupKey::Number(number) => Some(*number),
            LookupKey::Text(_) => None,
        };
        let numbers: Option<Vec<i64>> = keys.iter().map(number).collect();
        match numbers.filter(|_| key == Some(lookup_key)) {
            Some(numbers) => {
                let changed = self.changed.entry(table).or_insert(ChangedKeys::Some(Vec::new()));
                if let ChangedKeys::Some(all) = changed {
                    all.extend(numbers);
                }
            }
            None => {
                self.changed.insert(table, ChangedKeys::Unnamed);
            }
        }
    }
}

impl CheckedTable<'_> {
    /// The pieces that are not what their pages brought.
    fn differing(&self) -> Vec<Scope> {
        let pieces = self.pieces.iter().zip(&self.found);
        pieces
            .filter(|(piece, found)| piece.digest() != found.digest)
            .map(|(piece, _)| piece.scope.clone())
            .collect()
    }

    /// The rows of the others.
    fn rows_verified(&self) -> u64 {
        let pieces = self.pieces.iter().zip(&self.found);
        let equal = pieces.filter(|(piece, found)| piece.digest() == found.digest);
        equal.map(|(_, found)| found.digest.rows).sum()
    }
}

/// Cuts all keys behind `after` into the scopes of the pages and what lies between them. A page that came twice counts
/// once; of pages that overlap none does.
fn cover(pages: &[PageSums], after: Option<i64>) -> Vec<Piece<'_>> {
    let mut pages: Vec<&PageSums> = pages.iter().collect();
    pages.sort_by_key(|page| page.scope.ends().0);
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    // Up to where all keys are covered; an end that is open covers all.
    let (mut upto, mut is_open) = (after, false);
    for page in pages {
        let (page_after, page_upto) = page.scope.ends();
        let overlaps = is_open || page_after < upto;
        match pieces.last_mut() {
            Some(last) if last.scope == page.scope => {
                last.page = Some(page);
                continue;
            }
            Some(last) if overlaps => {
                let end = if is_open || page_upto.is_none() {
                    None
                } else {
                    max(upto, page_upto)
                };
                *last = Piece {
                    scope: Scope::Range {
                        after: last.scope.ends().0,
                        upto: end,
                    },
                    page: None,
                };
                (upto, is_open) = (end, end.is_none());
                continue;
            }
            _ if page_after > upto => pieces.push(Piece {
                scope: Scope::Range {
                    after: upto,
                    upto: page_after,
                },
                page: None,
            }),
            _ => {}
        }
        pieces.push(Piece {
            scope: page.scope.clone(),
            page: Some(page),
        });
        (upto, is_open) = (page_upto, page_upto.is_none());
    }
    if !is_open {
        pieces.push(Piece {
            scope: Scope::Range {
                after: upto,
                upto: None,
            },
            page: None,
        });
    }
    pieces
}

/// A lookup that pages have filled, with what the snapshot shows of the scopes in which they differ; and the keys for which
/// that is something else.
fn corrected(mut map: KeyMap, differing: &[Scope], shown: HashMap<i64, Option<i64>>) -> (KeyMap, Vec<LookupKey>) {
    let mut changed = HashSet::new();
    let before = map
        .numbers()
        .filter(|key| differing.iter().any(|scope| scope.holds(*key)));
    let gone: Vec<i64> = before.filter(|key| !shown.contains_key(key)).collect();
    for key in gone {
        map.remove(key);
        changed.insert(LookupKey::Number(key));
    }
    for (key, value) in shown {
        if map.get(key) != value {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(key),
            }
            changed.insert(LookupKey::Number(key));
        }
    }
    (map, changed.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(after: Option<i64>, upto: Option<i64>, rows: u64) -> PageSums {
        PageSums {
            scope: Scope::Range { after, upto },
            digest: Digest { rows, sum: 0 },
            totals: None,
        }
    }

    /// Ends of the pieces, and the rows of their pages.
    fn covered(pages: &[PageSums], after: Option<i64>) -> Vec<(Option<i64>, Option<i64>, Option<u64>)> {
        let pieces = cover(pages, after).into_iter();
        let of_piece = |piece: Piece<'_>| {
            let (after, upto) = piece.scope.ends();
            (after, upto, piece.page.map(|page| page.digest.rows))
        };
        pieces.map(of_piece).collect()
    }

    #[test]
    fn pages_cover_all_keys_and_what_lies_between_them_has_none() {
        let (first, second, last) = (
            page(None, Some(10), 1),
            page(Some(10), Some(20), 2),
            page(Some(20), None, 3),
        );
        let all = [last.clone(), first.clone(), second.clone()];
        assert_eq!(
            covered(&all, None),
            [
                (None, Some(10), Some(1)),
                (Some(10), Some(20), Some(2)),
                (Some(20), None, Some(3))
            ]
        );
        // One is missing in the middle, at the beginning, at the end.
        assert_eq!(
            covered(&[first.clone(), last.clone()], None),
            [
                (None, Some(10), Some(1)),
                (Some(10), Some(20), None),
                (Some(20), None, Some(3))
            ]
        );
        assert_eq!(
            covered(std::slice::from_ref(&second), None),
            [
                (None, Some(10), None),
                (Some(10), Some(20), Some(2)),
                (Some(20), None, None)
            ]
        );
        assert_eq!(covered(&[], None), [(None, None, None)]);
        // Behind what an earlier load has brought.
        assert_eq!(covered(&[last], Some(20)), [(Some(20), None, Some(3))]);
        assert_eq!(covered(&[], Some(20)), [(Some(20), None, None)]);
    }

    #[test]
    fn a_page_that_came_twice_counts_once_and_pages_that_overlap_do_not() {
        let (first, last) = (page(None, Some(10), 1), page(Some(10), None, 3));
        let again = page(None, Some(10), 2);
        assert_eq!(
            covered(&[first.clone(), again, last.clone()], None),
            [(None, Some(10), Some(2)), (Some(10), None, Some(3))]
        );
        let wide = page(Some(5), Some(15), 2);
        assert_eq!(
            covered(&[first.clone(), wide, page(Some(15), None, 4)], None),
            [(None, Some(15), None), (Some(15), None, Some(4))]
        );
        assert_eq!(covered(&[first, page(None, None, 5), last], None), [(None, None, None)]);
    }

    #[test]
    fn a_lookup_is_corrected_by_the_rows_of_the_ranges_that_differ() {
        let mut map = KeyMap::default();
        for (key, value) in [(1, 10), (11, 110), (12, 120), (13, 130)] {
            map.insert(key, value);
        }
        let differing = [Scope::Range {
            after: Some(10),
            upto: Some(20),
        }];
        let shown = HashMap::from([(11, Some(110)), (12, Some(999)), (14, Some(140)), (15, None)]);
        let (map, mut changed) = corrected(map, &differing, shown);
        changed.sort_unstable();
        assert_eq!(changed, [12, 13, 14].map(LookupKey::Number));
        assert_eq!(
            [1, 11, 12, 13, 14, 15].map(|key| map.get(key)),
            [Some(10), Some(110), Some(999), None, Some(140), None]
        );
    }

    #[test]
    fn changed_keys_are_named_where_they_are_those_of_the_table() {
        let mut checked = CheckedPages::default();
        let numbers = [LookupKey::Number(7)];
        checked.note_changed(Some("item_id"), ("item", "item_id"), &numbers);
        checked.note_changed(Some("item_id"), ("item", "item_id"), &[LookupKey::Number(8)]);
        checked.note_changed(Some("item_id"), ("shelf", "code"), &[LookupKey::Text("a".into())]);
        checked.note_changed(None, ("place", "place_id"), &numbers);
        assert_eq!(checked.changed["item"], ChangedKeys::Some(vec![7, 8]));
        assert_eq!(checked.changed["shelf"], ChangedKeys::Unnamed);
        assert_eq!(checked.changed["place"], ChangedKeys::Unnamed);
    }
}
