//! The one server that all tests share, a server of a test's own, and the account that the binary uses.

use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use sakila_sync::private_server::{self, PrivateServer};
use sea_orm::ConnectionTrait;

/// May only SELECT: nothing of the sync needs more.
pub const READER: &str = "reader";
pub const READER_PASSWORD: &str = "not-a-secret";

const MISSING: &str = "no MySQL server to test with: `scripts/test` installs one, or name a mysqld in \
                       SAKILA_SYNC_MYSQLD";

thread_local! {
    /// Each test is a thread.
    static OWN_SERVER: Cell<Option<&'static PrivateServer>> = const { Cell::new(None) };
}

/// The server of this test: its own, if it has asked for one, or that of all tests, started by the first that asks.
/// Either ends with the test process, see `PrivateServer`.
pub fn server() -> &'static PrivateServer {
    static SERVER: OnceLock<PrivateServer> = OnceLock::new();
    OWN_SERVER.get().unwrap_or_else(|| SERVER.get_or_init(start))
}

/// Gives this test a server of its own, which it may break.
pub fn have_own_server() -> &'static PrivateServer {
    let server = Box::leak(Box::new(start()));
    OWN_SERVER.set(Some(server));
    server
}

fn start() -> PrivateServer {
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
}

/// A server that was killed, and what it takes to start it again as it was.
pub struct Killed {
    command_line: Vec<String>,
    environment: Vec<String>,
}

/// Kills a server as a power cut would.
pub fn kill(server: &PrivateServer) -> Killed {
    let id = fs::read_to_string(server.folder().join("pid")).unwrap();
    let id = id.trim();
    let words = |file: &str| -> Vec<String> {
        let words = fs::read_to_string(format!("/proc/{id}/{file}")).unwrap();
        words.split_terminator('\0').map(str::to_owned).collect()
    };
    let process = Killed {
        command_line: words("cmdline"),
        environment: words("environ"),
    };
    let killed = Command::new("kill").args(["-KILL", id]).status().unwrap();
    assert!(killed.success());
    // A process that is dead and not yet waited for has no program any more.
    while fs::read_link(format!("/proc/{id}/exe")).is_ok() {
        std::thread::yield_now();
    }
    process
}

impl Killed {
    /// Starts the server again, on its data and its port, and waits until it listens.
    pub fn start_again(self) -> Restarted {
        let mut server = Command::new(&self.command_line[0])
            .args(&self.command_line[1..])
            .envs(self.environment.iter().filter_map(|variable| variable.split_once('=')))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("ready for connections") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the server does not start again");
        }
        // A pipe that nobody reads would fill up.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Restarted(server)
    }
}

/// Ends with the test.
pub struct Restarted(Child);

impl Drop for Restarted {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
