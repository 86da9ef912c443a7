//! Verification by digest: finds key ranges that are unchanged in the source since they were last verified, without
//! reading their rows.

use std::time::{Duration, Instant};

use crate::changes::candidate::Candidate;
use crate::changes::digests;
use crate::changes::pass::Pass;
use crate::declare::key_range::KeyRange;
use crate::declare::table::Table;
use crate::error::Result;
use crate::source::digest::RangeDigest;
use crate::target::bookkeeping::verified_ranges::VerificationRange;

/// The part of the budget that is reserved for each range that differs, to compare it in the same run: about the time
/// to read a page.
const TIME_PER_RANGE: Duration = Duration::from_millis(50);

/// Ranges per statement. A statement is not interrupted at the deadline, so it must stay well below the budget of a
/// short run.
const RANGES_PER_PART: usize = 4;

/// The start and the time limit of the verification of a run.
#[derive(Clone, Copy)]
pub(super) struct VerifyDeadline {
    pub began: Instant,
    pub budget: Duration,
}

impl VerifyDeadline {
    pub(super) fn deadline(&self) -> Instant {
        self.began + self.budget
    }

    /// About how many ranges can be compared in the time that is left.
    pub(super) fn ranges_left(&self) -> u128 {
        let left = self.deadline().saturating_duration_since(Instant::now());
        left.as_millis() / TIME_PER_RANGE.as_millis()
    }

    pub(super) fn half(&self) -> Instant {
        self.began + self.budget / 2
    }

    /// The time until which digests are taken if `differing` ranges differ: the rest is reserved to compare these.
    fn digests_until(&self, differing: usize) -> Instant {
        let count = u32::try_from(differing).unwrap_or(u32::MAX);
        let kept_free = TIME_PER_RANGE.saturating_mul(count).min(self.budget / 2);
        self.began + self.budget.saturating_sub(kept_free)
    }
}

/// Ranges of one table that are digested by one statement.
struct Part {
    table: &'static Table,
    candidates: Vec<Candidate>,
}

impl Part {
    /// The sort order: ranges of modified tables first, then the oldest, across all tables.
    fn urgency(&self) -> (bool, Option<i64>) {
        let is_due = self.candidates.iter().any(|candidate| candidate.is_due);
        let oldest = self.candidates.iter().map(Candidate::verified_run).min();
        (!is_due, oldest.flatten())
    }
}

/// All parts. The most urgent is digested first, then those near changes for half of the time, then all remaining ones
/// by urgency.
#[derive(Default)]
struct Parts {
    near_changes: Vec<Part>,
    others: Vec<Part>,
}

impl Parts {
    fn add(&mut self, table: &'static Table, mut candidates: Vec<Candidate>) {
        candidates.sort_by_key(|candidate| (!candidate.is_near_changes, candidate.urgency()));
        let near = candidates.partition_point(|candidate| candidate.is_near_changes);
        let others = candidates.split_off(near);
        for (parts, candidates) in [(&mut self.near_changes, candidates), (&mut self.others, others)] {
            let of_table = candidates.chunks(RANGES_PER_PART).map(|candidates| Part {
                table,
                candidates: candidates.to_vec(),
            });
            parts.extend(of_table);
            // Parts are taken from the end.
            parts.sort_by_key(|part| std::cmp::Reverse(part.urgency()));
        }
    }

    /// Takes a part near changes if there is one, or the most urgent of all parts if `takes_oldest`.
    fn next(&mut self, takes_oldest: bool) -> Option<Part> {
        let urgency = |parts: &[Part]| parts.last().map(Part::urgency);
        let takes_others = match (urgency(&self.near_changes), urgency(&self.others)) {
            (Some(near), Some(other)) => takes_oldest && other < near,
            (near, _) => near.is_none(),
        };
        let parts = if takes_others {
            &mut self.others
        } else {
            &mut self.near_changes
        };
        parts.pop()
    }
}

/// Digests the candidates for which a digest is sufficient, within the deadline, but at least one part, so that every
/// range is reached eventually. Returns the unchanged ones, which are thereby verified. Changed ones go back to
/// `candidates`, marked as differing; those not reached in time are dropped and wait for the next run.
pub(super) async fn verify(
    pass: &Pass<'_>,
    candidates: &mut Vec<Candidate>,
    time: VerifyDeadline,
) -> Result<Vec<Candidate>> {
    let mut parts = Parts::default();
    let mut plans = Vec::new();
    for table in pass.star().tables() {
        let is_next = |candidate: &mut Candidate| candidate.table.name == table.name && candidate.digest_is_enough;
        let of_table: Vec<Candidate> = candidates.extract_if(.., is_next).collect();
        if of_table.is_empty() {
            continue;
        }
        if let Some(plan) = digests::plan(pass, table).await? {
            parts.add(table, of_table);
            plans.push((table.name, plan));
        } else {
            candidates.extend(of_table.into_iter().map(|candidate| Candidate {
                digest_is_enough: false,
                ..candidate
            }));
        }
    }
    // The remaining candidates must be compared row by row, too.
    let (mut verified, mut differing) = (Vec::new(), candidates.iter().filter(|left| left.is_compared()).count());
    // Many ranges near changes, and the comparison of those that differ, may use up the time. One of the oldest parts
    // comes first, so that the other ranges are reached, too.
    let mut is_first = true;
    while let Some(part) = parts.next(is_first || Instant::now() >= time.half()) {
        is_first = false;
        let Some((_, plan)) = plans.iter().find(|(table, _)| *table == part.table.name) else {
            continue;
        };
        let ranges = part.candidates.iter().map(|candidate| candidate.range);
        let key_ranges: Vec<KeyRange> = ranges.map(|range: VerificationRange| range.key_range()).collect();
        let found = digests::of_key_ranges(&pass.source(), plan, &key_ranges).await?;
        for (candidate, RangeDigest { digest, .. }) in part.candidates.into_iter().zip(found) {
            if candidate.range.digest == Some(digest) {
                verified.push(candidate);
            } else {
                differing += 1;
                candidates.push(Candidate {
                    digest_is_enough: false,
                    differs: true,
                    ..candidate
                });
            }
        }
        if Instant::now() >= time.digests_until(differing) {
            break;
        }
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::candidate::tests::candidate;
    use crate::test_star;

    #[test]
    fn ranges_near_changes_come_first_for_half_of_the_time_then_the_oldest_of_all_tables() {
        let star = test_star::star();
        let of = |table: &str, run_id, is_due, is_near_changes| Candidate {
            table: star.table(table).unwrap(),
            is_due,
            is_near_changes,
            ..candidate(run_id, Some(run_id))
        };
        let parts = || {
            let mut parts = Parts::default();
            for (table, candidates) in [
                (
                    "fact_loan",
                    vec![of("fact_loan", 7, true, false), of("fact_loan", 9, true, true)],
                ),
                ("dim_book", vec![of("dim_book", 5, true, false)]),
            ] {
                parts.add(star.table(table).unwrap(), candidates);
            }
            parts
        };
        let order = |is_past_half| {
            let mut parts = parts();
            let parts = std::iter::from_fn(|| parts.next(is_past_half));
            parts
                .map(|part| part.candidates[0].range.up_to.unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(false), [9, 5, 7]);
        assert_eq!(order(true), [5, 7, 9]);
    }

    #[test]
    fn a_range_near_changes_that_has_waited_longest_is_reached_in_the_second_half_too() {
        let table = test_star::star().table("fact_loan").unwrap();
        let mut parts = Parts::default();
        let near = Candidate {
            is_near_changes: true,
            ..candidate(1, Some(3))
        };
        parts.add(table, vec![near, candidate(2, Some(5))]);
        let order = std::iter::from_fn(|| parts.next(true));
        let order: Vec<_> = order.map(|part| part.candidates[0].range.up_to).collect();
        assert_eq!(order, [Some(1), Some(2)]);
    }

    #[test]
    fn of_tables_that_were_not_modified_the_oldest_range_is_the_last() {
        let star = test_star::star();
        let mut parts = Parts::default();
        let at_rest = Candidate {
            is_due: false,
            ..candidate(1, Some(1))
        };
        parts.add(star.table("fact_loan").unwrap(), vec![at_rest]);
        parts.add(star.table("fact_loan").unwrap(), vec![candidate(2, Some(8))]);
        let order = std::iter::from_fn(|| parts.next(false));
        let order: Vec<_> = order.map(|part| part.candidates[0].range.up_to).collect();
        assert_eq!(order, [Some(2), Some(1)]);
    }

    #[test]
    fn time_is_kept_free_to_compare_what_differs() {
        let time = VerifyDeadline {
            began: Instant::now(),
            budget: Duration::from_millis(200),
        };
        let until = |differing| (time.digests_until(differing) - time.began).as_millis();
        assert_eq!([0, 1, 2, 100].map(until), [200, 150, 100, 100]);
    }
}
