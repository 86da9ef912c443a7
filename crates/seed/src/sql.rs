//! All SQL text of the seed: what the ORM has no way to say, each piece with its reason.

/// A session setting. Without it a foreign key is added by copying the table row by row, and tables that refer to
/// each other cannot be dropped.
pub const FOREIGN_KEY_CHECKS_OFF: &str = "SET SESSION foreign_key_checks = 0";
pub const FOREIGN_KEY_CHECKS_ON: &str = "SET SESSION foreign_key_checks = 1";

/// The query builder knows no spatial indexes.
pub fn spatial_index(name: &str, table: &str, column: &str) -> String {
    format!("CREATE SPATIAL INDEX {name} ON {table} ({column})")
}

// Nor does it know schemas and accounts. The names are our own constants.
pub fn create_schema(name: &str) -> String {
    format!("CREATE SCHEMA {name}")
}
pub fn create_account(name: &str) -> String {
    format!("CREATE USER {name}@'%'")
}
pub fn grant_select(schema: &str, account: &str) -> String {
    format!("GRANT SELECT ON {schema}.* TO {account}@'%'")
}
