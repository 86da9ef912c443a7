//! First steps of a new user: the demonstration, the help, completions and man pages.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::harness::prometheus::wait_until;
use crate::harness::{Run, Sandbox, send};

const COMMANDS: [&str; 12] = [
    "init",
    "full-load",
    "incremental",
    "repair",
    "validate",
    "status",
    "explain",
    "seed",
    "seed mutate",
    "demo",
    "completions",
    "man",
];

/// The demonstration in its own folder, which also holds its temporary files.
fn demo(folder: &Path, arguments: &[&str]) -> Command {
    // It starts the server binary that the tests run on.
    let binary = std::env::var_os("SAKILA_SYNC_MYSQLD");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sakila-sync"));
    command
        .current_dir(folder)
        .env("TMPDIR", folder)
        .arg("demo")
        .args(arguments);
    if let Some(binary) = binary {
        command.arg("--mysqld").arg(binary);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The output of the demonstration with --json.
pub fn demo_document() -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::of(demo(folder.path(), &["--json"])).succeeds();
    serde_json::from_str(&run.stdout).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect()
}

/// Reads the output until a line contains `word`. Returns the line, and the rest to read.
fn wait_for_line(child: &mut Child, word: &str) -> (String, BufReader<ChildStdout>) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended before {word:?}");
    }
    (line, output)
}

#[test]
fn the_demonstration_shows_each_command_and_keeps_nothing_but_the_star() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::of(demo(folder.path(), &[])).succeeds();
    let shown: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("$ ")).collect();
    assert_eq!(
        shown,
        [
            "$ sakila-sync seed --scale 1",
            "$ sakila-sync init",
            "$ sakila-sync full-load",
            "$ sakila-sync validate",
            "$ sakila-sync seed mutate",
            "$ sakila-sync incremental",
            "$ sakila-sync validate",
        ]
    );
    // On a busy machine a verdict may also state the verification backlog.
    let verdicts = run.stdout.lines().filter(|line| line.starts_with("OK: "));
    assert_eq!(verdicts.filter(|line| line.ends_with("[OK]")).count(), 4);
    let star = folder.path().join("sakila-demo.db");
    assert!(run.stdout.contains(&star.display().to_string()), "{run:#?}");
    assert_eq!(files(folder.path()), std::slice::from_ref(&star));

    // The bars are those of the last twelve months, even if the last one began today.
    let sandbox = Sandbox::empty();
    let (_, chart) = run.stdout.split_once("Revenue by store and month:").unwrap();
    let mut month = "";
    let mut bars: Vec<String> = vec![];
    for line in chart.lines().filter(|line| line.contains(" store ")) {
        let (of_month, bar) = line.split_once(" store ").unwrap();
        // The month is printed with its first store only.
        if !of_month.trim().is_empty() {
            month = of_month.trim();
        }
        let (store, revenue) = (bar.split(' ').next().unwrap(), bar.rsplit(' ').next().unwrap());
        bars.push(format!("{month} {store} {}", revenue.replace(',', "")));
    }
    let expected = "WITH revenue AS (SELECT year, month, store_id,
         SUM(CAST(ROUND(amount * 100) AS INTEGER)) / 100.0 AS revenue
         FROM fact_payment JOIN dim_store USING (store_key) JOIN dim_date ON date_key = date_key_paid
         GROUP BY 1, 2, 3)
         SELECT PRINTF('%d-%02d %d %d', year, month, store_id, ROUND(revenue)) FROM revenue
         WHERE (year, month) IN (SELECT DISTINCT year, month FROM revenue ORDER BY 1 DESC, 2 DESC LIMIT 12)";
    assert_eq!(bars, sandbox.query(&star, expected));
    // A month that has just begun may lack a store.
    assert!(matches!(bars.len(), 23 | 24), "twelve months, two stores: {bars:?}");
    assert!(chart.contains('█'));

    // The queries to try work as printed.
    let typed = format!("sqlite3 -box {} \"", star.display());
    let queries: Vec<&str> = run
        .stdout
        .lines()
        .filter_map(|line| line.trim().strip_prefix(&typed)?.strip_suffix('"'))
        .collect();
    assert_eq!(queries.len(), 3);
    for query in queries {
        assert!(!sandbox.query(&star, query).is_empty(), "{query}");
    }
}

#[test]
fn a_stopped_demonstration_leaves_no_server_and_no_folder_behind() {
    for (word, signal, code) in [
        (None, "-INT", Some(130)),
        (Some("$ sakila-sync full-load"), "-TERM", Some(130)),
        (Some("$ sakila-sync incremental"), "-KILL", None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = demo(folder.path(), &[]).spawn().unwrap();
        let output = word.map(|word| wait_for_line(&mut child, word));
        wait_until("the server has its folder", || files(folder.path()).len() == 1);
        send(signal, &child);
        assert_eq!(child.wait().unwrap().code(), code, "{signal}");
        drop(output);
        // The process that cleans up after a killed program holds stderr open until it is done.
        wait_until_closed(child);
        assert_eq!(files(folder.path()), Vec::<PathBuf>::new(), "{signal}");
        // A process that was killed on a busy machine takes a moment to end.
        wait_until("no process names the folder", || {
            processes_that_name(folder.path()).is_empty()
        });
    }
}

/// The command lines of this machine's processes that contain this folder.
fn processes_that_name(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    Path::new("/proc")
        .read_dir()
        .unwrap()
        .filter_map(|process| std::fs::read_to_string(process.ok()?.path().join("cmdline")).ok())
        .filter(|command| command.contains(folder))
        .collect()
}

/// Waits until every process that inherited stderr has ended.
fn wait_until_closed(mut child: Child) {
    std::io::copy(&mut child.stderr.take().unwrap(), &mut std::io::sink()).unwrap();
}

#[test]
fn a_demonstration_that_serves_leaves_its_server_up_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path(), &["--serve"]).spawn().unwrap();
    let (url, _output) = wait_for_line(&mut child, "export SAKILA_SYNC_SOURCE=");
    let url = url.trim().trim_start_matches("export SAKILA_SYNC_SOURCE=");
    let (url, target) = url.split_once(" SAKILA_SYNC_TARGET=").unwrap();
    let mut incremental = Command::new(env!("CARGO_BIN_EXE_sakila-sync"));
    incremental
        .current_dir(folder.path())
        .args(["incremental", "--source", url, "--target", target]);
    Run::of(incremental).succeeds();
    send("-INT", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(files(folder.path()), [folder.path().join("sakila-demo.db")]);
}

#[test]
fn a_server_that_cannot_be_started_is_named_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sakila-sync"));
    command
        .current_dir(folder.path())
        .env("TMPDIR", folder.path())
        .args(["demo", "--mysqld", "/nowhere/mysqld"]);
    let run = Run::of(command).fails_with(3, "DEMO_FAILED");
    assert!(run.stderr.contains("/nowhere/mysqld"), "{run:#?}");
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn only_a_star_of_a_demo_is_overwritten_and_that_is_known_before_the_tour() {
    let sandbox = Sandbox::loaded();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(sandbox.target(), folder.path().join("star.db")).unwrap();
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, "precious, and longer than the header of a database: ".repeat(3)).unwrap();
    for (keep, code) in [
        ("notes.txt", "KEEP_REFUSED"),
        ("star.db", "KEEP_REFUSED"),
        ("nowhere/star.db", "TARGET_FILE"),
    ] {
        let run = Run::of(demo(folder.path(), &["--keep", keep])).fails_with(3, code);
        assert!(!run.stdout.contains("$ sakila-sync"), "{run:#?}");
    }
    assert!(std::fs::read_to_string(notes).unwrap().starts_with("precious"));
}

mod needs_sqlite3 {
    use std::io::Write;

    use super::*;

    #[test]
    #[ignore = "needs sqlite3"]
    fn a_star_of_an_earlier_demo_is_replaced_as_a_whole_while_a_program_has_it_open() {
        let folder = tempfile::tempdir().unwrap();
        Run::of(demo(folder.path(), &[])).succeeds();
        let star = folder.path().join("sakila-demo.db");
        let mut open = Command::new("sqlite3")
            .arg(&star)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut typed = open.stdin.take().unwrap();
        writeln!(
            typed,
            "CREATE TABLE note AS SELECT * FROM fact_payment; SELECT 'written';"
        )
        .unwrap();
        wait_for_line(&mut open, "written");
        Run::of(demo(folder.path(), &[])).succeeds();
        let sandbox = Sandbox::empty();
        assert_eq!(sandbox.query(&star, "PRAGMA integrity_check"), ["ok"]);
        let note = "SELECT name FROM sqlite_master WHERE name = 'note'";
        assert!(sandbox.query(&star, note).is_empty());
        drop(typed);
        open.wait().unwrap();
    }
}

#[test]
fn every_command_has_help_with_an_example_a_man_page_and_completions() {
    let sandbox = Sandbox::empty();
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').collect();
        let help = sandbox.run(&[words.as_slice(), &["--help"]].concat()).succeeds();
        assert!(help.stdout.contains("Example"), "{command}");
        let page = sandbox.run(&[&["man"], words.as_slice()].concat()).succeeds();
        let title = format!(".TH sakila-sync-{} 1", command.replace(' ', "-"));
        assert!(page.stdout.contains(&title), "{page:#?}");
        // These three do not connect to the user's source.
        let is_told = page.stdout.contains("SAKILA_SYNC_SOURCE");
        assert_eq!(is_told, !["demo", "completions", "man"].contains(&command), "{command}");
    }
    let page = sandbox.run(&["man"]).succeeds();
    for command in COMMANDS.iter().filter(|command| !command.contains(' ')) {
        let listed = format!("sakila\\-sync\\-{}(1)", command.replace('-', "\\-"));
        assert!(page.stdout.contains(&listed), "no {listed} in {}", page.stdout);
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(&["completions", shell]).succeeds();
        for word in ["full-load", "mutate", "--batch-size"] {
            assert!(
                script.stdout.contains(word.trim_start_matches('-')),
                "{word} in {shell}"
            );
        }
    }
    let run = sandbox.run(&["man", "frobnicate"]).fails_with(2, "NAME_UNKNOWN");
    assert!(run.stderr.contains("full-load"), "{run:#?}");
}
