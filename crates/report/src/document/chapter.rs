//! The chapter of a test: what it verifies, its commands, its terminal output, its queries and its log.

use super::parts::{Body, Cell};
use super::{CHAPTER, VERDICT, styles};
use crate::error::Result;
use crate::run::Outcome;
use crate::terminal::{self, COLUMNS, LINES};
use crate::transcript::{Command, Event, Query, Side};

/// Rows that are shown of a long result.
const SHOWN_ROWS: usize = 2;

pub fn test(body: &mut Body, number: usize, outcome: &Outcome) -> Result<()> {
    body.chapter(&format!("{CHAPTER}{number}: {}", outcome.test.title), true);
    let verdict = if outcome.passed { "passed" } else { "FAILED" };
    body.verdict(
        outcome.passed,
        &format!("{VERDICT}{verdict} in {:.2} s", outcome.seconds),
    );
    body.section("What it verifies");
    body.text(outcome.test.verifies);
    body.text(outcome.test.how);
    body.section("Commands");
    steps(body, outcome);
    body.section("Screenshots");
    pictures(body, outcome)?;
    body.section("Checked by independent SQL");
    queries(body, &outcome.events);
    comparisons(body, &outcome.events);
    body.section("Log");
    log(body, outcome);
    Ok(())
}

/// The commands and changes of the test, in order.
fn steps(body: &mut Body, outcome: &Outcome) {
    let mut rows = Vec::new();
    for event in &outcome.events {
        let (what, code, result) = match event {
            Event::Command(command) => (
                "the program",
                command.line(),
                format!("exit code {}, {:.2} s", command.code, command.seconds),
            ),
            Event::Change { side, statements } => {
                let what = match side {
                    Side::Source => "SQL on the source",
                    Side::Star => "SQL on the SQLite file",
                };
                (what, statements.join(";\n"), "done".to_owned())
            }
            _ => continue,
        };
        let number = (rows.len() + 1).to_string();
        rows.push(vec![
            Cell::Number(number),
            Cell::Text(what.to_owned()),
            Cell::Code(code),
            Cell::Text(result),
        ]);
    }
    if rows.is_empty() {
        body.text("The test ended before its first command.");
        return;
    }
    body.table(
        "Commands and changes, in their order",
        &[4, 17, 59, 20],
        &["#", "By", "Command", "Result"],
        &rows,
    );
}

/// Pictures of the output for people. Preparing commands and JSON are only in the log. The runner's verdict comes last.
fn pictures(body: &mut Body, outcome: &Outcome) -> Result<()> {
    let is_shown = |command: &&Command| command.is(outcome.test.command) && !command.is_json();
    for command in commands(&outcome.events).filter(is_shown) {
        let line = command.line();
        let last = terminal::plain(&terminal::session(command));
        let last = last.trim_end().lines().last().unwrap_or_default();
        let caption = match command.code {
            0 => format!("{line}, log and result"),
            code => format!("{line}, log and result, exit code {code}"),
        };
        picture(
            body,
            &terminal::session(command),
            &caption,
            &format!("Terminal with the output of {line}, whose last line is: {last}"),
        )?;
    }
    let verdict = if outcome.passed { "ok" } else { "FAILED" };
    picture(
        body,
        &typed(outcome),
        "The test runner's verdict",
        &format!(
            "Terminal with the test runner's verdict on {}: {verdict}",
            outcome.test.name
        ),
    )
}

fn picture(body: &mut Body, text: &str, caption: &str, alternative_text: &str) -> Result<()> {
    let screen = terminal::shortened(&terminal::wrapped(text, COLUMNS), LINES);
    let svg = terminal::svg(&screen, "Terminal", COLUMNS)?;
    body.picture(terminal::png(&svg)?, caption, alternative_text);
    Ok(())
}

/// The output of the runner after the command that starts it.
fn typed(outcome: &Outcome) -> String {
    let name = outcome.test.name;
    let line = terminal::prompt(&format!("cargo test --test suite -- --exact {name}"));
    line + outcome.runner.trim_start()
}

/// The queries whose results were compared with figures. Queries of whole-table comparisons are left out.
fn queries(body: &mut Body, events: &[Event]) {
    let mut asked: Vec<(&Query, usize)> = Vec::new();
    for (position, event) in events.iter().enumerate() {
        let Event::Query(query) = event else { continue };
        let is_compared = events[position + 1..]
            .iter()
            .take(2)
            .take_while(|event| !matches!(event, Event::Command(_)))
            .any(|event| matches!(event, Event::Comparison { rows, .. } if *rows == query.rows));
        if is_compared {
            continue;
        }
        match asked.iter_mut().find(|(same, _)| *same == query) {
            Some((_, times)) => *times += 1,
            None => asked.push((query, 1)),
        }
    }
    let rows: Vec<Vec<Cell>> = asked
        .iter()
        .map(|(query, times)| {
            let mut answer = answer(query);
            if *times > 1 {
                answer.push_str("\n(the same when asked again)");
            }
            vec![
                Cell::Text(query.side.database().to_owned()),
                Cell::Code(query.sql.clone()),
                Cell::Code(answer),
            ]
        })
        .collect();
    if rows.is_empty() {
        body.text("The test ended before its first query.");
        return;
    }
    body.table(
        "Queries of the test's own, and what they yielded",
        &[10, 58, 32],
        &["Asked", "Query", "Answer"],
        &rows,
    );
}

fn answer(query: &Query) -> String {
    match (query.rows, query.first.as_slice()) {
        (0, _) => "no row".to_owned(),
        (1, [only]) => only.clone(),
        (rows, first) if rows > first.len() as u64 || first.len() > SHOWN_ROWS + 1 => {
            let shown = first[..first.len().min(SHOWN_ROWS)].join("\n");
            format!("{} rows:\n{shown}\n…", grouped(rows))
        }
        (_, all) => all.join("\n"),
    }
}

fn comparisons(body: &mut Body, events: &[Event]) {
    let rows: Vec<Vec<Cell>> = events
        .iter()
        .filter_map(|event| match event {
            Event::Comparison { table, rows } => Some(vec![
                Cell::Code(table.clone()),
                Cell::Number(grouped(*rows)),
                Cell::Text("all alike, none missing, none too many".to_owned()),
            ]),
            _ => None,
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    body.table(
        "Rows of the star, compared one by one with what SQL joins on the source yield",
        &[30, 20, 50],
        &["Table", "Rows on both sides", "Result"],
        &rows,
    );
}

/// Everything that was printed. In JSON documents, deeply nested values are put on one line.
fn log(body: &mut Body, outcome: &Outcome) {
    for command in commands(&outcome.events) {
        body.styled(styles::LOG_COMMAND, &format!("$ {}", command.line()));
        body.log(&terminal::plain(&command.stderr));
        let printed = terminal::plain(&command.stdout);
        if command.is_json() {
            body.log(&folded(&printed));
        } else {
            body.log(&printed);
        }
        body.log(&format!("(exit code {} after {:.2} s)", command.code, command.seconds));
    }
    let typed = terminal::plain(&typed(outcome));
    let (line, printed) = typed.split_once('\n').unwrap_or((&typed, ""));
    body.styled(styles::LOG_COMMAND, line);
    body.log_together(printed.trim());
}

/// Puts each element of a document's lists on one line: it is indented by four, and followed by everything nested in
/// it.
fn folded(document: &str) -> String {
    let mut folded = String::with_capacity(document.len());
    for line in document.lines() {
        let depth = line.len() - line.trim_start().len();
        let closes = depth == 4 && line.trim_start().starts_with('}');
        if !folded.is_empty() {
            folded.push_str(if depth > 4 || closes { " " } else { "\n" });
        }
        folded.push_str(if depth > 4 || closes { line.trim_start() } else { line });
    }
    folded
}

fn commands(events: &[Event]) -> impl Iterator<Item = &Command> {
    events.iter().filter_map(|event| match event {
        Event::Command(command) => Some(command),
        _ => None,
    })
}

/// Formats 16049 as 16,049.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_lists_are_folded_into_a_line() {
        let document = "{\n  \"days\": [\n    {\n      \"rows\": 1\n    },\n    {\n      \"rows\": 2\n    }\n  ]\n}\n";
        assert_eq!(
            folded(document),
            "{\n  \"days\": [\n    { \"rows\": 1 },\n    { \"rows\": 2 }\n  ]\n}"
        );
    }
}
