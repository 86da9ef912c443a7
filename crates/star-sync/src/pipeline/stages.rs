//! How long each stage of a run worked and how long it waited for another one; this determines the bottleneck.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::metrics;

/// A part of a run whose time is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waiting for the source's rows and reading them.
    Reader,
    Transform,
    Writer,
    /// Creating the secondary indexes, only in a full load.
    Index,
    /// The catch-up pass: applying changes and reconciling.
    CatchUp,
}

impl Stage {
    pub(crate) const ALL: [Stage; 5] = [
        Stage::Reader,
        Stage::Transform,
        Stage::Writer,
        Stage::Index,
        Stage::CatchUp,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Stage::Reader => "reader",
            Stage::Transform => "transform",
            Stage::Writer => "writer",
            Stage::Index => "index",
            Stage::CatchUp => "catch_up",
        }
    }
}

/// The time spent in each stage so far.
#[derive(Default)]
pub struct Stages([Clock; Stage::ALL.len()]);

#[derive(Default)]
struct Clock {
    working_microseconds: AtomicU64,
    waiting_microseconds: AtomicU64,
}

/// The time of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StageSeconds {
    pub stage: Stage,
    /// The sum over all tasks of the stage, because there are several readers.
    pub busy_seconds: f64,
    pub waiting_seconds: f64,
}

impl StageSeconds {
    /// The share of its time, from 0 to 1, that the stage was busy.
    pub fn share(&self) -> f64 {
        self.busy_seconds / (self.busy_seconds + self.waiting_seconds)
    }
}

/// The bottleneck of a run. Pages, indexes and catch-up pass run one after the other, so it is the longest of them. The
/// stages of the pages run at the same time: if the pages take longest, it is the stage that waits least.
pub fn bottleneck(stages: &[StageSeconds]) -> Option<Stage> {
    let (of_pages, alone): (Vec<&StageSeconds>, Vec<_>) = stages
        .iter()
        .partition(|seconds| matches!(seconds.stage, Stage::Reader | Stage::Transform | Stage::Writer));
    let pages = of_pages.iter().find(|seconds| seconds.stage == Stage::Writer);
    let pages_seconds = pages.map_or(0.0, |writer| writer.busy_seconds + writer.waiting_seconds);
    let longest_alone = alone
        .into_iter()
        .max_by(|a, b| a.busy_seconds.total_cmp(&b.busy_seconds));
    match longest_alone {
        Some(alone) if alone.busy_seconds > pages_seconds => Some(alone.stage),
        _ => of_pages
            .into_iter()
            .max_by(|a, b| a.share().total_cmp(&b.share()))
            .map(|seconds| seconds.stage),
    }
}

impl Stages {
    /// The stages that did anything, in the order in which rows pass through them.
    pub(crate) fn seconds(&self) -> Vec<StageSeconds> {
        let seconds = |microseconds: &AtomicU64| {
            let microseconds = microseconds.load(Ordering::Relaxed);
            Duration::from_micros(microseconds).as_secs_f64()
        };
        Stage::ALL
            .iter()
            .zip(&self.0)
            .map(|(stage, clock)| StageSeconds {
                stage: *stage,
                busy_seconds: seconds(&clock.working_microseconds),
                waiting_seconds: seconds(&clock.waiting_microseconds),
            })
            .filter(|stage| stage.busy_seconds + stage.waiting_seconds > 0.0)
            .collect()
    }
}

/// Measures a stage in laps: each call accounts for the time since the previous one.
pub(crate) struct Lap {
    stages: Arc<Stages>,
    stage: Stage,
    since: Instant,
}

impl Lap {
    /// Starts the clock of one worker of a stage.
    pub(crate) fn begin(stages: Arc<Stages>, stage: Stage) -> Self {
        Self {
            stages,
            stage,
            since: Instant::now(),
        }
    }

    /// Counts the time since the last call as work.
    pub(crate) fn worked(&mut self) {
        let elapsed = self.account_for(|clock| &clock.working_microseconds);
        metrics::stage_worked(self.stage.name(), elapsed);
    }

    /// Counts the time since the last call as waiting for another stage.
    pub(crate) fn waited(&mut self) {
        let elapsed = self.account_for(|clock| &clock.waiting_microseconds);
        metrics::stage_waited(self.stage.name(), elapsed);
    }

    /// Adds the time since the last call to a counter of the stage, and returns it.
    fn account_for(&mut self, sum: fn(&Clock) -> &AtomicU64) -> Duration {
        let elapsed = self.since.elapsed();
        self.since += elapsed;
        let microseconds = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        sum(&self.stages.0[self.stage as usize]).fetch_add(microseconds, Ordering::Relaxed);
        elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(stage: Stage, busy_seconds: f64, waiting_seconds: f64) -> StageSeconds {
        StageSeconds {
            stage,
            busy_seconds,
            waiting_seconds,
        }
    }

    #[test]
    fn of_the_stages_that_work_at_once_the_one_that_waits_least_holds_a_run_up() {
        let pages = [
            seconds(Stage::Reader, 6.0, 6.0),
            seconds(Stage::Transform, 1.0, 5.0),
            seconds(Stage::Writer, 5.9, 0.1),
        ];
        assert_eq!(bottleneck(&pages), Some(Stage::Writer));
        let short = [pages.as_slice(), &[seconds(Stage::Index, 4.0, 0.0)]].concat();
        assert_eq!(bottleneck(&short), Some(Stage::Writer));
        let long = [pages.as_slice(), &[seconds(Stage::Index, 7.0, 0.0)]].concat();
        assert_eq!(bottleneck(&long), Some(Stage::Index));
        assert_eq!(bottleneck(&[]), None);
    }
}
