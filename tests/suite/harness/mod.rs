//! What the tests stand on: a server, a Sakila of one's own, the compiled binary, and both databases by plain SQL.

mod expected;
mod sakila;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

pub use expected::TABLES;
pub use server::server;

/// One test's own schema on the server and its own folder for the target.
pub struct Sandbox {
    runtime: tokio::runtime::Runtime,
    admin: DatabaseConnection,
    schema: String,
    folder: tempfile::TempDir,
}

/// What the binary printed and how it ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    /// The official Sakila, nothing synced yet.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let schema = server::new_schema_name();
        let admin = runtime.block_on(async {
            sakila::load(&schema).await;
            connect(&server().url("root", &schema)).await
        });
        Self {
            runtime,
            admin,
            schema,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The official Sakila after `init` and `full-load`.
    pub fn loaded() -> Self {
        let sandbox = Self::new();
        sandbox.run(&["init"]).succeeds();
        sandbox.run(&["full-load"]).succeeds();
        sandbox
    }

    pub fn target(&self) -> PathBuf {
        self.folder.path().join("analytics.db")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The source's URL for the account that may only SELECT.
    pub fn url(&self) -> String {
        server().url(server::READER, &self.schema)
    }

    /// The compiled binary with source, target and nothing else of the environment's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sakila-sync"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SAKILA_SYNC_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        command
            .current_dir(self.folder.path())
            .env("SAKILA_SYNC_SOURCE", self.url())
            .env("SAKILA_SYNC_SOURCE_PASSWORD", server::READER_PASSWORD)
            .env("SAKILA_SYNC_TARGET", self.target())
            .args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments))
    }

    /// Runs a command with `--json` and returns its document.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let run = self.run(&arguments);
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error} in {run:?}"))
    }

    /// Changes the source, statement by statement, in one session.
    pub fn change(&self, statements: &[&str]) {
        self.runtime.block_on(async {
            for statement in statements {
                self.admin
                    .execute_unprepared(statement)
                    .await
                    .unwrap_or_else(|error| panic!("{error} in {statement}"));
            }
        });
    }

    /// The first column of a query on the source, as text.
    pub fn source(&self, sql: &str) -> Vec<String> {
        self.runtime.block_on(texts(&self.admin, sql))
    }

    /// The first column of a query on the target, as text.
    pub fn star(&self, sql: &str) -> Vec<String> {
        self.query(&self.target(), sql)
    }

    /// The first column of a query on a SQLite file, as text.
    pub fn query(&self, file: &Path, sql: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let connection = connect(&format!("sqlite://{}?mode=rw", file.display())).await;
            let rows = texts(&connection, sql).await;
            connection.close().await.unwrap();
            rows
        })
    }

    /// Changes the target behind the sync's back.
    pub fn tamper(&self, statement: &str) {
        self.runtime.block_on(async {
            let connection = connect(&format!("sqlite://{}?mode=rw", self.target().display())).await;
            connection
                .execute_unprepared("PRAGMA foreign_keys = OFF")
                .await
                .unwrap();
            connection.execute_unprepared(statement).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    /// The one figure that a query on the target yields.
    pub fn figure(&self, sql: &str) -> String {
        let rows = self.star(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].clone()
    }

    /// Compares every row of every table of the star with plain SQL joins on the source, and checks the file.
    pub fn assert_star_equals_source(&self) {
        for table in TABLES {
            let source = self.source(table.source);
            let star = self.star(table.star);
            let missing: Vec<_> = source.iter().filter(|row| star.binary_search(row).is_err()).collect();
            let extra: Vec<_> = star.iter().filter(|row| source.binary_search(row).is_err()).collect();
            assert!(
                missing.is_empty() && extra.is_empty(),
                "{}: missing {missing:?}, extra {extra:?}",
                table.name
            );
            assert_eq!(source.len(), star.len(), "{} holds rows twice", table.name);
        }
        assert_eq!(
            self.star("SELECT \"table\" FROM pragma_foreign_key_check"),
            Vec::<String>::new()
        );
        assert_eq!(self.star("PRAGMA integrity_check"), ["ok"]);
    }

    /// Surrogate keys by natural key, of the tables that have them.
    pub fn surrogate_keys(&self) -> Vec<String> {
        [
            "SELECT 'film ' || film_id || '=' || film_key FROM dim_film",
            "SELECT 'actor ' || actor_id || '=' || actor_key FROM dim_actor",
            "SELECT 'category ' || category_id || '=' || category_key FROM dim_category",
            "SELECT 'store ' || store_id || '=' || store_key FROM dim_store",
            "SELECT 'customer ' || customer_id || '=' || customer_key FROM dim_customer",
            "SELECT 'rental ' || rental_id || '=' || fact_rental_key FROM fact_rental",
            "SELECT 'payment ' || payment_id || '=' || fact_payment_key FROM fact_payment",
        ]
        .iter()
        .flat_map(|sql| self.star(sql))
        .collect()
    }

    /// Whether every row still has the surrogate key that it had.
    pub fn holds_all_of(&self, keys: &[String]) -> bool {
        let mut now = self.surrogate_keys();
        now.sort_unstable();
        keys.iter().all(|key| now.binary_search(key).is_ok())
    }
}

impl Run {
    pub fn of(mut command: Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Self {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.ends_with_code(0)
    }

    #[track_caller]
    pub fn ends_with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

async fn texts(connection: &DatabaseConnection, sql: &str) -> Vec<String> {
    let backend = match connection.get_database_backend() {
        DbBackend::Sqlite => DbBackend::Sqlite,
        _ => DbBackend::MySql,
    };
    let mut rows: Vec<String> = connection
        .query_all_raw(Statement::from_string(backend, sql))
        .await
        .unwrap_or_else(|error| panic!("{error} in {sql}"))
        .iter()
        .map(|row| {
            row.try_get_by_index::<String>(0)
                .or_else(|_| row.try_get_by_index::<i64>(0).map(|number| number.to_string()))
                .unwrap_or_else(|error| panic!("{error} in {sql}"))
        })
        .collect();
    rows.sort_unstable();
    rows
}
