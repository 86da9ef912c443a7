//! The one server that all tests share, and the account that the binary uses.

use std::env;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sakila_sync::private_server::{self, PrivateServer};
use sea_orm::ConnectionTrait;

/// May only SELECT: nothing of the sync needs more.
pub const READER: &str = "reader";
pub const READER_PASSWORD: &str = "not-a-secret";

const MISSING: &str = "no MySQL server to test with: `scripts/test` installs one, or name a mysqld in \
                       SAKILA_SYNC_MYSQLD";

/// Started by the first test that asks; it ends with the test process, see `PrivateServer`.
pub fn server() -> &'static PrivateServer {
    static SERVER: OnceLock<PrivateServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let named = env::var_os("SAKILA_SYNC_MYSQLD");
        let binary = private_server::find(named.as_deref().map(Path::new)).expect(MISSING);
        // A time zone with an odd offset: whatever takes local time for UTC shows.
        let options = ["--default-time-zone=+05:30", "--max-connections=400"];
        let server = PrivateServer::start(&binary, &options).expect("the server starts");
        let url = server.administrator_url("mysql");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(make_reader(&url));
        })
        .join()
        .unwrap();
        server
    })
}

pub fn new_schema_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("sakila_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn make_reader(url: &str) {
    let admin = super::connect(url).await;
    for statement in [
        format!("CREATE USER {READER}@'%' IDENTIFIED BY '{READER_PASSWORD}'"),
        format!("GRANT SELECT ON `sakila\\_%`.* TO {READER}@'%'"),
    ] {
        admin.execute_unprepared(&statement).await.unwrap();
    }
    admin.close().await.unwrap();
}
