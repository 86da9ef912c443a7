//! The source that is loaded from: one that is given, or a private server with a Sakila of any scale.

use std::path::PathBuf;
use std::process::Command;

use sakila_sync::private_server::PrivateServer;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{MySqlPool, Row};

/// A database to load from.
pub struct Source {
    pub url: String,
    pub pool: MySqlPool,
    pub rentals: i64,
    pub payments: i64,
    /// Of all payments.
    pub cents: i64,
}

/// Servers of our own are there as long as this is.
pub struct Servers(Option<PrivateServer>);

impl Servers {
    /// None is started if a source is given.
    pub fn start(given: Option<&str>) -> Self {
        if given.is_some() {
            return Self(None);
        }
        let binary = std::env::var_os("SAKILA_SYNC_MYSQLD").map(PathBuf::from);
        let binary = binary.expect("name a mysqld in SAKILA_SYNC_MYSQLD, or a source with --source");
        let options = ["--innodb-buffer-pool-size=2G", "--innodb-redo-log-capacity=1G"];
        let server = PrivateServer::start(&binary, &options).expect("the server starts");
        Self(Some(server))
    }

    /// A schema of this scale, made if it is not there.
    pub async fn source(&self, given: Option<&str>, scale: u32) -> Source {
        let url = match (given, &self.0) {
            (Some(url), _) => url.to_owned(),
            (None, Some(server)) => {
                let schema = format!("sakila_{scale}");
                let url = server.administrator_url(&schema);
                make(&server.administrator_url("mysql"), &schema).await;
                seed(&url, scale);
                url
            }
            (None, None) => unreachable!("without a given source a server was started"),
        };
        let pool = MySqlPoolOptions::new().max_connections(4).connect(&url).await;
        Source::of(url, pool.expect("the source can be reached")).await
    }
}

impl Source {
    async fn of(url: String, pool: MySqlPool) -> Self {
        let count = "SELECT (SELECT COUNT(*) FROM rental), COUNT(*), CAST(SUM(amount) * 100 AS SIGNED) FROM payment";
        let row = sqlx::query(count).fetch_one(&pool).await.expect("it is a Sakila");
        Self {
            rentals: row.get(0),
            payments: row.get(1),
            cents: row.get(2),
            url,
            pool,
        }
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
