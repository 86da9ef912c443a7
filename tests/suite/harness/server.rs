//! The server that all tests share, servers of single tests, and the account that the binary uses.

use std::cell::RefCell;
use std::env;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use sakila_seed::private_server::{self, PrivateServer};

/// May only SELECT: the sync needs nothing else.
pub const READER: &str = "reader";
pub const READER_PASSWORD: &str = "not-a-secret";

const MISSING: &str = "no MySQL server to test with: `scripts/test` installs one, or name a mysqld in \
                       SAKILA_SYNC_MYSQLD";

/// A time zone with an odd offset reveals code that takes local time for UTC.
const OPTIONS: [&str; 2] = ["--default-time-zone=+05:30", "--max-connections=400"];

thread_local! {
    /// Each test is a thread, and the server ends with it: dozens of servers at a time would fill memory and disk.
    static OWN_SERVER: RefCell<Option<Arc<PrivateServer>>> = const { RefCell::new(None) };
}

/// The server of this test: its own if it has requested one, else the shared one. The first test that needs the shared
/// server starts it; it ends with the test process, see `PrivateServer`.
pub fn server() -> Arc<PrivateServer> {
    static SERVER: OnceLock<Arc<PrivateServer>> = OnceLock::new();
    let own = OWN_SERVER.with_borrow(Clone::clone);
    own.unwrap_or_else(|| SERVER.get_or_init(|| Arc::new(start(&OPTIONS))).clone())
}

/// Whether the server is the test's own.
pub fn is_own() -> bool {
    OWN_SERVER.with_borrow(Option::is_some)
}

/// Gives this test its own server, which it may break.
pub fn have_own_server() -> Arc<PrivateServer> {
    have_own_server_with(&[])
}

/// The same with additional options.
pub fn have_own_server_with(options: &[&str]) -> Arc<PrivateServer> {
    let options = [&OPTIONS, options].concat();
    let server = Arc::new(start(&options));
    OWN_SERVER.set(Some(server.clone()));
    server
}

/// A separate server with the given options.
pub fn start(options: &[&str]) -> PrivateServer {
    let named = env::var_os("SAKILA_SYNC_MYSQLD");
    let binary = private_server::find(named.as_deref().map(Path::new)).expect(MISSING);
    let server = PrivateServer::start(&binary, options).expect("the server starts");
    administer(
        &server,
        &[
            &format!("CREATE USER {READER}@'%' IDENTIFIED BY '{READER_PASSWORD}'"),
            &format!("GRANT SELECT ON `sakila\\_%`.* TO {READER}@'%'"),
        ],
    );
    server
}

/// Executes statements as the account that has all privileges.
pub fn administer(server: &PrivateServer, statements: &[&str]) {
    let url = server.administrator_url("mysql");
    // On a separate thread, because a test may already wait within a runtime.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let admin = super::connect(&url).await;
                super::execute(&admin, statements).await;
                admin.close().await.unwrap();
            });
        });
    });
}

pub fn new_schema_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("sakila_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
