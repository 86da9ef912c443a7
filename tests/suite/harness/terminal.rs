//! A terminal to run a command in, and the contents of its screen.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::others::where_it_runs;
use super::prometheus::{Process, wait_until};

const ROWS: NonZeroU16 = NonZeroU16::new(40).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(120).unwrap();

/// A command in its own terminal, which util-linux's `script` creates.
pub struct Terminal {
    script: Process,
    keyboard: ChildStdin,
    written: Arc<Mutex<Vec<u8>>>,
    pump: JoinHandle<()>,
}

/// The state of the terminal when the command has ended.
#[derive(Debug)]
pub struct Left {
    pub code: i32,
    /// The text on the screen.
    pub screen: String,
    pub is_cursor_hidden: bool,
    /// Everything written to the terminal, control sequences included.
    pub written: String,
}

impl Terminal {
    /// Runs a command in a terminal.
    pub fn run(command: &Command) -> Self {
        Self::run_with(command, "")
    }

    /// Runs a command with these redirections. The shell around it prints the terminal's settings before and after.
    pub fn run_with(command: &Command, redirections: &str) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| quote(word.to_str().unwrap())).collect();
        // A Ctrl-C reaches the shell too, which must survive it. `noflsh` keeps output that is not shown yet when
        // Ctrl-C is pressed: otherwise the system discards it, and half a drawing may be missing.
        let line = format!(
            "trap : INT; stty rows {ROWS} cols {COLUMNS} noflsh; echo \"before: $(stty -g)\"; {} {redirections}; code=$?; \
             echo; echo \"after: $(stty -g)\"; exit $code",
            words.join(" ")
        );
        let mut script = where_it_runs("script", command)
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keyboard = script.stdin.take().unwrap();
        let mut output = script.stdout.take().unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let pump = {
            let written = Arc::clone(&written);
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut bytes) {
                    written.lock().unwrap().extend_from_slice(&bytes[..count]);
                }
            })
        };
        Self {
            script: Process(script),
            keyboard,
            written,
            pump,
        }
    }

    /// Waits until this text has been written to the terminal.
    pub fn wait_for(&self, text: &str) {
        wait_until(&format!("the terminal shows {text:?}"), || {
            self.written().contains(text)
        });
    }

    pub fn press_control_c(&mut self) {
        let pressed = self.keyboard.write_all(b"\x03").and_then(|()| self.keyboard.flush());
        pressed.unwrap_or_else(|error| {
            panic!(
                "no key can be pressed any more: {error}; on the screen: {}",
                drawn(&self.written()).screen().contents()
            )
        });
    }

    fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// Waits for the command's end.
    pub fn end(mut self) -> Left {
        wait_until("the command ends", || self.script.0.try_wait().unwrap().is_some());
        let code = self.script.0.wait().unwrap().code().unwrap_or(-1);
        let written = Arc::clone(&self.written);
        self.pump.join().unwrap();
        let written = String::from_utf8_lossy(&written.lock().unwrap()).into_owned();
        let terminal = drawn(&written);
        Left {
            code,
            screen: terminal.screen().contents(),
            is_cursor_hidden: terminal.screen().hide_cursor(),
            written,
        }
    }
}

/// The screen that results from what was written to it.
fn drawn(written: &str) -> vt100::Parser {
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    terminal.process(written.as_bytes());
    terminal
}

impl Left {
    /// Expects a clean terminal, and the error of a command that was stopped.
    #[track_caller]
    pub fn is_clean_after_a_stop(&self) {
        self.is_clean();
        assert_eq!(self.code, 130, "{self:#?}");
        assert!(
            self.screen.contains("error[STOPPED]: stopped\n\nhint: "),
            "{}",
            self.screen
        );
    }

    /// Expects the original settings and cursor, and no bar on the screen.
    #[track_caller]
    pub fn is_clean(&self) {
        let settings = |label: &str| {
            let line = self.screen.lines().find_map(|line| line.strip_prefix(label));
            line.unwrap_or_else(|| panic!("no {label:?} in {self:#?}")).to_owned()
        };
        assert_eq!(settings("before: "), settings("after: "), "{self:#?}");
        assert!(!self.is_cursor_hidden, "{self:#?}");
        for remains in ['█', '░'] {
            assert!(!self.screen.contains(remains), "{self:#?}");
        }
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
