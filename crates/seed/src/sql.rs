//! All SQL text of the seed: statements that the ORM cannot express, each with its reason.

/// A session setting. With checks on, the server adds a foreign key by copying the table row by row, and refuses to
/// drop tables that refer to each other.
pub const FOREIGN_KEY_CHECKS_OFF: &str = "SET SESSION foreign_key_checks = 0";
pub const FOREIGN_KEY_CHECKS_ON: &str = "SET SESSION foreign_key_checks = 1";

/// The query builder does not support spatial indexes.
pub fn spatial_index(name: &str, table: &str, column: &str) -> String {
    format!("CREATE SPATIAL INDEX {name} ON {table} ({column})")
}

// It does not support schemas and accounts either. The names are constants of this project.
pub fn create_schema(name: &str) -> String {
    format!("CREATE SCHEMA {name}")
}
pub fn create_account(name: &str) -> String {
    format!("CREATE USER {name}@'%'")
}
pub fn grant_select(schema: &str, account: &str) -> String {
    format!("GRANT SELECT ON {schema}.* TO {account}@'%'")
}
