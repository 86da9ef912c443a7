//! Parses the source's URL: mysql://USER:PASSWORD@HOST:PORT/SCHEMA?PARAMETERS.
//!
//! General URL parsers are not used: they do not support the zone of an IPv6 address, keep brackets that the system's
//! resolver does not accept, and report an invalid port for a password with a slash. No message repeats text that may
//! be part of a password.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use star_sync::source::connect::Access;

use crate::config::path::{absolute, expand_home};
use crate::error::{Code, Error, Result};

pub(crate) const URL_FORM: &str = "give --source (or {ENV}_SOURCE) as mysql://USER@HOST:PORT/SCHEMA";
const ESCAPES: &str = "in a password, write / as %2F, ? as %3F, # as %23, @ as %40 and % as %25, or put it into \
                       {ENV}_SOURCE_PASSWORD as it is";
const DEFAULT_PORT: u16 = 3306;

/// Supported parameters. Others are refused, because a misspelt one would silently have no effect.
const PARAMETERS: [&str; 9] = [
    "socket", "ssl-mode", "sslmode", "ssl-ca", "sslca", "ssl-cert", "sslcert", "ssl-key", "sslkey",
];

/// Parses the URL into connection settings. `password` is used if the URL has none.
pub fn parse(text: &str, password: Option<String>) -> Result<Access> {
    let parts = Parts::parse(text)?;
    let parameters = Parameters::parse(parts.query)?;
    let host = Host::parse(parts.host)?;
    let schema = schema(parts.path)?;
    let mut options = MySqlConnectOptions::new()
        .host(&host.name)
        .port(host.port)
        .database(&schema)
        .disable_statement_logging();
    if !parts.user.is_empty() {
        options = options.username(&decode(parts.user)?);
    }
    if let Some(password) = parts.password.map(decode).transpose()?.or(password) {
        options = options.password(&password);
    }
    options = parameters.apply(options)?;
    let address = match &parameters.socket {
        Some(path) => path.display().to_string(),
        None => host.address(),
    };
    // Over a socket the first log-in of an account uses TLS even if TLS is disabled: the server asks for the password,
    // and provides no key to encrypt it with.
    let is_local = match parameters.socket {
        Some(_) => parameters.is_plain() || !parameters.names_tls,
        None => host.is_loopback() && !parameters.names_tls,
    };
    let local = is_local.then(|| options.clone().ssl_mode(MySqlSslMode::Disabled));
    let login = match local {
        Some(_) => options.ssl_mode(MySqlSslMode::Preferred),
        None => options,
    };
    Ok(Access {
        login,
        local,
        identity: format!("{address}/{schema}"),
        address,
    })
}

/// Whether a source's URL contains a password.
pub(crate) fn has_password(text: &str) -> bool {
    Parts::parse(text).is_ok_and(|parts| parts.password.is_some())
}

fn invalid(what: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::setting(Code::SourceUrlInvalid, what, hint)
}

/// The parts of a URL, still encoded.
struct Parts<'a> {
    user: &'a str,
    password: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(invalid("--source is not a mysql:// URL", URL_FORM));
        };
        if !["mysql", "mariadb"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return Err(invalid("--source is not a mysql:// URL", URL_FORM));
        }
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // Otherwise the rest of a password would be parsed as schema or parameter, and be shown in a message.
        if behind.contains(['@', '#']) {
            return Err(invalid(
                "--source has an unescaped /, ?, # or @, perhaps in the password",
                ESCAPES,
            ));
        }
        let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        Ok(Self {
            user,
            password,
            host,
            path,
            query,
        })
    }
}

/// Where the server listens.
struct Host {
    /// In the form that the resolver accepts: an IPv6 address without brackets, with its zone.
    name: String,
    port: u16,
}

impl Host {
    fn parse(text: &str) -> Result<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(address) => {
                let (address, port) = address
                    .split_once(']')
                    .ok_or_else(|| invalid("--source has an IPv6 address without a closing bracket", URL_FORM))?;
                // The % before a zone may be encoded as %25, as URLs require, or not.
                let address = match address.split_once('%') {
                    Some((address, zone)) => format!("{address}%{}", zone.strip_prefix("25").unwrap_or(zone)),
                    None => address.to_owned(),
                };
                let number = address.split('%').next().unwrap_or_default();
                if number.parse::<Ipv6Addr>().is_err() {
                    return Err(invalid(
                        "--source has brackets without an IPv6 address in them",
                        URL_FORM,
                    ));
                }
                (address, port)
            }
            None if text.matches(':').count() > 1 => {
                return Err(invalid(
                    "--source has more than one colon after the user",
                    "write an IPv6 address in brackets, as in mysql://USER@[::1]:3306/SCHEMA",
                ));
            }
            None => {
                let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                (decode(name)?.to_lowercase(), port)
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => DEFAULT_PORT,
            Some("") => DEFAULT_PORT,
            Some(number) => match number.parse() {
                Ok(port) if port != 0 => port,
                _ => {
                    return Err(invalid(
                        "--source has a port that is not a number from 1 to 65535",
                        format!("{URL_FORM}; {ESCAPES}"),
                    ));
                }
            },
            None => return Err(invalid("--source has a malformed host", URL_FORM)),
        };
        let name = if name.is_empty() { "localhost".to_owned() } else { name };
        Ok(Self { name, port })
    }

    fn address(&self) -> String {
        if self.name.contains(':') {
            format!("[{}]:{}", self.name, self.port)
        } else {
            format!("{}:{}", self.name, self.port)
        }
    }

    /// Whether the connection stays on this machine.
    fn is_loopback(&self) -> bool {
        self.name == "localhost"
            || self
                .name
                .parse::<IpAddr>()
                .is_ok_and(|number| number.to_canonical().is_loopback())
    }
}

/// The parameters after the question mark.
#[derive(Default)]
struct Parameters {
    socket: Option<PathBuf>,
    mode: Option<String>,
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    /// Whether there is any TLS parameter: a certificate requests TLS, too.
    names_tls: bool,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            parameters.names_tls |= name.starts_with("ssl");
            let file = || Some(expand_home(&value));
            // If a parameter is repeated, the last value applies.
            match &*name {
                "socket" => parameters.socket = file(),
                "ssl-mode" | "sslmode" => parameters.mode = Some(value),
                "ssl-ca" | "sslca" => parameters.authority = file(),
                "ssl-cert" | "sslcert" => parameters.certificate = file(),
                "ssl-key" | "sslkey" => parameters.key = file(),
                unknown => {
                    return Err(invalid(
                        format!("--source has an unknown parameter{}", quoted_name(unknown)),
                        format!("known are {}; {ESCAPES}", PARAMETERS.join(", ")),
                    ));
                }
            }
        }
        parameters.check_files()?;
        Ok(parameters)
    }

    fn is_plain(&self) -> bool {
        self.mode
            .as_ref()
            .is_some_and(|mode| mode.eq_ignore_ascii_case("disabled"))
    }

    /// Checks that the files are readable, and that `ssl-mode` verifies a certificate if `ssl-ca` is given.
    fn check_files(&self) -> Result<()> {
        for (name, path) in [
            ("ssl-ca", &self.authority),
            ("ssl-cert", &self.certificate),
            ("ssl-key", &self.key),
        ] {
            let Some(path) = path else { continue };
            std::fs::File::open(path).map_err(|error| {
                Error::setting(
                    Code::SourceTlsFileInvalid,
                    format!(
                        "the file {} ({name} in --source) cannot be read: {error}",
                        absolute(path.clone()).display()
                    ),
                    format!("name a readable PEM file with {name}"),
                )
            })?;
        }
        let verifies = self
            .mode
            .as_ref()
            .is_some_and(|mode| mode.to_lowercase().starts_with("verify"));
        if self.authority.is_some() && !verifies {
            return Err(Error::setting(
                Code::SourceTlsFileInvalid,
                "--source has ssl-ca, but no ssl-mode that checks it",
                "add ssl-mode=VERIFY_IDENTITY, or VERIFY_CA where the certificate has another name than the host",
            ));
        }
        Ok(())
    }

    fn apply(&self, mut options: MySqlConnectOptions) -> Result<MySqlConnectOptions> {
        if let Some(path) = &self.socket {
            options = options.socket(path);
        }
        if let Some(mode) = &self.mode {
            let mode: MySqlSslMode = mode.to_uppercase().parse().map_err(|_| {
                invalid(
                    "--source has an unknown ssl-mode",
                    "known are DISABLED, PREFERRED, REQUIRED, VERIFY_CA and VERIFY_IDENTITY",
                )
            })?;
            options = options.ssl_mode(mode);
        }
        if let Some(path) = &self.authority {
            options = options.ssl_ca(path);
        }
        if let Some(path) = &self.certificate {
            options = options.ssl_client_cert(path);
        }
        if let Some(path) = &self.key {
            options = options.ssl_client_key(path);
        }
        Ok(options)
    }
}

/// The schema's name. Slashes around it are ignored; a slash within it must be written as %2F.
fn schema(path: &str) -> Result<String> {
    let name = path.trim_matches('/');
    if name.is_empty() {
        return Err(invalid("--source has no schema", URL_FORM));
    }
    if name.contains('/') {
        return Err(invalid(
            "--source has a / in the name of the schema",
            format!("{URL_FORM}; in the schema's name, write / as %2F; {ESCAPES}"),
        ));
    }
    decode(name)
}

/// Decodes percent-encoding.
fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = behind
            .first_chunk::<2>()
            .map(|digits| digits.map(|digit| char::from(digit).to_digit(16)));
        let Some([Some(high), Some(low)]) = digits else {
            return Err(invalid(
                "--source has a % that is not followed by two hexadecimal digits",
                ESCAPES,
            ));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
        rest = &behind[2..];
    }
    String::from_utf8(bytes).map_err(|_| invalid("--source has a percent-encoding that is not UTF-8", ESCAPES))
}

/// The parameter's name for a message, if it consists of letters; anything else may be part of a password.
fn quoted_name(name: &str) -> String {
    let is_name = name
        .chars()
        .all(|letter| letter.is_ascii_alphabetic() || letter == '-' || letter == '_');
    if is_name { format!(", {name}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(text: &str) -> Access {
        parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn problem(text: &str) -> (String, String) {
        match parse(text, None) {
            Err(Error::Setting { what, hint, .. }) => (what, hint),
            _ => panic!("{text} was accepted"),
        }
    }

    #[test]
    fn a_source_is_named_without_its_user_and_password() {
        let settings = access("mysql://reader:s%40cret@db.example:3307/shop");
        assert_eq!(settings.identity, "db.example:3307/shop");
        assert_eq!(settings.address, "db.example:3307");
        let socket = access("mysql://reader@localhost/shop?socket=/run/mysqld.sock");
        assert_eq!(socket.identity, "/run/mysqld.sock/shop");
    }

    #[test]
    fn hosts_are_names_or_addresses_in_any_spelling() {
        for (host, address, name) in [
            ("[::1]:3307", "[::1]:3307", "::1"),
            ("[::1]", "[::1]:3306", "::1"),
            ("[fe80::1%25eth0]", "[fe80::1%eth0]:3306", "fe80::1%eth0"),
            ("[fe80::1%eth0]:1", "[fe80::1%eth0]:1", "fe80::1%eth0"),
            ("DB.Example", "db.example:3306", "db.example"),
            ("db%2Eexample:", "db.example:3306", "db.example"),
            ("", "localhost:3306", "localhost"),
        ] {
            let settings = access(&format!("mysql://reader@{host}/shop"));
            assert_eq!(settings.address, address);
            assert_eq!(settings.login.get_host(), name);
        }
        assert!(problem("mysql://reader@::1/shop").1.contains("[::1]"));
        assert!(problem("mysql://reader@[::1/shop").0.contains("bracket"));
        assert!(problem("mysql://reader@[db]/shop").0.contains("IPv6"));
        assert!(problem("mysql://reader@db:0/shop").0.contains("port"));
        assert!(problem("mysql://reader@db:65536/shop").0.contains("port"));
    }

    #[test]
    fn users_and_schemas_are_decoded_and_slashes_at_the_end_mean_nothing() {
        let settings = access("MySQL://re%40der@db/my%20shop%2F2//");
        assert_eq!(settings.login.get_username(), "re@der");
        assert_eq!(settings.login.get_database(), Some("my shop/2"));
        assert_eq!(access("mysql://reader@db/shop/").identity, "db:3306/shop");
    }

    #[test]
    fn what_stays_on_this_machine_is_encrypted_only_where_that_is_asked_for() {
        let goes_without = |url: &str| access(&format!("mysql://reader@{url}")).local.is_some();
        for local in [
            "localhost/shop",
            "LOCALHOST/shop",
            "127.0.0.1:3307/shop",
            "[::1]/shop",
            "[::ffff:127.0.0.1]/shop",
            "db.example/shop?socket=/run/mysqld.sock",
            "localhost/shop?socket=/run/mysqld.sock&ssl-mode=DISABLED",
        ] {
            assert!(goes_without(local), "{local}");
        }
        for other in [
            "db.example/shop",
            "10.0.0.1/shop",
            "localhost.example/shop",
            "localhost/shop?ssl-mode=PREFERRED",
            "127.0.0.1/shop?sslmode=required",
            "localhost/shop?socket=/run/mysqld.sock&ssl-mode=REQUIRED",
            "localhost/shop?socket=/run/mysqld.sock&ssl-mode=DISABLED&ssl-mode=REQUIRED",
            // Any existing file will do.
            "localhost/shop?ssl-cert=Cargo.toml&ssl-key=Cargo.toml",
        ] {
            assert!(!goes_without(other), "{other}");
        }
    }

    #[test]
    fn a_malformed_source_is_refused_by_name() {
        assert_eq!(problem("mysql://reader@localhost").0, "--source has no schema");
        assert_eq!(problem("postgres://localhost/shop").0, "--source is not a mysql:// URL");
        assert_eq!(problem("shop").0, "--source is not a mysql:// URL");
        assert_eq!(
            problem("mysql://localhost/shop?timezone=%2B02:00").0,
            "--source has an unknown parameter, timezone"
        );
        assert_eq!(
            problem("mysql://localhost/shop?ssl-mode=SURELY").0,
            "--source has an unknown ssl-mode"
        );
    }

    #[test]
    fn an_unescaped_character_in_a_password_is_named_by_its_escape_and_the_password_is_not_shown() {
        for (password, escape) in [
            ("12/top5ecret", "%2F"),
            ("top/5ecret", "%2F"),
            ("top?5ecret", "%3F"),
            ("top#5ecret", "%23"),
            ("12/ab?top5ecret", "%2F"),
            ("100%top5ecret", "%25"),
        ] {
            let (what, hint) = problem(&format!("mysql://root:{password}@host/shop"));
            assert!(hint.contains(escape), "{password}: {hint}");
            assert!(!format!("{what} {hint}").contains("5ecret"), "{what} {hint}");
        }
        // Unescaped @ and : in a password are unambiguous.
        access("mysql://root:p@ss:word@host/shop");
    }
}
