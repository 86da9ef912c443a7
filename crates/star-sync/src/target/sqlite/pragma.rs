//! SQL text for SQLite: what the ORM has no way to say, each piece with its reason.

// PRAGMAs are SQLite's own and no part of any query builder.
pub(crate) const READ_APPLICATION_ID: &str = "PRAGMA application_id";
pub(crate) fn write_application_id(application_id: i32) -> String {
    format!("PRAGMA application_id = {application_id}")
}
/// Copies the whole log into the database file and empties it: at rest the one file is the database.
pub(crate) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
pub(crate) const FOREIGN_KEYS_ON: &str = "PRAGMA foreign_keys = ON";
/// Inside a transaction: foreign keys are checked when it commits, so that the order of its statements is free.
pub(crate) const DEFER_FOREIGN_KEYS: &str = "PRAGMA defer_foreign_keys = ON";
pub(crate) const SYNCHRONOUS_OFF: &str = "PRAGMA synchronous = OFF";
pub(crate) const SYNCHRONOUS_FULL: &str = "PRAGMA synchronous = FULL";
pub(crate) const SYNCHRONOUS_NORMAL: &str = "PRAGMA synchronous = NORMAL";
/// Index creation sorts in pieces of the cache's size: small pieces stay in the processor's cache. Helper threads sort
/// one piece while the next is filled, where cores are idle (docs/performance.md).
pub(crate) fn indexing(helper_threads: usize) -> String {
    format!("PRAGMA cache_size = -4096; PRAGMA threads = {}", helper_threads.min(2))
}
/// SQLite counts KiB below zero, pages above.
pub(crate) fn cache_size(kibibytes: u32) -> String {
    format!("PRAGMA cache_size = -{kibibytes}")
}
/// Where SQLite sorts what does not fit into its cache; it knows no other way to be told than a PRAGMA and the
/// environment.
pub(crate) const TEMP_FOLDER: &str = "temp_store_directory";
/// A text as a PRAGMA takes it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
/// A number of the program's own in the file's header.
pub(crate) fn write_user_version(version: i32) -> String {
    format!("PRAGMA user_version = {version}")
}

/// The whole database as a file of its own, which may be there if it is empty. No query builder knows it.
pub(crate) const COPY_INTO: &str = "VACUUM INTO ?";

// Copies. ATTACH and DETACH are SQLite's own, and no builder knows CREATE VIEW or CREATE TABLE AS.

/// The name of the target's schema on a connection that writes a copy.
pub(crate) const TARGET: &str = "target";
pub(crate) const ATTACH_TARGET: &str = "ATTACH ? AS target";
pub(crate) const DETACH_TARGET: &str = "DETACH target";
/// What the names of the sync's own tables begin with.
pub(crate) const OWN_TABLES: &str = "sync_";
/// All rows of a table. Only with the asterisk, which a builder refuses in an INSERT, SQLite copies rows and indexes as
/// they are, without decoding them.
pub(crate) fn copy_rows(table: &str) -> String {
    let table = name(table);
    format!("INSERT INTO main.{table} SELECT * FROM target.{table}")
}
/// A table of the target for as long as the connection is open.
pub(crate) fn keep_table(table: &str) -> String {
    let table = name(table);
    format!("CREATE TEMP TABLE {table} AS SELECT * FROM target.{table}")
}
/// The name of a view in the copy.
pub(crate) fn in_copy(view: &str) -> String {
    format!("main.{}", name(view))
}
/// The name of a view that goes with the connection.
pub(crate) fn kept(view: &str) -> String {
    format!("temp.{}", name(view))
}
/// A view's definition as that of a temporary view. SQLite keeps all of them with this beginning.
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
/// A name as SQL takes it.
fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
