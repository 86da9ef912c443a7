//! Classifies errors of the source: their code, and whether a retry may succeed.

use sea_orm::{DbErr, RuntimeErr};

use crate::error::code::Code;
use crate::error::{Class, Transience, database_error, server_errors};
use crate::source::answer::CutAnswer;
use crate::source::session::{RefusedSetting, UnsupportedServer};

/// The class of an error, by the server's error number or else by the driver's error.
pub fn class_of_error(cause: &DbErr) -> Class {
    if let Some(class) = server_error_number(cause).and_then(server_errors::class_of_number) {
        return class;
    }
    let is_server_error = server_error_number(cause).is_some();
    let code = match cause.to_string() {
        _ if is(cause, CutAnswer::is) => Code::SourceAnswerCut,
        _ if is(cause, is_caused_by::<RefusedSetting>) => Code::SourceSessionRefused,
        _ if is(cause, is_caused_by::<UnsupportedServer>) => Code::SourceUnsupported,
        _ if !is_server_error && is_tls(cause) => Code::SourceTlsFailed,
        text if !is_server_error && (text.contains("authentication plugin") || text.contains("cleartext_plugin")) => {
            Code::SourcePluginUnsupported
        }
        text if !is_server_error && text.contains("caching_sha2_password") => Code::SourceLoginUncached,
        text if is_lost(cause) || is_lost_text(&text) => {
            return Class {
                code: Code::SourceLost,
                transience: Transience::Lost,
            };
        }
        _ => Code::SourceFailed,
    };
    Class {
        code,
        transience: Transience::Lasting,
    }
}

/// Whether the driver's own error is of this kind.
fn is(cause: &DbErr, kind: impl Fn(&sqlx::Error) -> bool) -> bool {
    match cause {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => kind(error),
        _ => false,
    }
}

/// Whether setting up the connection failed with an error of this type.
fn is_caused_by<T: std::error::Error + 'static>(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Configuration(cause) if cause.is::<T>())
}

/// Whether the driver reports that the connection is lost.
fn is_lost(cause: &DbErr) -> bool {
    match cause {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => true,
        cause => is(cause, |error| {
            matches!(
                error,
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed
            )
        }),
    }
}

/// Whether a proxy reports a lost connection in this text; proxies use error numbers of their own.
fn is_lost_text(text: &str) -> bool {
    ["server has gone away", "Lost connection to"]
        .iter()
        .any(|words| text.contains(words))
}

/// Whether the other side does not speak the MySQL protocol.
pub fn is_foreign_protocol(cause: &DbErr) -> bool {
    server_error_number(cause).is_none()
        && matches!(cause, DbErr::Conn(RuntimeErr::SqlxError(error)) if matches!(**error, sqlx::Error::Protocol(_)))
}

/// Whether the TLS handshake failed.
fn is_tls(cause: &DbErr) -> bool {
    let is_tls = |error: &sqlx::Error| match error {
        sqlx::Error::Tls(_) => true,
        // The driver reports errors of the TLS library as invalid data.
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    };
    matches!(cause, DbErr::Conn(RuntimeErr::SqlxError(error)) if is_tls(error))
        || cause.to_string().contains("certificate")
}

/// The MySQL error number, if the server sent one.
pub fn server_error_number(error: &DbErr) -> Option<u16> {
    database_error(error)?
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .map(sqlx::mysql::MySqlDatabaseError::number)
}
