//! Shows the progress of a run: bars on a terminal, elsewhere a log line every few seconds, and rates in the metrics.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use star_sync::metrics;
use star_sync::pipeline::progress::{Progress, TableProgress, Work};
use star_sync::target::sqlite::log;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::info;

use super::human;
use super::terminal::Terminal;

const REDRAW: Duration = Duration::from_millis(200);
const LOG_EVERY: Duration = Duration::from_secs(5);

/// The bars of this process.
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| {
    MultiProgress::with_draw_target(if io::stderr().is_terminal() {
        ProgressDrawTarget::term_like(Box::new(Terminal::new()))
    } else {
        ProgressDrawTarget::hidden()
    })
});

/// Runs an action that writes to stderr while the bars are suspended.
pub(crate) fn aside<T>(action: impl FnOnce() -> T) -> T {
    BARS.suspend(action)
}

/// Removes the bars for good, if the program ends without waiting for the task that draws them.
pub(crate) fn leave() {
    let _ = BARS.clear();
    BARS.set_draw_target(ProgressDrawTarget::hidden());
}

/// A task that samples and shows the progress counters until it is finished.
pub(crate) struct Watcher {
    finish: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Draws bars only if `bars` is set and stderr is a terminal.
    pub(crate) fn start(progress: Arc<Progress>, bars: bool, target: PathBuf) -> Self {
        let (finish, finished) = oneshot::channel();
        let bars = bars && io::stderr().is_terminal();
        let task = tokio::spawn(watch(progress, bars, target, finished));
        Self { finish, task }
    }

    /// Ends the task, which removes the bars from the terminal.
    pub(crate) async fn finish(self) {
        // If the task has ended, there is nothing left to clear.
        let _ = self.finish.send(());
        let _ = self.task.await;
    }
}

async fn watch(progress: Arc<Progress>, bars: bool, target: PathBuf, mut finished: oneshot::Receiver<()>) {
    let mut drawn: HashMap<&'static str, ProgressBar> = HashMap::new();
    let mut work_bar = None;
    let mut rates = Rates::default();
    let mut last_log = Instant::now();
    loop {
        let is_finished = tokio::time::timeout(REDRAW, &mut finished).await.is_ok();
        rates.sample(&progress);
        let (file_bytes, log_bytes) = log::sizes_bytes(&target);
        metrics::target_bytes(file_bytes, log_bytes);
        if bars {
            for table in progress.tables() {
                draw(drawn.entry(table.table).or_insert_with(|| table_bar(&table)), &table);
            }
            if let Some(work) = progress.work() {
                draw_work(work_bar.get_or_insert_with(added_work_bar), work);
            }
        } else if last_log.elapsed() >= LOG_EVERY {
            last_log = Instant::now();
            if let Some(work) = progress.work() {
                info!("{}", work_text(work));
            } else if let Some(table) = progress.tables().last() {
                info!(
                    table = table.table,
                    read = table.read.load(Ordering::Relaxed),
                    written = table.written.load(Ordering::Relaxed),
                    "loading"
                );
            }
        }
        if is_finished {
            rates.rest();
            if bars {
                for bar in drawn.values().chain(&work_bar) {
                    bar.finish_and_clear();
                }
                let _ = BARS.clear();
            }
            return;
        }
    }
}

/// A single bar for `rows` rows; hidden with `quiet` or if stderr is no terminal.
pub fn bar(name: &'static str, rows: u64, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = BARS.add(ProgressBar::new(rows));
    bar.set_style(counting("rows", "{eta} left"));
    bar.set_prefix(name);
    // indicatif's own ticker is a thread, and panics if the system does not allow another one.
    tokio::spawn({
        let bar = bar.clone();
        async move {
            let mut ticks = tokio::time::interval(REDRAW);
            while !bar.is_finished() {
                ticks.tick().await;
                bar.tick();
            }
        }
    });
    bar
}

/// Switches the bar to counting another unit.
pub fn count_on(bar: &ProgressBar, done: usize, count: usize, unit: &str) {
    if done == 0 {
        bar.set_style(counting(unit, "{elapsed}"));
        bar.set_length(count as u64);
    }
    bar.set_position(done as u64);
}

fn counting(unit: &str, time: &str) -> ProgressStyle {
    let style = format!("{{prefix:22}} {{bar:20}} {{human_pos:>12}} {unit}, {time}  {{msg}}");
    ProgressStyle::with_template(&style).expect("the template is sound")
}

fn table_bar(table: &TableProgress) -> ProgressBar {
    let style = "{prefix:20} {bar:12} {human_pos:>10} rows  {msg}";
    let style = ProgressStyle::with_template(style).expect("the template is sound");
    // Add the bar first: without BARS it would draw to its own target.
    let bar = BARS.add(ProgressBar::no_length());
    bar.set_style(style);
    bar.set_prefix(table.table);
    bar
}

/// The bar of the work after all pages are read.
fn added_work_bar() -> ProgressBar {
    let style = "{spinner} {msg}, {elapsed} so far";
    let bar = BARS.add(ProgressBar::new_spinner());
    bar.set_style(ProgressStyle::with_template(style).expect("the template is sound"));
    bar
}

fn draw_work(bar: &ProgressBar, work: Work) {
    let text = work_text(work);
    if bar.message() != text {
        bar.set_message(text);
        bar.reset_elapsed();
    }
    bar.tick();
}

fn work_text(work: Work) -> String {
    match work {
        Work::Index { number, count } => format!("creating index {number} of {count}"),
        Work::CatchUp => "applying changes and reconciling".to_owned(),
    }
}

fn draw(bar: &ProgressBar, table: &TableProgress) {
    if bar.is_finished() {
        return;
    }
    let read = table.read.load(Ordering::Relaxed);
    // The expected number of rows is the server's estimate and may be too low.
    bar.set_length(table.expected.load(Ordering::Relaxed).max(read));
    bar.set_position(read);
    let average = human::rate_of(read, table.seconds());
    let rate = human::grouped(average);
    if table.is_finished() {
        bar.set_length(read);
        bar.finish_with_message(format!("{rate} rows/s"));
    } else {
        bar.set_message(format!("{rate} rows/s, {} s left", bar.eta().as_secs()));
    }
}

/// Rows per second between two samples.
#[derive(Default)]
struct Rates {
    last: HashMap<&'static str, (Instant, u64, u64)>,
}

impl Rates {
    fn sample(&mut self, progress: &Progress) {
        for table in progress.tables() {
            let now = Instant::now();
            let read = table.read.load(Ordering::Relaxed);
            let written = table.written.load(Ordering::Relaxed);
            metrics::progress(table.table, read, table.expected.load(Ordering::Relaxed));
            if let Some((then, read_then, written_then)) = self.last.insert(table.table, (now, read, written)) {
                let seconds = now.duration_since(then).as_secs_f64();
                metrics::rows_per_second(table.table, "read", human::rate(read - read_then, seconds));
                metrics::rows_per_second(table.table, "written", human::rate(written - written_then, seconds));
            }
        }
    }

    /// Sets all rates to 0 at the end of the run.
    fn rest(&self) {
        for table in self.last.keys() {
            metrics::rows_per_second(table, "read", 0.0);
            metrics::rows_per_second(table, "written", 0.0);
        }
    }
}
