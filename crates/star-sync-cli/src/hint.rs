//! What the reader can do about an error, keyed by its code and, where that is not enough, by what the server or SQLite
//! has answered.
//!
//! `{program}` and the like are filled where a hint is shown, by `Program::fill`.

use std::io::ErrorKind;

use sea_orm::DbErr;
use star_sync::error::{Code, Error as Engine, is_foreign_protocol, server_error_number, source_code, sqlite_code};

use crate::error::Error;

const DEFECT: &str = "nothing unfinished was kept; run the command again, and report this: it is a defect";
const PLUGIN: &str = "this program logs in with mysql_native_password and caching_sha2_password: give the account one of \
                      the two (MariaDB: IDENTIFIED VIA mysql_native_password; MySQL: IDENTIFIED WITH caching_sha2_password)";

/// What to do about an error.
pub(crate) fn of(error: &Error) -> String {
    match error {
        Error::Engine(error) => of_engine(error).to_owned(),
        Error::Setting { hint, .. } | Error::Command { hint, .. } => hint.clone(),
        Error::Interrupted { hint } => (*hint).to_owned(),
        Error::Output { .. } => "check where stdout goes: a full disk, perhaps".to_owned(),
    }
}

/// What to do about an answer of the source.
pub fn of_answer(cause: &DbErr) -> &'static str {
    of_source(source_code(cause), cause)
}

fn of_engine(error: &Engine) -> &'static str {
    match error {
        Engine::Source { cause, .. } => of_source(error.code(), cause),
        Engine::Target { cause, .. } | Engine::Copy { cause, .. } => of_target(error.code(), cause),
        Engine::TargetFolder { problem, .. } if *problem == "cannot be written" => {
            "make the folder writable by this user (SQLite keeps files beside the target), or name another path with \
             --target"
        }
        Engine::TargetFile { cause, .. } if cause.kind() == ErrorKind::InvalidFilename => {
            "give a shorter path with --target: files with longer names are kept beside it"
        }
        Engine::TargetFile { .. } if error.code() != Code::TargetFull => {
            "check that the folder exists, that it is writable by this user and that the disk has room"
        }
        error => of_code(error.code()),
    }
}

/// What to do about an error of which the code says all.
fn of_code(code: Code) -> &'static str {
    match code {
        Code::ThreadsExhausted => {
            "raise the limit on this user's processes and threads (`ulimit -u`, TasksMax= of a systemd service, \
             --pids-limit of a container), or end other programs of this user; nothing is lost"
        }
        Code::FilesExhausted => {
            "raise the limit on open files (`ulimit -n`, LimitNOFILE= of a systemd service), or lower --workers"
        }
        Code::SourceUnreachable => {
            "check that the server runs, that host and port (or ?socket=PATH) in --source are right, and that no firewall \
             stands between"
        }
        Code::SourceUnlisted => {
            "a statement of another connection holds characters beyond utf8mb3, or bytes; run the command again when it is \
             over, or wait longer with --retry-for"
        }
        Code::SourceUnsupported => {
            "use MySQL 8.0 or newer, or MariaDB 10.6 or newer, with InnoDB tables (ALTER TABLE ... ENGINE = InnoDB)"
        }
        Code::SourceUnfit => {
            "name the {Source} schema in --source; GRANT SELECT ON {source}.* to the account if the tables are there but \
             hidden from it"
        }
        Code::DeclarationInvalid => {
            "correct the program's declaration of its star, or its migrations; nothing was read or written"
        }
        Code::SourceChanged => {
            "nothing was changed; if this is meant, `{program} full-load --accept-source` compares every row and records \
             the source as it is now"
        }
        Code::TargetFolder => "create the folder with `mkdir -p`, or name another path with --target",
        Code::TargetNotAFile => "name a file with --target (or {ENV}_TARGET), as in FOLDER/analytics.db",
        Code::TargetReferenced => {
            "nothing was changed; in the tables above delete the rows that point to it, or declare the foreign key ON \
             DELETE CASCADE or SET NULL; better, keep tables of your own in another file and ATTACH it"
        }
        Code::TargetFull => {
            "make room on the disk, or raise the limit on the size of files (`ulimit -f`), and run the command again; \
             nothing is lost"
        }
        Code::TargetMissing => "run `{program} init` first, or name the right file with --target",
        Code::TargetForeign => "nothing was changed; name another file with --target",
        Code::TargetNewer => "use the version of {program} that wrote it, or a newer one",
        Code::TargetOlder => "run `{program} init`: it keeps a backup and migrates the file",
        Code::TargetUnreleased => {
            "nothing was changed; load into a new file: name another one with --target, and run `{program} init` and \
             `{program} full-load`"
        }
        Code::TargetBusy => "wait for it to finish, or stop it",
        Code::TargetLogHeld => {
            "another program has a transaction open on the target; end it, and run the command again: nothing is lost"
        }
        Code::TargetCopy => {
            "nothing was changed; a copy is for readers alone: name with --target the file that `{program} init` has made"
        }
        Code::CopyForeign => "nothing was changed; only a copy is replaced: name another path for it",
        Code::CopyWritten => {
            "the copy stays as it was; close the programs that write to it (readers open it read-only), or name another \
             path for the copy"
        }
        Code::CopyFull => {
            "make room on the copy's disk, or raise the limit on the size of files (`ulimit -f`); the target and the copy \
             from before stay as they were"
        }
        Code::CopyUnwritable => {
            "make the copy's folder writable by this user, or name another path for it; the target and the copy from \
             before stay as they were"
        }
        Code::CopyFile => {
            "check that the copy's folder exists and that this user may write to it; the target and the copy from before \
             stay as they were"
        }
        Code::NotLoaded => "run `{program} full-load` first",
        Code::Orphans => {
            "the load counts as unfinished; run `{program} full-load` again, and report this: it is a defect"
        }
        Code::TransactionHeld | Code::Panicked => DEFECT,
        _ => "run the command again",
    }
}

/// What to do about what the source has answered.
fn of_source(code: Code, cause: &DbErr) -> &'static str {
    match (code, server_error_number(cause)) {
        (_, None) if code == Code::SourceFailed && is_foreign_protocol(cause) => {
            "what answers there does not speak MySQL's protocol as this program knows it: check host and port in --source"
        }
        (code, number) => of_numbered(code, number),
    }
}

/// What to do about an answer of the source with this code, and the server's number where it has one.
fn of_numbered(code: Code, number: Option<u16>) -> &'static str {
    match (code, number) {
        (Code::SourceConnectionsExhausted, Some(1040)) => {
            "the server has as many connections as max_connections allows; close some, raise it, or lower --workers"
        }
        (Code::SourceConnectionsExhausted, Some(1203)) => {
            "the account has as many connections as the server's max_user_connections allows; close some, raise it, or \
             lower --workers"
        }
        (Code::SourceConnectionsExhausted, _) => {
            "the account has reached its limit named above (MAX_USER_CONNECTIONS, MAX_QUERIES_PER_HOUR, ...); close its \
             other connections, raise it with ALTER USER, or lower --workers"
        }
        (_, Some(1043 | 1835)) => {
            "what listens there does not understand this program: check host and port in --source, and proxies between"
        }
        (_, Some(1305 | 1193 | 1064)) => {
            "the server does not know a function, a variable or a statement that MySQL and MariaDB have: check that it is \
             one of the two, and no proxy that stands in for one"
        }
        (_, Some(1264 | 1292 | 1365 | 1366 | 1690)) => {
            "a value in the table named above is beyond what its column or a sum can hold; correct it, and run the command \
             again"
        }
        (code, _) => of_source_code(code),
    }
}

/// What to do about an answer of the source of which the code says all.
fn of_source_code(code: Code) -> &'static str {
    match code {
        Code::SourceLoginRefused => {
            "check user and password in --source, or {ENV}_SOURCE_PASSWORD; in the URL, write / ? # @ % of a password as \
             %2F %3F %23 %40 %25"
        }
        Code::SourceAccountLocked => {
            "the server has locked the account, by hand or after too many wrong passwords; unlock it with ALTER USER ... \
             ACCOUNT UNLOCK (MariaDB also: FLUSH PRIVILEGES), and check the password before the next run"
        }
        Code::SourcePasswordExpired => "the account's password has expired; set a new one on the server",
        Code::SourceHostBlocked => {
            "too many connections from this host were cut off before they had logged in; unblock it with `mysqladmin \
             flush-hosts` (MySQL also: TRUNCATE TABLE performance_schema.host_cache), and raise max_connect_errors if a \
             load balancer probes the port"
        }
        Code::SourceHostDenied => {
            "no account of the server may log in from this host; create one as 'USER'@'HOST' or 'USER'@'%'"
        }
        Code::SourcePluginUnsupported => PLUGIN,
        Code::SourceLoginUncached => {
            "the first log-in of such an account over a Unix socket fails until the server has cached it; log in once over \
             TCP, or use TCP in --source"
        }
        Code::SourceTlsRequired => {
            "the server takes no connection without TLS; leave ssl-mode=DISABLED out of --source"
        }
        Code::SourceTlsFailed => {
            "the server's certificate was not accepted, or it has none: check ssl-ca, the host's name and the \
             certificate's dates; ssl-mode=VERIFY_CA does without the name"
        }
        // The same whether or not the schema exists.
        Code::SourceSchemaDenied => {
            "check the schema's name at the end of --source; if it is right, GRANT SELECT on it to the account; if a role \
             holds the privilege, make the role active with SET DEFAULT ROLE"
        }
        Code::SourceSelectDenied => {
            "GRANT SELECT on the schema to the account; if a role holds it, make the role active with SET DEFAULT ROLE; \
             nothing more is needed"
        }
        Code::SourcePrivilegeDenied => {
            "the server wants the privilege named above for a statement of this program; grant it to the account, and \
             report this: SELECT should be enough"
        }
        Code::SourceSchemaUnknown => "name an existing schema at the end of --source: mysql://user@host:3306/{source}",
        Code::SourceSessionRefused => {
            "let the account set its own session variables; connect to the server itself if a proxy keeps them"
        }
        Code::SourceAnswerCut => {
            "nothing was deleted or changed for it; connect to the server itself, or lift the proxy's limit on rows"
        }
        Code::SourceUnsupported => {
            "use MySQL 8.0 or newer, or MariaDB 10.6 or newer: snapshots mean something else there"
        }
        Code::SourceLost => {
            "the server or the way to it is gone, or slower than --read-timeout; nothing is lost: run the command again, \
             or wait longer with --retry-for"
        }
        Code::SourceNotReady => {
            "the server is up but does not serve clients now (a cluster's node that is not in step, offline mode, a \
             backup); wait longer with --retry-for, or name another node in --source"
        }
        Code::SourceResourcesExhausted => {
            "the server has run out of the resource named above; free it or raise its limit on the server, lower \
             --workers, or wait longer with --retry-for"
        }
        Code::SourceStatementLimited => {
            "a limit on statements that the server sets and does not let this account lift; raise it for the account, or \
             lower --batch-size"
        }
        Code::SourceDamaged => {
            "the server cannot read a table's data; look into the server's log, and repair the table there (CHECK TABLE \
             names what is wrong)"
        }
        Code::SourceAltered => {
            "a table or column was dropped, renamed or altered during the run; run the command again: it names what is \
             missing"
        }
        Code::SourceReadOnly => {
            "the server is read-only, or an option forbids the statement; name another server in --source"
        }
        _ => "the cause above is the server's or the driver's own; run the command again with -v for more",
    }
}

/// What to do about what SQLite has answered.
fn of_target(code: Code, cause: &DbErr) -> &'static str {
    match (code, sqlite_code(cause).unwrap_or_default()) {
        (Code::TargetLocked, _) => "another program holds the database; close it and run the command again",
        (Code::TargetDamaged, _) => {
            "the file is damaged: restore it from a backup, or build the star anew in another file with `{program} init` \
             and `full-load` and --target"
        }
        (Code::TargetUnwritable, _) => {
            "check that the file, its folder, and -wal and -shm files beside it are writable by this user"
        }
        (Code::TargetTempFolder, _) => {
            "SQLite sorts in the target's folder, or in the one that SQLITE_TMPDIR names: make it writable by this user"
        }
        (Code::TargetFileSystem, _) => {
            "the target's file system has no shared memory maps or no file locks, as some network and container file \
             systems have none; put the target on a local disk"
        }
        // Reading: too short, checksums, what the file system itself calls damaged.
        (Code::TargetIo, 266 | 522 | 8_202 | 8_458 | 8_714) => {
            "the target cannot be read back from its disk; look into the system's log for errors of the disk"
        }
        // Syncing.
        (Code::TargetIo, 1_034 | 1_290 | 4_106) => {
            "the disk did not confirm what was written, so nothing of this transaction counts as kept; look into the \
             system's log, then run the command again"
        }
        (Code::TargetIo, _) => {
            "the disk or its file system failed; look into the system's log, then run the command again"
        }
        (Code::TargetFailed, extended) if extended & 0xFF == 7 || extended == 3_082 => {
            "the machine has no memory left for SQLite; nothing of this transaction was kept"
        }
        (Code::TargetFailed, _) => "nothing of this transaction was kept; run the command again",
        (code, _) => of_code(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_on_connections_is_told_by_its_own_name() {
        let hint = |number| of_numbered(Code::SourceConnectionsExhausted, Some(number));
        assert!(hint(1040).contains("max_connections"));
        assert!(hint(1203).contains("max_user_connections"));
        assert!(hint(1226).contains("MAX_USER_CONNECTIONS"));
    }

    #[test]
    fn a_privilege_may_be_held_by_a_role() {
        for (code, number) in [(Code::SourceSchemaDenied, 1044), (Code::SourceSelectDenied, 1142)] {
            assert!(of_numbered(code, Some(number)).contains("SET DEFAULT ROLE"));
        }
    }
}
