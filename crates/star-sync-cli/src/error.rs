//! Errors and exit codes of commands: errors of the engine, of settings, of output, and of a program's own commands.

use star_sync::error::Transience;
use star_sync::target::bookkeeping::history::Status;
use star_sync::{codes, error as engine};

use crate::hint;
pub use star_sync::error::Doing;

pub type Result<T> = std::result::Result<T, Error>;

/// Exit code of a command that found a mismatch.
pub const EXIT_MISMATCH: u8 = 1;
/// Exit code of invalid usage or settings: nothing was contacted.
pub const EXIT_USAGE: u8 = 2;
/// Exit code of a command that failed.
pub const EXIT_FAILED: u8 = 3;
/// Exit code of a command that was stopped.
pub const EXIT_STOPPED: u8 = 130;

/// The exit code of a command that ran to its end, with or without a mismatch.
pub fn exit_of(is_mismatch: bool) -> u8 {
    if is_mismatch { EXIT_MISMATCH } else { 0 }
}

codes! {
    /// A stable code of an error of the command line.
    Code =>
    Usage "USAGE" "The command line cannot be parsed, or an option has a value that is not allowed."
        "correct the option in the message; `{program} COMMAND --help` lists the options",
    SourceMissing "SOURCE_MISSING" "No source is given."
        "set --source, or {ENV}_SOURCE in the environment or in .env",
    SourceUrlInvalid "SOURCE_URL_INVALID" "The URL of the source is malformed, or has an unknown parameter."
        "write mysql://USER@HOST:PORT/SCHEMA, with parameters such as ?socket=PATH or ?ssl-mode=REQUIRED",
    SourceTlsFileInvalid "SOURCE_TLS_FILE_INVALID" "A certificate or key file in the URL of the source cannot be used."
        "name readable PEM files with ssl-ca, ssl-cert and ssl-key",
    PasswordFileUnreadable "PASSWORD_FILE_UNREADABLE" "The password file cannot be read."
        "name a file that this user may read with {ENV}_SOURCE_PASSWORD_FILE",
    TargetPathInvalid "TARGET_PATH_INVALID" "The target is not a path or a sqlite: URL."
        "name a path, or a URL such as sqlite:analytics.db, with --target",
    DotenvInvalid "DOTENV_INVALID" "The file .env cannot be read, or a line of it is malformed."
        "write NAME=VALUE, one per line, and make the file readable by this user",
    PeriodInvalid "PERIOD_INVALID" "The first day of a period is after its last day."
        "give the earlier day with --from; both days belong to the period",
    NameUnknown "NAME_UNKNOWN" "There is no table, column or command of this name."
        "use one of the names in the hint",
    OutputFailed "OUTPUT_FAILED" "The result cannot be printed."
        "check the file or pipe that stdout is redirected to, and the free space of its disk",
}

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Engine(#[from] engine::Error),

    /// A setting is missing or malformed; nothing was contacted.
    #[error("{what}")]
    Setting { code: Code, what: String, hint: String },

    /// An error of a command outside the engine, such as one of the program's own.
    #[error("{text}")]
    Command {
        code: &'static str,
        text: String,
        hint: String,
        exit_code: u8,
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },

    /// A stop request, with the hint of the stopped command. `commands::run` creates it from the engine's `Stopped`.
    #[error("stopped")]
    Interrupted { hint: &'static str },
    #[error("the result cannot be printed")]
    Output {
        #[source]
        cause: std::io::Error,
    },
}

impl Error {
    /// A command was ended by a stop request.
    pub const STOPPED: Self = Self::Engine(engine::Error::Stopped);

    /// An error for a missing or malformed setting; the hint says what to write instead.
    pub fn setting(code: Code, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Setting {
            code,
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// Whether it is a stop request rather than a failure.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Engine(engine::Error::Stopped))
    }

    /// The status of a run that ended with this error.
    pub fn status(&self) -> Status {
        match self {
            Self::Engine(error) => Status::from_error(error),
            Self::Interrupted { .. } => Status::Stopped,
            _ => Status::Failed,
        }
    }

    /// Whether the source refused the log-in of this account or this host.
    pub fn is_refused_login(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_refused_login())
    }

    /// The stable code of what failed.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.code().name(),
            Self::Setting { code, .. } => code.name(),
            Self::Command { code, .. } => code,
            Self::Interrupted { .. } => engine::Code::Stopped.name(),
            Self::Output { .. } => Code::OutputFailed.name(),
        }
    }

    /// What the user can do about it, with the placeholders of `Program::fill`.
    pub fn hint(&self) -> String {
        hint::for_error(self)
    }

    /// The exit code of a command that failed with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Setting { .. } => EXIT_USAGE,
            Self::Command { exit_code, .. } => *exit_code,
            Self::Engine(engine::Error::Stopped) | Self::Interrupted { .. } => EXIT_STOPPED,
            _ => EXIT_FAILED,
        }
    }

    /// Whether a retry may succeed.
    pub fn transience(&self) -> Transience {
        match self {
            Self::Engine(error) => error.transience(),
            _ => Transience::Lasting,
        }
    }
}
