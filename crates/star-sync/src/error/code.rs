//! The stable codes of errors, for scripts and tests to match; messages may change.
//!
//! `docs/errors.md` lists them, together with those of the command line; a test checks that it matches these lists.

/// Defines an enum of stable codes, each with its name, its meaning, and optionally the remedy.
#[macro_export]
macro_rules! codes {
    ($(#[$about:meta])* $of:ident => $($variant:ident $name:literal $meaning:literal $remedy:literal,)+) => {
        $crate::codes! { $(#[$about])* $of => $($variant $name $meaning,)+ }

        impl $of {
            /// The remedy, with placeholders for names that depend on the program.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
    ($(#[$about:meta])* $of:ident => $($variant:ident $name:literal $meaning:literal,)+) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $of {
            $(#[doc = $meaning] $variant,)+
        }

        impl $of {
            /// All codes, in the order in which they are documented.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it is printed.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The meaning, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }

        impl serde::Serialize for $of {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}

codes! {
    /// A stable error code. The program that uses the engine adds the remedy of each.
    Code =>
    ThreadsExhausted "THREADS_EXHAUSTED" "The system does not let the program start the threads that it needs.",
    FilesExhausted "FILES_EXHAUSTED" "The system does not let the program open the files and connections that it needs.",
    SourceUnreachable "SOURCE_UNREACHABLE" "No connection to the source's address can be opened.",
    SourceLoginRefused "SOURCE_LOGIN_REFUSED" "The server refuses user and password.",
    SourceLoginUncached "SOURCE_LOGIN_UNCACHED" "A caching_sha2_password account has to log in once over TCP or TLS before it can use a Unix socket, and the server offers no TLS.",
    SourcePasswordExpired "SOURCE_PASSWORD_EXPIRED" "The account's password has expired.",
    SourceAccountLocked "SOURCE_ACCOUNT_LOCKED" "The server has locked the account, by hand or after too many wrong passwords.",
    SourcePluginUnsupported "SOURCE_PLUGIN_UNSUPPORTED" "The account logs in with an authentication plugin that this program does not have.",
    SourceHostBlocked "SOURCE_HOST_BLOCKED" "The server blocks this host after too many interrupted connections (MySQL error 1129).",
    SourceHostDenied "SOURCE_HOST_DENIED" "No account of the server may log in from this host.",
    SourceTlsRequired "SOURCE_TLS_REQUIRED" "The server accepts no connection without TLS.",
    SourceTlsFailed "SOURCE_TLS_FAILED" "The TLS connection cannot be established, or a certificate is not accepted.",
    SourceSchemaUnknown "SOURCE_SCHEMA_UNKNOWN" "The schema does not exist.",
    SourceSchemaDenied "SOURCE_SCHEMA_DENIED" "The account has no privilege on the schema, or the schema does not exist.",
    SourceSelectDenied "SOURCE_SELECT_DENIED" "The account may not SELECT from a table or column.",
    SourcePrivilegeDenied "SOURCE_PRIVILEGE_DENIED" "The server requires a privilege other than SELECT for a statement.",
    SourceConnectionsExhausted "SOURCE_CONNECTIONS_EXHAUSTED" "The server or the account has reached its limit of connections or queries.",
    SourceSessionRefused "SOURCE_SESSION_REFUSED" "The server, or a proxy before it, does not accept session settings that are needed to read consistently.",
    SourceAnswerCut "SOURCE_ANSWER_CUT" "The server, or a proxy before it, returned only some of the rows of a query.",
    SourceUnsupported "SOURCE_UNSUPPORTED" "The server is not MySQL 8.0 or newer or MariaDB 10.6 or newer, or a table is not in an engine with consistent snapshots (InnoDB).",
    SourceLost "SOURCE_LOST" "The server or the connection to it was lost, or the server did not answer in time.",
    SourceNotReady "SOURCE_NOT_READY" "The server is up but does not serve clients: a cluster node that is not synced, offline mode, a backup.",
    SourceResourcesExhausted "SOURCE_RESOURCES_EXHAUSTED" "The server has run out of memory, disk, threads, prepared statements or transactions.",
    SourceStatementLimited "SOURCE_STATEMENT_LIMITED" "A statement exceeds a limit on time, size or joins that the server sets.",
    SourceAltered "SOURCE_ALTERED" "A table or column was dropped, renamed or altered during the run.",
    SourceDamaged "SOURCE_DAMAGED" "The server cannot read a table's data.",
    SourceReadOnly "SOURCE_READ_ONLY" "The server is read-only, or one of its options forbids the statement.",
    SourceUnlisted "SOURCE_UNLISTED" "The server cannot list in-flight transactions, because it cannot convert the text of a running statement (MySQL error 3854).",
    SourceFailed "SOURCE_FAILED" "The server or the driver reports another error.",
    SourceUnfit "SOURCE_UNFIT" "A table or column is missing or has a type that cannot be read, or a key column contains NULL.",
    DeclarationInvalid "DECLARATION_INVALID" "The star's declaration has a mistake, or its migrations create other tables than it declares.",
    SourceChanged "SOURCE_CHANGED" "The source is not the one that the target was loaded from.",
    TargetMissing "TARGET_MISSING" "The target does not exist, or is empty.",
    TargetForeign "TARGET_FOREIGN" "The target is a file or a database of another program.",
    TargetNewer "TARGET_NEWER" "The target was written by a newer version.",
    TargetOlder "TARGET_OLDER" "The target was written by an older version, and is not migrated yet.",
    TargetUnreleased "TARGET_UNRELEASED" "The target was created by a development version before the first release, and cannot be migrated.",
    TargetBusy "TARGET_BUSY" "Another run works on the target.",
    TargetLocked "TARGET_LOCKED" "Another program has locked the database for too long.",
    TargetLogHeld "TARGET_LOG_HELD" "The write-ahead log has grown and cannot be emptied, because another program has a transaction open.",
    TargetFile "TARGET_FILE" "The target, or a file beside it, cannot be opened, created or written.",
    TargetFolder "TARGET_FOLDER" "The target's folder does not exist, or cannot be opened or written.",
    TargetNotAFile "TARGET_NOT_A_FILE" "The target is a folder, a named pipe, a socket or a device.",
    TargetReferenced "TARGET_REFERENCED" "A foreign key of another program's table prevents deleting a row that the source no longer has.",
    TargetUnwritable "TARGET_UNWRITABLE" "The target or the files beside it may not be written.",
    TargetFull "TARGET_FULL" "The disk is full, or a limit on the size of files is reached.",
    TargetDamaged "TARGET_DAMAGED" "The target is damaged.",
    TargetTempFolder "TARGET_TEMP_FOLDER" "SQLite finds no writable folder for its temporary files.",
    TargetFileSystem "TARGET_FILE_SYSTEM" "The target's file system lacks shared memory maps or file locks.",
    TargetIo "TARGET_IO" "The disk or its file system failed.",
    TargetFailed "TARGET_FAILED" "SQLite reports another error.",
    TargetCopy "TARGET_COPY" "The target is a copy for readers; runs need the file that it was copied from.",
    CopyForeign "COPY_FOREIGN" "The file at the path of the copy is not a copy that this program wrote.",
    CopyWritten "COPY_WRITTEN" "Another program writes to the copy, or did so and left SQLite's files beside it.",
    CopyFull "COPY_FULL" "The copy's disk is full, or a limit on the size of files is reached.",
    CopyUnwritable "COPY_UNWRITABLE" "The copy's folder may not be written.",
    CopyFile "COPY_FILE" "The copy, or its temporary file, cannot be created, read or replaced.",
    NotLoaded "NOT_LOADED" "No full load has finished on this target since it was created, or since a migration added a table or column; or a later full load is unfinished.",
    Orphans "ORPHANS" "The load would leave rows whose parents are missing: a defect of the program.",
    TransactionHeld "TRANSACTION_HELD" "A part of the program still uses the transaction that is to end: a defect of the program.",
    Panicked "PANICKED" "A stage of the program panicked: a defect of the program.",
    Stopped "STOPPED" "The command was stopped by Ctrl-C, SIGTERM or SIGHUP.",
}
