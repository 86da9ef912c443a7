//! The key ranges that a run may verify, and their order.

use chrono::{DateTime, Utc};

use crate::changes::detect::SourceChangesByTable;
use crate::changes::digests;
use crate::changes::lookup_tables::LookupTableChanges;
use crate::changes::pass::Pass;
use crate::changes::verification::ranges;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::flow::TableOutcomes;
use crate::target::bookkeeping::state::States;
use crate::target::bookkeeping::verified_ranges::{self, VerificationRange};

/// A key range that a run may verify.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Candidate {
    pub table: &'static Table,
    pub range: VerificationRange,
    /// Whether there is a sign of change. Of other ranges only the digest is compared.
    pub is_due: bool,
    /// Whether this run changed rows in it: other rows may then have changed without a change timestamp.
    pub is_near_changes: bool,
    /// Whether no table but its own source table was modified since its digest was taken: then the digest is
    /// sufficient.
    pub digest_is_enough: bool,
    /// Whether its digest differs, or all rows of its table must be compared.
    pub differs: bool,
}

impl Candidate {
    /// The sort order. First come ranges that differ, and among them those in which this run changed no rows, because
    /// their difference is a change without a newer timestamp. Then come ranges of modified tables, then the others.
    /// Within each group, ranges that no run has verified, or whose verification no longer holds, come before the
    /// oldest.
    pub(super) fn urgency(&self) -> (bool, bool, bool, Option<i64>, Option<DateTime<Utc>>) {
        (
            !self.differs,
            self.differs && self.is_near_changes,
            !self.is_due,
            self.verified_run(),
            self.range.last_verified_at,
        )
    }

    /// The run that last verified it; `None` sorts first.
    pub(super) fn verified_run(&self) -> Option<i64> {
        self.range.verified.map(|verified| verified.run_id)
    }

    /// Whether it is compared row by row. A range whose digest is sufficient but was not taken in time waits for the
    /// next run.
    pub(super) fn is_compared(&self) -> bool {
        self.differs || (self.is_due && !self.digest_is_enough)
    }
}

/// The inputs of the verification backlog.
pub(super) struct Backlog<'a> {
    pub states: &'a States,
    pub source_changes: &'a SourceChangesByTable,
    pub lookup_table_changes: &'a LookupTableChanges,
    /// The changes of this run so far.
    pub outcomes: &'a TableOutcomes,
}

impl Backlog<'_> {
    /// The ranges that may have changed since they were verified and, if they have a digest, the ranges without a sign
    /// of change, because UPDATE_TIME does not advance with every statement.
    pub(super) async fn candidates(&self, pass: &Pass<'_>) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        for table in pass.star().tables() {
            let modified_run = verified_ranges::modified_run(pass.star(), table, self.states);
            let others = verified_ranges::modified_run_of_others(pass.star(), table, self.states);
            let ranges = ranges(pass, table, self.source_changes[table.source_table].is_modified).await?;
            let compares_all = self.lookup_table_changes.compares_all(table);
            let has_digests = digests::plan(pass, table).await?.is_some();
            let mut changed = self
                .outcomes
                .get(table.name)
                .map_or_else(Vec::new, |outcome| outcome.changed.clone());
            changed.sort_unstable();
            let of_table = ranges.into_iter().map(|range| Candidate {
                table,
                range,
                // Without a digest, a change that leaves no sign would not be detected.
                is_due: compares_all || range.is_in_backlog(modified_run) || (has_digests && range.digest.is_none()),
                is_near_changes: has_key_of(&range, &changed),
                digest_is_enough: !compares_all && digest_is_enough(&range, others),
                differs: compares_all,
            });
            candidates.extend(of_table.filter(|candidate| candidate.is_due || candidate.digest_is_enough));
        }
        Ok(candidates)
    }
}

/// Whether one of these keys is in a range. The keys are ascending.
pub(super) fn has_key_of(range: &VerificationRange, keys: &[i64]) -> bool {
    let behind = keys.partition_point(|key| range.after.is_some_and(|after| *key <= after));
    keys.get(behind)
        .is_some_and(|key| range.up_to.is_none_or(|up_to| *key <= up_to))
}

/// Whether an equal digest is sufficient to verify a range: only if no other table that its rows are made from was
/// modified since.
fn digest_is_enough(range: &VerificationRange, modified_run_of_others: Option<i64>) -> bool {
    range.digest.is_some() && !range.is_in_backlog(modified_run_of_others)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::target::bookkeeping::verified_ranges::VerificationMark;
    use crate::test_star;

    /// A due range of loans up to a key, last verified by `run_id`.
    pub(in crate::changes) fn candidate(up_to: i64, run_id: Option<i64>) -> Candidate {
        Candidate {
            table: test_star::star().table("fact_loan").unwrap(),
            range: VerificationRange {
                up_to: Some(up_to),
                verified: run_id.map(|run_id| VerificationMark {
                    run_id,
                    at: chrono::DateTime::UNIX_EPOCH,
                }),
                ..VerificationRange::ALL
            },
            is_due: true,
            is_near_changes: false,
            digest_is_enough: false,
            differs: false,
        }
    }

    #[test]
    fn what_differs_without_a_trace_comes_first_then_what_was_never_verified_then_the_oldest() {
        let differing = |up_to, run_id, is_near_changes| Candidate {
            differs: true,
            is_near_changes,
            ..candidate(up_to, run_id)
        };
        let mut candidates = [
            candidate(1, Some(5)),
            candidate(2, None),
            candidate(3, Some(4)),
            differing(4, Some(8), true),
            differing(5, Some(9), false),
        ];
        candidates.sort_by_key(Candidate::urgency);
        assert_eq!(
            candidates.map(|candidate| candidate.range.up_to.unwrap()),
            [5, 4, 2, 3, 1]
        );
    }

    #[test]
    fn what_a_digest_can_tell_of_is_not_read_before_it_has() {
        let due = candidate(1, Some(5));
        let is_compared = |digest_is_enough, differs| {
            let candidate = Candidate {
                digest_is_enough,
                differs,
                ..due
            };
            candidate.is_compared()
        };
        assert!(is_compared(false, false));
        assert!(!is_compared(true, false));
        assert!(is_compared(false, true));
    }

    #[test]
    fn a_range_is_near_changes_if_one_of_their_keys_is_in_it() {
        let range = |after, up_to| VerificationRange {
            after,
            up_to,
            ..VerificationRange::ALL
        };
        let keys = [10, 20, 30];
        for (range, expected) in [
            (range(None, Some(9)), false),
            (range(None, Some(10)), true),
            (range(Some(10), Some(19)), false),
            (range(Some(19), Some(25)), true),
            (range(Some(29), None), true),
            (range(Some(30), None), false),
        ] {
            assert_eq!(has_key_of(&range, &keys), expected, "{range:?}");
        }
        assert!(!has_key_of(&range(None, None), &[]));
    }

    #[test]
    fn a_digest_tells_as_long_as_no_other_table_was_modified() {
        let range = |digest| VerificationRange {
            verified: Some(VerificationMark {
                run_id: 5,
                at: chrono::DateTime::UNIX_EPOCH,
            }),
            digest,
            ..VerificationRange::ALL
        };
        let digest = Some(crate::declare::digest::Digest::default());
        assert!(digest_is_enough(&range(digest), None));
        assert!(digest_is_enough(&range(digest), Some(5)));
        assert!(!digest_is_enough(&range(digest), Some(6)));
        assert!(!digest_is_enough(&range(None), None));
    }
}
