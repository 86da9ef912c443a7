//! Adds what docx-rs does not write: descriptions of pictures, header rows that are repeated on each page, and the
//! document's title.

use std::fmt::Write;

use docx_rs::XMLDocx;

pub fn finish(document: &mut XMLDocx, title: &str, alternative_texts: &[String]) {
    edit(&mut document.document, |xml| {
        repeated_headers(&described(xml, alternative_texts))
    });
    edit(&mut document.doc_props.core, |xml| {
        xml.replace(">unknown<", ">sakila-sync<").replacen(
            "</cp:coreProperties>",
            &format!("<dc:title>{title}</dc:title></cp:coreProperties>"),
            1,
        )
    });
}

fn edit(part: &mut Vec<u8>, change: impl FnOnce(&str) -> String) {
    *part = change(&String::from_utf8_lossy(part)).into_bytes();
}

/// Gives every picture a unique number and its description.
fn described(xml: &str, alternative_texts: &[String]) -> String {
    let mut described = String::with_capacity(xml.len());
    let mut rest = xml;
    for (number, text) in alternative_texts.iter().enumerate() {
        let Some((before, after)) = rest.split_once("<wp:docPr ") else {
            break;
        };
        let Some((_, behind)) = after.split_once("/>") else {
            break;
        };
        described.push_str(before);
        let number = number + 1;
        let text = escaped(text);
        let _ = write!(
            described,
            "<wp:docPr id=\"{number}\" name=\"Figure {number}\" descr=\"{text}\"/>"
        );
        rest = behind;
    }
    described + rest
}

/// Marks the first row of a table as a header to be repeated if it has a shaded cell.
fn repeated_headers(xml: &str) -> String {
    let mut tables = xml.split("<w:tbl>");
    let mut repeated = tables.next().unwrap_or_default().to_owned();
    for table in tables {
        repeated.push_str("<w:tbl>");
        let first_row = table.split("</w:tr>").next().unwrap_or_default();
        if first_row.contains("<w:shd ") {
            repeated.push_str(&table.replacen("</w:trPr>", "<w:tblHeader/></w:trPr>", 1));
        } else {
            repeated.push_str(table);
        }
    }
    repeated
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_described_in_their_order() {
        let xml = r#"<a/><wp:docPr id="1" name="Figure" /><b/><wp:docPr id="1" name="Figure" />"#;
        assert_eq!(
            described(xml, &["one".to_owned(), "a < b".to_owned()]),
            "<a/><wp:docPr id=\"1\" name=\"Figure 1\" descr=\"one\"/><b/>\
             <wp:docPr id=\"2\" name=\"Figure 2\" descr=\"a &lt; b\"/>"
        );
    }

    #[test]
    fn only_shaded_first_rows_are_headers() {
        let table = |cell: &str| format!("<w:tbl><w:tr><w:trPr><c/></w:trPr>{cell}</w:tr></w:tbl>");
        assert_eq!(repeated_headers(&table("")), table(""));
        assert!(repeated_headers(&table("<w:shd />")).contains("<c/><w:tblHeader/></w:trPr>"));
    }
}
