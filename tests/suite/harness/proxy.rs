//! A proxy in front of the server that cuts or stalls a connection after a given number of bytes from the server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens to the connection that transfers the last of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is closed in the middle of the server's data.
    Cut,
    /// It stays open, and no more data arrives.
    Stall,
}

/// Passes all data on, except for planted faults. Ends with the test process.
pub struct Proxy {
    pub port: u16,
    planted: Arc<Mutex<Option<(Fault, usize)>>>,
    /// Bytes sent by the server, over all connections.
    bytes_passed: Arc<AtomicU64>,
}

impl Proxy {
    /// A proxy to the server that listens on `server_port`.
    pub fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let planted = Arc::default();
        let bytes_passed = Arc::default();
        let proxy = Self {
            port,
            planted: Arc::clone(&planted),
            bytes_passed: Arc::clone(&bytes_passed),
        };
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // While the server is down, clients are disconnected, as the server's machine would do.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)) else {
                    continue;
                };
                let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(from_client, to_server, &Mutex::default(), &AtomicU64::default()));
                let (planted, bytes_passed) = (Arc::clone(&planted), Arc::clone(&bytes_passed));
                thread::spawn(move || pass(server, client, &planted, &bytes_passed));
            }
        });
        proxy
    }

    /// Plants one fault, which occurs after this many more bytes from the server, over all connections.
    pub fn plant(&self, fault: Fault, after_bytes: usize) {
        *self.planted.lock().unwrap() = Some((fault, after_bytes));
    }

    /// How many bytes the server has sent so far, over all connections.
    pub fn bytes_passed(&self) -> u64 {
        self.bytes_passed.load(Ordering::SeqCst)
    }

    /// Whether the planted fault has occurred.
    pub fn has_struck(&self) -> bool {
        self.planted.lock().unwrap().is_none()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, planted: &Mutex<Option<(Fault, usize)>>, bytes_passed: &AtomicU64) {
    let mut bytes = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let struck = {
            let mut planted = planted.lock().unwrap();
            match *planted {
                Some((fault, left)) if left <= read => {
                    *planted = None;
                    Some((fault, left))
                }
                Some((fault, left)) => {
                    *planted = Some((fault, left - read));
                    None
                }
                None => None,
            }
        };
        let passed = struck.map_or(read, |(_, left)| left);
        bytes_passed.fetch_add(passed as u64, Ordering::SeqCst);
        if to.write_all(&bytes[..passed]).is_err() {
            break;
        }
        match struck {
            Some((Fault::Cut, _)) => break,
            Some((Fault::Stall, _)) => {
                // Until the client gives up.
                let _ = to.read(&mut bytes);
                break;
            }
            None => {}
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
