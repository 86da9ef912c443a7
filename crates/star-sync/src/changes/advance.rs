//! Advances the watermarks, in the transaction that commits the corresponding rows, and records the state of each
//! source table.

use std::cmp::{max, min};
use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::warn;

use crate::changes::detect::{SourceChanges, SourceChangesByTable};
use crate::changes::pass::Pass;
use crate::changes::row_count_check::RowCounts;
use crate::changes::{Mode, identity};
use crate::error::Result;
use crate::metrics;
use crate::source::in_flight::{InFlight, UNKNOWN_START};
use crate::target::bookkeeping::state::{self, Lifecycle, SourceState, States};
use crate::target::bookkeeping::{history, source_identity, target_table, time, watermark};

/// In-flight transactions younger than this are not reported as the limit of a watermark: the safety lag alone would
/// limit it to the same time.
const JUST_BEGUN: TimeDelta = TimeDelta::seconds(2);

/// The settled signature of each source table before the pages of a run were read.
pub(crate) type SettledSignatures = HashMap<String, String>;

/// The clock and the in-flight transactions of the source at the snapshot of a pass.
#[derive(Clone, Copy)]
struct SourceInstant {
    clock: DateTime<Utc>,
    /// All changes with a timestamp up to this one are committed.
    committed_until: DateTime<Utc>,
    in_flight: InFlight,
}

/// The signatures of a source table in the course of a run. A signature is `None` where the server does not report when
/// the table was modified.
struct Signatures<'a> {
    /// Before the first row was read, if it had settled by then.
    settled: Option<&'a str>,
    /// Just before the snapshot.
    at_snapshot: Option<&'a str>,
    /// After everything was read.
    now: Option<&'a str>,
}

/// The changes and signatures of one source table in a pass.
struct Found<'a> {
    changes: &'a SourceChanges,
    signatures: Signatures<'a>,
    /// Rows that had to be scanned to find the changes.
    rows_scanned: Option<i64>,
}

/// The inputs of [`advance_watermarks`].
pub(crate) struct Advance<'a> {
    pub pass: &'a Pass<'a>,
    pub states: &'a States,
    pub source_changes: &'a SourceChangesByTable,
    pub rows: &'a RowCounts,
    /// `None` if the run read no pages before the pass.
    pub before_pages: Option<&'a SettledSignatures>,
    /// Whether source and target differ: then the next run reads every table, modified or not.
    pub is_mismatch: bool,
}

/// Advances the watermarks of all source tables.
pub(crate) async fn advance_watermarks(step: Advance<'_>) -> Result<()> {
    let Advance {
        pass,
        source_changes,
        rows,
        ..
    } = step;
    let (transaction, snapshot) = (&*pass.transaction, pass.snapshot);
    let safety_lag = pass.context.safety_lag;
    source_identity::save(transaction, identity::current(pass.context)).await?;
    let now = snapshot.signatures_now().await?;
    let instant = SourceInstant {
        clock: snapshot.clock,
        committed_until: snapshot.committed_until(safety_lag),
        in_flight: snapshot.in_flight,
    };
    let mut watermarks = Vec::new();
    for source_table in &pass.star().sources {
        let name = source_table.name;
        let (Some(before), changes) = (step.states.get(name), &source_changes[name]) else {
            continue;
        };
        let is_indexed = pass.indexes.begin_with_change_timestamp(source_table);
        let all_rows = rows.source.get(name).copied();
        let at_snapshot = snapshot.signature(name);
        let settled = match step.before_pages {
            Some(before_pages) => before_pages.get(name).cloned(),
            None => snapshot.settled_signature(name, safety_lag),
        };
        let signatures = Signatures {
            settled: settled.as_deref(),
            at_snapshot: at_snapshot.as_deref(),
            now: now.get(name).and_then(|signature| signature.as_deref()),
        };
        let found = Found {
            changes,
            signatures,
            rows_scanned: if is_indexed {
                i64::try_from(changes.keys.len()).ok()
            } else {
                all_rows
            },
        };
        let mut after = advance(before, &found, pass.mode, instant);
        if step.is_mismatch {
            after.settled_signature = None;
        }
        report(name, changes, &after, instant);
        if changes.is_modified {
            watermarks.extend(after.watermark.map(|watermark| (name, watermark)));
        }
        state::save(transaction, name, after).await?;
    }
    for (table, rows) in &rows.target {
        target_table::note_rows(transaction, table, *rows).await?;
    }
    target_table::forget_loaded(transaction).await?;
    history::note_source_clock(transaction, pass.run_id, snapshot.clock).await?;
    watermark::note(transaction, pass.run_id, &watermarks).await
}

/// Warns of a change timestamp in the future, and sets the metrics of the watermark.
fn report(source_table: &'static str, changes: &SourceChanges, after: &SourceState, instant: SourceInstant) {
    let newest = max(changes.newest, after.watermark);
    if newest.is_some_and(|newest| newest > instant.clock) {
        warn!(
            code = "TIMESTAMP_IN_FUTURE",
            table = source_table,
            "a change timestamp is later than the source clock; the watermark stays behind the source clock by the safety lag; correct the row"
        );
    }
    if let Some(watermark) = after.watermark {
        let lag = instant.clock - watermark;
        let held_back = changes.newest.map_or(TimeDelta::zero(), |newest| newest - watermark);
        metrics::watermark(source_table, lag.num_seconds(), held_back.num_seconds().max(0));
    }
}

/// The state of a source table after a pass with these findings.
fn advance(before: &SourceState, found: &Found<'_>, mode: Mode, instant: SourceInstant) -> SourceState {
    // A full load discards the earlier watermark, because it has read all rows.
    let watermark = before.watermark.filter(|_| mode != Mode::FullLoad);
    let newest = max(found.changes.newest, watermark);
    SourceState {
        lifecycle: Lifecycle::Loaded {
            last_synced: instant.clock,
        },
        watermark: newest.map(|newest| advanced(watermark, newest, instant.committed_until)),
        newest_change: match mode {
            Mode::FullLoad => found.changes.newest,
            Mode::Incremental | Mode::Repair => max(found.changes.newest, before.newest_change),
        },
        limited_by: newest.and_then(|newest| limited_by(newest, instant)),
        modified_run: before.modified_run,
        verified_run: before.verified_run,
        rows_scanned: if found.changes.is_modified {
            found.rows_scanned
        } else {
            before.rows_scanned
        },
        extent: found.changes.extent.or(before.extent),
        settled_signature: settled(&found.signatures).map(str::to_owned),
        last_signature: found.signatures.at_snapshot.map(str::to_owned),
    }
}

/// The new watermark: the newest change seen, but at most `committed_until`, because changes with a later timestamp may
/// still be committed. A watermark never moves back, even if `committed_until` does.
fn advanced(watermark: Option<DateTime<Utc>>, newest: DateTime<Utc>, committed_until: DateTime<Utc>) -> DateTime<Utc> {
    let advanced = min(newest, committed_until);
    watermark.map_or(advanced, |watermark| max(watermark, advanced))
}

/// Why changes up to `newest` may not all be committed; `None` if they are. This limits the watermark, unless an
/// earlier run has already advanced it to `newest`.
fn limited_by(newest: DateTime<Utc>, instant: SourceInstant) -> Option<String> {
    if newest <= instant.committed_until {
        return None;
    }
    if newest > instant.clock {
        return Some("a change timestamp in the future".to_owned());
    }
    match instant.in_flight {
        InFlight::Listed {
            oldest: Some(oldest), ..
        } if oldest.since == UNKNOWN_START => Some(
            "in-flight transaction without a connection (prepared, or recovered after a restart of the server)"
                .to_owned(),
        ),
        InFlight::Listed {
            oldest: Some(oldest), ..
        } if oldest.since + JUST_BEGUN < instant.clock => Some(format!(
            "in-flight transaction of connection {}, since {} UTC",
            oldest.connection_id,
            time::text(oldest.since)
        )),
        _ => Some("the safety lag".to_owned()),
    }
}

/// The signature by which the next run recognises that a table was not modified since. `None` in three cases:
///
/// - The signature had not settled before the first row was read.
/// - The table was modified while its pages were read. It is unknown whether its new signature has settled.
/// - The signature changed after the snapshot. The table may have been replaced, so that the rows read are those of
///   another table.
fn settled<'a>(signatures: &Signatures<'a>) -> Option<&'a str> {
    let settled = signatures.settled;
    settled.filter(|_| signatures.at_snapshot == settled && signatures.now == settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::in_flight::InFlightWork;
    use crate::target::bookkeeping::state::Extent;
    use crate::test_star::time;

    const HIDDEN: SourceInstant = SourceInstant {
        clock: DateTime::from_timestamp(1000, 0).unwrap(),
        committed_until: DateTime::from_timestamp(880, 0).unwrap(),
        in_flight: InFlight::NotPermitted,
    };

    fn seen(since: DateTime<Utc>) -> SourceInstant {
        let oldest = InFlightWork {
            since,
            connection_id: 42,
        };
        SourceInstant {
            in_flight: InFlight::Listed {
                oldest: Some(oldest),
                writable_since: Some(since),
            },
            ..HIDDEN
        }
    }

    #[test]
    fn a_watermark_advances_to_the_newest_change_that_is_closed_and_never_goes_back() {
        let advanced = |watermark: Option<i64>, newest, closed| {
            advanced(watermark.map(time), time(newest), time(closed)).timestamp()
        };
        assert_eq!(advanced(None, 50, 80), 50);
        assert_eq!(advanced(Some(40), 50, 80), 50);
        assert_eq!(advanced(Some(40), 90, 80), 80);
        // The committed time moved back: a transaction older than the last run was found.
        assert_eq!(advanced(Some(70), 90, 60), 70);
        assert_eq!(advanced(Some(70), 70, 60), 70);
    }

    #[test]
    fn what_limits_a_watermark_is_named() {
        let limited_by = |newest, instant| limited_by(time(newest), instant).unwrap_or_default();
        assert_eq!(limited_by(880, HIDDEN), "");
        assert_eq!(limited_by(881, HIDDEN), "the safety lag");
        assert_eq!(limited_by(1001, HIDDEN), "a change timestamp in the future");
        assert_eq!(
            limited_by(900, seen(time(890))),
            "in-flight transaction of connection 42, since 1970-01-01 00:14:50 UTC"
        );
        assert_eq!(limited_by(900, seen(time(999))), "the safety lag");
        assert!(limited_by(900, seen(UNKNOWN_START)).starts_with("in-flight transaction without a connection"));
    }

    #[test]
    fn a_signature_counts_if_it_had_settled_and_the_table_is_still_that_one() {
        let settled = |settled_before, at_snapshot, now| {
            settled(&Signatures {
                settled: settled_before,
                at_snapshot,
                now,
            })
        };
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(settled(a, a, a), a);
        // Not settled, modified while pages were read, or replaced.
        assert_eq!(settled(None, a, a), None);
        assert_eq!(settled(a, b, b), None);
        assert_eq!(settled(a, a, b), None);
        assert_eq!(settled(a, a, None), None);
        assert_eq!(settled(None, None, None), None);
    }

    #[test]
    fn a_pass_leaves_a_loaded_table_and_keeps_what_it_did_not_look_at() {
        let before = SourceState {
            lifecycle: Lifecycle::Loading {
                load_watermark: time(300),
                last_synced: None,
            },
            watermark: Some(time(990)),
            rows_scanned: Some(5),
            extent: Some(Extent {
                rows: 7,
                highest_key: Some(7),
            }),
            ..SourceState::default()
        };
        let changes = SourceChanges {
            newest: Some(time(400)),
            ..SourceChanges::default()
        };
        let found = Found {
            changes: &changes,
            signatures: Signatures {
                settled: None,
                at_snapshot: Some("a"),
                now: Some("a"),
            },
            rows_scanned: Some(99),
        };
        let expected = SourceState {
            lifecycle: Lifecycle::Loaded {
                last_synced: HIDDEN.clock,
            },
            last_signature: Some("a".to_owned()),
            ..before.clone()
        };
        assert_eq!(
            advance(&before, &found, Mode::Incremental, HIDDEN),
            SourceState {
                newest_change: Some(time(400)),
                limited_by: Some("the safety lag".to_owned()),
                ..expected.clone()
            }
        );
        // A full load discards the earlier watermark, which may be of another source or time.
        assert_eq!(
            advance(&before, &found, Mode::FullLoad, HIDDEN),
            SourceState {
                watermark: Some(time(400)),
                newest_change: Some(time(400)),
                ..expected
            }
        );
    }
}
