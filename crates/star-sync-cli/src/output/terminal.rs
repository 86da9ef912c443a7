//! The terminal on which progress bars are drawn.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use console::Term;
use indicatif::TermLike;

/// Stderr, with the cursor left at the end of the last bar's line.
///
/// `indicatif` pads each line with spaces, so that the cursor wraps to the next line. The terminal's echo of Ctrl-C
/// then starts a line that `indicatif` does not count: it clears one line too low, and the first bar is never removed.
/// Here the padding is replaced by erasing the rest of the line, so that the echo is cleared with the bar beside it.
#[derive(Debug)]
pub(crate) struct Terminal {
    stderr: Term,
    /// Whether a full line was written, so that the next text must start with a line feed.
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
