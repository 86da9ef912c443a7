//! Hints for errors: one remedy per code, and more precise ones for some errors of the server or of SQLite.
//! `docs/errors.md` lists the remedies.
//!
//! `Program::fill` replaces `{program}` and other placeholders when a hint is shown.

use std::io::ErrorKind;

use sea_orm::DbErr;
use star_sync::error::{
    Code, Error as Engine, FolderProblem, is_foreign_protocol, server_error_number, source_code, sqlite_code,
};

use crate::error::{Code as OwnCode, Error};

/// The hint for an error.
pub(crate) fn for_error(error: &Error) -> String {
    match error {
        Error::Engine(error) => of_engine(error).to_owned(),
        Error::Setting { hint, .. } | Error::Command { hint, .. } => hint.clone(),
        Error::Interrupted { hint } => (*hint).to_owned(),
        Error::Output { .. } => OwnCode::OutputFailed.remedy().to_owned(),
    }
}

/// The hint for an error of the source.
pub fn for_answer(cause: &DbErr) -> &'static str {
    of_source(source_code(cause), cause)
}

fn of_engine(error: &Engine) -> &'static str {
    match error {
        Engine::Source { cause, .. } => of_source(error.code(), cause),
        Engine::Target { cause, .. } | Engine::Copy { cause, .. } => of_target(error.code(), cause),
        Engine::TargetFolder {
            problem: FolderProblem::Unwritable,
            ..
        } => {
            "make the folder writable by this user (SQLite keeps files beside the target), or name another path with \
             --target"
        }
        Engine::TargetFolder {
            problem: FolderProblem::NotAFolder,
            ..
        } => "a part of the path is a file: name another path with --target",
        Engine::TargetFile { cause, .. } if cause.kind() == ErrorKind::InvalidFilename => {
            "give a shorter path with --target: files with longer names are kept beside it"
        }
        error => remedy(error.code()),
    }
}

/// The hint for an error of the source with this code.
fn of_source(code: Code, cause: &DbErr) -> &'static str {
    match server_error_number(cause) {
        None if code == Code::SourceFailed && is_foreign_protocol(cause) => {
            "check host and port in --source: the server there does not speak the MySQL protocol"
        }
        number => of_numbered(code, number),
    }
}

/// The hint for an error of the source with this code and, if there is one, the server's error number.
fn of_numbered(code: Code, number: Option<u16>) -> &'static str {
    match (code, number) {
        (Code::SourceConnectionsExhausted, Some(1040)) => {
            "the server has as many connections as max_connections allows: close some, raise it, or lower --workers"
        }
        (Code::SourceConnectionsExhausted, Some(1203)) => {
            "the account has as many connections as the server's max_user_connections allows: close some, raise it, or \
             lower --workers"
        }
        (Code::SourceConnectionsExhausted, Some(1226)) => {
            "the account has reached the limit in the message (MAX_USER_CONNECTIONS, MAX_QUERIES_PER_HOUR, ...): close its \
             other connections, raise the limit with ALTER USER, or lower --workers"
        }
        (_, Some(1043 | 1835)) => {
            "check host and port in --source, and proxies on the way: the protocol does not match"
        }
        (_, Some(1305 | 1193 | 1064)) => {
            "check that the server is MySQL or MariaDB and no proxy with a reduced dialect: it lacks a function, a variable \
             or a statement that both have"
        }
        (_, Some(1264 | 1292 | 1365 | 1366 | 1690)) => {
            "correct the value in the table that the message names: it exceeds its column, or a sum; then run the command \
             again"
        }
        (code, _) => remedy(code),
    }
}

/// The hint for an error of SQLite.
fn of_target(code: Code, cause: &DbErr) -> &'static str {
    match (code, sqlite_code(cause).unwrap_or_default()) {
        // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC and SQLITE_IOERR_CLOSE.
        (Code::TargetIo, 1_034 | 1_290 | 4_106) => {
            "check the system's log for disk errors, then run the command again: the disk did not confirm a write, so \
             nothing of the transaction counts as kept"
        }
        // SQLITE_NOMEM and SQLITE_IOERR_NOMEM.
        (Code::TargetFailed, extended) if extended & 0xFF == 7 || extended == 3_082 => {
            "free memory and run the command again: SQLite got none; nothing of the transaction was kept"
        }
        (code, _) => remedy(code),
    }
}

/// Generates a function that returns the remedy for each code of the engine.
macro_rules! remedies {
    ($($code:ident $remedy:literal,)+) => {
        /// The general hint for an error code of the engine.
        pub const fn remedy(code: Code) -> &'static str {
            match code { $(Code::$code => $remedy,)+ }
        }
    };
}

remedies! {
    ThreadsExhausted "raise the limit on processes and threads of this user (`ulimit -u`, TasksMax= of a systemd service, --pids-limit of a container), or end other programs of this user",
    FilesExhausted "raise the limit on open files (`ulimit -n`, LimitNOFILE= of a systemd service), or lower --workers",
    SourceUnreachable "check that the server runs, that host and port (or ?socket=PATH) in --source are right, and that no firewall blocks the connection",
    SourceLoginRefused "check user and password in --source, or {ENV}_SOURCE_PASSWORD; in the URL, write / ? # @ % of a password as %2F %3F %23 %40 %25",
    SourceLoginUncached "log in once over TCP, or use TCP in --source: over a Unix socket the server accepts the account only after it has cached the password",
    SourcePasswordExpired "set a new password on the server with ALTER USER",
    SourceAccountLocked "unlock the account on the server with ALTER USER ... ACCOUNT UNLOCK (MariaDB also: FLUSH PRIVILEGES), and check the password before the next run",
    SourcePluginUnsupported "give the account mysql_native_password or caching_sha2_password (MariaDB: IDENTIFIED VIA mysql_native_password; MySQL: IDENTIFIED WITH caching_sha2_password)",
    SourceHostBlocked "unblock this host with `mysqladmin flush-hosts` (MySQL also: TRUNCATE TABLE performance_schema.host_cache); raise max_connect_errors if a load balancer probes the port",
    SourceHostDenied "create an account for this host, as 'USER'@'HOST' or 'USER'@'%'",
    SourceTlsRequired "remove ssl-mode=DISABLED from --source",
    SourceTlsFailed "check that the server offers TLS, and check ssl-ca, the host name and the dates of the certificate; ssl-mode=VERIFY_CA does not check the name",
    SourceSchemaUnknown "name an existing schema at the end of --source: mysql://user@host:3306/{source}",
    // The server answers the same whether or not the schema exists.
    SourceSchemaDenied "check the schema's name at the end of --source; if it is right, GRANT SELECT on it to the account; if a role has the privilege, activate the role with SET DEFAULT ROLE",
    SourceSelectDenied "GRANT SELECT on the schema to the account, which is sufficient; if a role has the privilege, activate the role with SET DEFAULT ROLE",
    SourcePrivilegeDenied "grant the privilege in the message to the account, and report the defect: SELECT should be sufficient",
    SourceConnectionsExhausted "close other connections, raise the limit (max_connections or max_user_connections of the server, MAX_USER_CONNECTIONS of the account), or lower --workers",
    SourceSessionRefused "let the account set its session variables; if a proxy prevents that, connect to the server itself",
    SourceAnswerCut "connect to the server itself, or remove the proxy's limit on rows; nothing was deleted or changed because of it",
    SourceUnsupported "use MySQL 8.0 or newer, or MariaDB 10.6 or newer, with InnoDB tables (ALTER TABLE ... ENGINE = InnoDB)",
    SourceLost "run the command again, or wait longer with --retry-for; for a slow server raise --read-timeout; nothing is lost",
    SourceNotReady "wait longer with --retry-for, or name another node in --source",
    SourceResourcesExhausted "free the resource in the message or raise its limit on the server, lower --workers, or wait longer with --retry-for",
    SourceStatementLimited "raise the server's limit for this account, or lower --batch-size",
    SourceAltered "run the command again: it reports what is missing",
    SourceDamaged "check the server's log, and repair the table there (CHECK TABLE reports the damage)",
    SourceReadOnly "runs only read, but `seed` writes: name another server in --source, or change the option on the server",
    SourceUnlisted "run the command again when that statement has ended, or wait longer with --retry-for; its text contains characters outside utf8mb3 (such as emoji) or binary data",
    SourceFailed "see the cause, which is the server's or the driver's own message; run the command again with -v for more",
    SourceUnfit "name the {Source} schema in --source; if tables are hidden from the account, GRANT SELECT ON {source}.* to it; for a column of another type or a key that is NULL, undo the change in the source, or change the declaration of the star",
    DeclarationInvalid "correct the declaration of the star, or its migrations; nothing was read or written",
    SourceChanged "check --source; if the change is intended, `{program} full-load --accept-source` compares every row and records the source as it is now; nothing was changed",
    TargetMissing "run `{program} init` first, or name the right file with --target",
    TargetForeign "name another file with --target; nothing was changed",
    TargetNewer "use the version of {program} that wrote it, or a newer one",
    TargetOlder "run `{program} init`: it keeps a backup and migrates the file",
    TargetUnreleased "name a new file with --target, and run `{program} init` and `{program} full-load`; nothing was changed",
    TargetBusy "wait for the other run to finish, or stop it",
    TargetLocked "close the other program, and run the command again",
    TargetLogHeld "end the other program's transaction on the target, and run the command again; nothing is lost",
    TargetFile "check that the folder exists, that this user may write to it and that the disk has free space",
    TargetFolder "create the folder with `mkdir -p`, or name another path with --target",
    TargetNotAFile "name a file with --target (or {ENV}_TARGET), such as FOLDER/analytics.db",
    TargetReferenced "delete the rows that refer to it in the tables of the message, or declare the foreign key ON DELETE CASCADE or SET NULL; better, keep tables of your own in another file and ATTACH it; nothing was changed",
    TargetUnwritable "make the file, its folder, and the -wal and -shm files beside it writable by this user",
    TargetFull "free space on the disk, or raise the limit on file size (`ulimit -f`), and run the command again; nothing is lost",
    TargetDamaged "restore the file from a backup, or build the star in another file: name it with --target, and run `{program} init` and `{program} full-load`",
    TargetTempFolder "make the target's folder, or the folder that SQLITE_TMPDIR names, writable by this user: SQLite sorts there",
    TargetFileSystem "put the target on a local disk: some network and container file systems have no shared memory maps or no file locks",
    TargetIo "check the system's log for disk errors, then run the command again",
    TargetFailed "run the command again; nothing of the transaction was kept",
    TargetCopy "name with --target the file that `{program} init` created; nothing was changed",
    CopyForeign "name another path for the copy: only copies are replaced; nothing was changed",
    CopyWritten "close the programs that write to the copy (readers open it read-only), or name another path; the copy is unchanged",
    CopyFull "free space on the copy's disk, or raise the limit on file size (`ulimit -f`); the target and the previous copy are unchanged",
    CopyUnwritable "make the copy's folder writable by this user, or name another path; the target and the previous copy are unchanged",
    CopyFile "check that the copy's folder exists and that this user may write to it; the target and the previous copy are unchanged",
    NotLoaded "run `{program} full-load`; it resumes an interrupted one",
    Orphans "run `{program} full-load` again (this load counts as unfinished), and report the defect",
    TransactionHeld "run the command again, and report the defect; nothing unfinished was kept",
    Panicked "run the command again, and report the defect; nothing unfinished was kept",
    Stopped "run the command again; what was committed is kept, and a full load is resumed",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_on_connections_is_named() {
        let hint = |number| of_numbered(Code::SourceConnectionsExhausted, Some(number));
        assert!(hint(1040).contains("max_connections"));
        assert!(hint(1203).contains("max_user_connections"));
        assert!(hint(1226).contains("MAX_USER_CONNECTIONS"));
    }

    #[test]
    fn a_role_may_have_a_privilege() {
        for (code, number) in [(Code::SourceSchemaDenied, 1044), (Code::SourceSelectDenied, 1142)] {
            assert!(of_numbered(code, Some(number)).contains("SET DEFAULT ROLE"));
        }
    }
}
