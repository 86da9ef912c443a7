//! Paths in settings. They may begin with `~/`, which a shell expands only at the beginning of a word, not after a `=`
//! and not in a `.env` file.

use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};

/// Replaces `~/` at the beginning of a path by the user's home folder, if there is one.
pub(crate) fn expand_home(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(within), Some(home)) => home.join(within),
        _ => path.to_owned(),
    }
}

/// The absolute path, so that messages and logs name the file independently of the working folder.
pub(crate) fn absolute(path: PathBuf) -> PathBuf {
    // Fails if there is no working folder; then the path stays as it is.
    std::path::absolute(&path).unwrap_or(path)
}

/// The target's path, from a path or a `sqlite:` URL.
pub fn parse_target(text: &str) -> Result<PathBuf> {
    let path = text
        .strip_prefix("sqlite://")
        .or_else(|| text.strip_prefix("sqlite:"))
        .unwrap_or(text);
    // It may be the source's URL with its password, so the message does not repeat it.
    if path.contains("://") {
        return Err(invalid(
            "--target is a URL of another kind than sqlite:",
            "give --target (or {ENV}_TARGET) as a path; the mysql:// URL belongs into --source",
        ));
    }
    if path.is_empty() || path == ":memory:" || path.contains('?') {
        return Err(invalid(
            "--target does not name a file",
            "give --target (or {ENV}_TARGET) as a path, or as sqlite:PATH without parameters",
        ));
    }
    if path.contains('\0') {
        return Err(invalid("--target has a NUL byte", "give --target as a path"));
    }
    // It is probably the next option, and the value of --target is missing.
    if path.starts_with('-') && !path.contains(['.', '/']) {
        return Err(invalid(
            format!("--target has no value, or the file is named {path}"),
            format!("give a path after --target; write a file of this name as ./{path}"),
        ));
    }
    let path = expand_home(path);
    // SQLite and the system accept such a name, but other programs may read it as an option.
    Ok(if path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        Path::new(".").join(path)
    } else {
        path
    })
}

fn invalid(what: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::setting(Code::TargetPathInvalid, what, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_folder_only_as_the_first_part() {
        let home = std::env::home_dir().unwrap();
        assert_eq!(expand_home("~/a.db"), home.join("a.db"));
        assert_eq!(expand_home("~b/a.db"), Path::new("~b/a.db"));
        assert_eq!(expand_home("a/~/a.db"), Path::new("a/~/a.db"));
        assert_eq!(parse_target("sqlite:~/a.db").unwrap(), home.join("a.db"));
    }

    #[test]
    fn a_dash_may_begin_the_name_of_a_file_but_not_of_an_option() {
        assert_eq!(parse_target("-x.db").unwrap(), Path::new("./-x.db"));
        for option in ["-v", "--json", "-"] {
            let Err(Error::Setting { hint, .. }) = parse_target(option) else {
                panic!("{option} was accepted");
            };
            assert!(hint.contains(&format!("./{option}")), "{hint}");
        }
        assert!(parse_target("").is_err());
    }
}
