//! Monitoring of an endless sync by Prometheus and node_exporter, tested with the real programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::http::{free_port, get};
use crate::harness::prometheus::{Process, Prometheus, problems, program, wait_until, without_target};
use crate::harness::{Run, Sandbox, send};

/// An endless sync with one run per second.
fn start(sandbox: &Sandbox, arguments: &[&str]) -> Process {
    let mut command = sandbox.command(&["incremental", "--every", "1s", "--quiet"]);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    Process(command.spawn().unwrap())
}

/// The value of one series in Prometheus' text format; `series` omits the target label.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let metrics = without_target(metrics);
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

#[test]
fn what_cannot_be_watched_is_synced_all_the_same() {
    let sandbox = Sandbox::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let nowhere = sandbox.folder().join("no/such/folder/sakila.prom");
    sandbox.run(&["init"]).succeeds();
    let run = sandbox
        .run(&[
            "full-load",
            "--metrics-addr",
            &port,
            "--metrics-file",
            nowhere.to_str().unwrap(),
        ])
        .succeeds();
    for code in ["METRICS_ADDRESS_UNUSABLE", "METRICS_FILE_UNWRITABLE"] {
        assert!(run.has_logged(code), "no {code} in {run:#?}");
    }
    sandbox.assert_star_equals_source();
}

#[test]
fn runs_that_change_nothing_leave_no_row_in_the_history_and_old_rows_go() {
    let sandbox = Sandbox::loaded();
    let history = || sandbox.star("SELECT id || ' ' || command || ' ' || status || ' ' || rows_updated FROM sync_run");
    let loaded = history();
    sandbox.tamper("UPDATE sync_success SET finished = DATETIME('now', '-2 hours')");
    let first = sandbox.json(&["incremental"])["run_id"].as_i64().unwrap();
    assert_eq!(history(), loaded);
    // Only the time of the last success records this run.
    sandbox.run(&["status", "--fresh-within", "1h"]).succeeds();

    sandbox.change(&["UPDATE payment SET amount = 7.77 WHERE payment_id = 1"]);
    let second = sandbox.json(&["incremental"])["run_id"].as_i64().unwrap();
    assert!(second > first, "the number of a run is not used again");
    sandbox.run(&["incremental"]).succeeds();
    sandbox.run(&["repair"]).succeeds();
    sandbox.run(&["full-load"]).succeeds();
    assert_eq!(
        history(),
        [&loaded[..], &[format!("{second} incremental done 1")]].concat()
    );
    let explained = sandbox.json(&["explain", "fact_payment", "1"]);
    assert_eq!(explained["written_by"]["id"], second);
    assert_ne!(explained["watermark_after_run"], serde_json::Value::Null);

    // A quarantined row counts as a change, although no row of the star is written.
    sandbox.change(&[
        "SET FOREIGN_KEY_CHECKS = 0",
        "INSERT INTO rental VALUES (60001, NOW(), 1, 60000, NULL, 1, NOW())",
    ]);
    let third = sandbox.json(&["full-load"])["run_id"].clone();
    assert!(history().contains(&format!("{third} full-load done 0")));
    sandbox.change(&["DELETE FROM rental WHERE rental_id = 60001"]);
    let fourth = sandbox.json(&["incremental", "--keep-runs", "1"])["run_id"].clone();
    assert_eq!(history(), [format!("{fourth} incremental done 0")]);
    let noted =
        "SELECT COUNT(*) = COUNT(DISTINCT source_table) FROM sync_watermark WHERE run_id < (SELECT id FROM sync_run)";
    assert_eq!(
        sandbox.figure(noted),
        "1",
        "one watermark a table is kept of earlier runs"
    );
}

#[test]
fn status_tells_by_its_exit_code_whether_the_star_is_fresh() {
    let sandbox = Sandbox::loaded();
    sandbox.run(&["status", "--fresh-within", "1h"]).succeeds();
    sandbox.tamper("UPDATE sync_success SET finished = DATETIME('now', '-2 hours')");
    let stale = sandbox.run(&["status", "--fresh-within", "1h"]).ends_with_code(1);
    assert!(stale.has_logged("STALE"), "{stale:#?}");
    sandbox.run(&["status", "--fresh-within", "3h"]).succeeds();
}

#[test]
fn an_endless_sync_brings_changes_outlives_failures_and_ends_cleanly() {
    let sandbox = Sandbox::new();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut sync = start(&sandbox, &["--metrics-addr", &port, "--healthy-within", "3s"]);
    let is_healthy = || get(&address, "/healthz").is_ok_and(|answer| answer.contains(" 200 OK"));
    // Without a star it fails, and reports so.
    wait_until("it answers", || get(&address, "/healthz").is_ok());
    assert!(get(&address, "/healthz").unwrap().contains(" 503 "));
    sandbox.load();
    wait_until("it is healthy", is_healthy);

    sandbox.change(&["UPDATE payment SET amount = 7.77 WHERE payment_id = 1"]);
    wait_until("the change has come", || {
        sandbox.figure("SELECT CAST(ROUND(amount * 100) AS INTEGER) FROM fact_payment WHERE payment_id = 1") == "777"
    });
    sandbox.change(&["ALTER TABLE film RENAME TO film_away"]);
    wait_until("it is no longer healthy", || !is_healthy());
    sandbox.change(&[
        "ALTER TABLE film_away RENAME TO film",
        "UPDATE film SET rating = 'R' WHERE film_id = 1",
    ]);
    wait_until("it is healthy again", is_healthy);
    let metrics = get(&address, "/metrics").unwrap();
    assert!(value(&metrics, "sakila_sync_retries_total{reason=\"run_failed\"}").unwrap() >= 1.0);
    wait_until("the last change has come", || {
        sandbox.figure("SELECT rating FROM dim_film WHERE film_id = 1") == "R"
    });

    send("-TERM", &sync.0);
    assert_eq!(sync.0.wait().unwrap().code(), Some(0));
    sandbox.assert_star_equals_source();
}

/// Tests with the real programs.
mod needs_prometheus {
    use super::*;

    #[test]
    #[ignore = "needs Prometheus, promtool and node_exporter"]
    fn a_run_leaves_its_figures_in_a_file_that_node_exporter_reads() {
        let sandbox = Sandbox::new();
        let folder = sandbox.folder().join("textfiles");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("sakila.prom");
        let file_name = file.to_str().unwrap();
        sandbox.run(&["init"]).succeeds();
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        sandbox.run(&["full-load", "--metrics-file", file_name]).succeeds();
        let loaded = fs::read_to_string(&file).unwrap();
        assert_eq!(problems(&loaded), "");
        for (series, sql) in [
            (
                "sakila_sync_rows_inserted_total{table=\"fact_payment\"}",
                "SELECT COUNT(*) FROM payment",
            ),
            (
                "sakila_sync_rows_read_total{table=\"dim_film\"}",
                "SELECT COUNT(*) FROM film",
            ),
        ] {
            let expected: f64 = sandbox.source_figure(sql).parse().unwrap();
            assert_eq!(value(&loaded, series), Some(expected), "{series}");
        }
        assert_eq!(
            value(&loaded, "sakila_sync_last_run_success{command=\"full-load\"}"),
            Some(1.0)
        );
        // Dry runs and read-only commands are no successful syncs, and do not affect freshness.
        for command in [
            &["incremental", "--dry-run"][..],
            &["status"],
            &["explain", "fact_payment", "7"],
        ] {
            let arguments = [command, &["--metrics-file", file_name]].concat();
            sandbox.run(&arguments).succeeds();
            assert_eq!(fs::read_to_string(&file).unwrap(), loaded, "{command:?}");
        }
        // A payment has six columns, five of them numbers or dates.
        let bytes = value(&loaded, "sakila_sync_source_bytes_read_total{table=\"fact_payment\"}").unwrap();
        let rows = value(&loaded, "sakila_sync_rows_read_total{table=\"fact_payment\"}").unwrap();
        assert!((20.0..60.0).contains(&(bytes / rows)), "{bytes} bytes in {rows} rows");

        // A failed run is recorded, and the time of the last success is kept.
        let last_success = value(
            &loaded,
            "sakila_sync_last_success_timestamp_seconds{command=\"full-load\"}",
        )
        .unwrap();
        sandbox.change(&["ALTER TABLE film RENAME TO film_away"]);
        sandbox
            .run(&["incremental", "--metrics-file", file_name])
            .ends_with_code(3);
        let failed = fs::read_to_string(&file).unwrap();
        assert_eq!(problems(&failed), "");
        assert_eq!(
            value(&failed, "sakila_sync_last_run_success{command=\"incremental\"}"),
            Some(0.0)
        );
        let remembered = value(
            &failed,
            "sakila_sync_last_success_timestamp_seconds{command=\"full-load\"}",
        );
        // The history has whole seconds, of a moment after the load began and before it ended.
        let remembered = remembered.unwrap();
        assert!(
            (began - 1.0..=last_success).contains(&remembered),
            "{began}, {remembered}, {last_success}"
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left there");

        let (_exporter, exported) = node_exporter(&folder);
        assert_eq!(value(&exported, "node_textfile_scrape_error"), Some(0.0), "{exported}");
        assert_eq!(
            value(&exported, "sakila_sync_last_run_success{command=\"incremental\"}"),
            Some(0.0)
        );
    }

    /// A node_exporter that reads this folder, and the metrics it exports.
    fn node_exporter(folder: &Path) -> (Process, String) {
        let port = free_port();
        let exporter = Process(
            program("prometheus-node-exporter")
                .args(["--collector.disable-defaults", "--collector.textfile"])
                .arg(format!("--collector.textfile.directory={}", folder.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("node_exporter is there: scripts/test installs it"),
        );
        let address = format!("127.0.0.1:{port}");
        wait_until("node_exporter answers", || get(&address, "/metrics").is_ok());
        let exported = get(&address, "/metrics").unwrap();
        (exporter, exported)
    }

    #[test]
    #[ignore = "needs Prometheus, promtool and node_exporter"]
    fn two_syncs_of_one_machine_are_distinguished_by_their_target() {
        let sandbox = Sandbox::new();
        let folder = sandbox.folder().join("textfiles");
        fs::create_dir(&folder).unwrap();
        for name in ["one", "two"] {
            let (target, file) = (format!("{name}.db"), folder.join(format!("{name}.prom")));
            for command in ["init", "full-load"] {
                let arguments = [command, "--target", &target, "--metrics-file", file.to_str().unwrap()];
                sandbox.run(&arguments).succeeds();
            }
        }
        let (_exporter, exported) = node_exporter(&folder);
        // A duplicate series makes the whole response an error.
        assert!(exported.contains(" 200 OK"), "{exported}");
        assert_eq!(value(&exported, "node_textfile_scrape_error"), Some(0.0), "{exported}");
        let real_folder = sandbox.folder().canonicalize().unwrap();
        for name in ["one", "two"] {
            let target = real_folder.join(format!("{name}.db"));
            let series = format!(
                "sakila_sync_last_run_success{{command=\"full-load\",target=\"{}\"}} 1",
                target.display()
            );
            assert!(exported.contains(&series), "no {series} in {exported}");
        }
    }

    /// Every expression of every panel, with the dashboards' variables filled in.
    fn panels() -> BTreeSet<String> {
        fn collect(panels: &Value, into: &mut BTreeSet<String>) {
            for panel in panels.as_array().into_iter().flatten() {
                for target in panel["targets"].as_array().into_iter().flatten() {
                    let expression = target["expr"].as_str().expect("a target has an expression");
                    into.insert(
                        expression
                            .replace("$job", ".+")
                            .replace("$target", ".+")
                            .replace("$__rate_interval", "5s")
                            .replace("$__range", "1m"),
                    );
                }
                collect(&panel["panels"], into);
            }
        }
        let mut expressions = BTreeSet::new();
        for name in ["loading", "data-quality"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("grafana/dashboards/{name}.json"));
            let dashboard: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            collect(&dashboard["panels"], &mut expressions);
        }
        assert!(expressions.len() > 30);
        expressions
    }

    fn sync_without_a_source(sandbox: &Sandbox, port: &str) -> Process {
        let mut sync = sandbox.command(&["incremental", "--every", "1s", "--quiet", "--metrics-addr", port]);
        sync.env(
            "SAKILA_SYNC_SOURCE",
            format!("mysql://nobody@127.0.0.1:{}/sakila", free_port()),
        );
        Process(sync.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// A sync whose publications fail.
    fn publish_to_a_damaged_lake(sandbox: &Sandbox, port: &str) -> Process {
        let lake = sandbox.folder().join("lake");
        let lake = ["--lake", lake.to_str().unwrap()];
        sandbox.run(&[["publish"].as_slice(), &lake].concat()).succeeds();
        let entry = sandbox
            .folder()
            .join("lake/fact_payment/_delta_log/00000000000000000001.json");
        fs::write(entry, "{").unwrap();
        let arguments = ["--metrics-addr", port, "--publish-every", "1s"];
        start(sandbox, &[&arguments, lake.as_slice()].concat())
    }

    #[test]
    #[ignore = "needs Prometheus, promtool and node_exporter"]
    fn every_panel_shows_data_and_every_alert_fires_on_its_fault_alone() {
        let (sandbox, loading, never) = (Sandbox::new(), Sandbox::new(), Sandbox::empty());
        // Some payments of today, because a repeated validation covers the last 30 days. The first one changes
        // repeatedly and is of yesterday, because runs compare only the totals of the days that they change.
        sandbox.change(&[
            "UPDATE payment SET payment_date = UTC_TIMESTAMP() - INTERVAL (payment_id = 1) DAY WHERE payment_id <= 20",
        ]);
        sandbox.load();
        let ports: Vec<String> = (0..4).map(|_| free_port()).collect();
        let jobs = [
            ("sakila-sync", ports[0].as_str()),
            ("loading", &ports[1]),
            ("failing", &ports[2]),
            ("never", &ports[3]),
        ];
        let prometheus = Prometheus::start(sandbox.folder(), &jobs);
        let alerts = prometheus.alerts();
        assert_eq!(alerts.len(), 12);
        let firing = || -> Vec<String> {
            let firing = alerts
                .iter()
                .filter(|(_, expression)| !prometheus.values(expression).is_empty());
            firing.map(|(name, _)| name.clone()).collect()
        };
        wait_until("it is missed", || firing() == ["SakilaSyncDown", "SakilaSyncAbsent"]);

        // Without any fault: one endless sync, and one full load.
        let arguments = [
            "--metrics-addr",
            &ports[0],
            "--validate-every",
            "1s",
            "--overlap",
            "1",
            "--verify-budget",
            "0",
        ];
        let sync = start(&sandbox, &arguments);
        wait_until("a validation is scraped", || {
            !prometheus
                .values("sakila_sync_validation_delta{command=\"validate\",check=\"cents\"}")
                .is_empty()
        });
        assert_eq!(firing(), Vec::<String>::new(), "while all is well");
        loading.run(&["init"]).succeeds();
        let slow = ["full-load", "--batch-size", "5", "--quiet", "--metrics-addr", &ports[1]];
        let mut load = Process(loading.command(&slow).stdout(Stdio::null()).spawn().unwrap());
        let mut empty = panels();
        let mut amount = 0;
        wait_until("every panel has shown data", || {
            amount += 1;
            sandbox.change(&[&format!("UPDATE payment SET amount = {amount} WHERE payment_id = 1")]);
            empty.retain(|expression| prometheus.values(expression).is_empty());
            empty.is_empty() || load.0.try_wait().unwrap().is_some()
        });
        assert_eq!(empty, BTreeSet::new(), "these panels are empty");
        drop(load);

        // One fault after the other.
        sandbox.tamper("UPDATE fact_payment SET amount = amount + 1 WHERE payment_id = 3");
        wait_until("the difference is found", || firing() == ["SakilaSyncMismatch"]);
        sandbox.change(&["UPDATE payment SET last_update = NOW() WHERE payment_id = 3"]);
        wait_until("it is gone again", || firing().is_empty());
        // Damage that neither row counts nor totals show.
        let film = sandbox.figure("SELECT film_key FROM fact_rental WHERE rental_id = 12");
        sandbox.tamper("UPDATE fact_rental SET film_key = 999999 WHERE rental_id = 12");
        wait_until("the orphan is found", || firing() == ["SakilaSyncValidationFails"]);
        sandbox.tamper(&format!(
            "UPDATE fact_rental SET film_key = {film} WHERE rental_id = 12"
        ));
        wait_until("it has its parent again", || firing().is_empty());
        sandbox.change(&[
            "SET FOREIGN_KEY_CHECKS = 0",
            "UPDATE rental SET customer_id = 60000 WHERE rental_id = 1",
            "SET FOREIGN_KEY_CHECKS = 1",
        ]);
        wait_until("the rental is quarantined", || {
            firing() == ["SakilaSyncRowsQuarantined"]
        });
        sandbox.change(&["UPDATE rental SET customer_id = 1 WHERE rental_id = 1"]);
        wait_until("it is taken in again", || firing().is_empty());
        sandbox.change(&["UPDATE film SET last_update = NOW() + INTERVAL 1 HOUR WHERE film_id = 1"]);
        wait_until("the watermark is limited", || {
            firing() == ["SakilaSyncWatermarkLimited"]
        });
        sandbox.change(&["UPDATE film SET last_update = NOW() WHERE film_id = 1"]);
        wait_until("it goes on", || firing().is_empty());
        sandbox.tamper("UPDATE sync_verification SET verified_at = DATETIME('now', '-2 days')");
        sandbox.change(&["UPDATE payment SET amount = amount + 1, last_update = last_update WHERE payment_id = 100"]);
        wait_until("its verification is long due", || {
            firing() == ["SakilaSyncVerificationBacklog"]
        });
        drop(sync);
        sandbox.run(&["incremental"]).succeeds();

        let publishing = publish_to_a_damaged_lake(&sandbox, &ports[0]);
        wait_until("publications fail", || firing() == ["SakilaSyncCopyOrPublicationFails"]);
        drop(publishing);

        sandbox.tamper("UPDATE sync_success SET finished = DATETIME('now', '-1 hour')");
        let failing = sync_without_a_source(&sandbox, &ports[2]);
        wait_until("it has failed often", || {
            firing() == ["SakilaSyncDown", "SakilaSyncNoSuccess", "SakilaSyncRunsFail"]
        });
        drop(failing);
        let never = start(&never, &["--metrics-addr", &ports[3]]);
        wait_until("it runs without success", || {
            firing().contains(&"SakilaSyncNeverSucceeded".to_owned())
        });
        drop(never);
    }

    #[test]
    #[ignore = "needs Prometheus, promtool and node_exporter"]
    fn the_alert_rules_pass_their_own_tests() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/prometheus");
        for arguments in [
            ["check", "rules", "alerts.yml"],
            ["test", "rules", "alerts_test.yml"],
            ["check", "config", "--syntax-only"],
        ] {
            let mut promtool = program("promtool");
            promtool.args(arguments).current_dir(&folder);
            if arguments[1] == "config" {
                promtool.arg("prometheus.yml");
            }
            Run::of(promtool).succeeds();
        }
    }
}
