//! Security: TLS including the certificate's name, passwords that never appear, files that only their owner can read, a
//! port reachable only from this machine, an account that can only read.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::harness::http::free_port;
use crate::harness::others::through;
use crate::harness::prometheus::wait_until;
use crate::harness::server::{self, READER, READER_PASSWORD, administer};
use crate::harness::{Run, Sandbox, send};

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A server certificate and its key.
    fn sign(&self, name: &str, last_year: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

#[test]
fn a_certificate_is_checked_as_far_as_the_mode_says() {
    let sandbox = Sandbox::empty();
    let folder = sandbox.folder();
    let (ours, another) = (Authority::new("ours"), Authority::new("another"));
    fs::write(folder.join("ours.pem"), &ours.pem).unwrap();
    fs::write(folder.join("another.pem"), &another.pem).unwrap();
    let present = |(certificate, key): (String, String)| {
        fs::write(folder.join("certificate.pem"), certificate).unwrap();
        fs::write(folder.join("key.pem"), key).unwrap();
    };
    // MySQL starts with an expired certificate, but does not load one while it runs.
    present(ours.sign("127.0.0.1", 2021));
    let option = |name: &str, file: &str| format!("--{name}={}", folder.join(file).display());
    let server = server::start(&[
        &option("ssl-ca", "ours.pem"),
        &option("ssl-cert", "certificate.pem"),
        &option("ssl-key", "key.pem"),
    ]);
    administer(
        &server,
        &[
            "CREATE SCHEMA sakila_tls",
            &format!("ALTER USER {READER}@'%' REQUIRE SSL"),
        ],
    );
    let with = |arguments: &[&str], url: &str, parameters: &str| {
        let mut command = sandbox.command(arguments);
        command.env("SAKILA_SYNC_SOURCE", format!("{url}?{parameters}"));
        command
    };
    let mut seed = with(&["seed"], &server.administrator_url("sakila_tls"), "ssl-mode=REQUIRED");
    seed.env_remove("SAKILA_SYNC_SOURCE_PASSWORD");
    Run::of(seed).succeeds();
    let connect = |parameters: &str| Run::of(with(&["init"], &server.url(READER, "sakila_tls"), parameters));
    let refused = |parameters: &str, cause: &str| {
        let run = connect(parameters).fails_with(3, "SOURCE_TLS_FAILED");
        // The TLS library's own wording.
        assert!(run.stderr.contains(cause), "{parameters}: no {cause:?} in {run:#?}");
        assert!(!run.stderr.contains(READER_PASSWORD), "{run:#?}");
    };

    refused("ssl-mode=VERIFY_IDENTITY&ssl-ca=ours.pem", "expired");
    refused("ssl-mode=VERIFY_CA&ssl-ca=ours.pem", "expired");
    connect("ssl-mode=REQUIRED").succeeds();

    let renewed = |name: &str| {
        present(ours.sign(name, 2099));
        let reload = if server.is_mariadb {
            "FLUSH SSL"
        } else {
            "ALTER INSTANCE RELOAD TLS"
        };
        administer(&server, &[reload]);
    };
    renewed("127.0.0.1");
    connect("ssl-mode=VERIFY_IDENTITY&ssl-ca=ours.pem").succeeds();
    connect("ssl-mode=VERIFY_CA&ssl-ca=ours.pem").succeeds();
    connect("ssl-mode=REQUIRED").succeeds();
    connect("").succeeds();
    // The account may not log in without TLS.
    connect("ssl-mode=DISABLED").ends_with_code(3);
    refused("ssl-mode=VERIFY_IDENTITY&ssl-ca=another.pem", "UnknownIssuer");
    refused("ssl-mode=VERIFY_CA&ssl-ca=another.pem", "UnknownIssuer");
    // Without a configured authority only the public ones are trusted.
    refused("ssl-mode=VERIFY_IDENTITY", "UnknownIssuer");

    renewed("db.example");
    refused("ssl-mode=VERIFY_IDENTITY&ssl-ca=ours.pem", "not valid for name");
    connect("ssl-mode=VERIFY_CA&ssl-ca=ours.pem").succeeds();
}

#[test]
fn what_stays_on_this_machine_is_encrypted_only_where_that_is_asked_for() {
    let server = server::have_own_server();
    let sandbox = Sandbox::new();
    let status = if server.is_mariadb {
        "information_schema"
    } else {
        "performance_schema"
    };
    let encrypted_by = |parameters: &str| {
        let accepted = || {
            let query =
                format!("SELECT VARIABLE_VALUE FROM {status}.global_status WHERE VARIABLE_NAME = 'Ssl_accepts'");
            sandbox.source_figure(&query).parse::<u32>().unwrap()
        };
        let before = accepted();
        let mut command = sandbox.command(&["init"]);
        command.env("SAKILA_SYNC_SOURCE", format!("{}?{parameters}", sandbox.url()));
        Run::of(command).succeeds();
        accepted() - before
    };
    // Only the log-in: over TLS, a wrong password is distinguished from an account that requires TLS. The tests'
    // MariaDB has no TLS.
    assert_eq!(encrypted_by(""), u32::from(!server.is_mariadb));
    assert_eq!(encrypted_by("ssl-mode=DISABLED"), 0);
    // The tests' MySQL has certificates, their MariaDB has none.
    assert_eq!(encrypted_by("ssl-mode=PREFERRED") > 0, !server.is_mariadb);
    if !server.is_mariadb {
        // A server that requires TLS gets it.
        administer(&server, &["SET GLOBAL require_secure_transport = ON"]);
        assert!(encrypted_by("") > 1);
    }
}

#[test]
fn required_tls_is_not_done_without_and_an_authority_is_not_left_unchecked() {
    let sandbox = Sandbox::new();
    let with = |parameters: &str| {
        let mut command = sandbox.command(&["init"]);
        command.env("SAKILA_SYNC_SOURCE", format!("{}?{parameters}", sandbox.url()));
        Run::of(command)
    };
    fs::write(sandbox.folder().join("ours.pem"), Authority::new("ours").pem).unwrap();
    // The tests' MySQL has certificates, their MariaDB has none.
    if server::server().is_mariadb {
        for mode in ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] {
            with(&format!("ssl-mode={mode}")).ends_with_code(3);
        }
    }
    for parameters in [
        "ssl-ca=ours.pem",
        "ssl-mode=REQUIRED&ssl-ca=ours.pem",
        "ssl-mode=PREFERRED&sslca=ours.pem",
    ] {
        with(parameters).fails_with(2, "SOURCE_TLS_FILE_INVALID");
    }
    let run = with("ssl-mode=VERIFY_CA&ssl-ca=nowhere.pem").fails_with(2, "SOURCE_TLS_FILE_INVALID");
    assert!(run.stderr.contains("nowhere.pem"), "{run:#?}");
    with("ssl-mode=SURELY").fails_with(2, "SOURCE_URL_INVALID");
    assert!(!sandbox.target().exists());
}

#[test]
fn a_password_from_a_file_shows_neither_in_what_is_written_nor_in_the_list_of_processes() {
    let sandbox = Sandbox::new();
    let secret = sandbox.folder().join("secret");
    fs::write(&secret, format!("{READER_PASSWORD}\n")).unwrap();
    let metrics = sandbox.folder().join("sakila.prom");
    let quietly = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command
            .env_remove("SAKILA_SYNC_SOURCE_PASSWORD")
            .env("SAKILA_SYNC_SOURCE_PASSWORD_FILE", &secret)
            .env("SAKILA_SYNC_METRICS_FILE", &metrics)
            // The most verbose log, of every library.
            .env("RUST_LOG", "trace");
        command
    };
    for arguments in [
        &["init", "-vv"][..],
        &["full-load", "-vv", "--log-format", "json"],
        &["status", "-vv", "--json"],
        &["validate", "-vv", "--all", "--deep"],
    ] {
        let run = Run::of(quietly(arguments)).succeeds();
        assert!(!format!("{run:?}").contains(READER_PASSWORD), "{arguments:?} shows it");
    }
    let mut command = quietly(&["incremental", "--every", "1", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains("\"incremental\""), "{line}");
    for file in ["cmdline", "environ"] {
        let shown = fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
        let shown = String::from_utf8_lossy(&shown).into_owned();
        assert!(shown.contains("sakila"), "{file} is empty");
        assert!(!shown.contains(READER_PASSWORD), "{shown}");
    }
    send("-TERM", &child);
    assert!(child.wait().unwrap().success());
    for file in [sandbox.target(), metrics] {
        let written = fs::read(&file).unwrap();
        let shows = written
            .windows(READER_PASSWORD.len())
            .any(|window| window == READER_PASSWORD.as_bytes());
        assert!(!written.is_empty() && !shows, "{}", file.display());
    }
}

#[test]
fn files_are_their_owner_s_alone_whatever_the_umask() {
    let sandbox = Sandbox::new();
    let metrics = sandbox.folder().join("sakila.prom");
    let openly = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.env("SAKILA_SYNC_METRICS_FILE", &metrics);
        through(&["sh", "-c", "umask 0; exec \"$0\" \"$@\""], &command)
    };
    let modes = || -> Vec<(String, u32)> {
        let entries = fs::read_dir(sandbox.folder()).unwrap().map(Result::unwrap);
        let mut modes: Vec<_> = entries
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, entry.metadata().unwrap().permissions().mode() & 0o777)
            })
            .collect();
        modes.sort();
        modes
    };
    Run::of(openly(&["init"])).succeeds();

    // A load that waits half-way, with all of its files beside the database.
    let session = sandbox.open_session();
    session.change(&["LOCK TABLES payment WRITE"]);
    let mut load = openly(&["full-load"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let beside = ["analytics.db-shm", "analytics.db-wal", "analytics.db.lock"];
    wait_until("the load has all its files", || {
        beside.iter().all(|name| sandbox.folder().join(name).exists())
    });
    let during = modes();
    session.change(&["UNLOCK TABLES"]);
    assert!(load.wait().unwrap().success());

    // A file of an older version: a backup is kept.
    sandbox.lose_the_views();
    Run::of(openly(&["init"])).succeeds();
    let after = modes();
    assert!(after.iter().any(|(name, _)| name.ends_with(".backup")), "{after:?}");
    for (name, mode) in during.iter().chain(&after) {
        // The metrics collector is another user: it may read the file, and only the owner may write it.
        let expected = if name == "sakila.prom" { 0o644 } else { 0o600 };
        assert_eq!(*mode, expected, "{name} is {mode:o}");
    }
}

#[test]
fn the_metrics_port_is_reached_from_this_machine_alone_unless_it_is_told_otherwise() {
    let sandbox = Sandbox::loaded();
    let reached = |address: &str, port: &str| {
        let mut command = sandbox.command(&["incremental", "--every", "1", "--json", "--metrics-addr", address]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        // Another address of this machine: only a server that listens on all addresses answers there.
        let reached = ["127.0.0.1", "127.0.0.2"].map(|host| TcpStream::connect(format!("{host}:{port}")).is_ok());
        send("-TERM", &child);
        child.wait().unwrap();
        reached
    };
    let port = free_port();
    assert_eq!(reached(&port, &port), [true, false]);
    let port = free_port();
    assert_eq!(reached(&format!(":{port}"), &port), [true, false]);
    let port = free_port();
    assert_eq!(reached(&format!("0.0.0.0:{port}"), &port), [true, true]);
}

#[test]
fn the_account_of_all_these_tests_can_do_nothing_but_read() {
    let sandbox = Sandbox::new();
    let grants = sandbox.source(&format!(
        "SELECT CONCAT_WS(' ', 'global', PRIVILEGE_TYPE) FROM information_schema.USER_PRIVILEGES \
         WHERE GRANTEE LIKE '\\'{READER}\\'@%' \
         UNION ALL SELECT CONCAT_WS(' ', 'schema', PRIVILEGE_TYPE) FROM information_schema.SCHEMA_PRIVILEGES \
         WHERE GRANTEE LIKE '\\'{READER}\\'@%' \
         UNION ALL SELECT CONCAT_WS(' ', 'table', PRIVILEGE_TYPE) FROM information_schema.TABLE_PRIVILEGES \
         WHERE GRANTEE LIKE '\\'{READER}\\'@%'"
    ));
    assert_eq!(grants, ["global USAGE", "schema SELECT"]);
    let account = sandbox.url();
    assert!(account.starts_with(&format!("mysql://{READER}@")), "{account}");
}
