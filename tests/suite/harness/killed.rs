//! A server that is killed or stopped, and started again as it was.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use sakila_seed::private_server::PrivateServer;

/// A server that was killed, and what it takes to start it again as it was.
pub struct Killed {
    command_line: Vec<String>,
    environment: Vec<String>,
}

/// Kills a server as a power cut would.
pub fn kill(server: &PrivateServer) -> Killed {
    end(server, "-KILL")
}

/// Stops a server as its administrator would: all that was committed is kept.
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
    // Dead and not yet waited for, or gone: only then has it let go of its files and its port.
    while fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // The new server would take a process that nobody has waited for yet to be at work on the socket.
    let _ = fs::remove_file(server.folder().join("socket.lock"));
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
        let mut said = String::new();
        while !said.contains("ready for connections") {
            let read = log.read_line(&mut said).unwrap();
            assert!(read > 0, "the server does not start again: {said}");
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
