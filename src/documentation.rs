//! What the documentation lists, held to what the program has: codes of errors, verdicts and quarantine, and metrics.

use std::collections::BTreeSet;

use star_sync::compare::verdict::VerdictCode;
use star_sync::declare::rejection::ReasonCode;
use star_sync::metrics::catalogue;
use star_sync_cli::hint;

use crate::error::ErrorCode;

const ERRORS: &str = include_str!("../docs/errors.md");
const METRICS: &str = include_str!("../docs/metrics.md");

/// The rows of a chapter's table in docs/errors.md.
fn rows(chapter: &str) -> Vec<String> {
    let found = ERRORS.split("\n## ").find(|found| found.starts_with(chapter));
    let rows = found.unwrap_or_else(|| panic!("no chapter {chapter}")).lines();
    rows.filter(|line| line.starts_with("| `")).map(str::to_owned).collect()
}

fn row(name: &str, meaning: &str) -> String {
    format!("| `{name}` | {meaning} |")
}

/// The row of an error or a reason, with what to do about it.
fn error_row(name: &str, meaning: &str, remedy: &str) -> String {
    format!("| `{name}` | {meaning} | {} |", crate::program().fill(remedy))
}

#[test]
fn every_code_of_an_error_is_documented_with_its_remedy() {
    let engine = star_sync::error::Code::ALL
        .iter()
        .map(|code| error_row(code.name(), code.meaning(), hint::remedy(*code)));
    let cli = star_sync_cli::error::Code::ALL
        .iter()
        .map(|code| error_row(code.name(), code.meaning(), code.remedy()));
    let own = ErrorCode::ALL
        .iter()
        .map(|code| error_row(code.name(), code.meaning(), code.remedy()));
    let lake = star_sync_lake::Code::ALL
        .iter()
        .map(|code| error_row(code.name(), code.meaning(), code.remedy()));
    let codes: BTreeSet<String> = engine.chain(cli).chain(own).chain(lake).collect();
    let documented = rows("Error codes");
    assert_eq!(documented.iter().cloned().collect::<BTreeSet<_>>(), codes);
    assert_eq!(documented.len(), codes.len(), "a code is listed twice");
}

#[test]
fn every_verdict_is_documented() {
    let verdicts = VerdictCode::ALL.iter().map(|code| row(code.name(), code.meaning()));
    assert_eq!(rows("Verdicts"), verdicts.collect::<Vec<_>>());
}

#[test]
fn every_quarantine_reason_is_documented() {
    let reasons = ReasonCode::ALL
        .iter()
        .map(|code| error_row(code.name(), code.meaning(), code.remedy()));
    assert_eq!(rows("Quarantine reasons"), reasons.collect::<Vec<_>>());
}

#[test]
fn every_metric_is_documented_as_it_is() {
    let metrics: Vec<String> = catalogue::ALL
        .iter()
        .map(|metric| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let labels = metric.labels.join(", ");
            let labels = if labels.is_empty() {
                labels
            } else {
                format!("{labels} ")
            };
            format!("| `{}` | {kind} | {labels}| {} |", metric.name, metric.meaning)
        })
        .collect();
    let documented: Vec<&str> = METRICS.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(documented, metrics);
}
