//! The Sakila of a test: seeded by the program, or loaded from the official dump where it is present.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use star_sync::source::Source;
use star_sync_cli::config;

use sakila_seed::world::Settings;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::{connect, server, texts};

/// The tests' Sakila has the official numbers of rows, and dates from 2022-01-01 to 2025-12-31.
const SEED: u64 = 1;
const READ_TIMEOUT: Duration = Duration::from_mins(1);

pub fn settings() -> Settings {
    Settings {
        scale: 1,
        seed: SEED,
        until: NaiveDate::from_ymd_opt(2026, 1, 1).unwrap(),
    }
}

/// Fills an empty schema with seeded rows.
pub async fn seed(schema: &str) {
    create(schema).await.close().await.unwrap();
    let access = config::parse_source(&server().administrator_url(schema), None).unwrap();
    let source = Source::connect(&access, 2, READ_TIMEOUT).await.unwrap();
    sakila_seed::seed(&source.pool, self::settings(), false, 2, Arc::new(|_| ()))
        .await
        .unwrap();
    source.pool.close().await.unwrap();
}

/// Fills an empty schema with the tables and rows of another one.
pub async fn copy(from: &str, to: &str) {
    let connection = create(to).await;
    execute(&connection, "SET foreign_key_checks = 0").await;
    let tables = format!("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{from}'");
    for table in texts(&connection, &tables).await {
        let definition = Statement::from_string(DbBackend::MySql, format!("SHOW CREATE TABLE {from}.{table}"));
        let row = connection.query_one_raw(definition).await.unwrap().unwrap();
        execute(&connection, &row.try_get_by_index::<String>(1).unwrap()).await;
        execute(
            &connection,
            &format!("INSERT INTO {table} SELECT * FROM {from}.{table}"),
        )
        .await;
    }
    connection.close().await.unwrap();
}

/// Fills an empty schema from the official dump, with its keys, triggers and views.
pub async fn load_dump(schema: &str) {
    let connection = create(schema).await;
    execute_dump(&connection, "sakila-schema.sql").await;
    execute_dump(&connection, "sakila-data.sql").await;
    connection.close().await.unwrap();
}

pub async fn create(schema: &str) -> DatabaseConnection {
    let connection = connect(&server().administrator_url("mysql")).await;
    execute(&connection, &format!("DROP SCHEMA IF EXISTS {schema}")).await;
    execute(&connection, &format!("CREATE SCHEMA {schema}")).await;
    connection.close().await.unwrap();
    connect(&server().administrator_url(schema)).await
}

async fn execute(connection: &DatabaseConnection, statement: &str) {
    if let Err(error) = connection.execute_unprepared(statement).await {
        let beginning: String = statement.chars().take(200).collect();
        panic!("{error} in {beginning}");
    }
}

/// Executes a dump in the connection's own schema instead of the one that it names.
async fn execute_dump(connection: &DatabaseConnection, file: &str) {
    let path = folder().join(file);
    let dump = std::fs::read(&path).unwrap_or_else(|error| panic!("{error}: {}", path.display()));
    let dump = String::from_utf8(dump).unwrap();
    for statement in statements(&dump) {
        let names_a_schema = ["DROP SCHEMA", "CREATE SCHEMA", "USE "]
            .iter()
            .any(|beginning| statement.starts_with(beginning));
        if !names_a_schema {
            execute(connection, &statement.replace("sakila.", "")).await;
        }
    }
}

fn folder() -> PathBuf {
    env::var_os("SAKILA_DUMP_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/sakila"),
        PathBuf::from,
    )
}

/// Splits a dump into statements, honouring the client's DELIMITER command.
fn statements(dump: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut delimiter = ";";
    let mut statement = String::new();
    for line in dump.lines() {
        if let Some(new) = line.trim().strip_prefix("DELIMITER ") {
            delimiter = new.trim();
            continue;
        }
        if statement.is_empty() && (line.trim().is_empty() || line.starts_with("--")) {
            continue;
        }
        statement.push_str(line);
        statement.push('\n');
        if line.trim_end().ends_with(delimiter) {
            let text = statement.trim_end().trim_end_matches(delimiter).trim();
            if !text.is_empty() {
                statements.push(text.to_owned());
            }
            statement.clear();
        }
    }
    statements
}
