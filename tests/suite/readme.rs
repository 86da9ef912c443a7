//! Documented commands: runs those of `docs/commands.md`, and those of the README whose output it shows, and compares
//! their output with the documents.
//!
//! `UPDATE_README=1 cargo test readme` updates the output in both.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::harness::{Run, Sandbox, server};

/// In the order in which their commands are run, all on one schema and one target.
const DOCUMENTS: [&str; 2] = ["README.md", "docs/commands.md"];
/// The address of the tests' server and schema.
const ADDRESS: &str = r"127\.0\.0\.1:[0-9]+/\w+";

/// One `$ ...` line and the lines after it.
struct Shown {
    command: String,
    output: String,
}

/// The commands of a ```console block.
fn commands(block: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let (command, output) = (command.to_owned(), String::new());
            shown.push(Shown { command, output });
        } else if let Some(last) = shown.last_mut() {
            last.output.push_str(line);
            last.output.push('\n');
        }
    }
    shown
}

/// Masks what differs from run to run, and the width that it takes.
fn masked(text: &str) -> String {
    let masks = [
        // Colours, if they are forced.
        (r"\x1b\[[0-9;]*m", ""),
        (ADDRESS, "ADDRESS"),
        (r"(MySQL|MariaDB) [0-9][-.\w]*", "SERVER"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}", "TIME"),
        (r"stages: .*\nbottleneck: .*", "STAGES"),
        // The number depends on the time available.
        (r"verified [0-9,]+ rows by digest, [0-9,]+ row by row", "VERIFIED"),
        (r"[0-9.]+ s\b", "SECONDS"),
        (r"[0-9,]+ rows/s", "RATE"),
        (r"[0-9.]+ MiB", "SIZE"),
        (r"[0-9,]+ (years|days|h|min|s)\b", "LAG"),
        // On MariaDB the tests use a shorter safety lag, which shows in this column.
        (
            r"(SECONDS|LAG) ago +(SECONDS|LAG) ago +TIME +(the safety lag|-)",
            "LAG ago LAG ago TIME HELD",
        ),
        (r"(created|to) /?\S+\.db", "${1} FILE"),
        (r"server .*, schema \w+", "IDENTITY"),
        (r"`sakila\w*`", "`SCHEMA`"),
        (r"─+", "─"),
        (r" +", " "),
    ];
    masks.iter().fold(text.to_owned(), |text, (pattern, mask)| {
        Regex::new(pattern).unwrap().replace_all(&text, *mask).into_owned()
    })
}

/// A document whose ```console blocks are run, and its updated text.
struct Document {
    path: PathBuf,
    text: String,
    rewritten: String,
}

impl Document {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        Self {
            path,
            text,
            rewritten: String::new(),
        }
    }
}

/// Runs a command of a document, compares its output, and returns the output as the document shows it.
fn type_command(sandbox: &Sandbox, shown: &Shown) -> String {
    let arguments: Vec<&str> = shown.command.split(' ').collect();
    assert_eq!(arguments[0], "sakila-sync", "{}", shown.command);
    let run = if arguments[1] == "seed" {
        sandbox.administer(&arguments[1..])
    } else {
        // Pages of several readers are written in the order in which they arrive, which shows in the surrogate keys.
        let mut command = sandbox.command(&arguments[1..]);
        command.env("SAKILA_SYNC_WORKERS", "1");
        // On a slow machine the default would leave key ranges to the next run.
        command.env("SAKILA_SYNC_VERIFY_BUDGET", "100%");
        Run::of(command)
    }
    .succeeds();
    // A user types more slowly than this test does.
    sandbox.wait_until_at_rest();
    // On MariaDB a table counts as modified until the safety lag has passed: which rows an incremental run verifies
    // depends on the moment.
    let is_steady = !server().is_mariadb || arguments[1] != "incremental";
    if is_steady && std::env::var_os("UPDATE_README").is_none() {
        assert_eq!(
            masked(shown.output.trim()),
            masked(run.stdout.trim()),
            "{}",
            shown.command
        );
    }
    let folder = sandbox.folder().display().to_string();
    let output = run.stdout.trim_end().replace(&folder, "/srv/analytics");
    let output = Regex::new(ADDRESS)
        .unwrap()
        .replace_all(&output, "127.0.0.1:3306/sakila");
    let output = Regex::new(r"\bsakila_[0-9]+\b").unwrap().replace_all(&output, "sakila");
    format!("$ {}\n{output}\n", shown.command)
}

#[test]
fn the_documents_show_what_the_commands_print() {
    let sandbox = Sandbox::empty();
    let mut documents = DOCUMENTS.map(Document::read);
    let mut count = 0;
    for document in &mut documents {
        for (number, part) in document.text.split("```").enumerate() {
            if number > 0 {
                document.rewritten.push_str("```");
            }
            let Some(block) = part.strip_prefix("console\n").filter(|_| number % 2 == 1) else {
                document.rewritten.push_str(part);
                continue;
            };
            let typed: Vec<String> = commands(block)
                .iter()
                .map(|shown| type_command(&sandbox, shown))
                .collect();
            count += typed.len();
            let _ = write!(document.rewritten, "console\n{}", typed.join("\n"));
        }
    }
    assert_eq!(count, 10);
    if std::env::var_os("UPDATE_README").is_some() {
        for document in documents {
            std::fs::write(document.path, document.rewritten).unwrap();
        }
    }
}

#[test]
fn the_readme_has_three_queries_that_the_star_answers() {
    let readme = Document::read("README.md").text;
    let (_, queries) = readme.split_once("```sql\n").expect("the README has a block of SQL");
    let (queries, _) = queries.split_once("```").expect("it is closed");
    let queries: Vec<&str> = queries.split("\n\n").collect();
    assert_eq!(queries.len(), 3);
    let sandbox = Sandbox::loaded();
    for query in queries {
        assert!(!sandbox.query(&sandbox.target(), query).is_empty(), "{query}");
    }
}
