//! Reads `.env` in the working folder: one NAME=VALUE per line, without variable substitution.
//!
//! An unquoted value ends at the end of its line or at a # after a blank. A value in single quotes is literal. In
//! double quotes `\"`, `\\`, `\$` and `\n` stand for a quote, a backslash, a dollar sign and a line feed. A dollar
//! sign in a password is a dollar sign. An empty value counts as unset.

use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;

use crate::config::path::absolute;
use crate::error::{Code, Error, Result};

const FORM: &str = "write one NAME=VALUE per line; put a value that contains a # after a blank, or begins with a quote, \
                    into single quotes";

/// Sets the variables of `.env` that the environment does not set. Returns the names in the file.
pub(crate) fn load() -> Result<Vec<String>> {
    let Some(text) = read(Path::new(".env"))? else {
        return Ok(Vec::new());
    };
    let variables = parse(&text)?;
    let is_missing = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    let mut escaped = String::new();
    for (name, value) in variables
        .iter()
        .filter(|(name, value)| !value.is_empty() && is_missing(name))
    {
        let _ = writeln!(escaped, "{name}=\"{}\"", escape(value));
    }
    // Setting variables is unsafe while other threads may read them; dotenvy does it, and no thread has started yet.
    dotenvy::from_read_override(escaped.as_bytes())
        .map_err(|error| invalid(format!("{} cannot be used: {error}", shown(Path::new(".env")))))?;
    Ok(variables.into_iter().map(|(name, _)| name).collect())
}

/// The file's text; `None` if there is no file or the working folder is not accessible.
fn read(path: &Path) -> Result<Option<String>> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::setting(
            Code::DotenvInvalid,
            format!("{} cannot be read: {error}", shown(path)),
            "make it readable by this user, or start in another folder",
        )
    };
    match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))),
            Err(_) => Err(unreadable(&"it is not UTF-8 text")),
        },
        // A folder named `.env` belongs to another program.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => Ok(None),
        Err(_) if path.symlink_metadata().is_err() => Ok(None),
        Err(error) => Err(unreadable(&error)),
    }
}

fn shown(path: &Path) -> impl std::fmt::Display {
    absolute(path.to_owned()).display().to_string()
}

fn parse(text: &str) -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let variable = parse_line(line)
            .map_err(|problem| invalid(format!("{}, line {}: {problem}", shown(Path::new(".env")), number + 1)))?;
        variables.push(variable);
    }
    Ok(variables)
}

fn invalid(what: String) -> Error {
    Error::setting(Code::DotenvInvalid, what, FORM)
}

fn parse_line(line: &str) -> std::result::Result<(String, String), &'static str> {
    let (name, value) = line.split_once('=').ok_or("there is no = in it")?;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let is_name = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !is_name {
        return Err("the text before the = is not the name of a variable");
    }
    Ok((name.to_owned(), parse_value(value)?))
}

fn parse_value(text: &str) -> std::result::Result<String, &'static str> {
    let quoted = text.trim();
    let Some(quote @ ('\'' | '"')) = quoted.chars().next() else {
        let comment = [" #", "\t#"].iter().filter_map(|comment| text.find(comment)).min();
        return Ok(text[..comment.unwrap_or(text.len())].trim().to_owned());
    };
    let mut value = String::new();
    let mut letters = quoted[1..].chars();
    loop {
        match letters.next().ok_or("a quote is not closed")? {
            letter if letter == quote => break,
            '\\' if quote == '"' => match letters.next().ok_or("a quote is not closed")? {
                'n' => value.push('\n'),
                letter @ ('"' | '\\' | '$') => value.push(letter),
                letter => value.extend(['\\', letter]),
            },
            letter => value.push(letter),
        }
    }
    let rest = letters.as_str();
    let is_comment =
        rest.trim_start().is_empty() || (rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#'));
    if is_comment {
        Ok(value)
    } else {
        Err("there is text after the closing quote")
    }
}

/// Escapes a value for dotenvy, which reads it between double quotes.
fn escape(value: &str) -> String {
    let mut escaped = String::new();
    for letter in value.chars() {
        match letter {
            '\n' => escaped.push_str("\\n"),
            '\\' | '"' | '$' => escaped.extend(['\\', letter]),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_means_what_it_says() {
        let text = concat!(
            "# a comment\r\n",
            "A=pa$word\r\n",
            "B=\"pa$wo\\$rd\\\"\\\\\"\n",
            "C='pa$\\wo\"rd' # why\n",
            "export D = mysql://a:b$c@d/e?socket=/f#g   # why\n",
            "E=\n",
            "F= # nothing\n",
            "F=#a\n",
            "G=it's \"so\"\n",
            "H=\"a\\b\\nc\"\n",
            "  I=one two\t# why",
        );
        let variables = parse(text).unwrap();
        let values: Vec<&str> = variables.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            values,
            [
                "pa$word",
                "pa$wo$rd\"\\",
                "pa$\\wo\"rd",
                "mysql://a:b$c@d/e?socket=/f#g",
                "",
                "",
                "#a",
                "it's \"so\"",
                "a\\b\nc",
                "one two"
            ]
        );
    }

    #[test]
    fn what_the_library_reads_is_what_was_written() {
        let value = " #a'b\"c\\d$e${f}\ng\t\u{e4} ";
        let line = format!("NAME=\"{}\"", escape(value));
        let read: Vec<(String, String)> = dotenvy::from_read_iter(line.as_bytes())
            .map(|item| item.unwrap())
            .collect();
        assert_eq!(read, [("NAME".to_owned(), value.to_owned())]);
    }

    #[test]
    fn a_malformed_line_is_named_by_its_number_and_not_repeated() {
        for line in [
            "secret",
            "secret key=1",
            "A='secret",
            "A=\"secret",
            "A='secret'x",
            "=secret",
            "1A=secret",
        ] {
            let error = parse(&format!("B=1\n\n{line}\n")).unwrap_err();
            assert_eq!(error.code(), Code::DotenvInvalid.name());
            let text = error.to_string();
            assert!(text.contains("line 3") && !text.contains("secret"), "{text}");
        }
    }
}
