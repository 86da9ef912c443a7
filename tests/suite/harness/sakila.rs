//! Loads the official Sakila into a schema: once from its dump, then table by table from that first copy.

use std::env;
use std::path::PathBuf;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::sync::OnceCell;

use super::{connect, server};

const TEMPLATE: &str = "sakila_template";

/// The tables that hold rows.
const TABLES: [&str; 16] = [
    "actor",
    "address",
    "category",
    "city",
    "country",
    "customer",
    "film",
    "film_actor",
    "film_category",
    "film_text",
    "inventory",
    "language",
    "payment",
    "rental",
    "staff",
    "store",
];

/// Makes `schema` a copy of the official Sakila, with its keys, triggers and views.
pub async fn load(schema: &str) {
    static DUMPED: OnceCell<()> = OnceCell::const_new();
    DUMPED
        .get_or_init(|| async {
            let connection = create(TEMPLATE).await;
            execute_dump(&connection, "sakila-schema.sql").await;
            execute_dump(&connection, "sakila-data.sql").await;
            connection.close().await.unwrap();
        })
        .await;
    let connection = create(schema).await;
    execute_dump(&connection, "sakila-schema.sql").await;
    execute(&connection, "SET foreign_key_checks = 0, unique_checks = 0").await;
    for table in TABLES {
        // film_text is filled by film's triggers.
        if table != "film_text" {
            execute(
                &connection,
                &format!("INSERT INTO {table} SELECT * FROM {TEMPLATE}.{table}"),
            )
            .await;
        }
    }
    connection.close().await.unwrap();
}

async fn create(schema: &str) -> DatabaseConnection {
    let connection = connect(&server().url("root", "mysql")).await;
    execute(&connection, &format!("DROP SCHEMA IF EXISTS {schema}")).await;
    execute(&connection, &format!("CREATE SCHEMA {schema}")).await;
    connection.close().await.unwrap();
    connect(&server().url("root", schema)).await
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
    let dump = std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{error}: the official Sakila is not at {}; name its folder in SAKILA_DUMP_DIR",
            path.display()
        )
    });
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

/// Cuts a dump into statements, minding the client's DELIMITER command.
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
