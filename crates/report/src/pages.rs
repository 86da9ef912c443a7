//! Page numbers of the chapters, taken from LibreOffice's layout, because the document itself does not contain them.
//! Word recalculates them when the table of contents is updated.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// The page numbers of these headings, in order; empty if LibreOffice or pdftotext is not installed.
pub fn of_headings(document: &Path, headings: &[String]) -> Result<Vec<u32>> {
    let folder = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
    let profile = format!("-env:UserInstallation=file://{}/profile", folder.path().display());
    let converted = Command::new("soffice")
        .args([&profile, "--headless", "--convert-to", "pdf", "--outdir"])
        .arg(folder.path())
        .arg(document)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !converted.is_ok_and(|status| status.success()) {
        return Ok(Vec::new());
    }
    let name = document.file_name().unwrap_or_default();
    let pdf = folder.path().join(name).with_extension("pdf");
    let Ok(text) = Command::new("pdftotext").arg(pdf).arg("-").output() else {
        return Ok(Vec::new());
    };
    Ok(find(&String::from_utf8_lossy(&text.stdout), headings))
}

/// Pages end with a form feed. The table of contents lists all headings too, so the last match counts.
fn find(text: &str, headings: &[String]) -> Vec<u32> {
    let pages: Vec<&str> = text.split('\u{c}').collect();
    let mut found = Vec::new();
    for heading in headings {
        let Some(page) = pages
            .iter()
            .rposition(|page| page.lines().any(|line| line.trim() == heading))
        else {
            return Vec::new();
        };
        found.extend(u32::try_from(page + 1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_on_the_last_page_that_has_its_line() {
        let text = "Title\u{c}Contents\nOne\nTwo\n\nOne\ntext\u{c}Two\nmore\u{c}";
        assert_eq!(find(text, &["One".to_owned(), "Two".to_owned()]), [2, 3]);
        assert_eq!(find(text, &["Three".to_owned()]), Vec::<u32>::new());
    }
}
