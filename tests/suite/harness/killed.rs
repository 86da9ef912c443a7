//! Servers that are killed or stopped, and restarted unchanged.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use sakila_seed::private_server::PrivateServer;

/// A server that was killed, and what it takes to restart it unchanged.
pub struct Killed {
    command_line: Vec<String>,
    environment: Vec<String>,
}

/// Kills a server as a power cut would.
pub fn kill(server: &PrivateServer) -> Killed {
    end(server, "-KILL")
}

/// Stops a server as its administrator would: everything committed is kept.
pub fn stop(server: &PrivateServer) -> Killed {
    end(server, "-TERM")
}

fn end(server: &PrivateServer, signal: &str) -> Killed {
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
    let killed = Command::new("kill").args([signal, id]).status().unwrap();
    assert!(killed.success());
    // The server has released its files and its port only when it is a zombie or gone.
    while fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // A zombie still counts as running: the new server would consider the socket in use.
    let _ = fs::remove_file(server.folder().join("socket.lock"));
    process
}

impl Killed {
    /// Restarts the server on its data and its port, and waits until it listens.
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
        let mut said = String::new();
        while !said.contains("ready for connections") {
            let read = log.read_line(&mut said).unwrap();
            assert!(read > 0, "the server does not start again: {said}");
        }
        // A pipe without a reader would fill up.
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
