//! Benchmarks `full-load`: over a grid of `--workers` and `--batch-size`, and over sources of growing size.
//!
//! ```text
//! SAKILA_SYNC_MYSQLD=mysqld cargo bench --bench full_load -- --scales 10 --workers 1,2,4 --batch-sizes 5000,10000,20000
//! cargo bench --bench full_load -- --source mysql://USER@HOST/SCHEMA
//! ```
//!
//! Every load is checked before it counts: by its own validation, and by counts and sums of both facts in independent
//! SQL. The floors (the minimal cost of reading, writing and indexing) are measured between the loads. The bench prints
//! a table and writes `full_load.json` and plots to `--output`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::{Value, json};
use support::figures::Figures;
use support::floors::Floors;
use support::measure::{self, Run};
use support::plot::{self, Line};
use support::source::{Servers, Source};

mod support;

#[derive(Parser)]
struct Options {
    /// Loads from this source instead of a private server; --scales is then only a label
    #[arg(long)]
    source: Option<String>,
    #[arg(long, value_delimiter = ',', default_value = "10")]
    scales: Vec<u32>,
    #[arg(long, value_delimiter = ',', default_value = "2")]
    workers: Vec<u32>,
    #[arg(long, value_delimiter = ',', default_value = "10000")]
    batch_sizes: Vec<u32>,
    /// Loads per cell; the median is reported
    #[arg(long, default_value_t = 3)]
    runs: usize,
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// One cell of the grid.
struct Measured {
    scale: u32,
    workers: u32,
    batch_size: u32,
    rows: i64,
    run: Run,
    floors: Floors,
}

fn main() {
    let options = Options::parse();
    fs::create_dir_all(&options.output).expect("the folder for results can be made");
    let servers = Servers::start(options.source.as_deref(), &[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let mut measured = Vec::new();
    print_header();
    for scale in &options.scales {
        let source = runtime.block_on(servers.source(options.source.as_deref(), *scale));
        for (workers, batch_size) in grid(&options) {
            let folder = tempfile::tempdir().expect("there is room for a star");
            let runs = (0..options.runs)
                .map(|number| {
                    load(
                        &source,
                        &folder.path().join(format!("{number}.db")),
                        workers,
                        batch_size,
                    )
                })
                .collect();
            let floors = runtime.block_on(Floors::measure(&source, &folder.path().join("0.db")));
            let cell = Measured {
                scale: *scale,
                workers,
                batch_size,
                rows: source.figures.rows(),
                run: measure::median(runs),
                floors,
            };
            print(&cell);
            measured.push(cell);
        }
    }
    // The cell with the default options, if it was measured.
    let is_default = |cell: &&Measured| (cell.workers, cell.batch_size) == (2, 10_000);
    if let Some(cell) = measured.iter().rfind(is_default).or(measured.last()) {
        print_stages(cell);
    }
    write_results(&options.output, &measured);
    plot_results(&options.output, &measured);
    println!("\nwritten to {}", options.output.display());
}

fn grid(options: &Options) -> impl Iterator<Item = (u32, u32)> + '_ {
    options
        .workers
        .iter()
        .flat_map(|workers| options.batch_sizes.iter().map(|batch_size| (*workers, *batch_size)))
}

/// Loads into an empty file and checks the result.
fn load(source: &Source, target: &Path, workers: u32, batch_size: u32) -> Run {
    measure::run(&source.url, target, &["init"]);
    let (workers, batch_size) = (workers.to_string(), batch_size.to_string());
    let arguments = ["full-load", "--workers", &workers, "--batch-size", &batch_size];
    let run = measure::run(&source.url, target, &arguments);
    assert_eq!(run.result["status"], "done");
    assert_eq!(Figures::of_star(target), source.figures);
    run
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn rate(cell: &Measured) -> f64 {
    cell.rows as f64 / cell.run.wall_seconds
}

fn print_header() {
    println!(
        "| scale | workers | batch | wall s | rows/s | cpu s | peak MB | reader | transform | writer | index s | catch-up s \
         | floors: read s | write s | index s |"
    );
    println!("|{}", "---:|".repeat(15));
}

/// Seconds of a stage, over all its tasks.
fn stage(cell: &Measured, name: &str, field: &str) -> f64 {
    let stages = cell.run.result["stages"].as_array().into_iter().flatten();
    let found = stages
        .filter(|stage| stage["stage"] == name)
        .map(|stage| stage[field].as_f64());
    found.flatten().sum()
}

/// Prints the cost of each stage of a load beside its floor.
fn print_stages(cell: &Measured) {
    println!(
        "\nscale {}, {} workers, batches of {} rows:\n\n| stage | busy s | floor s | ratio |\n|---|---:|---:|---:|",
        cell.scale, cell.workers, cell.batch_size
    );
    // The reading floor is the elapsed time of two parallel connections; the stage's time is the sum over both.
    for (name, floor) in [
        ("reader", Some(2.0 * cell.floors.read)),
        ("transform", None),
        ("writer", Some(cell.floors.write)),
        ("index", Some(cell.floors.index)),
        ("catch_up", None),
    ] {
        let busy = stage(cell, name, "busy_seconds");
        match floor {
            Some(floor) => println!("| {name} | {busy:.2} | {floor:.2} | {:.2} |", busy / floor),
            None => println!("| {name} | {busy:.2} | | |"),
        }
    }
}

fn print(cell: &Measured) {
    let stage = |name: &str, field: &str| stage(cell, name, field);
    let share = |name: &str| {
        let (working, waiting) = (stage(name, "busy_seconds"), stage(name, "waiting_seconds"));
        working / (working + waiting) * 100.0
    };
    println!(
        "| {} | {} | {} | {:.2} | {:.0} | {:.1} | {:.0} | {:.0}% | {:.0}% | {:.0}% | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
        cell.scale,
        cell.workers,
        cell.batch_size,
        cell.run.wall_seconds,
        rate(cell),
        cell.run.cpu_seconds,
        cell.run.peak_megabytes,
        share("reader"),
        share("transform"),
        share("writer"),
        stage("index", "busy_seconds"),
        stage("catch_up", "busy_seconds"),
        cell.floors.read,
        cell.floors.write,
        cell.floors.index,
    );
}

fn write_results(folder: &Path, measured: &[Measured]) {
    let cells: Vec<Value> = measured
        .iter()
        .map(|cell| {
            json!({
                "scale": cell.scale,
                "workers": cell.workers,
                "batch_size": cell.batch_size,
                "fact_rows": cell.rows,
                "wall_seconds": cell.run.wall_seconds,
                "rows_per_second": rate(cell),
                "cpu_seconds": cell.run.cpu_seconds,
                "peak_megabytes": cell.run.peak_megabytes,
                "stages": cell.run.result["stages"],
                "floor_seconds": {
                    "read": cell.floors.read,
                    "write": cell.floors.write,
                    "index": cell.floors.index,
                },
            })
        })
        .collect();
    let text = serde_json::to_string_pretty(&cells).expect("numbers can be written");
    fs::write(folder.join("full_load.json"), text).expect("results can be written");
}

/// Plots the grid with one line per number of workers, and the growth if there is more than one scale.
fn plot_results(folder: &Path, measured: &[Measured]) {
    let line = |name: String, cells: Vec<&Measured>, x: fn(&Measured) -> f64, y: fn(&Measured) -> f64| Line {
        name,
        points: cells.into_iter().map(|cell| (x(cell), y(cell))).collect(),
    };
    let Some(last) = measured.last() else {
        return;
    };
    let mut workers: Vec<u32> = measured.iter().map(|cell| cell.workers).collect();
    workers.dedup();
    let by_workers: Vec<Line> = workers
        .iter()
        .map(|workers| {
            let cells = measured
                .iter()
                .filter(|cell| cell.workers == *workers && cell.scale == last.scale);
            line(
                format!("{workers} workers"),
                cells.collect(),
                |cell| f64::from(cell.batch_size),
                rate,
            )
        })
        .collect();
    let title = format!("full-load at scale {}", last.scale);
    plot::lines(
        &folder.join("grid.svg"),
        &title,
        "rows per batch (--batch-size)",
        "facts per second",
        &by_workers,
    );
    let of_last_kind = |cell: &&Measured| cell.workers == last.workers && cell.batch_size == last.batch_size;
    let growing: Vec<&Measured> = measured.iter().filter(of_last_kind).collect();
    if growing.len() > 1 {
        let seconds = line(
            "seconds".to_owned(),
            growing.clone(),
            |cell| f64::from(cell.scale),
            |cell| cell.run.wall_seconds,
        );
        let memory = line(
            "peak memory in units of 10 MB".to_owned(),
            growing,
            |cell| f64::from(cell.scale),
            |cell| cell.run.peak_megabytes / 10.0,
        );
        plot::lines(
            &folder.join("growth.svg"),
            "full-load as the source grows",
            "scale",
            "",
            &[seconds, memory],
        );
    }
}
