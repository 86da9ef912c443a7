//! Benchmarks what follows the first load, each beside a reference value: repeated loads, incremental runs, validation,
//! and short commands.
//!
//! ```text
//! SAKILA_SYNC_MYSQLD=mysqld cargo bench --bench upkeep -- --scale 100 --runs 2
//! ```
//!
//! A source that is given with `--source` is changed: rentals last longer, payments cost more, and indexes are created
//! and dropped. Every run is checked before it counts: by its own validation, by the row counts that it reports, and by
//! counts and sums of both sides in independent SQL. The bench prints a table and writes `upkeep.json` to `--output`.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use sakila_sync::sakila;
use support::changes::{self, Which};
use support::figures::{self, Figures};
use support::lines::Lines;
use support::loaded::{Loaded, count, written};
use support::measure::{self, Run};
use support::source::{Servers, Source, SourceOptions};
use support::{digests, floors, reading, server_sql};

mod support;

/// Runs of a command that takes milliseconds.
const SHORT_RUNS: usize = 11;
/// Runs of a command that takes less than a second and whose duration varies.
const UNSTEADY_RUNS: usize = 9;
/// Far more than it takes to verify all key ranges once.
const MOST_RUNS_TO_FIND: u32 = 200;
/// Disables verification: only rows with a detected change are compared.
const NO_BUDGET: [&str; 2] = ["--verify-budget", "0"];

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    from: SourceOptions,
    /// Runs per measurement; the median is reported
    #[arg(long, default_value_t = 3)]
    runs: usize,
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// The source and star that are measured, and the results so far.
struct Upkeep {
    sides: Loaded,
    runs: usize,
    /// Seconds of a first load.
    load_seconds: f64,
    lines: Lines,
    notes: Vec<String>,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    fs::create_dir_all(&options.output).expect("the folder for results can be made");
    let servers = Servers::start(options.from.source.as_deref(), &["--performance-schema=ON"]);
    let source = servers.source(options.from.source.as_deref(), options.from.scale).await;
    let mut upkeep = Upkeep {
        sides: Loaded::new(source),
        runs: options.runs,
        load_seconds: 0.0,
        lines: Lines::begin(),
        notes: Vec::new(),
    };
    upkeep.load().await;
    upkeep.load_again();
    upkeep.validate().await;
    let deep_seconds = upkeep.validate_deep().await;
    upkeep.repair(deep_seconds).await;
    upkeep.touched().await;
    upkeep.counted().await;
    for which in [Which::Newest, Which::Spread] {
        upkeep.changed(which, "--verify-budget 0", &NO_BUDGET).await;
        upkeep.changed(which, "default budget", &[]).await;
    }
    upkeep.indexed().await;
    upkeep.small_commands();
    if options.from.source.is_none() {
        upkeep.small_source(&servers).await;
    }
    for note in &upkeep.notes {
        println!("\n{note}");
    }
    upkeep.lines.write(&options.output.join("upkeep.json"));
    println!("\nwritten to {}", options.output.display());
}

impl Upkeep {
    /// First loads into new files, the last of which is kept, and the server's statistics about their statements.
    async fn load(&mut self) {
        changes::settle(&self.sides.source.pool).await;
        let (mut runs, mut longest) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            // The file of the previous load; there is none in the first round.
            let _ = fs::remove_file(self.sides.star());
            self.sides.run(&["init"]);
            let is_summed_up = digests::clear(&self.sides.source.pool).await;
            runs.push(self.sides.full_load());
            if is_summed_up {
                longest.push(digests::longest(&self.sides.source.pool).await);
            }
        }
        self.load_seconds = measure::median(runs).wall_seconds;
        longest.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        if let Some(statement) = longest.get(longest.len() / 2) {
            let what = "longest statement of a first load, none of which locked anything";
            self.lines.add(what, statement.seconds, "bound", 0.5);
            self.notes.push(format!("longest statement: {}", statement.text));
        } else {
            let note = "the server does not sum up statements, or the account may not see it";
            self.notes.push(note.to_owned());
        }
    }

    fn load_again(&mut self) {
        let runs = (0..self.runs).map(|_| self.sides.full_load());
        let runs = runs.inspect(|run| assert_eq!(written(run), 0));
        let seconds = measure::median(runs.collect()).wall_seconds;
        let what = "full-load again, nothing changed";
        self.lines.add(what, seconds, "first load", self.load_seconds);
    }

    async fn validate(&mut self) {
        let source = &self.sides.source;
        let (mut runs, mut of_server) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            runs.push(self.sides.validate(&["--all"]));
            of_server.push(server_sql::totals(&source.pool, &source.figures).await);
        }
        let seconds = measure::median(runs).wall_seconds;
        let against = "the same totals by the server's SQL";
        self.lines
            .add("validate --all", seconds, against, measure::middle(of_server));
    }

    /// Returns the seconds of `validate --all --deep`.
    async fn validate_deep(&mut self) -> f64 {
        let facts = self.sides.source.figures;
        let (mut runs, mut both, mut of_source, mut of_star) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut totals, mut transformed, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.runs {
            runs.push(self.sides.validate(&["--all", "--deep"]));
            alone.push(floors::read(&self.sides.source).await.as_secs_f64());
            transformed.push(reading::read_and_transform(&self.sides).await.as_secs_f64());
            totals.push(self.sides.validate(&["--all"]));
            let star = self.sides.star();
            let began = Instant::now();
            let scan = tokio::task::spawn_blocking(move || floors::scan(&star, &facts));
            of_source.push(floors::read(&self.sides.source).await.as_secs_f64());
            of_star.push(scan.await.expect("scanning does not panic").as_secs_f64());
            both.push(began.elapsed().as_secs_f64());
        }
        let transforming = "reading and transforming alone, two readers";
        let transformed = measure::middle(transformed);
        let against = "the driver's rows alone";
        self.lines
            .add(transforming, transformed, against, measure::middle(alone));
        let seconds = measure::median(runs).wall_seconds;
        let what = "the rows of validate --all --deep, without the totals";
        let rows = seconds - measure::median(totals).wall_seconds;
        self.lines.add(what, rows, transforming, transformed);
        let against = format!(
            "reading both sides once, side by side (source {:.3}, star {:.3})",
            measure::middle(of_source),
            measure::middle(of_star)
        );
        self.lines
            .add("validate --all --deep", seconds, against, measure::middle(both));
        seconds
    }

    /// A repair without differences: the source sends all of its rows.
    async fn repair(&mut self, deep_seconds: f64) {
        let (mut runs, mut sent) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let before = server_sql::bytes_sent(&self.sides.source.pool).await;
            let run = self.sides.run(&["repair"]);
            sent.push(server_sql::bytes_sent(&self.sides.source.pool).await - before);
            assert_eq!(written(&run), 0);
            runs.push(run);
        }
        let seconds = measure::median(runs).wall_seconds;
        let what = "repair, nothing differs";
        self.lines.add(what, seconds, "validate --all --deep", deep_seconds);
        self.note_bytes(what, sent);
    }

    fn note_bytes(&mut self, what: &str, mut sent: Vec<u64>) {
        sent.sort_unstable();
        self.notes
            .push(format!("{what}: the server sends {} bytes", sent[sent.len() / 2]));
    }

    /// Nothing has changed, but UPDATE_TIME of every table has advanced, and change timestamps are not indexed.
    async fn touched(&mut self) {
        self.sides.catch_up().await;
        let no_budget = ("--verify-budget 0", &NO_BUDGET[..], UNSTEADY_RUNS);
        for (name, budget, rounds) in [no_budget, ("default budget", &[], self.runs)] {
            let (mut runs, mut scans) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                self.touch().await;
                // Measured before and after, because the server is slower for the first query after a pause.
                scans.push(server_sql::scan(&self.sides.source.pool).await);
                runs.push(self.look_through(budget).await);
                scans.push(server_sql::scan(&self.sides.source.pool).await);
            }
            let what = format!("incremental, nothing changed but every table touched, no indexes, {name}");
            let seconds = measure::median(runs).wall_seconds;
            let against = "the server going through the tables once";
            self.lines.add(what, seconds, against, measure::middle(scans));
        }
    }

    /// The gain from telling the server by which index to count.
    async fn counted(&mut self) {
        let Source { pool, figures, .. } = &self.sides.source;
        let mut seconds = [Vec::new(), Vec::new()];
        for _ in 0..SHORT_RUNS {
            for (along, seconds) in [true, false].into_iter().zip(&mut seconds) {
                seconds.push(server_sql::count(pool, figures, along).await);
            }
        }
        let [along_key, as_chosen] = seconds.map(measure::middle);
        let what = "the server counting both facts along their primary keys";
        let against = "along the indexes of its choice";
        self.lines.add(what, along_key, against, as_chosen);
    }

    async fn touch(&self) {
        let pool = &self.sides.source.pool;
        changes::touch(pool).await;
        changes::settle(pool).await;
    }

    /// An incremental run after every table was touched.
    async fn look_through(&self, budget: &[&str]) -> Run {
        let run = self.sides.incremental(budget).await;
        assert_eq!(written(&run), 0);
        let looked_at = format!(
            "SELECT COUNT(*) FROM sync_state WHERE modified_run = {}",
            run.result["run_id"]
        );
        let looked_at = figures::number(&self.sides.star(), &looked_at);
        assert_eq!(usize::try_from(looked_at), Ok(sakila::star().sources.len()));
        run
    }

    /// One per cent of rentals and payments has changed.
    async fn changed(&mut self, which: Which, how: &str, arguments: &[&str]) {
        let pool = &self.sides.source.pool;
        let mut runs = Vec::new();
        for round in 0..self.runs {
            self.sides.catch_up().await;
            let changed = changes::change(pool, which, round).await;
            changes::settle(pool).await;
            let run = self.sides.incremental(arguments).await;
            assert_eq!(count(&run, "fact_rental", "updated"), changed.rentals);
            assert_eq!(count(&run, "fact_payment", "updated"), changed.payments);
            assert_eq!(written(&run), changed.rentals + changed.payments);
            runs.push(run);
        }
        let rows = match which {
            Which::Newest => "the newest 1%",
            Which::Spread => "1%, spread over all keys,",
        };
        let what = format!("incremental, {rows} of rentals and payments changed, {how}");
        let seconds = measure::median(runs).wall_seconds;
        self.lines.add(what, seconds, "first load", self.load_seconds);
    }

    /// With the indexes that `init` advises.
    async fn indexed(&mut self) {
        let init = self.sides.run(&["init"]);
        let drops = changes::take_advice(&self.sides.source.pool, &init.result).await;
        self.sides.catch_up().await;
        let (mut unmoved, mut touched) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let run = self.sides.incremental(&[]).await;
            assert_eq!(written(&run), 0);
            unmoved.push(run);
        }
        for _ in 0..self.runs {
            self.touch().await;
            touched.push(self.look_through(&NO_BUDGET).await);
        }
        let what = "incremental, nothing changed, with the advised indexes";
        let seconds = measure::median(unmoved).wall_seconds;
        self.lines.add(what, seconds, "bound", 0.2);
        let what = "the same, but every table touched, --verify-budget 0";
        let seconds = measure::median(touched).wall_seconds;
        self.lines.add(what, seconds, "bound", 0.2);
        for which in [Which::Newest, Which::Spread] {
            let how = "--verify-budget 0, with the advised indexes";
            self.changed(which, how, &NO_BUDGET).await;
            self.changed(which, "default budget, with the advised indexes", &[])
                .await;
        }
        self.one_change().await;
        self.silent_change().await;
        for drop in drops {
            changes::execute(&self.sides.source.pool, &drop).await;
        }
    }

    /// One payment has changed since every key range was verified. Measures a run with the default budget and one that
    /// verifies both facts whole: duration, bytes that the server sends, and its time for digests.
    async fn one_change(&mut self) {
        self.sides.incremental(&["--verify-budget", "100%"]).await;
        for (how, budget) in [
            ("default budget", &[][..]),
            ("everything verified", &["--verify-budget", "100%"]),
        ] {
            let pool = &self.sides.source.pool;
            let (mut runs, mut sent, mut of_server) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..self.runs {
                let newest = "UPDATE payment SET amount = amount + 0.01 ORDER BY payment_id DESC LIMIT 1";
                changes::execute(pool, newest).await;
                changes::settle(pool).await;
                let is_summed_up = digests::clear(pool).await;
                let before = server_sql::bytes_sent(pool).await;
                let run = self.sides.incremental(budget).await;
                sent.push(server_sql::bytes_sent(pool).await - before);
                if is_summed_up {
                    of_server.push(digests::seconds_of_key_ranges(pool).await);
                }
                assert_eq!(count(&run, "fact_payment", "updated"), 1);
                runs.push(run);
            }
            let what = format!("incremental, one payment changed, {how}, with the advised indexes");
            self.note_bytes(&what, sent);
            let run = measure::median(runs);
            self.notes.push(format!(
                "{what}: {} rows verified by digest",
                run.result["rows_verified_by_digest"]
            ));
            if budget.is_empty() {
                self.lines.add(&what, run.wall_seconds, "bound", 0.4);
            }
            if !of_server.is_empty() {
                let against = "the server's time for the digests";
                self.lines
                    .add(what, run.wall_seconds, against, measure::middle(of_server));
            }
        }
    }

    /// How many runs verification needs to find a payment that changed without its change timestamp, with an ordinary
    /// change before each run.
    async fn silent_change(&mut self) {
        // The default budgets of these intervals.
        for (interval, budget) in [("5 s", "200ms"), ("1 min", "1200ms"), ("1 h", "10s")] {
            let pool = &self.sides.source.pool;
            let mut runs_to_find = Vec::new();
            for round in 0..self.runs {
                let silent = "UPDATE payment SET amount = amount + 0.01, last_update = last_update WHERE payment_id = ";
                changes::execute(pool, &format!("{silent}{}", 1 + round * 100_000)).await;
                for run_number in 1.. {
                    let ordinary = "UPDATE payment SET amount = amount + 0.01 ORDER BY payment_id DESC LIMIT 1";
                    changes::execute(pool, ordinary).await;
                    changes::settle(pool).await;
                    // Unchecked: the totals differ until the change is found.
                    let run = self.sides.incremental_unchecked(&["--verify-budget", budget]);
                    if count(&run, "fact_payment", "found") == 1 {
                        runs_to_find.push(run_number);
                        break;
                    }
                    assert!(run_number < MOST_RUNS_TO_FIND, "no run has found the change");
                }
                self.sides.incremental(&[]).await;
            }
            runs_to_find.sort_unstable();
            self.notes.push(format!(
                "silent change of a payment, runs every {interval} (budget {budget}): found by run {}",
                runs_to_find[runs_to_find.len() / 2]
            ));
        }
    }

    fn small_commands(&mut self) {
        let version = (0..SHORT_RUNS).map(|_| measure::seconds(&["--version"]));
        let seconds = measure::middle(version.collect());
        self.lines.add("--version", seconds, "bound", 0.005);
        let star = self.sides.star();
        for (how, url) in self.sides.source.ways() {
            let status = (0..SHORT_RUNS).map(|_| measure::run(url, &star, &["status"]));
            let status = status.inspect(|run| {
                assert_eq!(run.result["loaded"], true);
                assert!(run.result["source_now"].is_object(), "the source did not answer");
            });
            let seconds = measure::median(status.collect()).wall_seconds;
            self.lines.add(format!("status{how}"), seconds, "bound", 0.05);
        }
    }

    /// `init` and `full-load` of a Sakila of the official size.
    async fn small_source(&mut self, servers: &Servers) {
        let source = servers.source(None, 1).await;
        changes::settle(&source.pool).await;
        for (how, url) in source.ways() {
            let seconds = (0..UNSTEADY_RUNS).map(|_| {
                let folder = tempfile::tempdir().expect("there is room for a small star");
                let star = folder.path().join("small.db");
                let init = measure::run(url, &star, &["init"]);
                let load = measure::run(url, &star, &["full-load"]);
                assert_eq!(load.result["status"], "done");
                assert_eq!(Figures::of_star(&star), source.figures);
                init.wall_seconds + load.wall_seconds
            });
            let seconds = measure::middle(seconds.collect());
            let what = format!("init and full-load at scale 1{how}");
            self.lines.add(what, seconds, "bound", 0.3);
        }
    }
}
