//! Checks settings as far as possible without contacting source or target.

mod env_file;
pub mod environment;
mod path;
mod source_url;

use star_sync::source::connect::Access;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::cli::Global;
use crate::config::environment::{PASSWORD, PASSWORD_FILE, variable};
use crate::error::{Code, Error, Result};
use crate::program::Program;

pub use path::parse_target;
pub(crate) use path::{absolute, expand_home};
pub(crate) use source_url::has_password;
pub use source_url::parse as parse_source;

/// `PASSWORD` or `PASSWORD_FILE`, if the environment itself sets it: it takes precedence over the other one in `.env`.
static NAMED_BY_ENVIRONMENT: OnceLock<&str> = OnceLock::new();

/// Reads `.env` in the working folder. The environment takes precedence. Returns the names in the file.
pub(crate) fn read_dotenv(program: &Program) -> Result<Vec<String>> {
    if let Some(named) = [PASSWORD, PASSWORD_FILE]
        .into_iter()
        .find(|name| variable(&program.variable(name)).is_some())
    {
        NAMED_BY_ENVIRONMENT.get_or_init(|| named);
    }
    env_file::load()
}

/// Checks the URL and reads the password from the URL, the environment, or the file that the environment names.
pub(crate) fn source_access(program: &Program, global: &Global) -> Result<Access> {
    let text = global
        .source
        .as_deref()
        .ok_or_else(|| Error::setting(Code::SourceMissing, "no source is given", source_url::URL_FORM))?;
    parse_source(text, password(program)?)
}

/// The target's absolute path, from a path or a `sqlite:` URL.
pub(crate) fn target_path(global: &Global) -> Result<PathBuf> {
    parse_target(&global.target).map(absolute)
}

fn password(program: &Program) -> Result<Option<String>> {
    let is_file_meant = NAMED_BY_ENVIRONMENT.get() == Some(&PASSWORD_FILE);
    if !is_file_meant && let Some(password) = variable(&program.variable(PASSWORD)) {
        let password = password.into_string().map_err(|_| {
            Error::setting(
                Code::PasswordFileUnreadable,
                format!("{} is not UTF-8 text", program.variable(PASSWORD)),
                "write the password as UTF-8, or name a file that holds it in {ENV}_SOURCE_PASSWORD_FILE",
            )
        })?;
        return Ok(Some(password));
    }
    let Some(path) = variable(&program.variable(PASSWORD_FILE)) else {
        return Ok(None);
    };
    let path = absolute(expand_home(PathBuf::from(path)));
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::setting(
            Code::PasswordFileUnreadable,
            format!("the password file {} cannot be read: {error}", path.display()),
            "name a readable file in {ENV}_SOURCE_PASSWORD_FILE, or set {ENV}_SOURCE_PASSWORD",
        )
    })?;
    Ok(Some(password_in(&text).to_owned()))
}

/// A file's text without the byte order mark and the line ends that editors add.
fn password_in(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.trim_end_matches(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_add_is_no_part_of_a_password() {
        for text in ["pa ss", "pa ss\n", "pa ss\r\n", "\u{feff}pa ss\n\n"] {
            assert_eq!(password_in(text), "pa ss");
        }
        assert_eq!(password_in(" pa ss "), " pa ss ");
    }
}
