//! The test harness: a server, a Sakila per test, the compiled binary, and access to both databases by plain SQL.

mod expected;
pub mod http;
pub mod killed;
pub mod listener;
pub mod others;
pub mod outcome;
pub mod prometheus;
pub mod proxy;
mod sakila;
pub mod server;
pub mod terminal;
mod transcript;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sakila_seed::private_server::PrivateServer;
use sakila_sync::sakila::star;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use star_sync::declare::table::Kind;
use star_sync::error::server_error_number;

pub use expected::TABLES;
use prometheus::wait_until;
pub use server::{READER, have_own_server, server};

/// The timeout for anything that has to happen: long enough for a slow and busy machine, and short enough to end a
/// hang.
pub const DEADLINE: Duration = Duration::from_mins(5);

/// The schema of one test on the server, and its folder for the target.
pub struct Sandbox {
    runtime: tokio::runtime::Runtime,
    admin: DatabaseConnection,
    schema: String,
    folder: tempfile::TempDir,
    /// Stored because `server()` returns the shared server on other threads.
    server: Arc<PrivateServer>,
}

/// What the binary printed and how it ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The program under test: the one built with the tests, or another build for long runs.
fn program() -> PathBuf {
    let other = std::env::var_os("SAKILA_SYNC_TEST_PROGRAM").map(PathBuf::from);
    other.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sakila-sync")))
}

impl Sandbox {
    /// A seeded Sakila, nothing synced yet.
    pub fn new() -> Self {
        Self::of(async |schema: &str| sakila::seed(schema).await)
    }

    /// An empty schema.
    pub fn empty() -> Self {
        Self::of(async |schema: &str| sakila::create(schema).await.close().await.unwrap())
    }

    /// Another Sakila with the tables and rows of this one, nothing synced yet.
    pub fn copy(&self) -> Self {
        Self::of(async |schema: &str| sakila::copy(&self.schema, schema).await)
    }

    /// The official Sakila: for tests in a module `needs_dump`.
    pub fn official() -> Self {
        Self::of(async |schema: &str| sakila::load_dump(schema).await)
    }

    fn of(fill: impl AsyncFnOnce(&str)) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let schema = server::new_schema_name();
        let admin = runtime.block_on(async {
            fill(&schema).await;
            connect(&server().administrator_url(&schema)).await
        });
        if transcript::file().is_some() {
            let [server, sqlite] = runtime.block_on(versions(&admin));
            transcript::environment(&server, &sqlite);
        }
        Self {
            runtime,
            admin,
            schema,
            folder: tempfile::tempdir().unwrap(),
            server: server(),
        }
    }

    /// A seeded Sakila after `init` and `full-load`.
    pub fn loaded() -> Self {
        let sandbox = Self::new();
        sandbox.load();
        sandbox
    }

    /// The same, with every table verified once and none modified since.
    pub fn verified() -> Self {
        let sandbox = Self::loaded();
        sandbox.wait_until_at_rest();
        sandbox.run(&["incremental"]).succeeds();
        sandbox
    }

    /// `init` and `full-load`.
    pub fn load(&self) {
        self.run(&["init"]).succeeds();
        self.run(&["full-load"]).succeeds();
    }

    pub fn target(&self) -> PathBuf {
        self.folder.path().join("analytics.db")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The source's URL for the account that may only SELECT.
    pub fn url(&self) -> String {
        self.server.url(server::READER, &self.schema)
    }

    /// The compiled binary with this source and target, and without any other settings from the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SAKILA_SYNC_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        command
            .current_dir(self.folder.path())
            .env("SAKILA_SYNC_SOURCE", self.url())
            .env("SAKILA_SYNC_SOURCE_PASSWORD", server::READER_PASSWORD)
            .env("SAKILA_SYNC_TARGET", self.target())
            // A slow machine must find the same as a fast one.
            .env("SAKILA_SYNC_VERIFY_BUDGET", "600")
            .args(arguments);
        if self.server.is_mariadb {
            // On MariaDB, a table counts as at rest when its last change is older than the safety lag.
            command.env("SAKILA_SYNC_OVERLAP", "2");
        }
        command
    }

    /// A command with the account that has all privileges.
    pub fn as_administrator(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command
            .env("SAKILA_SYNC_SOURCE", self.server.administrator_url(&self.schema))
            .env_remove("SAKILA_SYNC_SOURCE_PASSWORD");
        command
    }

    /// A command with an account of this name, which has no password.
    pub fn as_account(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command
            .env("SAKILA_SYNC_SOURCE", self.url().replace("reader@", &format!("{name}@")))
            .env_remove("SAKILA_SYNC_SOURCE_PASSWORD");
        command
    }

    pub fn administer(&self, arguments: &[&str]) -> Run {
        Run::of(self.as_administrator(arguments))
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments))
    }

    /// Runs a command that waits at a failpoint while `meanwhile` runs.
    pub fn run_held(&self, arguments: &[&str], failpoint: &str, meanwhile: impl FnOnce()) -> Run {
        let held = self.folder().join("held");
        let mut command = self.command(arguments);
        command.env("FAILPOINTS", format!("{failpoint}=return({})", held.display()));
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(&format!("{failpoint} is reached"), || held.exists());
        meanwhile();
        std::fs::remove_file(&held).unwrap();
        Run::from(process.wait_with_output().unwrap())
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
        transcript::change("source", statements);
        self.runtime.block_on(execute(&self.admin, statements));
    }

    /// Drops every foreign key of the source: the columns of the official ones cannot be retyped.
    pub fn drop_foreign_keys(&self) {
        let statements = self.source(
            "SELECT CONCAT('ALTER TABLE ', TABLE_NAME, ' DROP FOREIGN KEY ', CONSTRAINT_NAME) \
             FROM information_schema.TABLE_CONSTRAINTS \
             WHERE CONSTRAINT_TYPE = 'FOREIGN KEY' AND TABLE_SCHEMA = DATABASE()",
        );
        self.change(&statements.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Another session on the source, for transactions that stay open.
    pub fn open_session(&self) -> Session<'_> {
        let url = self.server.administrator_url(&self.schema);
        Session {
            sandbox: self,
            connection: self.runtime.block_on(connect(&url)),
        }
    }

    /// The table of the server's connections, with ID, USER, DB, COMMAND and STATE. MySQL's `PROCESSLIST` cannot be
    /// read while the statement of any test contains bytes that are not text.
    pub fn connections(&self) -> &'static str {
        if self.server.is_mariadb {
            return "information_schema.PROCESSLIST";
        }
        "(SELECT PROCESSLIST_ID AS ID, PROCESSLIST_USER AS USER, PROCESSLIST_DB AS DB, PROCESSLIST_COMMAND AS COMMAND, \
          PROCESSLIST_STATE AS STATE FROM performance_schema.threads) AS connections"
    }

    /// Waits until the source's clock has advanced by this many seconds.
    pub fn let_seconds_pass(&self, seconds: u32) {
        self.change(&[&format!("DO SLEEP({seconds})")]);
    }

    /// Waits until every UPDATE_TIME is so old that its table counts as at rest.
    pub fn wait_until_at_rest(&self) {
        if !self.server.is_mariadb {
            self.change(&["SET SESSION information_schema_stats_expiry = 0"]);
        }
        // With DATABASE() here, MariaDB would open every table of every schema.
        let young = format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{}' \
             AND UPDATE_TIME > NOW() - INTERVAL 4 SECOND",
            self.schema
        );
        while !self.source(&young).is_empty() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The first column of a query on the source, as text.
    pub fn source(&self, sql: &str) -> Vec<String> {
        let rows = self.runtime.block_on(texts(&self.admin, sql));
        transcript::query("source", sql, &rows);
        rows
    }

    /// The first column of a query on the target, as text.
    pub fn star(&self, sql: &str) -> Vec<String> {
        self.query(&self.target(), sql)
    }

    /// The first column of a query on a SQLite file, as text.
    pub fn query(&self, file: &Path, sql: &str) -> Vec<String> {
        let rows = self.runtime.block_on(async {
            let connection = connect(&format!("sqlite://{}?mode=rw", file.display())).await;
            let rows = texts(&connection, sql).await;
            connection.close().await.unwrap();
            rows
        });
        transcript::query("star", sql, &rows);
        rows
    }

    /// Changes the target behind the program's back.
    pub fn tamper(&self, statement: &str) {
        transcript::change("star", &[statement]);
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

    /// Removes the views and the record of the migration that creates them: a file without a migration counts as one of
    /// an older version.
    pub fn lose_the_views(&self) {
        self.tamper("DELETE FROM seaql_migrations WHERE version LIKE '%create_views'");
        for view in self.star("SELECT name FROM sqlite_master WHERE type = 'view'") {
            self.tamper(&format!("DROP VIEW {view}"));
        }
    }

    /// The single value that a query on the source returns.
    pub fn source_figure(&self, sql: &str) -> String {
        let rows = self.source(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].clone()
    }

    /// The single value that a query on the target returns.
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
            transcript::comparison(table.name, star.len());
        }
        assert_eq!(
            self.star("SELECT \"table\" FROM pragma_foreign_key_check"),
            Vec::<String>::new()
        );
        assert_eq!(self.star("PRAGMA integrity_check"), ["ok"]);
    }

    /// Surrogate keys by natural key, of the tables that have them.
    pub fn surrogate_keys(&self) -> Vec<String> {
        let tables = star().tables().filter(|table| table.kind != Kind::Bridge);
        tables
            .flat_map(|table| {
                let natural_key = table.natural_key[0];
                let surrogate_key = format!("{}_key", table.name.trim_start_matches("dim_"));
                self.star(&format!(
                    "SELECT '{} ' || {natural_key} || '=' || {surrogate_key} FROM {}",
                    table.source_table, table.name
                ))
            })
            .collect()
    }

    /// Whether every row still has its surrogate key.
    pub fn holds_all_of(&self, keys: &[String]) -> bool {
        let mut now = self.surrogate_keys();
        now.sort_unstable();
        keys.iter().all(|key| now.binary_search(key).is_ok())
    }
}

/// Drops the schema, since hundreds of them would fill the disk. A server of the test's own is removed as a whole.
impl Drop for Sandbox {
    fn drop(&mut self) {
        if !server::is_own() {
            // Sessions that still have a table open are not waited for.
            let statements = format!("SET lock_wait_timeout = 1; DROP SCHEMA IF EXISTS {}", self.schema);
            let _ = self.runtime.block_on(self.admin.execute_unprepared(&statements));
        }
    }
}

/// A separate session on a sandbox's source.
pub struct Session<'a> {
    sandbox: &'a Sandbox,
    connection: DatabaseConnection,
}

impl Session<'_> {
    pub fn change(&self, statements: &[&str]) {
        self.sandbox.runtime.block_on(execute(&self.connection, statements));
    }

    /// Executes a statement that the server may refuse. Returns the number of affected rows, or the error's number.
    pub fn attempt(&self, statement: &str) -> Result<u64, u16> {
        let executed = self.connection.execute_unprepared(statement);
        match self.sandbox.runtime.block_on(executed) {
            Ok(done) => Ok(done.rows_affected()),
            Err(error) => Err(server_error_number(&error).unwrap_or_else(|| panic!("{error} in {statement}"))),
        }
    }

    /// The server's id of this connection.
    pub fn id(&self) -> String {
        self.figure("SELECT CAST(CONNECTION_ID() AS CHAR)")
    }

    /// The single value that a query returns.
    pub fn figure(&self, sql: &str) -> String {
        let rows = texts(&self.connection, sql);
        self.sandbox.runtime.block_on(rows).remove(0)
    }
}

async fn execute(connection: &DatabaseConnection, statements: &[&str]) {
    for statement in statements {
        connection
            .execute_unprepared(statement)
            .await
            .unwrap_or_else(|error| panic!("{error} in {statement}"));
    }
}

impl From<Output> for Run {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        Self {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

impl Run {
    pub fn of(mut command: Command) -> Self {
        let begin = Instant::now();
        let Output { status, stdout, stderr } = command.output().unwrap();
        let run = Self::from(Output { status, stdout, stderr });
        transcript::command(&command, &run, begin.elapsed());
        run
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.ends_with_code(0)
    }

    /// The last line of a command's output, not counting a line that names the next command.
    pub fn verdict(&self) -> &str {
        let mut lines = self.stdout.trim_end().lines().rev();
        lines.find(|line| !line.contains("next:")).unwrap_or_default()
    }

    /// The code in brackets at the end of that line.
    #[track_caller]
    pub fn verdict_code(&self) -> &str {
        let code = self.verdict().strip_suffix(']').and_then(|line| line.rsplit_once('['));
        code.unwrap_or_else(|| panic!("no verdict in {self:#?}")).1
    }

    #[track_caller]
    pub fn ends_with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

/// The number in an environment variable, if it is set.
pub fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{variable}: {error}")))
}

/// Sends a signal, such as `-INT`. The shell's own kill exists on every machine.
pub fn send(signal: &str, child: &Child) {
    let kill = format!("kill {signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    // As in the program: the driver's own maintenance of idle connections may never end.
    options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
    Database::connect(options).await.unwrap()
}

/// The versions of the server, and of the SQLite that tests and binary are built with.
async fn versions(server: &DatabaseConnection) -> [String; 2] {
    let sqlite = connect("sqlite::memory:").await;
    [
        texts(server, "SELECT VERSION()").await.remove(0),
        texts(&sqlite, "SELECT sqlite_version()").await.remove(0),
    ]
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
