//! The README's commands, typed as printed: what it shows is what they print.
//!
//! `UPDATE_README=1 cargo test readme` writes what they print today into it.

use std::fmt::Write;
use std::path::Path;

use regex::Regex;

use crate::harness::{Run, Sandbox};

/// The tests' server and schema.
const ADDRESS: &str = r"127\.0\.0\.1:[0-9]+/\w+";

/// One `$ ...` line and the lines behind it.
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

/// What differs from run to run, masked, and the room that it takes.
fn masked(text: &str) -> String {
    let masks = [
        // Colours, if they are forced.
        (r"\x1b\[[0-9;]*m", ""),
        (ADDRESS, "ADDRESS"),
        (r"(MySQL|MariaDB) [0-9][-.\w]*", "SERVER"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}", "TIME"),
        (r"stages: .*", "STAGES"),
        (r"[0-9.]+ s\b", "SECONDS"),
        (r"[0-9,]+ rows/s", "RATE"),
        (r"[0-9.]+ MiB", "SIZE"),
        (r"[0-9,]+ (days|h|min|s)\b", "LAG"),
        // The tests' overlap is shorter on MariaDB, and so is what it holds back.
        (r"(SECONDS|LAG) +TIME +(the overlap|-)", "LAG TIME HELD"),
        (r"created \S+", "created FILE"),
        // Before the first run it is the server's estimate.
        (r", (about )?[0-9,]+ rows: CREATE", ", ROWS rows: CREATE"),
        (r"server .*, schema \w+", "IDENTITY"),
        (r"`sakila\w*`", "`SCHEMA`"),
        (r"─+", "─"),
        (r" +", " "),
    ];
    masks.iter().fold(text.to_owned(), |text, (pattern, mask)| {
        Regex::new(pattern).unwrap().replace_all(&text, *mask).into_owned()
    })
}

#[test]
fn the_readme_shows_what_the_commands_print() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let sandbox = Sandbox::empty();
    let address = Regex::new(ADDRESS).unwrap();
    let schema = Regex::new(r"`sakila_\w+`").unwrap();
    let mut rewritten = String::new();
    let mut count = 0;
    for (number, part) in readme.split("```").enumerate() {
        if number > 0 {
            rewritten.push_str("```");
        }
        let Some(block) = part.strip_prefix("console\n").filter(|_| number % 2 == 1) else {
            rewritten.push_str(part);
            continue;
        };
        rewritten.push_str("console\n");
        for (position, shown) in commands(block).iter().enumerate() {
            count += 1;
            let arguments: Vec<&str> = shown.command.split(' ').collect();
            assert_eq!(arguments[0], "sakila-sync", "{}", shown.command);
            let run = if arguments[1] == "seed" {
                sandbox.administer(&arguments[1..])
            } else {
                // Pages of several readers are written in the order in which they come; surrogate keys tell of it.
                let mut command = sandbox.command(&arguments[1..]);
                command.env("SAKILA_SYNC_WORKERS", "1");
                Run::of(command)
            }
            .succeeds();
            // Whoever types is slower than we are.
            sandbox.wait_until_at_rest();
            if std::env::var_os("UPDATE_README").is_none() {
                assert_eq!(
                    masked(shown.output.trim()),
                    masked(run.stdout.trim()),
                    "{}",
                    shown.command
                );
            }
            let room = if position > 0 { "\n" } else { "" };
            let output = run
                .stdout
                .trim_end()
                .replace(&sandbox.target().display().to_string(), "analytics.db");
            let output = address.replace_all(&output, "127.0.0.1:3306/sakila");
            let output = schema.replace_all(&output, "`sakila`");
            let _ = writeln!(rewritten, "{room}$ {}\n{output}", shown.command);
        }
    }
    assert_eq!(count, 10);
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, rewritten).unwrap();
    }
}
