//! Checks a report document: its parts exist, and its verdicts match those of the run.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::ZipArchive;

use crate::assignment::TESTS;
use crate::document::{CHAPTER, SUITE, VERDICT};
use crate::environment::NOT_COMMITTED;
use crate::error::{Error, Result};
use crate::run::Outcome;

const PARTS: [&str; 5] = [
    "[Content_Types].xml",
    "word/document.xml",
    "word/styles.xml",
    "word/footer1.xml",
    "docProps/core.xml",
];
const CHAPTER_STYLE: &str = "<w:pStyle w:val=\"Heading1\"";

/// Checks the structure of a document. Returns whether each test passed, according to its chapter.
pub fn document(path: &Path) -> Result<Vec<bool>> {
    let (xml, pictures) = content(path)?;
    verdicts(&xml, pictures)
}

/// The same for a document to be kept: it has to be of a committed state, so that others can find what was tested.
pub fn kept(path: &Path) -> Result<Vec<bool>> {
    let (xml, pictures) = content(path)?;
    if xml.contains(NOT_COMMITTED) {
        return Err(Error::Unsound(format!("it is of a commit {NOT_COMMITTED}")));
    }
    verdicts(&xml, pictures)
}

/// The document's XML, and its number of pictures.
fn content(path: &Path) -> Result<(String, usize)> {
    let unsound = |cause: zip::result::ZipError| Error::Document {
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(Error::file(path))?;
    let mut archive = ZipArchive::new(file).map_err(unsound)?;
    for part in PARTS {
        archive.by_name(part).map_err(unsound)?;
    }
    let pictures = archive
        .file_names()
        // The folder itself is listed too.
        .filter(|name| name.starts_with("word/media/rId"))
        .count();
    let mut xml = String::new();
    archive
        .by_name("word/document.xml")
        .map_err(unsound)?
        .read_to_string(&mut xml)
        .map_err(Error::file(path))?;
    Ok((xml, pictures))
}

/// Checks that the document's verdicts are those of the run.
pub fn agrees(path: &Path, outcomes: &[Outcome]) -> Result<()> {
    let ran: Vec<bool> = outcomes.iter().map(|outcome| outcome.passed).collect();
    let told = document(path)?;
    if told == ran {
        Ok(())
    } else {
        Err(Error::Unsound(format!("its verdicts are {told:?}, the run's {ran:?}")))
    }
}

fn verdicts(xml: &str, pictures: usize) -> Result<Vec<bool>> {
    let unsound = |what: String| Err(Error::Unsound(what));
    let drawn = xml.matches("<w:drawing>").count();
    let described = xml.matches(" descr=\"").count();
    if drawn != pictures || described != pictures {
        return unsound(format!(
            "of {pictures} pictures {drawn} are shown and {described} described"
        ));
    }
    if !xml.contains("TOC \\o") {
        return unsound("it has no table of contents".to_owned());
    }
    let chapters: Vec<&str> = xml.split(CHAPTER_STYLE).skip(1).collect();
    let (Some(summary), Some(last)) = (chapters.first(), chapters.last()) else {
        return unsound("it has no chapters".to_owned());
    };
    let tests = &chapters[1..chapters.len() - 1];
    if tests.len() != TESTS.len() || !last.contains(SUITE) {
        return unsound(format!("{} chapters of tests", tests.len()));
    }
    let mut verdicts = Vec::new();
    for (number, (test, chapter)) in TESTS.iter().zip(tests).enumerate() {
        if !chapter.contains(&format!(">{CHAPTER}{}: {}<", number + 1, test.title)) {
            return unsound(format!("the chapter of {} is not in its place", test.name));
        }
        if !chapter.contains("<w:drawing>") {
            return unsound(format!("the chapter of {} has no picture", test.name));
        }
        verdicts.push(chapter.contains(&format!(">{VERDICT}passed in ")));
    }
    let passed = verdicts.iter().filter(|passed| **passed).count();
    let summed_up = summary.matches(">passed<").count();
    if summed_up != passed {
        return unsound(format!("{passed} tests passed, the summary says {summed_up}"));
    }
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{self, Report};
    use crate::transcript::{Command, Event};

    fn outcomes(failed: usize) -> Vec<Outcome> {
        let command = Command {
            arguments: vec!["init".to_owned()],
            code: 0,
            seconds: 0.5,
            stdout: "\u{1b}[32mdone\u{1b}[0m & <well>\n".to_owned(),
            stderr: String::new(),
        };
        let outcome = |(number, test): (usize, &crate::assignment::Described)| Outcome {
            test: *test,
            passed: number != failed,
            seconds: 1.5,
            // A test may fail before its first command.
            events: if number == failed {
                Vec::new()
            } else {
                vec![Event::Command(command.clone())]
            },
            runner: "running 1 test\n".to_owned(),
        };
        TESTS.iter().enumerate().map(outcome).collect()
    }

    #[test]
    fn a_report_says_which_test_has_failed_and_is_held_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.docx");
        let outcomes = outcomes(1);
        let report = Report {
            environment: &[],
            outcomes: &outcomes,
            suite: &[],
        };
        let headings = document::write(&report, &[2, 3, 4, 5, 6, 7, 8], &path).unwrap();
        assert_eq!(headings[2], "Test 2: Full load");
        assert_eq!(document(&path).unwrap(), [true, false, true, true, true]);
        agrees(&path, &outcomes).unwrap();
        assert!(matches!(agrees(&path, &self::outcomes(2)), Err(Error::Unsound(_))));
        assert!(kept(&path).is_ok());
        let report = Report {
            environment: &[("Commit", format!("1234567 ({NOT_COMMITTED})"))],
            ..report
        };
        document::write(&report, &[], &path).unwrap();
        assert!(document(&path).is_ok() && kept(&path).is_err());
    }

    #[test]
    fn what_is_no_report_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.docx");
        std::fs::write(&path, "PK and nothing else").unwrap();
        assert!(matches!(document(&path), Err(Error::Document { .. })));
    }
}
