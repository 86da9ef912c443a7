//! A real Prometheus, promtool and node_exporter: the programs in the folder SAKILA_SYNC_PROMETHEUS, else on the PATH.
//! `scripts/test` provides them.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{DEADLINE, http};

/// A child process that ends with its test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One of the three programs.
pub fn program(name: &str) -> Command {
    Command::new(match std::env::var_os("SAKILA_SYNC_PROMETHEUS") {
        Some(folder) => PathBuf::from(folder).join(name),
        None => PathBuf::from(name),
    })
}

/// The problems that `promtool check metrics` reports for a text; empty if there are none.
pub fn problems(metrics: &str) -> String {
    let mut child = program("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: scripts/test installs it");
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    format!(
        "{}{}",
        String::from_utf8(said).unwrap(),
        if output.status.success() { "" } else { "(it fails)" }
    )
}

/// Metrics without `target`, the label that all of them have.
pub fn without_target(metrics: &str) -> String {
    let label = regex::Regex::new(r#"target="[^"]*",?"#).unwrap();
    label.replace_all(metrics, "").replace(",}", "}").replace("{}", "")
}

/// A server that scrapes twice a second.
pub struct Prometheus {
    _process: Process,
    address: String,
}

impl Prometheus {
    /// Scrapes the ports of these jobs, with the project's own rules.
    pub fn start(folder: &Path, jobs: &[(&str, &str)]) -> Self {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/prometheus/alerts.yml");
        let mut configuration = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nrule_files: ['{}']\nscrape_configs:\n",
            rules.display()
        );
        for (job, port) in jobs {
            let _ = writeln!(
                configuration,
                "  - {{job_name: {job}, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}"
            );
        }
        let file = folder.join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let address = format!("127.0.0.1:{}", http::free_port());
        let process = program("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Prometheus is there: scripts/test installs it");
        let started = Self {
            _process: Process(process),
            address,
        };
        wait_until("Prometheus is ready", || {
            http::get(&started.address, "/-/ready").is_ok_and(|answer| answer.contains(" 200 "))
        });
        started
    }

    /// The values of an instant query, without those that are not numbers.
    pub fn values(&self, expression: &str) -> Vec<f64> {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", expression)
            .finish();
        let answer = self.ask(&format!("/api/v1/query?{query}"));
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let result = answer["data"]["result"].as_array().unwrap();
        result
            .iter()
            .map(|sample| sample["value"][1].as_str().unwrap().parse::<f64>().unwrap())
            .filter(|value| value.is_finite())
            .collect()
    }

    /// Name and expression of every alert, as loaded by Prometheus.
    pub fn alerts(&self) -> Vec<(String, String)> {
        let answer = self.ask("/api/v1/rules?type=alert");
        let groups = answer["data"]["groups"].as_array().unwrap();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rules.map(|rule| (text(&rule["name"]), text(&rule["query"]))).collect()
    }

    fn ask(&self, path: &str) -> Value {
        let answer = http::get(&self.address, path).unwrap();
        serde_json::from_str(http::body(&answer)).unwrap_or_else(|error| panic!("{error} in {answer}"))
    }
}

/// Waits for a condition; fails if it is not met before the deadline.
#[track_caller]
pub fn wait_until(what: &str, mut has_come: impl FnMut() -> bool) {
    let began = Instant::now();
    while !has_come() {
        assert!(began.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
