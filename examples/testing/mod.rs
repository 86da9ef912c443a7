//! Test support for the examples: gives each test its own schema on a shared server, and runs the compiled program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sakila_seed::private_server::{self, PrivateServer};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, Row};

/// A program to test, and its source.
pub struct Example {
    /// The name of the schema and, in capitals, the prefix of the environment variables.
    pub name: &'static str,
    /// The path of the compiled program.
    pub program: &'static str,
    /// The source's tables and rows, as SQL.
    pub source: &'static str,
    /// Per table of the star: its name, and queries for its rows as text, from the source and from the star.
    pub tables: &'static [(&'static str, &'static str, &'static str)],
}

const MISSING: &str =
    "no MySQL server to test with: `scripts/test` installs one, or name a mysqld in SAKILA_SYNC_MYSQLD";

fn server() -> &'static PrivateServer {
    static SERVER: OnceLock<PrivateServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let named = std::env::var_os("SAKILA_SYNC_MYSQLD");
        let binary = private_server::find(named.as_deref().map(Path::new)).expect(MISSING);
        PrivateServer::start(&binary, &[]).expect("the server starts")
    })
}

/// The source and the star of one test.
pub struct Sandbox {
    example: &'static Example,
    runtime: tokio::runtime::Runtime,
    schema: String,
    folder: tempfile::TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    #[allow(dead_code, reason = "shown when a test fails")]
    pub stderr: String,
}

impl Run {
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    fn of(Output { status, stdout, stderr }: Output) -> Self {
        Self {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

impl Sandbox {
    /// A filled source without a star.
    pub fn new(example: &'static Example) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let schema = format!("{}_{}", example.name, NEXT.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(async {
            let mut server = MySqlConnection::connect(&server().administrator_url("mysql"))
                .await
                .unwrap();
            let create = format!("CREATE DATABASE {schema}");
            server.execute(AssertSqlSafe(create)).await.unwrap();
        });
        let sandbox = Self {
            example,
            runtime,
            schema,
            folder: tempfile::tempdir().unwrap(),
        };
        let text: String = example
            .source
            .lines()
            .filter(|line| !line.starts_with("--"))
            .collect::<Vec<_>>()
            .join("\n");
        let statements: Vec<&str> = text.split(';').map(str::trim).filter(|sql| !sql.is_empty()).collect();
        sandbox.change(&statements);
        sandbox
    }

    /// The same after `init` and `full-load`.
    pub fn loaded(example: &'static Example) -> Self {
        let sandbox = Self::new(example);
        sandbox.run(&["init"]).ends_with(0);
        sandbox.run(&["full-load"]).ends_with(0);
        sandbox
    }

    /// Waits until the source's last change is some seconds old, then runs `incremental`. Until then, more changes
    /// could fall into the second of the last sync, and differences would count as pending.
    pub fn settle(&self) {
        let second = || {
            self.source("SELECT CAST(UNIX_TIMESTAMP() AS CHAR)")[0]
                .parse::<u64>()
                .unwrap()
        };
        let now = second();
        while second() < now + 4 {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        self.run(&["incremental"]).ends_with(0);
    }

    pub fn star_file(&self) -> PathBuf {
        self.folder.path().join("analytics.db")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let variable = |name: &str| format!("{}_SYNC_{name}", self.example.name.to_uppercase());
        let mut command = Command::new(self.example.program);
        command
            .current_dir(self.folder.path())
            .env(variable("SOURCE"), server().administrator_url(&self.schema))
            .env(variable("TARGET"), self.star_file())
            // On MariaDB, a table counts as unmodified once its last change is older than this.
            .env(variable("OVERLAP"), "2")
            // Enough for a slow machine to verify everything.
            .env(variable("VERIFY_BUDGET"), "600")
            .args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// Changes the source.
    pub fn change(&self, statements: &[&str]) {
        self.runtime.block_on(async {
            let mut connection = self.connect().await;
            for statement in statements {
                let result = connection.execute(AssertSqlSafe((*statement).to_owned())).await;
                result.unwrap_or_else(|error| panic!("{error} in {statement}"));
            }
        });
    }

    async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&server().administrator_url(&self.schema))
            .await
            .unwrap()
    }

    /// Runs a query with one text column on the source.
    pub fn source(&self, sql: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let mut connection = self.connect().await;
            let rows = connection.fetch_all(AssertSqlSafe(sql.to_owned())).await;
            let rows = rows.unwrap_or_else(|error| panic!("{error} in {sql}"));
            rows.iter().map(|row| row.get::<String, _>(0)).collect()
        })
    }

    /// Runs a query with one text column on the star.
    pub fn star(&self, sql: &str) -> Vec<String> {
        let star = rusqlite::Connection::open(self.star_file()).unwrap();
        let mut statement = star.prepare(sql).unwrap_or_else(|error| panic!("{error} in {sql}"));
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Changes the star directly, bypassing the program.
    pub fn tamper(&self, sql: &str) {
        let star = rusqlite::Connection::open(self.star_file()).unwrap();
        assert_ne!(star.execute(sql, []).unwrap(), 0, "{sql}");
    }

    /// Compares every table row by row with plain SQL on the source.
    #[track_caller]
    pub fn assert_star_equals_source(&self) {
        for (table, source, star) in self.example.tables {
            let (mut expected, mut found) = (self.source(source), self.star(star));
            expected.sort_unstable();
            found.sort_unstable();
            assert!(!expected.is_empty(), "{table}");
            assert_eq!(found, expected, "{table}");
        }
        assert_eq!(self.star("SELECT \"table\" FROM pragma_foreign_key_check"), [""; 0]);
    }
}
