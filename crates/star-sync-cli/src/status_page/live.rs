//! The live state of this process for the status page: run in progress, read rate, failures, last comparison.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use star_sync::compare::figures::Comparison;
use star_sync::compare::verdict::Verdict;
use star_sync::pipeline::progress::Progress;
use star_sync::runs::report::Report;
use star_sync::runs::validate::Validation;

use crate::error::Error;
use crate::output::verdict;

/// Time between two points of the chart.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_secs(2);
/// Number of points in the chart, which cover five minutes.
pub(crate) const SAMPLES: usize = 150;
/// The largest number of differing figures to show; the rest are only counted.
const SHOWN_MISMATCHES: usize = 20;

/// Shared by all runs of a process.
#[derive(Default)]
pub(crate) struct Live(Mutex<State>);

#[derive(Clone, Default)]
pub(crate) struct State {
    pub run: Option<Running>,
    /// Failed commands, until the same command succeeds.
    pub failures: BTreeMap<&'static str, FailedRun>,
    pub check: Option<Check>,
    /// Rows read per second, oldest first.
    pub rates: VecDeque<f64>,
    /// Rows that ended runs have read since the last sample.
    rows_of_ended: u64,
    /// Rows that the run in progress had read at the last sample.
    rows_sampled: u64,
}

/// A run in progress.
#[derive(Clone)]
pub(crate) struct Running {
    pub command: &'static str,
    pub began: Instant,
    pub progress: Arc<Progress>,
}

/// Consecutive failed runs of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedRun {
    pub command: &'static str,
    pub code: &'static str,
    pub message: String,
    /// The hint, with the placeholders of `Program::fill`.
    pub hint: String,
    pub failures: u32,
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
}

/// A comparison of source and target.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub command: &'static str,
    pub at: DateTime<Utc>,
    pub is_mismatch: bool,
    /// The sentence that the command printed.
    pub verdict: String,
    /// The first figures that differ.
    pub mismatches: Vec<Comparison>,
    /// The number of further figures that differ.
    pub more: usize,
}

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// A copy of the current state.
    pub(crate) fn now(&self) -> State {
        self.state().clone()
    }

    pub(crate) fn began(&self, command: &'static str, progress: Arc<Progress>) {
        let mut state = self.state();
        state.rows_sampled = 0;
        state.run = Some(Running {
            command,
            began: Instant::now(),
            progress,
        });
    }

    pub(crate) fn ended(&self, command: &'static str, error: Option<&Error>) {
        let mut state = self.state();
        if let Some(run) = state.run.take() {
            state.rows_of_ended += rows_read(&run.progress).saturating_sub(state.rows_sampled);
            state.rows_sampled = 0;
        }
        match error {
            None => drop(state.failures.remove(command)),
            Some(error) if error.is_stopped() => {}
            Some(error) => {
                let before = state.failures.remove(command);
                let failure = FailedRun::new(command, error, Utc::now(), before);
                state.failures.insert(command, failure);
            }
        }
    }

    /// Adds a point to the chart.
    pub(crate) fn sample(&self, elapsed: Duration) {
        let mut state = self.state();
        let read = state.run.as_ref().map_or(0, |run| rows_read(&run.progress));
        let rows = read.saturating_sub(state.rows_sampled) + std::mem::take(&mut state.rows_of_ended);
        state.rows_sampled = read;
        if state.rates.len() == SAMPLES {
            state.rates.pop_front();
        }
        state
            .rates
            .push_back(crate::output::human::rate(rows, elapsed.as_secs_f64()));
    }

    /// Records the result of a run's reconciliation, if it compared anything.
    pub(crate) fn reconciled(&self, command: &'static str, report: &Report) {
        let is_shown = is_shown(self.state().check.as_ref(), command, &report.verdict);
        if is_shown {
            let differing = report.reconciliation.iter().filter(|figure| figure.differs());
            let verdict = verdict::load(&report.verdict, false);
            self.note(command, report.verdict.is_mismatch(), &verdict, differing);
        }
    }

    pub(crate) fn validated(&self, validation: &Validation) {
        let rows = validation.tables.iter().map(|table| &table.rows);
        let figures = rows.chain(&validation.totals).chain(&validation.differing_days);
        let differing = figures.filter(|figure| figure.delta().unsigned_abs() > validation.tolerance);
        let verdict = verdict::validation(validation);
        self.note("validate", validation.verdict.is_mismatch(), &verdict, differing);
    }

    fn note<'a>(
        &self,
        command: &'static str,
        is_mismatch: bool,
        verdict: &str,
        differing: impl Iterator<Item = &'a Comparison>,
    ) {
        let mut state = self.state();
        // A run compares less than a validation, so a mismatch stays until the command that found it finds none.
        let stays = |before: &Check| {
            before.is_mismatch && before.command != command && (!is_mismatch || before.command == "validate")
        };
        if state.check.as_ref().is_some_and(stays) {
            return;
        }
        let mut mismatches: Vec<Comparison> = differing.cloned().collect();
        let more = mismatches.len().saturating_sub(SHOWN_MISMATCHES);
        mismatches.truncate(SHOWN_MISMATCHES);
        state.check = Some(Check {
            command,
            at: Utc::now(),
            is_mismatch,
            verdict: console::strip_ansi_codes(verdict).into_owned(),
            mismatches,
            more,
        });
    }
}

/// Whether a run's verdict replaces the check that is shown.
fn is_shown(shown: Option<&Check>, command: &str, verdict: &Verdict) -> bool {
    if shown.is_some_and(|check| check.is_mismatch && check.command == command) {
        // Keep the figures until the mismatch is resolved, even if the resolving run made no checks.
        verdict.unresolved_run.is_none()
    } else {
        verdict.tally.checks > 0 || verdict.is_mismatch()
    }
}

impl FailedRun {
    fn new(command: &'static str, error: &Error, now: DateTime<Utc>, before: Option<Self>) -> Self {
        Self {
            command,
            code: error.code(),
            message: error.to_string(),
            hint: error.hint(),
            failures: before.as_ref().map_or(1, |before| before.failures + 1),
            first: before.map_or(now, |before| before.first),
            last: now,
        }
    }
}

fn rows_read(progress: &Progress) -> u64 {
    let tables = progress.tables();
    tables.iter().map(|table| table.read.load(Ordering::Relaxed)).sum()
}

#[cfg(test)]
mod tests {
    use star_sync::compare::verdict::Tally;

    use super::*;
    use crate::error::Code;

    #[test]
    fn failures_are_counted_until_a_run_succeeds() {
        let live = Live::default();
        let fail = |what: &str| live.ended("incremental", Some(&Error::setting(Code::Usage, what, "do it right")));
        fail("first");
        fail("second");
        let failure = live.now().failures["incremental"].clone();
        assert_eq!((failure.failures, failure.message.as_str()), (2, "second"));
        live.ended("incremental", Some(&Error::STOPPED));
        assert!(live.now().failures.contains_key("incremental"), "stopped is neither");
        live.ended("copy", Some(&Error::setting(Code::Usage, "third", "do it right")));
        live.ended("copy", None);
        assert!(
            live.now().failures.contains_key("incremental"),
            "another command has failed and succeeded"
        );
        live.ended("incremental", None);
        assert!(live.now().failures.is_empty());
    }

    #[test]
    fn a_mismatch_stays_until_its_own_command_finds_none() {
        let live = Live::default();
        let compared = |command, is_mismatch| {
            live.note(command, is_mismatch, "", std::iter::empty());
            live.now().check.map(|check| (check.command, check.is_mismatch))
        };
        assert_eq!(compared("incremental", false), Some(("incremental", false)));
        assert_eq!(compared("validate", true), Some(("validate", true)));
        assert_eq!(compared("incremental", true), Some(("validate", true)));
        assert_eq!(compared("incremental", false), Some(("validate", true)));
        assert_eq!(compared("validate", false), Some(("validate", false)));
    }

    #[test]
    fn a_mismatch_of_a_run_stays_until_one_has_resolved_it_by_however_few_checks() {
        let live = Live::default();
        live.note("incremental", true, "", std::iter::empty());
        let check = live.now().check;
        let verdict = |checks, unresolved_run| Verdict {
            unresolved_run,
            ..Verdict::of_load(
                Tally {
                    checks,
                    matching: checks,
                    ..Tally::default()
                },
                false,
            )
        };
        assert!(!is_shown(check.as_ref(), "incremental", &verdict(9, Some(7))));
        assert!(is_shown(check.as_ref(), "incremental", &verdict(0, None)));
        assert!(
            !is_shown(None, "incremental", &verdict(0, None)),
            "nothing was compared"
        );
        assert!(is_shown(None, "incremental", &verdict(9, None)));
    }

    #[test]
    fn the_chart_forgets_what_is_older_than_its_width() {
        let live = Live::default();
        for _ in 0..SAMPLES + 5 {
            live.sample(SAMPLE_EVERY);
        }
        assert_eq!(live.now().rates.len(), SAMPLES);
    }
}
