//! External conditions: other programs on the target, small disks, limits, and permissions.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use rusqlite::Connection;

use super::prometheus::{Process, wait_until};
use super::{Run, Sandbox};

impl Sandbox {
    /// Another program that has executed these statements on the target and keeps its locks.
    pub fn other_program(&self, statements: &str) -> Connection {
        let other = Connection::open(self.target()).unwrap();
        other.execute_batch(statements).unwrap();
        other
    }

    /// Begins a command and lets it run.
    pub fn start(&self, arguments: &[&str]) -> Process {
        // The tests may themselves run under nohup.
        let mut command = through(&["env", "--default-signal=HUP"], &self.command(arguments));
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Process(command.spawn().unwrap())
    }

    /// The holder of the target's lock, as the lock file names it; empty if there is no such file.
    pub fn lock_holder(&self) -> String {
        std::fs::read_to_string(self.folder().join("analytics.db.lock")).unwrap_or_default()
    }

    /// Waits until this process has the target's lock.
    pub fn wait_until_locked_by(&self, process: &Process) {
        let holder = format!("process {},", process.0.id());
        wait_until("the run has taken the lock", || self.lock_holder().contains(&holder));
    }
}

/// Waits for the end of a process: the rest of its output, and how it ended.
pub fn rest(mut process: Process, mut log: BufReader<ChildStderr>) -> Run {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    log.read_to_string(&mut stderr).unwrap();
    let mut pipe = process.0.stdout.take().unwrap();
    pipe.read_to_string(&mut stdout).unwrap();
    Run {
        code: process.0.wait().unwrap().code().unwrap_or(-1),
        stdout,
        stderr,
    }
}

/// The same command, run by a wrapper command.
pub fn through(wrapper: &[&str], command: &Command) -> Command {
    let mut wrapped = where_it_runs(wrapper[0], command);
    wrapped
        .args(&wrapper[1..])
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
}

/// Another program in the folder and with the environment of this command.
pub fn where_it_runs(program: &str, command: &Command) -> Command {
    let mut other = Command::new(program);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        other.current_dir(folder);
    }
    other
}

/// The same command, subject to file permissions, which do not restrict root.
pub fn bound_by_permissions(command: &Command) -> Command {
    let is_root = Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() == 0);
    let as_anybody = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];
    through(if is_root { &as_anybody } else { &["env"] }, command)
}

/// A disk in memory, visible only inside its mount namespace. It is removed when this value is dropped.
pub struct SmallDisk {
    holder: Child,
    pub folder: PathBuf,
}

impl SmallDisk {
    /// Works only where this user may mount: for tests in a module `needs_mount`.
    pub fn mount(folder: PathBuf, size: &str) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={size} none '{}' && echo mounted && exec cat",
            folder.display()
        );
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        assert_eq!(said.trim(), "mounted");
        Self { holder, folder }
    }

    /// The same command, run where the disk is visible.
    pub fn sees(&self, command: &Command) -> Command {
        let target = format!("--target={}", self.holder.id());
        through(&["nsenter", &target, "--mount", "--"], command)
    }

    /// Runs a shell command where the disk is visible.
    pub fn shell(&self, script: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]);
        Run::of(self.sees(&shell)).succeeds();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
