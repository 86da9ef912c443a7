//! The terminal that bars are drawn on.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use console::Term;
use indicatif::TermLike;

/// Stderr, with the cursor left where the last bar's line ends.
///
/// `indicatif` fills each line with spaces, so that the terminal itself goes on to the next one. What it echoes of a
/// Ctrl-C then begins a line, too, that `indicatif` knows nothing of: it clears one line too low, and the first bar
/// stays behind for ever. Here the rest of a line is erased instead, and the echo goes with the bar that it stands
/// beside.
#[derive(Debug)]
pub(crate) struct Terminal {
    stderr: Term,
    /// Whether a line has been written that the next one has to leave.
    is_line_full: AtomicBool,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self {
            stderr: Term::buffered_stderr(),
            is_line_full: AtomicBool::new(false),
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.stderr.size().1
    }

    fn height(&self) -> u16 {
        self.stderr.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.stderr.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.stderr.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.stderr.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.stderr.move_cursor_left(columns)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.stderr.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let is_filler = !text.is_empty() && text.bytes().all(|byte| byte == b' ');
        let is_line_full = self.is_line_full.swap(is_filler, Ordering::Relaxed);
        if is_filler {
            return self.stderr.write_str("\x1b[K");
        }
        if is_line_full {
            self.stderr.write_str("\n")?;
        }
        self.stderr.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.stderr.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.is_line_full.store(false, Ordering::Relaxed);
        self.stderr.flush()
    }
}
