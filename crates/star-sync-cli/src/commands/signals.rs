//! Ctrl-C, SIGTERM and SIGHUP: the first asks the command to stop, another one ends the program at once.

use std::future::pending;
use std::io;
use std::time::Duration;

use star_sync::stop::StopRequest;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tracing::warn;

use crate::cli::Command;
use crate::error::EXIT_STOPPED;
use crate::output::progress;

/// Signals this close to the first one are the same request: `timeout` sends SIGTERM to the program and then to its
/// process group, a terminal SIGHUP to both.
const SAME_REQUEST: Duration = Duration::from_millis(300);

/// What it means that the program ended in the middle of something.
pub(crate) const ENDED_AT_ONCE: &str = "nothing that was committed is lost; keep the -wal, -shm and .lock files beside the target: \
                                 the next full-load, incremental or repair cleans them up";

/// What it means for a command that it was stopped.
pub(crate) fn hint(command: &Command) -> &'static str {
    const READS_ONLY: &str = "the command only reads: nothing was changed";
    const DRY_RUN: &str = "a dry run keeps nothing: the target is unchanged";
    const NOTHING_KEPT: &str = "nothing of this run was kept, and the target is unchanged; run the command again";
    match command {
        Command::Init(arguments) if arguments.check => READS_ONLY,
        Command::Init(_) => "run `{program} init` again: it completes what is missing",
        // A repair, in one transaction.
        Command::FullLoad(arguments) if arguments.table.is_some() => NOTHING_KEPT,
        Command::FullLoad(_) => "what was finished is kept; run `{program} full-load` again to resume",
        command if command.is_dry_run() => DRY_RUN,
        Command::Incremental(_) | Command::Repair(_) => NOTHING_KEPT,
        Command::Copy(_) => "nothing was changed, and the previous copy is kept; run the command again",
        #[cfg(feature = "lake")]
        Command::Publish(_) => "tables that were published stay so, all others are unchanged; run the command again",
        Command::Explain(_)
        | Command::Validate(_)
        | Command::Status(_)
        | Command::Completions { .. }
        | Command::Man { .. } => READS_ONLY,
    }
}

/// Listens from here on, so that no signal is missed. `before_exit` is called where a signal ends the program at once.
///
/// A file that reaches the limit on the size of files is an error of the write, which tells more than the signal that
/// would end the program.
///
/// # Errors
/// If the system does not let signals be watched.
pub(crate) fn watch(request: StopRequest, before_exit: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = watch_hangup()?;
    let mut file_too_large = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    tokio::spawn(async move {
        let mut first: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = next(&mut hangup) => {}
                _ = file_too_large.recv() => continue,
            }
            match first {
                None => {
                    first = Some(Instant::now());
                    // First, as the program may end as soon as it is asked to.
                    warn!("stopping after the step in progress; press again to stop at once");
                    request.request();
                }
                Some(first) if first.elapsed() < SAME_REQUEST => {}
                Some(_) => {
                    progress::leave();
                    before_exit();
                    std::process::exit(EXIT_STOPPED.into());
                }
            }
        }
    });
    Ok(())
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}

/// A program under `nohup` is to outlive its terminal: there the signal stays ignored.
#[cfg(target_os = "linux")]
fn watch_hangup() -> io::Result<Option<Signal>> {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    let is_ignored = status.is_ok_and(|status| status.sigign >> (libc::SIGHUP - 1) & 1 == 1);
    (!is_ignored).then(|| signal(SignalKind::hangup())).transpose()
}

/// Only Linux tells whether a signal is ignored; elsewhere it does what it does.
#[cfg(not(target_os = "linux"))]
fn watch_hangup() -> io::Result<Option<Signal>> {
    Ok(None)
}
