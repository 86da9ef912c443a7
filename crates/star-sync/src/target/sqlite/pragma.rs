//! SQL text for SQLite that the ORM cannot express, each piece with its reason.

// PRAGMAs are specific to SQLite and not part of any query builder.
pub(crate) const READ_APPLICATION_ID: &str = "PRAGMA application_id";
pub(crate) fn write_application_id(application_id: i32) -> String {
    format!("PRAGMA application_id = {application_id}")
}
/// Copies the whole log into the database file and empties it, so that between runs the one file is the database.
pub(crate) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
pub(crate) const FOREIGN_KEYS_ON: &str = "PRAGMA foreign_keys = ON";
/// Inside a transaction: foreign keys are checked at the commit, so that statements can run in any order.
pub(crate) const DEFER_FOREIGN_KEYS: &str = "PRAGMA defer_foreign_keys = ON";
pub(crate) const SYNCHRONOUS_OFF: &str = "PRAGMA synchronous = OFF";
pub(crate) const SYNCHRONOUS_FULL: &str = "PRAGMA synchronous = FULL";
pub(crate) const SYNCHRONOUS_NORMAL: &str = "PRAGMA synchronous = NORMAL";
/// Index creation sorts in pieces of the cache's size: small pieces stay in the processor's cache. Helper threads sort
/// one piece while the next is filled, where cores are idle (docs/performance.md).
pub(crate) fn indexing(helper_threads: usize) -> String {
    format!("PRAGMA cache_size = -4096; PRAGMA threads = {}", helper_threads.min(2))
}
/// SQLite takes KiB as a negative number, pages as a positive one.
pub(crate) fn cache_size(kibibytes: u32) -> String {
    format!("PRAGMA cache_size = -{kibibytes}")
}
/// Where SQLite sorts what does not fit into its cache. It can only be set by this PRAGMA or the environment.
pub(crate) const TEMP_FOLDER: &str = "temp_store_directory";
/// Quotes a text for a PRAGMA.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
/// Sets the program's own version number in the file's header.
pub(crate) fn write_user_version(version: i32) -> String {
    format!("PRAGMA user_version = {version}")
}

/// Writes the whole database to another file, which must be missing or empty. No query builder supports it.
pub(crate) const COPY_INTO: &str = "VACUUM INTO ?";

// Copies. ATTACH and DETACH are specific to SQLite, and no builder supports CREATE VIEW or CREATE TABLE AS.

/// The name of the target's schema on a connection that writes a copy.
pub(crate) const TARGET: &str = "target";
pub(crate) const ATTACH_TARGET: &str = "ATTACH ? AS target";
pub(crate) const DETACH_TARGET: &str = "DETACH target";
/// The prefix of the sync's own tables.
pub(crate) const OWN_TABLES: &str = "sync_";
/// Copies all rows of a table. Only with the asterisk, which a builder refuses in an INSERT, does SQLite copy rows and
/// indexes without decoding them.
pub(crate) fn copy_rows(table: &str) -> String {
    let table = name(table);
    format!("INSERT INTO main.{table} SELECT * FROM target.{table}")
}
/// Copies a table of the target to a temporary table, which lasts as long as the connection.
pub(crate) fn keep_table(table: &str) -> String {
    let table = name(table);
    format!("CREATE TEMP TABLE {table} AS SELECT * FROM target.{table}")
}
/// The name of a view in the copy.
pub(crate) fn in_copy(view: &str) -> String {
    format!("main.{}", name(view))
}
/// The name of a temporary view.
pub(crate) fn kept(view: &str) -> String {
    format!("temp.{}", name(view))
}
/// Converts a view's definition into that of a temporary view. SQLite stores all definitions with this prefix.
pub(crate) fn temporary(definition: &str) -> Option<String> {
    let rest = definition.strip_prefix("CREATE VIEW ")?;
    Some(format!("CREATE TEMP VIEW {rest}"))
}
pub(crate) fn view_as_table(view: &str) -> String {
    format!("CREATE TABLE {} AS SELECT * FROM {}", in_copy(view), kept(view))
}
pub(crate) fn drop_view(view: &str) -> String {
    format!("DROP VIEW {view}")
}
/// Quotes a name for SQL.
fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
