//! Compares the documentation with the program: codes of errors, verdicts and quarantine, metrics, links to files, and words.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

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

#[test]
fn the_image_is_built_from_all_members_of_the_workspace() {
    let (_, members) = include_str!("../Cargo.toml").split_once("members = [").unwrap();
    let members = members.split_once(']').unwrap().0.split('"').skip(1).step_by(2);
    let members: Vec<&str> = members.filter(|member| *member != ".").collect();
    assert!(!members.is_empty());
    for member in members {
        let folder = member.split('/').next().unwrap();
        let line = format!("\n!{folder}\n");
        assert!(include_str!("../.dockerignore").contains(&line), "{folder}");
    }
}

/// The Markdown documents with links to files of the project.
fn documents() -> Vec<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
    ];
    let in_docs = project
        .join("docs")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let in_docs = in_docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    names.iter().map(|name| project.join(name)).chain(in_docs).collect()
}

/// The lines of a document outside code blocks.
fn prose(document: &str) -> Vec<&str> {
    let parts = document.split("```").step_by(2);
    parts.flat_map(str::lines).collect()
}

/// The anchors that GitHub gives the headings of a document.
fn anchors(document: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in prose(document).into_iter().filter(|line| line.starts_with('#')) {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |letter: &char| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter);
        let anchor: String = heading.chars().filter(kept).collect::<String>().replace(' ', "-");
        let repeated = (1..).map(|count| format!("{anchor}-{count}"));
        let mut candidates = std::iter::once(anchor.clone()).chain(repeated);
        let new = candidates.find(|candidate| !anchors.contains(candidate));
        anchors.extend(new);
    }
    anchors
}

#[test]
fn links_of_documents_lead_to_files_and_headings() {
    let mut broken = Vec::new();
    for path in documents() {
        let document = read_to_string(&path).unwrap();
        let prose = prose(&document).join("\n");
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                path.clone()
            } else {
                path.with_file_name(file)
            };
            let has_anchor = || read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor));
            if !target.exists() || !(anchor.is_empty() || has_anchor()) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn anchors_of_headings_follow_the_rules_of_github() {
    let document = "# Exit codes, `--json`\n```\n# a comment\n```\n## Run it\n## Run it\n";
    let expected = ["exit-codes---json", "run-it", "run-it-1"].map(str::to_owned);
    assert_eq!(anchors(document), BTreeSet::from(expected));
}

/// The Rust files below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = folder
        .read_dir()
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| {
        if path.is_dir() {
            return rust_files(&path);
        }
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if is_rust { vec![path] } else { Vec::new() }
    });
    files.collect()
}

/// The rule in CONTRIBUTING.md. scripts/test runs the ignored tests whose requirements are met.
#[test]
fn tests_with_requirements_are_ignored_by_cargo_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut modules = 0;
    for path in rust_files(&root.join("tests")) {
        let text = read_to_string(&path).unwrap();
        for start in ["\nmod needs_", "\nmod nightly {"] {
            for module in text.split(start).skip(1) {
                let module = module.split("\n}\n").next().unwrap_or_default();
                let (tests, ignored) = ["#[test]", "#[ignore"]
                    .map(|attribute| module.matches(attribute).count())
                    .into();
                assert_eq!(tests, ignored, "{}", path.display());
                modules += 1;
            }
        }
    }
    assert!(modules >= 10, "{modules} modules found");
}

/// Words that stood for terms of the glossary, or for plain English.
const OLD_WORDS: [&str; 11] = [
    "in step with",
    "whoever",
    "somebody",
    "everybody",
    "closing pass",
    "one instant",
    "gone through",
    "unproven",
    "unseen",
    "betray",
    "from nothing",
];

#[test]
fn documents_and_comments_use_the_words_of_the_glossary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["benches", "crates", "examples", "migration", "src", "tests"];
    let code = folders.iter().flat_map(|folder| rust_files(&root.join(folder)));
    for path in documents().into_iter().chain(code) {
        let is_code = path.extension().is_some_and(|extension| extension == "rs");
        let text = read_to_string(&path).unwrap().to_lowercase();
        for line in text
            .lines()
            .filter(|line| !is_code || line.trim_start().starts_with("//"))
        {
            let old = OLD_WORDS.iter().find(|word| line.contains(**word));
            assert_eq!(old, None, "{}: {line}", path.display());
        }
    }
}
