//! Verification: finds changes that neither a change timestamp nor a row count shows, such as a foreign-key cascade, an
//! update that keeps the change timestamp, or a row that was replaced by another. Key ranges are compared with the
//! source by digest, and row by row if the digest differs or is not sufficient, within the budget of a run; the next
//! run resumes where this one stopped.

use std::collections::HashMap;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::{debug, info};

use crate::changes::apply::Applier;
use crate::changes::candidate::{Backlog, Candidate, has_key_of};
use crate::changes::detect::SourceChangesByTable;
use crate::changes::lookup_tables::{self, LookupTableChanges};
use crate::changes::pass::{LEAST_ROWS_PER_RANGE, Pass};
use crate::changes::range_digests::VerifyDeadline;
use crate::changes::verify_budget::VerifyBudget;
use crate::changes::{digests, range_digests};
use crate::declare::digest::Digest;
use crate::declare::key_range::KeyRange;
use crate::declare::lookup::Lookups;
use crate::declare::table::Table;
use crate::error::{Error, Result};
use crate::pipeline::flow::{Job, TableOutcomes};
use crate::pipeline::read::LookupPlan;
use crate::stop::Stop;
use crate::target::bookkeeping::state::States;
use crate::target::bookkeeping::success::{self, FULL_LOAD};
use crate::target::bookkeeping::verified_ranges::{self, VerificationMark, VerificationRange, VerificationSummary};
use crate::{metrics, pipeline};

/// From this number of ranges on, lookups are loaded whole instead of key by key.
const RANGES_TO_LOAD_LOOKUPS: usize = 8;
/// Ranges that are compared even if the budget is used up: one that differs and one other, so that both kinds make
/// progress.
const RANGES_IN_ANY_CASE: usize = 2;
/// A range that has grown beyond this number of pages is split. Its parts must be compared row by row.
const MOST_PAGES: u64 = 4;

/// Verifies key ranges of the backlog within `budget`: by digest where that is sufficient, the others row by row, first
/// those that differ, then those that have waited longest. Returns how many source rows were verified by digest.
pub(crate) async fn verify(
    applier: &mut Applier<'_>,
    states: &mut States,
    source_changes: &SourceChangesByTable,
    budget: VerifyBudget,
) -> Result<u64> {
    let pass = applier.pass;
    let last_synced = states
        .iter()
        .filter_map(|(_, state)| state.lifecycle.last_synced())
        .max();
    let budget = budget.after(last_synced.map(|last_synced| pass.snapshot.clock - last_synced));
    if budget.is_zero() {
        return Ok(0);
    }
    let began = Instant::now();
    let time = VerifyDeadline { began, budget };
    let lookup_table_changes = lookup_tables::verify(pass, states, source_changes, time).await?;
    let backlog = Backlog {
        states,
        source_changes,
        lookup_table_changes: &lookup_table_changes,
        outcomes: &applier.outcomes,
    };
    let mut candidates = backlog.candidates(pass).await?;
    for table in pass
        .star()
        .tables()
        .filter(|table| lookup_table_changes.compares_all(table))
    {
        // Ranges that are not compared in time have to stay in the backlog of the next run.
        verified_ranges::forget(&*pass.transaction, table.name).await?;
    }
    let all = candidates.len();
    // Sets the metrics of the backlog before it is verified.
    sum_up(pass, states).await?;
    let by_digest = range_digests::verify(pass, &mut candidates, time).await?;
    candidates.retain(Candidate::is_compared);
    candidates.sort_by_key(Candidate::urgency);
    bring_oldest_forward(&mut candidates);
    let lookups = lookups(applier, &candidates, time).await?;
    let tables: Vec<_> = candidates.iter().map(|candidate| candidate.table.name).collect();
    let (sender, jobs) = pipeline::jobs(1);
    let stop = pass.context.databases.stop.clone();
    let feeder = tokio::spawn(feed(candidates, time.deadline(), sender, stop));
    let found = applier.run(jobs, &tables, lookups).await;
    let compared = feeder.await.map_err(|_| Error::Panicked { stage: "planner" })?;
    let mut found = found?;
    for (name, outcome) in &mut found {
        let deferred = std::mem::take(&mut outcome.deferred);
        if let Some(table) = pass.star().table(name)
            && !deferred.is_empty()
        {
            outcome.late.clear();
            outcome.add(applier.apply(table, deferred).await?);
        }
    }
    for table in pass.star().tables() {
        let of_table = |candidates: &[Candidate]| {
            let of_table = candidates.iter().filter(|candidate| candidate.table.name == table.name);
            of_table.map(|candidate| candidate.range).collect::<Vec<_>>()
        };
        // Ranges that were verified by digest keep their digest.
        let unchanged = of_table(&by_digest);
        verified_ranges::note(&*pass.transaction, table.name, &unchanged, pass.verified()).await?;
        note(pass, table, &of_table(&compared)).await?;
    }
    let (row_by_row, seconds) = (compared.len(), began.elapsed().as_secs_f64());
    if compared.is_empty() {
        debug!(
            by_digest = by_digest.len(),
            of = all,
            seconds,
            "verified key ranges by digest"
        );
    } else {
        info!(
            by_digest = by_digest.len(),
            row_by_row,
            of = all,
            seconds,
            "verified key ranges"
        );
    }
    propagate(applier, found, &lookup_table_changes).await?;
    let rows = by_digest.iter().filter_map(|candidate| candidate.range.digest);
    Ok(lookup_table_changes.rows_verified_by_digest + rows.map(|digest| digest.rows).sum::<u64>())
}

/// Forgets digests that could hide a later difference between source and target:
///
/// - of ranges in which this pass changed rows but which it did not verify. The digest stands for rows that the target
///   no longer has;
/// - of ranges that it verified while another table that their rows are made from is not verified. The target may
///   contain a change of that table, and no digest shows it if that change is undone without a change timestamp.
pub(crate) async fn forget_changed(pass: &Pass<'_>, states: &States, outcomes: &TableOutcomes) -> Result<()> {
    for table in pass.star().tables() {
        let mut keys = outcomes
            .get(table.name)
            .map_or_else(Vec::new, |outcome| outcome.changed.clone());
        keys.sort_unstable();
        let are_others_verified = verified_ranges::modified_run_of_others(pass.star(), table, states).is_none();
        if keys.is_empty() && are_others_verified {
            continue;
        }
        let mut ranges = verified_ranges::of_table(&*pass.transaction, table.name).await?;
        ranges.retain(|range| {
            let is_outdated = if range.verified == Some(pass.verified()) {
                !are_others_verified
            } else {
                has_key_of(range, &keys)
            };
            range.digest.is_some() && is_outdated
        });
        verified_ranges::forget_digests(&*pass.transaction, table.name, &ranges).await?;
    }
    Ok(())
}

/// Compares these ranges row by row, without a time limit.
pub(crate) async fn compare(
    applier: &mut Applier<'_>,
    table: &'static Table,
    ranges: &[VerificationRange],
) -> Result<()> {
    if ranges.is_empty() {
        return Ok(());
    }
    info!(table = table.name, ranges = ranges.len(), "verifying row by row");
    let pass = applier.pass;
    let key_ranges = ranges.iter().map(VerificationRange::key_range).collect();
    applier.apply_compared(table, key_ranges).await?;
    note(pass, table, ranges).await
}

/// Applies the changes that verification found to the dependent tables.
async fn propagate(
    applier: &mut Applier<'_>,
    mut found: TableOutcomes,
    lookup_table_changes: &LookupTableChanges,
) -> Result<()> {
    let pass = applier.pass;
    let found_nothing = lookup_table_changes.is_empty() && found.values().all(|outcome| outcome.changed.is_empty());
    for table in pass.star().tables() {
        if let Some(outcome) = found.get(table.name) {
            applier.note_removed(table, outcome);
        }
    }
    for table in pass.star().tables().filter(|_| !found_nothing) {
        // With lookups loaded whole, a row without its parent was quarantined but kept in the target: retry all such
        // rows.
        let search = applier.affected_search(&lookup_table_changes.source_changes, &found, true);
        let keys = search.affected_keys(table).await?;
        let followed = applier.apply(table, KeyRange::of_keys(keys, pass.page_size())).await?;
        // The keys include those of rows that seemed to be deleted.
        applier.removed.remove(table.name);
        applier.note_removed(table, &followed);
        found.entry(table.name).or_default().add(followed);
    }
    for (table, outcome) in found {
        applier.outcomes.entry(table).or_default().add(outcome.of_comparing());
    }
    Ok(())
}

/// The key ranges of a table, ascending. They are planned once and stored. If the table may have grown, its last range
/// is split again, and so is one other range with far more rows than a page.
pub(crate) async fn ranges(pass: &Pass<'_>, table: &Table, may_have_grown: bool) -> Result<Vec<VerificationRange>> {
    let mut ranges = verified_ranges::of_table(&*pass.transaction, table.name).await?;
    let is_known = !ranges.is_empty();
    let last = match ranges.last() {
        Some(_) if !may_have_grown => return Ok(ranges),
        _ => ranges.pop().unwrap_or(VerificationRange::ALL),
    };
    let tail = pieces(pass, table, &last).await?;
    if tail.len() == 1 && is_known {
        ranges.push(last);
    } else {
        verified_ranges::replace(&*pass.transaction, table.name, last.after, &tail).await?;
        ranges.extend(tail);
    }
    cut_oversized(pass, table, &mut ranges).await?;
    Ok(ranges)
}

/// Splits one range with too many rows, and only if all ranges have a digest again, so that ranges are not split faster
/// than they are compared.
async fn cut_oversized(pass: &Pass<'_>, table: &Table, ranges: &mut Vec<VerificationRange>) -> Result<()> {
    if ranges.iter().any(|range| range.digest.is_none()) {
        return Ok(());
    }
    let is_oversized = |range: &VerificationRange| {
        let rows = range.digest.map_or(0, |digest| digest.rows);
        rows > MOST_PAGES * pass.rows_per_range() && range.up_to.is_some() && range.verified != Some(pass.verified())
    };
    for oversized in (0..ranges.len()).filter(|range| is_oversized(&ranges[*range])) {
        let pieces = pieces(pass, table, &ranges[oversized]).await?;
        // All rows may have the same key.
        if pieces.len() > 1 {
            verified_ranges::replace_one(&*pass.transaction, table.name, &pieces).await?;
            ranges.splice(oversized..=oversized, pieces);
            return Ok(());
        }
    }
    Ok(())
}

/// The parts to split a range into. They do not inherit its digest.
async fn pieces(pass: &Pass<'_>, table: &Table, range: &VerificationRange) -> Result<Vec<VerificationRange>> {
    let key_ranges = pass.planned_ranges(table, range.after, range.up_to).await?;
    let piece = |key_range| {
        let piece = VerificationRange::of_key_range(key_range, range.verified)?;
        Some(VerificationRange {
            last_verified_at: range.last_verified_at,
            ..piece
        })
    };
    Ok(key_ranges.iter().filter_map(piece).collect())
}

/// Moves the range without a difference that has waited longest to the second place. Otherwise ranges that differ in
/// every run would starve it.
fn bring_oldest_forward(candidates: &mut [Candidate]) {
    if let Some(oldest) = candidates.iter().position(|candidate| !candidate.differs)
        && oldest >= RANGES_IN_ANY_CASE
    {
        candidates[RANGES_IN_ANY_CASE - 1..=oldest].rotate_right(1);
    }
}

/// The lookups of the candidates' tables, loaded whole if there is time to compare many ranges.
async fn lookups(applier: &Applier<'_>, candidates: &[Candidate], time: VerifyDeadline) -> Result<LookupPlan> {
    let source = applier.lookup_source();
    if candidates.len() < RANGES_TO_LOAD_LOOKUPS || time.ranges_left() < RANGES_TO_LOAD_LOOKUPS as u128 {
        return Ok(LookupPlan::ByKey(source));
    }
    let mut lookups = Lookups::default();
    for table in applier.pass.star().tables() {
        if candidates.iter().any(|candidate| candidate.table.name == table.name) {
            source.load(&table.lookups, &mut lookups).await?;
        }
    }
    Ok(LookupPlan::Complete(lookups))
}

/// Records ranges as verified, each with its digest in the snapshot of the pass.
async fn note(pass: &Pass<'_>, table: &Table, ranges: &[VerificationRange]) -> Result<()> {
    if ranges.is_empty() {
        return Ok(());
    }
    let mut ranges = ranges.to_vec();
    if let Some(plan) = digests::plan(pass, table).await? {
        let key_ranges: Vec<KeyRange> = ranges.iter().map(VerificationRange::key_range).collect();
        let found = digests::of_key_ranges(&pass.source(), &plan, &key_ranges).await?;
        for (range, found) in ranges.iter_mut().zip(found) {
            range.digest = Some(found.digest);
        }
    }
    verified_ranges::note(&*pass.transaction, table.name, &ranges, pass.verified()).await
}

/// The key ranges of pages that a run has compared, without digests.
pub(crate) fn ranges_of<'a>(
    key_ranges: impl IntoIterator<Item = &'a KeyRange>,
    verified: VerificationMark,
) -> Vec<VerificationRange> {
    let range = |key_range| VerificationRange::of_key_range(key_range, Some(verified));
    key_ranges.into_iter().filter_map(range).collect()
}

/// Records that this run compared all pages of these tables. Changes made meanwhile that neither a change timestamp nor
/// a row count shows are left to the next run, except those that the page check of a full load found by digest.
pub(crate) async fn note_pages(pass: &Pass<'_>, ranges: &HashMap<&'static str, Vec<VerificationRange>>) -> Result<()> {
    for table in pass.star().tables() {
        let Some(ranges) = ranges.get(table.name) else {
            continue;
        };
        let ranges = merge(ranges, LEAST_ROWS_PER_RANGE.div_ceil(pass.page_size() as u64));
        verified_ranges::replace(&*pass.transaction, table.name, None, &ranges).await?;
    }
    Ok(())
}

/// Summarises the verification of the target and sets its metrics.
pub(crate) async fn sum_up(pass: &Pass<'_>, states: &States) -> Result<VerificationSummary> {
    let ranges = verified_ranges::load(&*pass.transaction).await?;
    let summary = verified_ranges::sum_up(pass.star(), &ranges, states, pass.snapshot.clock);
    let successes = success::load(&*pass.transaction).await?;
    let loaded = successes.iter().find(|success| success.command == FULL_LOAD);
    let loaded = loaded.map_or(pass.context.began, |success| success.finished);
    metrics::verification_backlog(&summary, summary.age_seconds(loaded, pass.snapshot.clock));
    Ok(summary)
}

/// Merges each `count` neighbouring ranges into one.
fn merge(ranges: &[VerificationRange], count: u64) -> Vec<VerificationRange> {
    let count = usize::try_from(count).unwrap_or(usize::MAX).max(1);
    let merged = ranges.chunks(count).filter_map(|ranges| {
        let (first, last) = (ranges.first()?, ranges.last()?);
        // The merged digest is the sum, if each range has a digest.
        let digest = ranges.iter().try_fold(Digest::default(), |mut sum, range| {
            sum += range.digest?;
            Some(sum)
        });
        Some(VerificationRange {
            after: first.after,
            digest,
            ..*last
        })
    });
    merged.collect()
}

/// Sends candidates as jobs until the deadline, but at least [`RANGES_IN_ANY_CASE`] of them. Returns those that were
/// sent.
async fn feed(candidates: Vec<Candidate>, deadline: Instant, jobs: mpsc::Sender<Job>, stop: Stop) -> Vec<Candidate> {
    let mut handed_out = Vec::new();
    for candidate in candidates {
        if (Instant::now() >= deadline && handed_out.len() >= RANGES_IN_ANY_CASE) || stop.is_requested() {
            break;
        }
        let job = Job::new(candidate.table, candidate.range.key_range());
        if jobs.send(job).await.is_err() {
            break;
        }
        handed_out.push(candidate);
    }
    handed_out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::changes::candidate::tests::candidate;

    #[test]
    fn small_pages_make_no_small_ranges() {
        let range = |after, up_to| VerificationRange {
            after,
            up_to,
            ..VerificationRange::ALL
        };
        let pages = [range(None, Some(1)), range(Some(1), Some(2)), range(Some(2), None)];
        assert_eq!(merge(&pages, 1), pages);
        assert_eq!(merge(&pages, 2), [range(None, Some(2)), range(Some(2), None)]);
        assert_eq!(merge(&pages, 100), [range(None, None)]);
        let digested = |range, rows| VerificationRange {
            digest: Some(Digest { rows, sum: 7 }),
            ..range
        };
        let pages = [digested(pages[0], 1), digested(pages[1], 2), pages[2]];
        let digests: Vec<_> = merge(&pages, 2).iter().map(|range| range.digest).collect();
        assert_eq!(digests, [Some(Digest { rows: 3, sum: 14 }), None]);
    }

    #[tokio::test]
    async fn ranges_are_handed_out_until_the_time_is_up_but_two_in_any_case() {
        let handed_out = async |deadline| {
            let candidate = candidate(1, None);
            let (sender, mut jobs) = pipeline::jobs(1);
            let (_, stop) = crate::stop::stop();
            tokio::spawn(async move { while jobs.recv().await.is_some() {} });
            feed(vec![candidate; 3], deadline, sender, stop).await.len()
        };
        let in_time = Instant::now() + Duration::from_mins(10);
        assert_eq!(handed_out(Instant::now()).await, 2);
        assert_eq!(handed_out(in_time).await, 3);
    }

    #[test]
    fn the_range_that_has_waited_longest_is_among_those_in_any_case() {
        let differs = |up_to| Candidate {
            differs: true,
            ..candidate(up_to, Some(9))
        };
        let order = |candidates: &[Candidate]| {
            let mut candidates = candidates.to_vec();
            bring_oldest_forward(&mut candidates);
            candidates
                .iter()
                .map(|candidate| candidate.range.up_to.unwrap())
                .collect::<Vec<_>>()
        };
        let (old, older) = (candidate(4, Some(5)), candidate(5, Some(7)));
        assert_eq!(
            order(&[differs(1), differs(2), differs(3), old, older]),
            [1, 4, 2, 3, 5]
        );
        assert_eq!(order(&[differs(1), old, older]), [1, 4, 5]);
        assert_eq!(order(&[differs(1), differs(2)]), [1, 2]);
        assert_eq!(order(&[]), [0; 0]);
    }
}
