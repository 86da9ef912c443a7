//! The commands, one per file, their dispatch, and what they share: connections, signals, metrics.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::Utc;
use clap::ArgMatches;
use futures_util::future::join_all;
use sea_orm::DatabaseConnection;
use star_sync::declare::star::Star;
use star_sync::pipeline::databases::Databases;
use star_sync::pipeline::progress::Progress;
use star_sync::source::Source;
use star_sync::source::connect::{self, Access};
use star_sync::stop::{Stop, stop};
use star_sync::target::bookkeeping::history::{self, Status};
use star_sync::target::bookkeeping::success::{self, Success};
use star_sync::{metrics, target};
use tracing::{Instrument, debug, info_span, warn};

use crate::cli::{Command, Global, Notifications};
use crate::commands::notify::{Notifier, Outcome};
use crate::commands::retry::Reached;
use crate::config::{self, target_path};
use crate::error::{Error, Result};
use crate::exporter::{self, Health};
use crate::output::{Output, progress};
use crate::program::{ExtraCommand, Program};
use crate::status_page::Site;
use crate::status_page::live::Live;
use crate::threads::{ThreadPlan, Work};

mod copy;
mod explain;
mod forever;
mod full_load;
mod incremental;
mod init;
mod load;
mod manual;
mod missing_index;
mod notify;
#[cfg(feature = "lake")]
mod publish;
mod repair;
mod retry;
mod signals;
mod status;
mod validate;

/// How long the end of a command may wait for running statements.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The context that is passed to every command.
#[derive(Clone)]
pub struct Session {
    pub program: &'static Program,
    pub global: Global,
    pub output: Output,
    pub progress: Arc<Progress>,
    pub stop: Stop,
    pub threads: ThreadPlan,
    /// Whether it is one of many runs: no bars are drawn and little is printed.
    pub is_repeated: bool,
    /// Whether it is a dry run, which counts neither as a success nor for freshness.
    is_dry_run: bool,
    health: Health,
    notifier: Arc<Notifier>,
    /// The state of this process for the status page.
    live: Arc<Live>,
    began: Instant,
    reached: Arc<Reached>,
    /// The open connections to sources, to be closed regardless of how a run ends.
    pools: Arc<Mutex<Vec<DatabaseConnection>>>,
}

/// The command to run: one that all programs have, or one of the program's own.
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub(crate) enum Task {
    Own(Command),
    Extra(&'static ExtraCommand, ArgMatches),
}

impl Task {
    /// The command's name, as typed on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Own(command) => name(command),
            Self::Extra(extra, arguments) => (extra.name)(arguments),
        }
    }

    /// The kind of work, which determines the number of threads.
    pub(crate) fn work(&self) -> Work {
        match self {
            Self::Own(command) => Work::for_command(command),
            Self::Extra(extra, _) => extra.work,
        }
    }

    fn is_dry_run(&self) -> bool {
        matches!(self, Self::Own(command) if command.is_dry_run())
    }

    /// The notification settings.
    fn notifications(&self) -> Notifications {
        match self {
            Self::Own(command) => command.notifications().cloned().unwrap_or_default(),
            Self::Extra(..) => Notifications::default(),
        }
    }

    /// The hint after a stop.
    fn stopped(&self) -> &'static str {
        match self {
            Self::Own(command) => signals::hint(command),
            Self::Extra(extra, arguments) => (extra.stopped)(arguments),
        }
    }

    async fn run(&self, session: &Session) -> Result<u8> {
        let command = match self {
            Self::Own(command) => command,
            Self::Extra(extra, arguments) => return (extra.run)(session, arguments).await,
        };
        match command {
            Command::Init(arguments) => session.unless_stopped(init::run(session, arguments)).await,
            Command::FullLoad(arguments) => full_load::run(session, arguments).await,
            Command::Incremental(arguments) => incremental::run(session, arguments).await,
            Command::Repair(arguments) => repair::run(session, arguments).await,
            Command::Explain(arguments) => session.unless_stopped(explain::run(session, arguments)).await,
            Command::Validate(arguments) => validate::run(session, arguments).await,
            Command::Status(arguments) => session.unless_stopped(status::run(session, arguments)).await,
            Command::Copy(arguments) => copy::run(session, arguments).await,
            #[cfg(feature = "lake")]
            Command::Publish(arguments) => session.unless_stopped(publish::run(session, arguments)).await,
            Command::Completions { shell } => manual::completions(session.program, *shell),
            Command::Man { command } => manual::page(session.program, command),
        }
    }
}

/// Runs a command and returns the exit code.
pub(crate) async fn run(program: &'static Program, global: Global, task: &Task, threads: ThreadPlan) -> u8 {
    let (request, stop) = stop();
    let (command, output) = (task.name(), Output::new(program, &global, false));
    let before_exit = move || {
        output.error(
            command,
            0.0,
            &Error::Interrupted {
                hint: signals::ENDED_AT_ONCE,
            },
        );
    };
    if let Err(error) = signals::watch(request, before_exit) {
        warn!("signals cannot be handled: a signal ends the program without cleaning up: {error}");
    }
    let (is_repeated, healthy_within) = match task {
        Task::Own(Command::Incremental(arguments)) => (arguments.interval().is_some(), arguments.healthy_within),
        _ => (false, Duration::MAX),
    };
    let session = Session {
        program,
        output: Output::new(program, &global, is_repeated),
        progress: Arc::default(),
        global,
        stop,
        threads,
        is_repeated,
        is_dry_run: task.is_dry_run(),
        health: Health::new(healthy_within),
        notifier: Arc::new(Notifier::new(task.notifications())),
        live: Arc::default(),
        began: Instant::now(),
        reached: Arc::default(),
        pools: Arc::default(),
    };
    session.start_metrics().await;
    let result = task.run(&session).await;
    session.disconnect().await;
    if matches!(task, Task::Own(command) if command.is_run()) {
        session.write_metrics();
    }
    let result = result.map_err(|error| match error {
        error if error.is_stopped() => Error::Interrupted { hint: task.stopped() },
        error => error,
    });
    if let Err(error) = &result {
        // If the command was dropped while it ran, its progress bars may still be there.
        progress::leave();
        session.output.error(command, session.seconds(), error);
    }
    // With --every each run has sent its own notification, and a stop sends none. A success of `init` sends none
    // either, because it would be mistaken for a success of the load that follows.
    let is_told = result.is_err() || !(session.is_repeated || matches!(task, Task::Own(Command::Init(_))));
    if is_told {
        session.notify(command, Outcome::of_exit(&result)).await;
    }
    result.unwrap_or_else(|error| error.exit_code())
}

/// A command's name, as typed on the command line.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Init(_) => "init",
        Command::FullLoad(_) => "full-load",
        Command::Incremental(_) => "incremental",
        Command::Repair(_) => "repair",
        Command::Explain(_) => "explain",
        Command::Validate(_) => "validate",
        Command::Status(_) => "status",
        Command::Copy(_) => "copy",
        #[cfg(feature = "lake")]
        Command::Publish(_) => "publish",
        Command::Completions { .. } => "completions",
        Command::Man { .. } => "man",
    }
}

impl Session {
    /// The same session for the next run of many.
    fn again(&self) -> Self {
        Self {
            progress: Arc::default(),
            began: Instant::now(),
            ..self.clone()
        }
    }

    /// The same session for another attempt at the same run.
    fn another_attempt(&self) -> Self {
        Self {
            began: self.began,
            ..self.again()
        }
    }

    /// Starts to record metrics, and serves them, if the options request it.
    async fn start_metrics(&self) {
        if self.global.metrics_addr.is_none() && self.global.metrics_file.is_none() {
            return;
        }
        exporter::start(&self.target_label(), self.program);
        self.remember_successes().await;
        if let Some(address) = self.global.metrics_addr {
            let site = Site::new(self.program, self.target_label(), Arc::clone(&self.live));
            exporter::serve(address, self.health.clone(), site).await;
        }
    }

    /// The target's canonical path, which does not depend on the working folder; empty if the setting is invalid.
    fn target_label(&self) -> PathBuf {
        let path = target_path(&self.global).unwrap_or_default();
        let absolute = path.canonicalize().or_else(|_| std::path::absolute(&path));
        absolute.unwrap_or_default()
    }

    /// Restores the last successes of earlier processes, so that the metrics include them even if this run fails.
    async fn remember_successes(&self) {
        let Ok(path) = target_path(&self.global) else {
            return;
        };
        // A target of another version has nothing to restore, and the command itself reports the error.
        let Ok(readers) = target::open_to_read(&path, self.star(), 1).await else {
            return;
        };
        let now = Utc::now();
        for Success { command, finished, .. } in success::load(&readers).await.unwrap_or_default() {
            // A success in the future, from a clock that was set back, would never look old.
            if finished <= now + success::CLOCK_TOLERANCE {
                metrics::last_success(command, finished.timestamp());
            }
        }
        if let Ok(last_mismatch) = history::last_mismatch(&readers).await {
            metrics::unresolved_mismatch(last_mismatch.is_some());
        }
        let _ = readers.close().await;
    }

    /// Writes the metrics file, if --metrics-file is set.
    fn write_metrics(&self) {
        if let Some(path) = &self.global.metrics_file {
            exporter::write_file(path, self.program);
        }
    }

    /// Records in the metrics and for the status page when a run begins and how it ends.
    async fn watched<T>(
        &self,
        command: &'static str,
        run: impl Future<Output = Result<T>>,
        status: impl Fn(&T) -> Status,
    ) -> Result<T> {
        metrics::run_began(command);
        self.live.began(command, Arc::clone(&self.progress));
        let began = Instant::now();
        let span = info_span!("run", command);
        let result = run.instrument(span).await;
        let status = match &result {
            Ok(ended) => status(ended),
            Err(error) => error.status(),
        };
        metrics::run_ended(command, status.as_str(), began.elapsed());
        self.live.ended(command, result.as_ref().err());
        if status == Status::Done {
            self.health.succeeded();
        }
        result
    }

    /// The star schema of the program.
    pub(crate) fn star(&self) -> &'static Star {
        self.program.star
    }

    /// Seconds since the command began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    pub fn workers(&self) -> usize {
        usize::try_from(self.global.workers).expect("at most 64")
    }

    /// Runs a command that can be dropped at any moment, because it keeps nothing if it is interrupted.
    pub async fn unless_stopped<T>(&self, command: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            result = command => result,
            () = self.stop.requested() => Err(Error::STOPPED),
        }
    }

    /// What is needed to read both databases.
    pub(crate) fn databases<'a>(&self, source: &'a Source, readers: DatabaseConnection) -> Databases<'a> {
        Databases {
            star: self.star(),
            source,
            readers,
            workers: self.workers(),
            batch_size: self.global.batch_size,
            progress: self.progress.clone(),
            stop: self.stop.clone(),
        }
    }

    /// Connects to the source with one connection per worker, one for the planner, and one for a snapshot.
    pub async fn connect_readers(&self) -> Result<Source> {
        self.connect(self.global.workers + 2).await
    }

    /// Connects to the source with up to `connections` connections.
    pub async fn connect(&self, connections: u32) -> Result<Source> {
        let source = self
            .open(&config::source_access(self.program, &self.global)?, connections)
            .await?;
        self.reached.note();
        let (has, workers) = (source.connections, self.global.workers.min(connections));
        if has < workers {
            warn!(
                code = "CONNECTIONS_LIMITED",
                connections = has,
                workers,
                "the account or the server allows fewer connections than --workers; the run is slower: raise \
                 MAX_USER_CONNECTIONS of the account, or lower --workers"
            );
        }
        Ok(source)
    }

    /// Connects to any source; `disconnect` closes the connections.
    pub async fn open(&self, access: &Access, connections: u32) -> Result<Source> {
        let source = Source::connect(access, connections, self.global.read_timeout).await?;
        let source = source.paced(self.global.max_source_share);
        let mut pools = self.pools.lock().expect("no holder of this lock panics");
        pools.push(source.pool.clone());
        drop(pools);
        Ok(source)
    }

    /// Closes all connections to sources with COM_QUIT, also those of runs that failed or were dropped, because the
    /// server counts connections closed otherwise as aborted. Waits for running statements up to `CLOSE_TIMEOUT`.
    pub(crate) async fn disconnect(&self) {
        let pools = std::mem::take(&mut *self.pools.lock().expect("no holder of this lock panics"));
        let closed = join_all(pools.iter().map(connect::close));
        if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            debug!("a statement is still running; its connection is closed");
        }
    }
}
