//! Handles Ctrl-C, SIGTERM and SIGHUP: the first requests a stop, another one ends the program immediately.

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

/// Signals within this time of the first one count as the same request: `timeout` sends SIGTERM to the program and then
/// to its process group, and a terminal sends SIGHUP to both.
const SAME_REQUEST: Duration = Duration::from_millis(300);

/// The hint after a second signal has ended the program immediately.
pub(crate) const ENDED_AT_ONCE: &str = "nothing that was committed is lost; keep the -wal, -shm and .lock files beside the target: \
                                 the next full-load, incremental or repair cleans them up";

/// The hint after a command was stopped.
pub(crate) fn hint(command: &Command) -> &'static str {
    const READS_ONLY: &str = "the command only reads: nothing was changed";
    const DRY_RUN: &str = "a dry run keeps nothing: the target is unchanged";
    const NOTHING_KEPT: &str = "nothing of this run was kept, and the target is unchanged; run the command again";
    match command {
        Command::Init(arguments) if arguments.check => READS_ONLY,
        Command::Init(_) => "run `{program} init` again: it completes what is missing",
        // With --table it is a repair, in one transaction.
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

/// Handles signals from now on. `before_exit` is called before a second signal ends the program.
///
/// SIGXFSZ, sent when a file reaches the size limit, is ignored: the write then fails with an error that says more than
/// the signal, which would end the program.
///
/// # Errors
/// If the signal handlers cannot be installed.
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
                    // Log before the request, because the program may end immediately after it.
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

/// Handles SIGHUP, unless it is ignored: a program under `nohup` must outlive its terminal.
#[cfg(target_os = "linux")]
fn watch_hangup() -> io::Result<Option<Signal>> {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    let is_ignored = status.is_ok_and(|status| status.sigign >> (libc::SIGHUP - 1) & 1 == 1);
    (!is_ignored).then(|| signal(SignalKind::hangup())).transpose()
}

/// Only Linux reports whether a signal is ignored; elsewhere SIGHUP keeps its disposition.
#[cfg(not(target_os = "linux"))]
fn watch_hangup() -> io::Result<Option<Signal>> {
    Ok(None)
}
