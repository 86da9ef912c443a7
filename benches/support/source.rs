//! The source of a bench: a given one, or a private server with a Sakila of any scale.

use std::path::PathBuf;
use std::process::Command;

use sakila_seed::private_server::PrivateServer;
use sqlx::MySqlPool;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};

use super::figures::Figures;

/// The options of a bench that changes its source.
#[derive(clap::Args)]
pub struct SourceOptions {
    /// Loads from this source, and changes it, instead of starting a private server
    #[arg(long)]
    pub source: Option<String>,
    /// Scale of the Sakila on the private server
    #[arg(long, default_value_t = 10)]
    pub scale: u32,
}

/// A database to load from.
pub struct Source {
    pub url: String,
    /// The same without TLS if the server is private, because the program then connects without TLS too.
    pub plain_url: String,
    /// The password of a given source, if it is not in the URL.
    pub password: Option<String>,
    /// Other URLs of a private server, each with its label in the tables.
    other_ways: Vec<(&'static str, String)>,
    pub pool: MySqlPool,
    /// Counts and sums when the source was opened.
    pub figures: Figures,
}

/// The private server, unless a source is given. It is stopped when this is dropped.
pub struct Servers(Option<PrivateServer>);

impl Servers {
    /// Starts a server unless a source is given; `more` are further options of the server.
    pub fn start(given: Option<&str>, more: &[&str]) -> Self {
        if given.is_some() {
            return Self(None);
        }
        let binary = std::env::var_os("SAKILA_SYNC_MYSQLD").map(PathBuf::from);
        let binary = binary.expect("name a mysqld in SAKILA_SYNC_MYSQLD, or a source with --source");
        let options = [&["--innodb-buffer-pool-size=2G", "--innodb-redo-log-capacity=1G"], more].concat();
        let server = PrivateServer::start(&binary, &options).expect("the server starts");
        Self(Some(server))
    }

    /// The given source, or else a newly seeded schema of this scale.
    pub async fn source(&self, given: Option<&str>, scale: u32) -> Source {
        let (url, plain_url, other_ways) = match (given, &self.0) {
            (Some(url), _) => (url.to_owned(), url.to_owned(), Vec::new()),
            (None, Some(server)) => {
                let schema = format!("sakila_{scale}");
                let url = server.administrator_url(&schema);
                make(&server.administrator_url("mysql"), &schema).await;
                seed(&url, scale);
                let over_tls = format!("{url}?ssl-mode=required");
                let plain = format!("{url}?ssl-mode=disabled");
                let socket = server.folder().join("socket");
                let over_socket = format!("mysql://root@localhost/{schema}?socket={}", socket.display());
                let other_ways = vec![(", over TLS", over_tls), (", over a Unix socket", over_socket)];
                (url, plain, other_ways)
            }
            (None, None) => unreachable!("without a given source a server was started"),
        };
        // Like the program's pool: no liveness check before each statement, no maintenance of idle connections.
        let options = MySqlPoolOptions::new().max_connections(4).test_before_acquire(false);
        let options = options.idle_timeout(None).max_lifetime(None);
        let mut connection: MySqlConnectOptions = plain_url.parse().expect("the URL of the source is valid");
        // The account of a private server has no password.
        let password = given.and_then(|_| std::env::var("SAKILA_SYNC_SOURCE_PASSWORD").ok());
        if let Some(password) = &password {
            connection = connection.password(password);
        }
        let pool = options.connect_with(connection).await;
        let pool = pool.expect("the source can be reached");
        Source {
            figures: Figures::of_source(&pool).await,
            url,
            plain_url,
            password,
            other_ways,
            pool,
        }
    }
}

impl Source {
    /// The URLs with their labels: the default, over TLS, and over a Unix socket.
    pub fn ways(&self) -> impl Iterator<Item = (&str, &str)> {
        let other_ways = self.other_ways.iter().map(|(how, url)| (*how, url.as_str()));
        std::iter::once(("", self.url.as_str())).chain(other_ways)
    }
}

async fn make(url: &str, schema: &str) {
    let pool = MySqlPool::connect(url).await.expect("the server can be reached");
    let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
    let created = sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&pool).await;
    created.expect("the account may create schemas");
    pool.close().await;
}

fn seed(url: &str, scale: u32) {
    let seeded = Command::new(env!("CARGO_BIN_EXE_sakila-sync"))
        .args(["seed", "--replace", "--quiet", "--scale", &scale.to_string()])
        .env("SAKILA_SYNC_SOURCE", url)
        .status();
    assert!(seeded.expect("the program is built").success(), "seeding failed");
}
