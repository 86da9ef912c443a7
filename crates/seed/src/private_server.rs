//! A temporary MySQL or MariaDB server in a temporary folder, for the demo and for tests.
//!
//! It listens on a socket and on a free loopback port, needs no privileges on the machine, and is removed when the
//! program ends, in whatever way: a shell process, the janitor, holds the other end of a pipe. When the pipe closes,
//! the janitor kills the server and removes the folder.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::{env, fs};

/// Reads process group ids, one per line, until its input ends. Then it kills the last group and removes the folder. A
/// process that is being killed may still create files, so the removal is retried.
const JANITOR: &str = r#"
folder=$1 group=
while read -r line; do group=$line; done
[ -z "$group" ] || kill -9 "-$group" 2>/dev/null
tries=0
until rm -rf "$folder" 2>/dev/null || [ $tries -ge 50 ]; do sleep 0.1; tries=$((tries + 1)); done
"#;
/// Both servers write this to their log once they listen.
const READY: &str = "ready for connections";
/// The path of a socket may have 107 characters.
const LONGEST_FOLDER: usize = 95;
/// A temporary server need not sync to disk: starting and filling it is several times faster.
const SPEED: [&str; 8] = [
    "--innodb-flush-method=nosync",
    // When the redo log is full, all connections wait while pages are flushed at the rate configured for a slow disk.
    "--innodb-io-capacity=20000",
    "--innodb-io-capacity-max=40000",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=512M",
    "--skip-log-bin",
    // A table that InnoDB evicts from its dictionary cache loses its UPDATE_TIME and counts as modified. With a low limit on
    // open files the server makes that cache so small that the schemas of a test run do not fit.
    "--table-definition-cache=20000",
];

/// A running server.
#[derive(Debug)]
pub struct PrivateServer {
    pub port: u16,
    pub is_mariadb: bool,
    /// Of the account `root`, over TCP. Other users of the machine cannot enter the folder of the socket.
    password: String,
    server: Child,
    janitor: Janitor,
}

/// Ensures that a folder and the processes in it do not outlive the program.
#[derive(Debug)]
struct Janitor {
    folder: PathBuf,
    /// Closing it starts the cleanup.
    lifeline: Option<ChildStdin>,
    process: Child,
}

impl Janitor {
    fn hire() -> io::Result<Self> {
        let prefix = "sakila-sync-server-";
        let mut folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
        let path = folder.path().to_string_lossy().into_owned();
        // Servers reject relative paths, MariaDB's setup rejects spaces, and the length of a socket's path is limited.
        if !path.starts_with('/') || path.contains(' ') || path.len() > LONGEST_FOLDER {
            folder = tempfile::Builder::new().prefix(prefix).tempdir_in("/tmp")?;
        }
        let mut process = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            // Ctrl-C must reach only the program: the janitor has to outlive it.
            .process_group(0)
            .spawn()?;
        Ok(Self {
            lifeline: process.stdin.take(),
            process,
            // From here on the janitor removes the folder.
            folder: folder.keep(),
        })
    }

    /// Starts a command in its own process group, which the janitor will kill.
    fn spawn(&mut self, command: &mut Command) -> io::Result<Child> {
        // Other servers keep temporary files of the same names in the default folder.
        let child = command.env("TMPDIR", &self.folder).process_group(0).spawn()?;
        if let Some(lifeline) = &mut self.lifeline {
            writeln!(lifeline, "{}", child.id())?;
        }
        Ok(child)
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The janitor finishes its work even if waiting fails.
        let _ = self.process.wait();
    }
}

impl PrivateServer {
    /// Starts `binary`, a mysqld or mariadbd; `options` come after the built-in ones.
    ///
    /// # Errors
    /// If the binary cannot be run, or the server exits before it listens; the error contains its log.
    pub fn start(binary: &Path, options: &[&str]) -> io::Result<Self> {
        let is_mariadb = is_mariadb(binary)?;
        let mut janitor = Janitor::hire()?;
        let data = janitor.folder.join("data");
        initialize(&mut janitor, binary, &data, is_mariadb)?;
        let password = random_password()?;
        let accounts = janitor.folder.join("accounts.sql");
        fs::write(&accounts, accounts_of(&password))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let socket = janitor.folder.join("socket");
        let mut command = Command::new(binary);
        command
            .args(no_defaults(binary)?)
            .args(as_this_user())
            .arg(option("datadir", &data))
            .arg(option("tmpdir", &janitor.folder))
            .arg(option("socket", &socket))
            .arg(option("pid-file", &janitor.folder.join("pid")))
            .arg(format!("--port={port}"))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve"])
            .arg(option("init-file", &accounts))
            .arg(option("secure-file-priv", &janitor.folder))
            .args(SPEED)
            .args(if is_mariadb {
                ["--sync-frm=OFF", "--innodb-log-file-size=128M"]
            } else {
                ["--mysqlx=OFF", "--innodb-redo-log-capacity=128M"]
            })
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut server = janitor.spawn(&mut command)?;
        let log = server.stderr.take();
        let server = Self {
            port,
            is_mariadb,
            password,
            server,
            janitor,
        };
        if let Some(log) = log {
            wait_until_ready(BufReader::new(log))?;
        }
        Ok(server)
    }

    /// The server's folder. Files in it are removed with the server.
    pub fn folder(&self) -> &Path {
        &self.janitor.folder
    }

    /// The URL of a schema for an account without a password.
    pub fn url(&self, user: &str, schema: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/{schema}", self.port)
    }

    /// The URL of a schema for the account with all privileges.
    pub fn administrator_url(&self, schema: &str) -> String {
        format!("mysql://root:{}@127.0.0.1:{}/{schema}", self.password, self.port)
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        // The janitor would kill the server too, before it removes the folder. Killing it and waiting for it here
        // prevents a zombie process.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The server binary: the given one, else the first mysqld or mariadbd on the PATH, in Debian's folder, or in the
/// folder of `scripts/install-mysql`.
pub fn find(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_owned());
    }
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")));
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .chain([PathBuf::from("/usr/sbin")])
        .chain(cache.map(|cache| cache.join("sakila-sync/mysql/bin")))
        .collect();
    ["mysqld", "mariadbd"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| fs::metadata(path).is_ok_and(|file| file.is_file()))
}

/// Other users of the machine can reach the port, and root can write files, so root gets a password. Without name
/// resolution the accounts of localhost apply to the socket only.
fn accounts_of(password: &str) -> String {
    format!(
        "DROP USER IF EXISTS root@'127.0.0.1', root@'::1';\n\
         CREATE USER root@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n"
    )
}

fn random_password() -> io::Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

fn is_mariadb(binary: &Path) -> io::Result<bool> {
    let version = Command::new(binary).arg("--version").output();
    let version = version.map_err(|cause| io::Error::new(cause.kind(), format!("{}: {cause}", binary.display())))?;
    Ok(String::from_utf8_lossy(&version.stdout).contains("MariaDB"))
}

fn initialize(janitor: &mut Janitor, binary: &Path, data: &Path, is_mariadb: bool) -> io::Result<()> {
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
    command
        .args(as_this_user())
        .arg(option("datadir", data))
        // MariaDB removes the temporary tables of other servers from a shared folder when it starts.
        .arg(option("tmpdir", data.parent().unwrap_or(data)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = janitor.spawn(&mut command)?.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    // MySQL and MariaDB report errors on different streams.
    let (log, more) = (
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    Err(io::Error::other(format!(
        "the data folder could not be made: {log}{more}"
    )))
}

/// A program in the binary's folder, or in `bin` next to its `sbin`; else the one on the PATH.
fn beside(binary: &Path, name: &str) -> PathBuf {
    binary
        .parent()
        .into_iter()
        .flat_map(|folder| [folder.join(name), folder.join("../bin").join(name)])
        .find(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from(name))
}

/// Ignores the machine's own configuration. The option has to come first, so a wrapper script that passes options of
/// its own has to add it itself.
fn no_defaults(binary: &Path) -> io::Result<Option<&'static str>> {
    let mut beginning = [0; 2];
    std::fs::File::open(binary)?.read_exact(&mut beginning)?;
    Ok((&beginning != b"#!").then_some("--no-defaults"))
}

/// Servers refuse to run as root without this option.
fn as_this_user() -> Option<&'static str> {
    let is_root = Path::new("/proc/self")
        .metadata()
        .is_ok_and(|process| process.uid() == 0);
    is_root.then_some("--user=root")
}

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// Reads the log until the server listens. A thread then keeps draining the pipe.
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
            std::thread::Builder::new().spawn(move || io::copy(&mut log, &mut io::sink()))?;
            return Ok(());
        }
    }
}
