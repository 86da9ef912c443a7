//! A stub healthcheck service: an HTTP server that accepts and records every request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// One request: its method and path, and its body.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    pub body: String,
}

/// Listens until the tests end.
pub struct Listener {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Listener {
    /// Answers every request with this status.
    pub fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = take(stream, status, &taken);
            }
        });
        Self { address, requests }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The first lines of all requests so far.
    pub fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }
}

/// Records a request before it is answered, because the test may look for it as soon as the program has the answer.
/// `None` if the client disconnected.
fn take(stream: TcpStream, status: &str, requests: &Mutex<Vec<Request>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    requests.lock().unwrap().push(Request {
        line: line.trim_end().trim_end_matches(" HTTP/1.1").to_owned(),
        body: String::from_utf8(body).ok()?,
    });
    write!(
        reader.into_inner(),
        "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    .ok()
}
