//! Errors that only `seed` and `demo` report.

use sea_orm::DbErr;
use star_sync::codes;
use star_sync::error::{Code, server_error_number, source_code};
use star_sync_cli::error::EXIT_FAILED;
use star_sync_cli::{Error, hint};

codes! {
    /// A stable code of an error of these commands.
    ErrorCode =>
    SeedFailed "SEED_FAILED" "The schema could not be filled."
        "see the cause; mostly, the account may not create tables: `GRANT ALL ON {source}.*` to it",
    SeedRefused "SEED_REFUSED" "The schema has tables that seed did not create, or cannot be changed as requested."
        "name an empty schema in --source; `{program} seed --replace` replaces a seeded one",
    DemoFailed "DEMO_FAILED" "A step of the demo failed."
        "see the step in the message; try another server with --mysqld",
    KeepRefused "KEEP_REFUSED" "The file that the demo would replace is not a star of an earlier demo."
        "name another file with --keep; nothing was changed",
    ServerMissing "SERVER_MISSING" "No MySQL or MariaDB server is installed."
        "`apt-get install mariadb-server-core mariadb-client-core`, run `scripts/install-mysql`, or name a mysqld with --mysqld; the server need not run",
}

/// An error of one of these commands.
pub fn own(code: ErrorCode, text: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::Command {
        code: code.name(),
        text: text.into(),
        hint: hint.into(),
        exit_code: EXIT_FAILED,
        cause: None,
    }
}

/// Like [`own`], with a cause.
pub fn caused(
    code: ErrorCode,
    text: impl Into<String>,
    hint: impl Into<String>,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::Command {
        code: code.name(),
        text: text.into(),
        hint: hint.into(),
        exit_code: EXIT_FAILED,
        cause: Some(Box::new(cause)),
    }
}

/// The error if no database server is installed.
pub fn no_server() -> Error {
    own(
        ErrorCode::ServerMissing,
        "no MySQL or MariaDB server is installed",
        ErrorCode::ServerMissing.remedy(),
    )
}

/// Converts an error of the crate `sakila_seed`.
pub fn of_seed(error: sakila_seed::Error) -> Error {
    match error {
        sakila_seed::Error::Failed { doing, cause } => caused(
            ErrorCode::SeedFailed,
            format!("the schema could not be filled: {doing} failed"),
            seed_hint(&cause),
            cause,
        ),
        sakila_seed::Error::Refused { why, hint } => own(ErrorCode::SeedRefused, why, hint),
        sakila_seed::Error::Panicked => star_sync::Error::Panicked { stage: "seed" }.into(),
    }
}

/// The hint for a failed write to the source. The account may lack the privilege: the sync itself only reads.
fn seed_hint(cause: &DbErr) -> &'static str {
    match server_error_number(cause) {
        Some(1044 | 1142 | 1143 | 1227 | 1370) => {
            "name an account in --source that has all privileges on the schema (GRANT ALL), because seed writes to it"
        }
        Some(1290 | 1792 | 1836) => "the server is read-only; name another one in --source",
        Some(1205 | 1213) => "another transaction has locked these rows; run the command again",
        Some(167 | 1062 | 1264 | 1467) => {
            "a key has reached the maximum of its official type; start over with `{program} seed --replace`: larger scales \
             have wider keys"
        }
        _ if source_code(cause) == Code::SourceLost => {
            "the schema is incomplete; `{program} seed --replace` starts over. Of `seed mutate`, every business day that was \
             printed is kept: run it again"
        }
        _ => hint::for_answer(cause),
    }
}
