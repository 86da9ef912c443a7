//! Checked settings. Everything that can be wrong without contacting anything is found here.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use sea_orm::ConnectOptions;
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use url::Url;

use crate::cli::Global;
use crate::error::{Code, Error, Result};

const PASSWORD: &str = "SAKILA_SYNC_SOURCE_PASSWORD";
const PASSWORD_FILE: &str = "SAKILA_SYNC_SOURCE_PASSWORD_FILE";

/// Which of the two the environment has, where it has one: that wins over the other one in `.env`.
static NAMED_BY_ENVIRONMENT: OnceLock<&str> = OnceLock::new();

const URL_FORM: &str = "give --source (or SAKILA_SYNC_SOURCE) as mysql://USER@HOST:PORT/SCHEMA";

/// Parameters of the source's URL that mean something. A misspelt one would silently mean nothing.
const URL_PARAMETERS: [&str; 9] = [
    "socket", "ssl-mode", "sslmode", "ssl-ca", "sslca", "ssl-cert", "sslcert", "ssl-key", "sslkey",
];

/// How to reach the source.
#[derive(Clone)]
pub struct SourceSettings {
    pub options: ConnectOptions,
    /// The same over TLS, for a server of the same machine that `options` reach without it: see `Session::connect`.
    pub over_tls: Option<ConnectOptions>,
    pub address: Address,
    /// Server and schema, without user or password.
    pub identity: String,
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(String),
    Socket(PathBuf),
}

impl SourceSettings {
    /// Checks the URL and finds the password: in the URL, in the environment, or in the file that it names.
    pub fn new(global: &Global) -> Result<Self> {
        let text = global
            .source
            .as_deref()
            .ok_or_else(|| Error::setting(Code::SourceMissing, "no source is given", URL_FORM))?;
        let password = password()?;
        Self::parse(text, password)
    }

    /// The same of a URL of one's own.
    pub fn parse(text: &str, password: Option<String>) -> Result<Self> {
        // The parser's message may quote the URL, password and all: it is not passed on.
        let mut url = Url::parse(text).map_err(|error| invalid(format!("--source is no URL: {error}"), URL_FORM))?;
        if !matches!(url.scheme(), "mysql" | "mariadb") {
            return Err(invalid("--source is not a mysql:// URL", URL_FORM));
        }
        let schema = url.path().trim_matches('/').to_owned();
        if schema.is_empty() || schema.contains('/') {
            return Err(invalid("--source names no schema", URL_FORM));
        }
        // Behind an unescaped / or ? the rest of a password would be taken for the schema or a parameter, and be shown.
        if [url.path(), url.query().unwrap_or_default()].concat().contains('@') || url.fragment().is_some() {
            return Err(invalid(
                "--source has a malformed part",
                "in a password, write /, ?, # and @ as %2F, %3F, %23 and %40",
            ));
        }
        let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        if let Some((unknown, _)) = parameters
            .iter()
            .find(|(name, _)| !URL_PARAMETERS.contains(&name.as_str()))
        {
            return Err(invalid(
                format!("--source has an unknown parameter{}", quoted_name(unknown)),
                format!(
                    "known are {}; in a password, write /, ? and # as %2F, %3F and %23",
                    URL_PARAMETERS.join(", ")
                ),
            ));
        }
        check_tls(&parameters)?;
        let options = MySqlConnectOptions::from_str(url.as_str())
            .map_err(|_| invalid("--source has a malformed part", URL_FORM))?;
        let password = match url.password() {
            // The driver has decoded it; taking it out of the URL keeps it out of whatever shows the URL.
            Some(_) => None,
            None => password,
        };
        let options = match password {
            Some(password) => options.password(&password),
            None => options,
        }
        .disable_statement_logging();
        // A certificate asks for TLS, too. Of several modes the driver takes the last.
        let names_tls = parameters.iter().any(|(name, _)| name.starts_with("ssl"));
        let is_plain = parameters
            .iter()
            .rfind(|(name, _)| matches!(name.as_str(), "ssl-mode" | "sslmode"))
            .is_some_and(|(_, mode)| mode.eq_ignore_ascii_case("disabled"));
        let host = url.host_str().unwrap_or("localhost");
        let is_loopback = is_loopback(host);
        let address = match parameters.into_iter().find(|(name, _)| name == "socket") {
            Some((_, path)) => Address::Socket(path.into()),
            None => Address::Tcp(format!("{host}:{}", url.port().unwrap_or(3306))),
        };
        // Cannot fail: the scheme has a host.
        let _ = url.set_password(None);
        if url.set_scheme("mysql").is_err() {
            return Err(invalid("--source is not a mysql:// URL", URL_FORM));
        }
        let connect = |options: MySqlConnectOptions| {
            let mut connect = ConnectOptions::new(url.as_str());
            connect.map_sqlx_mysql_opts(move |_| options.clone());
            connect
        };
        let begins_plain = match address {
            Address::Socket(_) => is_plain || !names_tls,
            Address::Tcp(_) => is_loopback && !names_tls,
        };
        let over_tls = begins_plain.then(|| connect(options.clone().ssl_mode(MySqlSslMode::Preferred)));
        let options = match over_tls {
            Some(_) => options.ssl_mode(MySqlSslMode::Disabled),
            None => options,
        };
        Ok(Self {
            options: connect(options),
            over_tls,
            identity: format!("{address}/{schema}"),
            address,
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Socket(path) => write!(formatter, "{}", path.display()),
        }
    }
}

fn invalid(what: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::setting(Code::SourceUrlInvalid, what, hint)
}

/// Whether what is said to a host stays on this machine.
fn is_loopback(host: &str) -> bool {
    let number = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || number.is_ok_and(|number| number.is_loopback())
}

/// The files have to be there, and a certificate authority that nothing is checked against is a mistake.
fn check_tls(parameters: &[(String, String)]) -> Result<()> {
    let given = |names: [&str; 2]| parameters.iter().find(|(name, _)| names.contains(&name.as_str()));
    for names in [["ssl-ca", "sslca"], ["ssl-cert", "sslcert"], ["ssl-key", "sslkey"]] {
        if let Some((name, path)) = given(names) {
            std::fs::File::open(path).map_err(|error| {
                Error::setting(
                    Code::SourceTlsFileInvalid,
                    format!("the file {path} that --source names as {name} cannot be read: {error}"),
                    format!("name a readable PEM file as {name}"),
                )
            })?;
        }
    }
    let verifies = given(["ssl-mode", "sslmode"]).is_some_and(|(_, mode)| mode.to_lowercase().starts_with("verify"));
    if given(["ssl-ca", "sslca"]).is_some() && !verifies {
        return Err(Error::setting(
            Code::SourceTlsFileInvalid,
            "--source names an ssl-ca, but no ssl-mode that checks it",
            "add ssl-mode=VERIFY_IDENTITY, or VERIFY_CA where the certificate has another name than the host",
        ));
    }
    Ok(())
}

/// A parameter's name, if it can be one: anything else may be a part of a password.
fn quoted_name(name: &str) -> String {
    let is_name = name
        .chars()
        .all(|letter| letter.is_ascii_alphabetic() || letter == '-' || letter == '_');
    if is_name { format!(", {name}") } else { String::new() }
}

fn password() -> Result<Option<String>> {
    let is_file_meant = NAMED_BY_ENVIRONMENT.get() == Some(&PASSWORD_FILE);
    if !is_file_meant && let Ok(password) = std::env::var(PASSWORD) {
        return Ok(Some(password));
    }
    let Some(path) = std::env::var_os(PASSWORD_FILE) else {
        return Ok(None);
    };
    let path = PathBuf::from(path);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::setting(
            Code::PasswordFileUnreadable,
            format!("the password file {} cannot be read: {error}", path.display()),
            format!("name a readable file in {PASSWORD_FILE}, or set {PASSWORD}"),
        )
    })?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Whether a source's URL carries a password.
pub fn has_password(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.password().is_some())
}

/// The target's path, from a path or a `sqlite:` URL.
pub fn target_path(global: &Global) -> Result<PathBuf> {
    parse_target(&global.target)
}

/// The same of a text of one's own.
pub fn parse_target(text: &str) -> Result<PathBuf> {
    let path = text
        .strip_prefix("sqlite://")
        .or_else(|| text.strip_prefix("sqlite:"))
        .unwrap_or(text);
    // Perhaps the source's, with its password: it is not repeated.
    if path.contains("://") {
        return Err(Error::setting(
            Code::TargetPathInvalid,
            "--target is a URL, and not one of SQLite",
            "give --target (or SAKILA_SYNC_TARGET) as a path; the mysql:// URL belongs into --source",
        ));
    }
    if path.is_empty() || path == ":memory:" || path.contains('?') {
        return Err(Error::setting(
            Code::TargetPathInvalid,
            "--target names no file",
            "give --target (or SAKILA_SYNC_TARGET) as a path, or as sqlite:PATH without parameters",
        ));
    }
    Ok(PathBuf::from(path))
}

/// Reads `.env` in the working folder. What the environment has already wins.
pub fn read_dotenv() -> Result<()> {
    if let Some(named) = [PASSWORD, PASSWORD_FILE]
        .into_iter()
        .find(|name| std::env::var_os(name).is_some())
    {
        NAMED_BY_ENVIRONMENT.get_or_init(|| named);
    }
    let path = Path::new(".env");
    match dotenvy::from_path(path) {
        Ok(()) => Ok(()),
        Err(dotenvy::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(dotenvy::Error::LineParse(_, position)) => Err(Error::setting(
            Code::DotenvInvalid,
            format!(".env cannot be read: a line is malformed at character {position}"),
            "write NAME=VALUE a line; quote values with spaces or #",
        )),
        Err(error) => Err(Error::setting(
            Code::DotenvInvalid,
            format!(".env cannot be read: {error}"),
            "make it readable, or remove it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SourceSettings> {
        SourceSettings::parse(text, None)
    }

    fn problem(text: &str) -> String {
        match parse(text) {
            Ok(_) => panic!("{text} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_source_is_named_without_its_user_and_password() {
        let settings = parse("mysql://reader:s%40cret@db.example:3307/sakila").unwrap();
        assert_eq!(settings.identity, "db.example:3307/sakila");
        assert_eq!(settings.address, Address::Tcp("db.example:3307".to_owned()));
        assert!(!settings.options.get_url().contains("cret"));
        let socket = parse("mysql://reader@localhost/sakila?socket=/run/mysqld.sock").unwrap();
        assert_eq!(socket.identity, "/run/mysqld.sock/sakila");
    }

    #[test]
    fn what_stays_on_this_machine_is_encrypted_only_where_that_is_asked_for() {
        let begins_without = |url: &str| parse(url).unwrap().over_tls.is_some();
        for local in [
            "localhost/sakila",
            "127.0.0.1:3307/sakila",
            "[::1]/sakila",
            "db.example/sakila?socket=/run/mysqld.sock",
            "localhost/sakila?socket=/run/mysqld.sock&ssl-mode=DISABLED",
        ] {
            assert!(begins_without(&format!("mysql://reader@{local}")), "{local}");
        }
        for other in [
            "db.example/sakila",
            "10.0.0.1/sakila",
            "localhost.example/sakila",
            "localhost/sakila?ssl-mode=PREFERRED",
            "127.0.0.1/sakila?sslmode=required",
            "localhost/sakila?socket=/run/mysqld.sock&ssl-mode=REQUIRED",
            "localhost/sakila?socket=/run/mysqld.sock&ssl-mode=DISABLED&ssl-mode=REQUIRED",
            // Any file that is there.
            "localhost/sakila?ssl-cert=Cargo.toml&ssl-key=Cargo.toml",
        ] {
            assert!(!begins_without(&format!("mysql://reader@{other}")), "{other}");
        }
    }

    #[test]
    fn a_malformed_source_is_rejected_by_name() {
        assert_eq!(problem("mysql://reader@localhost"), "--source names no schema");
        assert_eq!(problem("postgres://localhost/sakila"), "--source is not a mysql:// URL");
        assert_eq!(
            problem("mysql://localhost/sakila?timezone=%2B02:00"),
            "--source has an unknown parameter, timezone"
        );
        assert!(problem("sakila").starts_with("--source is no URL"));
        // An unescaped / and ? in a password: what stands behind them is not repeated.
        assert_eq!(
            problem("mysql://root:12/ab?top5ecret@host"),
            "--source has a malformed part"
        );
    }
}
