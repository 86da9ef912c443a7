//! The report as a Word document: title page, contents, summary, a chapter for each test, and the whole suite.

mod chapter;
mod finish;
mod parts;
mod styles;

use std::fs::File;
use std::path::Path;

use chrono::{SecondsFormat, Utc};
use docx_rs::{BreakType, Docx, FieldCharType, Hyperlink, HyperlinkType, InstrText, Paragraph, Run};

use crate::error::{Error, Result};
use crate::run::Outcome;
use crate::suite_log::Part;
use parts::{Block, Body, Cell};

/// The contents of a report.
pub struct Report<'a> {
    pub environment: &'a [(&'static str, String)],
    pub outcomes: &'a [Outcome],
    /// The parts of the whole suite; empty if it was not run.
    pub suite: &'a [Part],
}

/// The beginning of the heading of each test's chapter.
pub const CHAPTER: &str = "Test ";
/// The beginning of the line with a test's verdict.
pub const VERDICT: &str = "Verdict: ";
/// The heading of the last chapter.
pub const SUITE: &str = "The whole suite";
const TITLE: &str = "sakila-sync: test report";

/// Writes the document and returns its headings. `pages` are the page numbers of the headings, if they are known.
pub fn write(report: &Report, pages: &[u32], path: &Path) -> Result<Vec<String>> {
    let mut body = Body::default();
    summary(&mut body, report);
    for (number, outcome) in report.outcomes.iter().enumerate() {
        chapter::test(&mut body, number + 1, outcome)?;
    }
    suite(&mut body, report.suite);

    let mut front = Body::default();
    title_page(&mut front, report);
    contents(&mut front, &body, pages);

    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut docx = styles::docx().created_at(&now).updated_at(&now);
    for block in front.blocks.into_iter().chain(body.blocks) {
        docx = add(docx, block);
    }
    let mut document = docx.build();
    finish::finish(&mut document, TITLE, &body.alternative_texts);
    let file = File::create(path).map_err(Error::file(path))?;
    document.pack(file).map_err(|cause| Error::Document {
        path: path.to_owned(),
        cause,
    })?;
    Ok(body.headings.into_iter().map(|heading| heading.text).collect())
}

fn add(docx: Docx, block: Block) -> Docx {
    match block {
        Block::Paragraph(paragraph) => docx.add_paragraph(*paragraph),
        Block::Table(table) => docx.add_table(*table),
    }
}

fn title_page(front: &mut Body, report: &Report) {
    front.styled(styles::TITLE, "Test report");
    front.styled(
        styles::SUBTITLE,
        "sakila-sync: keeps a SQLite star schema in sync with an operational MySQL Sakila, through SeaORM alone",
    );
    let passed = passed(report.outcomes);
    let all = report.outcomes.len();
    let verdict = if passed == all {
        format!("All {all} tests of the assignment passed")
    } else {
        format!(
            "{passed} of the {all} tests of the assignment passed, {} FAILED",
            all - passed
        )
    };
    front.verdict(passed == all, &verdict);
    let rows: Vec<Vec<Cell>> = report
        .environment
        .iter()
        .map(|(name, value)| vec![Cell::Text((*name).to_owned()), Cell::Text(value.clone())])
        .collect();
    front.bare_table(&[1, 4], None, &rows);
    front.text(
        "This document is made by one command, scripts/test-report, from a real run: it runs the five tests against a \
         real server, and all commands, output, figures and pictures in it are of that run.",
    );
}

/// The table of contents, as a field that Word can update.
fn contents(front: &mut Body, body: &Body, pages: &[u32]) {
    let new_page = Run::new().add_break(BreakType::Page);
    front.paragraph(
        Paragraph::new()
            .style(styles::CONTENTS_HEADING)
            .add_run(new_page)
            .add_run(Run::new().add_text("Contents")),
    );
    let last = body.headings.len() - 1;
    for (number, heading) in body.headings.iter().enumerate() {
        let mut paragraph = Paragraph::new().style(styles::CONTENTS);
        if number == 0 {
            let begin = Run::new()
                .add_field_char(FieldCharType::Begin, false)
                .add_instr_text(InstrText::Unsupported("TOC \\o \"1-1\" \\h \\z \\u".to_owned()))
                .add_field_char(FieldCharType::Separate, false);
            paragraph = paragraph.add_run(begin);
        }
        let mut link =
            Hyperlink::new(&heading.bookmark, HyperlinkType::Anchor).add_run(Run::new().add_text(&heading.text));
        if let Some(page) = pages.get(number) {
            let reference = format!("PAGEREF {} \\h", heading.bookmark);
            link = link
                .add_run(Run::new().add_tab())
                .add_run(parts::field(&reference, &page.to_string()));
        }
        paragraph = paragraph.add_hyperlink(link);
        if number == last {
            paragraph = paragraph.add_run(Run::new().add_field_char(FieldCharType::End, false));
        }
        front.paragraph(paragraph);
    }
}

fn summary(body: &mut Body, report: &Report) {
    // Separates the contents from the summary on the page that they share.
    body.text("");
    body.chapter("Summary", false);
    let rows: Vec<Vec<Cell>> = report
        .outcomes
        .iter()
        .enumerate()
        .map(|(number, outcome)| {
            vec![
                Cell::Number((number + 1).to_string()),
                Cell::Text(outcome.test.title.to_owned()),
                Cell::Code(outcome.test.name.replacen("::", "::\n", 1)),
                Cell::Verdict(outcome.passed),
                Cell::Number(format!("{:.2} s", outcome.seconds)),
            ]
        })
        .collect();
    body.table(
        "The five tests of the assignment",
        &[7, 36, 117, 23, 21],
        &["#", "Test", "Name in the suite", "Result", "Time"],
        &rows,
    );
    body.text(
        "The time is that of the test as the test runner measures it. It includes the start of a private database \
         server and the seeding of a Sakila with the official numbers of rows.",
    );
}

fn suite(body: &mut Body, parts: &[Part]) {
    body.chapter(SUITE, true);
    if parts.is_empty() {
        body.text(
            "The whole suite has not been run for this report: scripts/test runs it, and scripts/test-report \
             --suite-log takes the log of such a run.",
        );
        return;
    }
    body.text(
        "The five tests are part of a suite that scripts/test runs on MySQL and on MariaDB, with unit tests before \
         it. These are its figures, from the log of such a run:",
    );
    let rows: Vec<Vec<Cell>> = parts
        .iter()
        .map(|part| {
            vec![
                Cell::Text(part.name.clone()),
                Cell::Number(part.passed.to_string()),
                Cell::Number(part.failed.to_string()),
                Cell::Number(part.not_run.to_string()),
                Cell::Number(format!("{:.0} s", part.seconds)),
                Cell::Verdict(part.failed == 0),
            ]
        })
        .collect();
    body.table(
        "The whole suite",
        &[40, 12, 12, 12, 12, 12],
        &["Part", "Passed", "Failed", "Not run", "Duration", "Result"],
        &rows,
    );
    if parts.iter().any(|part| part.not_run > 0) {
        body.text(
            "Tests that were not run need something that was not there, or are for the night; the suite says so by name.",
        );
    }
}

fn passed(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.passed).count()
}
