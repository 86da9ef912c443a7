//! Builds the texts of the status page from the state, so that they can be tested without a server or browser.

use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Instant;

use askama::Template;
use chrono::{DateTime, Utc};
use star_sync::compare::figures::Comparison;
use star_sync::pipeline::progress::TableProgress;
use star_sync::target::bookkeeping::history::Run;
use star_sync::target::bookkeeping::time;

use super::live::{Check, FailedRun, Running, SAMPLE_EVERY, SAMPLES, State};
use super::target::TargetView;
use crate::output::human::{comparison_name, duration, grouped, mebibytes, rate_of, units, whole_rate};
use crate::program::Program;

/// The chart's size in its own units; the page scales it.
const CHART_WIDTH: f64 = 600.0;
const CHART_HEIGHT: f64 = 80.0;
/// Seconds between reloads of the page, during a run and otherwise.
const REFRESH_RUNNING: u32 = 2;
const REFRESH_IDLE: u32 = 5;

/// The overall status, which determines the page's colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageStatus {
    Good,
    Busy,
    Bad,
}

impl PageStatus {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Bad => "bad",
        }
    }
}

/// The whole page. The template escapes every text.
#[derive(Template)]
#[template(path = "status_page.html")]
pub(crate) struct StatusPage {
    program: &'static str,
    version: &'static str,
    target: String,
    now: String,
    refresh_seconds: u32,
    status: &'static str,
    headline: String,
    /// The longest-standing one first.
    failures: Vec<FailureView>,
    run: Option<RunView>,
    chart: Chart,
    check: Option<CheckView>,
    /// Why the target cannot be shown.
    target_problem: Option<String>,
    freshness: Vec<FreshnessView>,
    backlog: Option<BacklogView>,
    quarantined: Vec<(String, String)>,
    runs: Vec<HistoryView>,
}

struct FailureView {
    title: String,
    code: &'static str,
    message: String,
    hint: String,
}

struct RunView {
    title: String,
    bars: Vec<Bar>,
}

struct Bar {
    table: &'static str,
    percent: u64,
    text: String,
}

struct Chart {
    /// The line's points, for an SVG of the chart's size.
    line: String,
    width: f64,
    height: f64,
    now: String,
    peak: String,
    minutes: u64,
}

struct CheckView {
    title: String,
    verdict: String,
    is_mismatch: bool,
    mismatches: Vec<MismatchView>,
    has_quarantined: bool,
    has_pending: bool,
    more: String,
}

struct MismatchView {
    figure: String,
    source: String,
    target: String,
    quarantined: String,
    pending: String,
    delta: String,
}

struct FreshnessView {
    table: String,
    watermark: String,
    last_synced: String,
    limited_by: String,
}

struct BacklogView {
    text: String,
    /// Share of the key ranges that are verified.
    percent: u64,
}

struct HistoryView {
    id: String,
    command: String,
    started: String,
    status: &'static str,
    took: String,
    read: String,
    /// Rows verified by digest.
    verified: String,
    /// Bytes received from the source.
    received: String,
    changed: String,
}

impl StatusPage {
    pub(crate) fn new(
        program: &'static Program,
        target: String,
        live: &State,
        view: &std::result::Result<TargetView, String>,
        now: DateTime<Utc>,
    ) -> Self {
        let known = view.as_ref().ok();
        let (status, headline) = headline(live, view.as_ref(), now);
        Self {
            program: program.name(),
            version: program.version,
            target,
            now: time::text(now),
            refresh_seconds: if live.run.is_some() {
                REFRESH_RUNNING
            } else {
                REFRESH_IDLE
            },
            status: status.class(),
            headline,
            failures: failures(live)
                .into_iter()
                .map(|failure| failure_view(program, failure, now))
                .collect(),
            run: live.run.as_ref().map(run_view),
            chart: Chart::new(live.rates.iter().copied()),
            check: live.check.as_ref().map(|check| check_view(check, now)),
            target_problem: view.as_ref().err().cloned(),
            freshness: known.map(|view| freshness(view, now)).unwrap_or_default(),
            backlog: known.and_then(backlog),
            quarantined: known.map(quarantined).unwrap_or_default(),
            runs: known
                .map(|view| view.runs.iter().map(history).collect())
                .unwrap_or_default(),
        }
    }
}

fn failures(live: &State) -> Vec<&FailedRun> {
    let mut failures: Vec<&FailedRun> = live.failures.values().collect();
    failures.sort_by_key(|failure| failure.first);
    failures
}

/// The overall status and the headline, which names the most serious problem.
fn headline(live: &State, view: std::result::Result<&TargetView, &String>, now: DateTime<Utc>) -> (PageStatus, String) {
    // The short runs of a repeated sync would make the headline flicker.
    let is_long = |run: &&Running| matches!(run.command, "full-load" | "repair");
    let in_progress = live.run.as_ref().filter(is_long);
    if let Some(failure) = failures(live).first() {
        let since = duration((now - failure.first).num_seconds());
        return (PageStatus::Bad, format!("Failing for {since}: {}", failure.code));
    }
    if live.check.as_ref().is_some_and(|check| check.is_mismatch) {
        return (PageStatus::Bad, "Source and target do not match".to_owned());
    }
    if let Some(run) = in_progress {
        return (PageStatus::Busy, format!("{} in progress", run.command));
    }
    match view {
        Ok(view) if view.is_loaded => match view.last_success {
            Some(at) => (PageStatus::Good, format!("Last success {} ago", ago(at, now))),
            None => (PageStatus::Busy, "Loaded; no run has succeeded since".to_owned()),
        },
        Ok(_) => (PageStatus::Busy, "No full load has finished yet".to_owned()),
        // Not `Bad`, because the target may not exist yet. For any other cause, runs fail and are reported above.
        Err(_) => (PageStatus::Busy, "The target cannot be read".to_owned()),
    }
}

fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    duration((now - at).num_seconds().max(0))
}

fn failure_view(program: &Program, failure: &FailedRun, now: DateTime<Utc>) -> FailureView {
    let attempts = match failure.failures {
        1 => String::new(),
        failures => format!(", {} times in a row", grouped(failures)),
    };
    FailureView {
        title: format!("{} failed {} ago{attempts}", failure.command, ago(failure.last, now)),
        code: failure.code,
        message: failure.message.clone(),
        hint: program.fill(&failure.hint),
    }
}

fn run_view(run: &Running) -> RunView {
    let seconds = Instant::now().duration_since(run.began).as_secs();
    RunView {
        title: format!(
            "{}, for {}",
            run.command,
            duration(i64::try_from(seconds).unwrap_or(i64::MAX))
        ),
        bars: run.progress.tables().iter().map(|table| bar(table)).collect(),
    }
}

fn bar(table: &TableProgress) -> Bar {
    let read = table.read.load(Ordering::Relaxed);
    // The expected number of rows is the server's estimate and may be too low.
    let expected = table.expected.load(Ordering::Relaxed).max(read);
    let rate = grouped(rate_of(read, table.seconds()));
    let (percent, of) = if table.is_finished() {
        (100, String::new())
    } else {
        (percent(read, expected), format!(" of about {}", grouped(expected)))
    };
    Bar {
        table: table.table,
        percent,
        text: format!("{}{of} rows, {rate} rows/s", grouped(read)),
    }
}

fn percent(part: u64, whole: u64) -> u64 {
    (part * 100).checked_div(whole).unwrap_or(0).min(100)
}

impl Chart {
    /// The newest rate is at the right edge.
    #[expect(clippy::cast_precision_loss, reason = "few points")]
    fn new(rates: impl ExactSizeIterator<Item = f64> + Clone) -> Self {
        let peak = rates.clone().fold(0.0, f64::max);
        let newest = rates.clone().last().unwrap_or(0.0);
        let first = SAMPLES - rates.len().min(SAMPLES);
        let mut line = String::new();
        for (position, rate) in rates.enumerate() {
            let x = (first + position) as f64 * CHART_WIDTH / (SAMPLES - 1) as f64;
            let height = if peak > 0.0 { rate / peak } else { 0.0 };
            let y = CHART_HEIGHT - height * CHART_HEIGHT;
            let _ = write!(line, "{x:.1},{y:.1} ");
        }
        Self {
            line: line.trim_end().to_owned(),
            width: CHART_WIDTH,
            height: CHART_HEIGHT,
            now: grouped(whole_rate(newest)),
            peak: grouped(whole_rate(peak)),
            minutes: SAMPLE_EVERY.as_secs() * SAMPLES as u64 / 60,
        }
    }
}

fn check_view(check: &Check, now: DateTime<Utc>) -> CheckView {
    CheckView {
        title: format!("{}, {} ago", check.command, ago(check.at, now)),
        verdict: check.verdict.clone(),
        is_mismatch: check.is_mismatch,
        mismatches: check.mismatches.iter().map(mismatch).collect(),
        has_quarantined: check.mismatches.iter().any(|figure| figure.quarantined != 0),
        has_pending: check.mismatches.iter().any(|figure| figure.pending != 0),
        more: match check.more {
            0 => String::new(),
            more => format!("and {} more", grouped(u64::try_from(more).unwrap_or(u64::MAX))),
        },
    }
}

fn mismatch(figure: &Comparison) -> MismatchView {
    let number = |number| units(number, figure.measure.decimals);
    MismatchView {
        figure: comparison_name(figure),
        source: number(figure.source),
        target: number(figure.target),
        quarantined: number(figure.quarantined),
        pending: number(figure.pending),
        delta: number(figure.delta()),
    }
}

fn freshness(view: &TargetView, now: DateTime<Utc>) -> Vec<FreshnessView> {
    view.tables
        .iter()
        .map(|table| FreshnessView {
            table: table.name.to_owned(),
            watermark: table.watermark.map_or_else(|| "-".to_owned(), time::text),
            last_synced: table
                .last_synced
                .map_or_else(|| "never".to_owned(), |at| format!("{} ago", ago(at, now))),
            limited_by: table.limited_by.clone().unwrap_or_else(|| "-".to_owned()),
        })
        .collect()
}

fn backlog(view: &TargetView) -> Option<BacklogView> {
    let summary = &view.verification;
    (summary.ranges > 0).then(|| {
        let text = crate::output::report::backlog(summary);
        BacklogView {
            percent: percent(
                summary.ranges - summary.backlog_ranges.min(summary.ranges),
                summary.ranges,
            ),
            text: match text.trim_end() {
                "" => format!("all {} key ranges are verified", grouped(summary.ranges)),
                text => text.to_owned(),
            },
        }
    })
}

fn quarantined(view: &TargetView) -> Vec<(String, String)> {
    view.quarantined
        .iter()
        .map(|(table, rows)| (table.clone(), grouped(*rows)))
        .collect()
}

fn history(run: &Run) -> HistoryView {
    let took = run
        .finished
        .map(|finished| duration((finished - run.started).num_seconds().max(0)));
    HistoryView {
        id: run.id.to_string(),
        command: run.command.clone(),
        started: time::text(run.started),
        status: run.status.as_str(),
        took: took.unwrap_or_else(|| "-".to_owned()),
        read: grouped(run.rows_read),
        received: run
            .bytes_received
            .map_or_else(|| "-".to_owned(), |bytes| mebibytes(bytes.unsigned_abs())),
        verified: grouped(run.rows_verified_by_digest),
        changed: grouped(run.rows_inserted + run.rows_updated + run.rows_deleted),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use std::sync::Arc;

    use star_sync::declare::Measure;

    use super::*;

    fn view(last_success: Option<DateTime<Utc>>) -> TargetView {
        TargetView {
            is_loaded: true,
            last_success,
            ..TargetView::default()
        }
    }

    #[test]
    fn the_headline_names_the_worst_first() {
        let noon = DateTime::UNIX_EPOCH + TimeDelta::hours(12);
        let well = view(Some(noon - TimeDelta::seconds(30)));
        let mut live = State::default();
        assert_eq!(headline(&live, Ok(&TargetView::default()), noon).0, PageStatus::Busy);
        assert_eq!(
            headline(&live, Err(&String::new()), noon).1,
            "The target cannot be read"
        );
        assert_eq!(
            headline(&live, Ok(&well), noon),
            (PageStatus::Good, "Last success 30 s ago".to_owned())
        );
        live.run = Some(Running {
            command: "full-load",
            began: Instant::now(),
            progress: Arc::default(),
        });
        assert_eq!(headline(&live, Ok(&well), noon).1, "full-load in progress");
        live.check = Some(Check {
            command: "validate",
            at: noon,
            is_mismatch: true,
            verdict: String::new(),
            mismatches: Vec::new(),
            more: 0,
        });
        assert_eq!(headline(&live, Ok(&well), noon).1, "Source and target do not match");
        for (command, code, minutes) in [("copy", "COPY_FAILED", 2), ("incremental", "SOURCE_LOST", 5)] {
            let failure = FailedRun {
                command,
                code,
                message: String::new(),
                hint: String::new(),
                failures: 3,
                first: noon - TimeDelta::minutes(minutes),
                last: noon,
            };
            live.failures.insert(command, failure);
        }
        assert_eq!(
            headline(&live, Ok(&well), noon),
            (PageStatus::Bad, "Failing for 5 min: SOURCE_LOST".to_owned())
        );
    }

    #[test]
    fn what_is_pending_or_quarantined_of_a_mismatch_is_told_where_something_is() {
        let check = |pending| {
            let figure = Comparison {
                table: "fact_loan",
                measure: Measure {
                    name: "fees",
                    label: "total",
                    decimals: 2,
                },
                grouped_by: None,
                group: None,
                date_key: None,
                source: 1_500,
                target: 1_200,
                quarantined: 0,
                pending,
            };
            let check = Check {
                command: "validate",
                at: DateTime::UNIX_EPOCH,
                is_mismatch: true,
                verdict: String::new(),
                mismatches: vec![figure],
                more: 0,
            };
            check_view(&check, DateTime::UNIX_EPOCH)
        };
        assert!(!check(0).has_pending);
        let with_pending = check(200);
        assert!(with_pending.has_pending && !with_pending.has_quarantined);
        assert_eq!(with_pending.mismatches[0].pending, "2.00");
    }

    #[test]
    fn the_chart_ends_at_its_right_edge_and_its_peak_touches_the_top() {
        let chart = Chart::new([0.0, 200.0, 50.4].into_iter());
        let points: Vec<&str> = chart.line.split(' ').collect();
        assert_eq!(points.len(), 3);
        assert!(points[1].ends_with(",0.0"), "{points:?}");
        assert!(points[2].starts_with("600.0,"), "{points:?}");
        assert_eq!((chart.peak.as_str(), chart.now.as_str()), ("200", "50"));
        assert_eq!(Chart::new([].into_iter()).line, "");
    }
}
