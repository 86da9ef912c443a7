//! Measures the effect on other users of the source: the latency of point selects and single-row updates alone, during
//! full loads, and during a continuous incremental sync.
//!
//! ```text
//! SAKILA_SYNC_MYSQLD=mysqld cargo bench --bench latency -- --scale 100
//! ```
//!
//! Two connections send statements on a fixed schedule. Latency is measured from when a statement was due, so that a
//! slow answer does not hide the delay of those after it. Server, program and these connections share the machine. A
//! source that is given with `--source` is changed: amounts of payments go up and down by a cent.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use sqlx::MySqlPool;
use sqlx::mysql::MySqlConnection;
use support::figures::Figures;
use support::loaded::Loaded;
use support::source::{Servers, SourceOptions};
use tokio::time::{Instant, MissedTickBehavior};

mod support;

/// The interval between the statements of one connection: select and update alternate.
const BETWEEN_STATEMENTS: Duration = Duration::from_millis(5);
const CONNECTIONS: u64 = 2;
/// Long enough for some thousand statements.
const ALONE: Duration = Duration::from_secs(20);
/// How long the continuous sync runs, every five seconds.
const BESIDE_SYNC: Duration = Duration::from_secs(32);

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    from: SourceOptions,
    /// Full loads during which statements are measured
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// The latency of each statement in milliseconds.
#[derive(Default)]
struct Latencies {
    selects: Vec<f64>,
    updates: Vec<f64>,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let servers = Servers::start(options.from.source.as_deref(), &[]);
    let sides = Arc::new(Loaded::new(
        servers.source(options.from.source.as_deref(), options.from.scale).await,
    ));
    println!("| beside | seconds | selects | p50 ms | p99 ms | updates | p50 ms | p99 ms |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let alone = beside(&sides, || std::thread::sleep(ALONE)).await;
    print("nothing", &alone, None);
    for share in ["100", "50", "25"] {
        let loads = {
            let sides = Arc::clone(&sides);
            move || (0..options.runs).for_each(|_| load(&sides, share))
        };
        let measured = beside(&sides, loads).await;
        let what = format!("{} full loads, --max-source-share {share}", options.runs);
        print(&what, &measured, Some(&alone));
    }
    let sync = {
        let sides = Arc::clone(&sides);
        move || sync(&sides)
    };
    let measured = beside(&sides, sync).await;
    print("incremental --every 5s", &measured, Some(&alone));
}

/// Runs a first load into a new file.
fn load(sides: &Loaded, share: &str) {
    for end in ["", "-wal", "-shm"] {
        let mut file = sides.star().into_os_string();
        file.push(end);
        // The file does not exist before the first load.
        let _ = fs::remove_file(PathBuf::from(file));
    }
    sides.run(&["init"]);
    let run = sides.run(&["full-load", "--max-source-share", share]);
    assert_eq!(run.result["status"], "done");
}

/// Runs a continuous sync and kills it after `BESIDE_SYNC`.
fn sync(sides: &Loaded) {
    let child = Command::new(env!("CARGO_BIN_EXE_sakila-sync"))
        .args(["incremental", "--every", "5s", "--quiet", "--overlap", "1"])
        .env("SAKILA_SYNC_SOURCE", &sides.source.url)
        .env("SAKILA_SYNC_TARGET", sides.star())
        .stdout(Stdio::null())
        .spawn();
    let mut child = child.expect("the program is built with its benches");
    std::thread::sleep(BESIDE_SYNC);
    assert!(
        child.try_wait().expect("a child can be asked").is_none(),
        "the sync ended by itself"
    );
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
}

/// Runs `work`. Returns its seconds and the latencies of the statements meanwhile.
async fn beside(sides: &Arc<Loaded>, work: impl FnOnce() + Send + 'static) -> (f64, Latencies) {
    let stop = Arc::new(AtomicBool::new(false));
    let figures = sides.source.figures;
    let others: Vec<_> = (0..CONNECTIONS)
        .map(|number| tokio::spawn(others(sides.source.pool.clone(), figures, number, Arc::clone(&stop))))
        .collect();
    let began = Instant::now();
    tokio::task::spawn_blocking(work)
        .await
        .expect("the work does not panic");
    let seconds = began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let mut all = Latencies::default();
    for other in others {
        let of_one = other.await.expect("others do not panic");
        all.selects.extend(of_one.selects);
        all.updates.extend(of_one.updates);
    }
    (seconds, all)
}

/// Runs the statements of one connection until `stop` is set.
async fn others(pool: MySqlPool, figures: Figures, number: u64, stop: Arc<AtomicBool>) -> Latencies {
    let mut connection = pool.acquire().await.expect("the server takes two connections more");
    let mut latencies = Latencies::default();
    let mut moments = tokio::time::interval(BETWEEN_STATEMENTS);
    moments.set_missed_tick_behavior(MissedTickBehavior::Burst);
    // Pseudo-random over all keys, and the same in each run.
    let mut key = number;
    let mut is_select = false;
    while !stop.load(Ordering::Relaxed) {
        let due = moments.tick().await;
        key = key
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        is_select = !is_select;
        if is_select {
            select(&mut connection, key % figures.rentals.unsigned_abs() + 1).await;
            latencies.selects.push(due.elapsed().as_secs_f64() * 1000.0);
        } else {
            update(&mut connection, key % figures.payments.unsigned_abs() + 1).await;
            latencies.updates.push(due.elapsed().as_secs_f64() * 1000.0);
        }
    }
    latencies
}

async fn select(connection: &mut MySqlConnection, rental: u64) {
    let row = sqlx::query("SELECT customer_id, return_date FROM rental WHERE rental_id = ?").bind(rental);
    row.fetch_optional(connection).await.expect("a rental can be read");
}

async fn update(connection: &mut MySqlConnection, payment: u64) {
    // Alternates up and down, so that amounts stay within the range of the column.
    let update = "UPDATE payment SET amount = IF(amount < 5, amount + 0.01, amount - 0.01), last_update = NOW() \
                  WHERE payment_id = ?";
    let update = sqlx::query(update).bind(payment);
    update.execute(connection).await.expect("a payment can be changed");
}

/// The given percentile of the values.
fn percentile(latencies: &[f64], percent: usize) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn print(what: &str, (seconds, latencies): &(f64, Latencies), alone: Option<&(f64, Latencies)>) {
    let p99 = |of: fn(&Latencies) -> &Vec<f64>| {
        let value = percentile(of(latencies), 99);
        let ratio = alone.map(|(_, alone)| value / percentile(of(alone), 99));
        ratio.map_or_else(
            || format!("{value:.2}"),
            |ratio| format!("{value:.2} ({ratio:.1} times)"),
        )
    };
    println!(
        "| {what} | {seconds:.1} | {} | {:.2} | {} | {} | {:.2} | {} |",
        latencies.selects.len(),
        percentile(&latencies.selects, 50),
        p99(|latencies| &latencies.selects),
        latencies.updates.len(),
        percentile(&latencies.updates, 50),
        p99(|latencies| &latencies.updates),
    );
}
