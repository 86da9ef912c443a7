//! A throw-away MySQL or MariaDB server in a temporary folder, for tests.
//!
//! It listens on a socket and on a free loopback port, needs no rights on the machine, and is gone with the
//! program: a shell holds the other end of a pipe, and when the pipe closes, however the program ended, it kills
//! the server and removes the folder.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Starts the server given as its arguments, waits for the end of its input, then leaves nothing behind. By then
/// nobody reads its messages any more: writing one would end it half-way.
const KEEPER: &str = r#"folder=$1; shift; "$@" </dev/null & server=$!; cat >/dev/null; exec 2>/dev/null; kill -9 $server; wait $server; rm -rf "$folder""#;
/// Both servers write this to their log once they listen.
const READY: &str = "ready for connections";
/// A server that is thrown away need not sync: starting and filling it is several times faster.
const SPEED: [&str; 6] = [
    "--innodb-flush-method=nosync",
    // A full log makes everybody wait while pages are flushed at the rate of a slow disk.
    "--innodb-io-capacity=20000",
    "--innodb-io-capacity-max=40000",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--skip-log-bin",
];

/// A running server. Its account `root` has no password.
#[derive(Debug)]
pub struct PrivateServer {
    pub port: u16,
    pub socket: PathBuf,
    pub is_mariadb: bool,
    /// Closing it stops the server.
    lifeline: Option<ChildStdin>,
    keeper: Child,
}

impl PrivateServer {
    /// Starts `binary`, a mysqld or mariadbd, with options of its own after ours.
    ///
    /// # Errors
    /// If the binary cannot be run or the server ends before it listens; the error holds the end of its log.
    pub fn start(binary: &Path, options: &[&str]) -> io::Result<Self> {
        let is_mariadb = is_mariadb(binary)?;
        let folder = tempfile::Builder::new().prefix("sakila-sync-server-").tempdir()?;
        let data = folder.path().join("data");
        initialize(binary, &data, is_mariadb)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let socket = folder.path().join("socket");
        let mut server = Command::new("sh");
        server
            .args(["-c", KEEPER, "keeper"])
            .arg(folder.path())
            .arg(binary)
            .args(no_defaults(binary)?)
            .args(as_this_user())
            .arg(option("datadir", &data))
            .arg(option("socket", &socket))
            .arg(option("pid-file", &folder.path().join("pid")))
            .arg(format!("--port={port}"))
            .args(["--bind-address=127.0.0.1"])
            .args(SPEED);
        server.args(if is_mariadb {
            ["--sync-frm=OFF", "--innodb-log-file-size=1G"]
        } else {
            ["--mysqlx=OFF", "--innodb-redo-log-capacity=1G"]
        });
        let mut keeper = server
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for the program; the server ends with it, not before.
            .process_group(0)
            .spawn()?;
        // From here on the keeper removes the folder.
        let _ = folder.keep();
        let lifeline = keeper.stdin.take();
        let log = keeper.stderr.take();
        let server = Self {
            port,
            socket,
            is_mariadb,
            lifeline,
            keeper,
        };
        if let Some(log) = log {
            wait_until_ready(BufReader::new(log))?;
        }
        Ok(server)
    }

    /// The URL of a schema for an account.
    pub fn url(&self, user: &str, schema: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/{schema}", self.port)
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // If waiting fails, the keeper still does its work.
        let _ = self.keeper.wait();
    }
}

fn is_mariadb(binary: &Path) -> io::Result<bool> {
    let version = Command::new(binary).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&version.stdout).contains("MariaDB"))
}

fn initialize(binary: &Path, data: &Path, is_mariadb: bool) -> io::Result<()> {
    let mut command = if is_mariadb {
        let mut command = Command::new(beside(binary, "mariadb-install-db"));
        command.args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]);
        command
    } else {
        let mut command = Command::new(binary);
        command.args(no_defaults(binary)?).arg("--initialize-insecure");
        command
    };
    let output = command.args(as_this_user()).arg(option("datadir", data)).output()?;
    if output.status.success() {
        return Ok(());
    }
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("the data folder could not be made: {log}")))
}

/// A program in the binary's folder, or in `bin` beside its `sbin`; else the one on the PATH.
fn beside(binary: &Path, name: &str) -> PathBuf {
    binary
        .parent()
        .into_iter()
        .flat_map(|folder| [folder.join(name), folder.join("../bin").join(name)])
        .find(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from(name))
}

/// Keeps out the machine's own configuration. The option has to be the first one, so a script in front of the
/// server, which passes options of its own, has to see to that itself.
fn no_defaults(binary: &Path) -> io::Result<Option<&'static str>> {
    let mut beginning = [0; 2];
    std::fs::File::open(binary)?.read_exact(&mut beginning)?;
    Ok((&beginning != b"#!").then_some("--no-defaults"))
}

/// Servers refuse to run as root unless they are told to.
fn as_this_user() -> Option<&'static str> {
    let is_root = Path::new("/proc/self")
        .metadata()
        .is_ok_and(|process| process.uid() == 0);
    is_root.then_some("--user=root")
}

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// Reads the log until the server listens, and goes on emptying the pipe behind the caller's back.
fn wait_until_ready(mut log: BufReader<std::process::ChildStderr>) -> io::Result<()> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("the server ended before it listened: {text}")));
        }
        let is_ready = line.contains(READY);
        text.push_str(&line);
        if is_ready {
            std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));
            return Ok(());
        }
    }
}
