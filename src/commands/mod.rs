//! One file a command; one match dispatches. What is common to them: connecting, the lock, signals, the metrics.

use std::sync::Arc;
use std::time::Instant;

use sea_orm::DatabaseConnection;
use tokio::net::{TcpStream, UnixStream};
use tracing::warn;

use crate::cli::{Cli, Command, Global, SeedCommand};
use crate::config::{Address, SourceSettings};
use crate::engine::pipeline::progress::Progress;
use crate::engine::runs::Look;
use crate::engine::source_db::{CONNECT_TIMEOUT, Source};
use crate::engine::stop::{Stop, StopRequest, stop};
use crate::error::{Error, Result};
use crate::metrics;
use crate::output::Output;
use crate::sakila;

mod advice;
mod demo;
mod explain;
mod full_load;
mod incremental;
mod init;
mod load;
mod manual;
mod repair;
mod seed;
mod status;
mod validate;

/// The hint of commands that leave nothing half-done when they are stopped.
const AGAIN: &str = "it can be run again at any time";

/// What every command is given.
pub struct Session {
    pub global: Global,
    pub output: Output,
    pub progress: Arc<Progress>,
    pub stop: Stop,
    began: Instant,
}

/// Runs a command to its end. Returns the exit code.
pub async fn run(cli: Cli) -> u8 {
    let (request, stop) = stop();
    watch_signals(request);
    let session = Session {
        output: Output::new(&cli.global),
        progress: Arc::new(Progress::default()),
        global: cli.global,
        stop,
        began: Instant::now(),
    };
    let command = name(&cli.command);
    let result = async {
        if let Some(address) = session.global.metrics_addr {
            metrics::serve(address)?;
        }
        match &cli.command {
            Command::Init => session.unless_stopped(AGAIN, init::run(&session)).await,
            Command::FullLoad(arguments) => full_load::run(&session, arguments).await,
            Command::Incremental(arguments) => incremental::run(&session, arguments).await,
            Command::Repair(arguments) => repair::run(&session, arguments).await,
            Command::Explain(arguments) => session.unless_stopped(AGAIN, explain::run(&session, arguments)).await,
            Command::Validate(arguments) => session.unless_stopped(AGAIN, validate::run(&session, arguments)).await,
            Command::Status => session.unless_stopped(AGAIN, status::run(&session)).await,
            Command::Seed(arguments) => {
                session
                    .unless_stopped(seed::stopped_hint(arguments), seed::run(&session, arguments))
                    .await
            }
            Command::Demo(arguments) => demo::run(&session, arguments).await,
            Command::Completions { shell } => manual::completions(*shell),
            Command::Man { command } => manual::page(command),
        }
    }
    .await;
    result.unwrap_or_else(|error| {
        session.output.error(command, session.seconds(), &error);
        error.exit_code()
    })
}

/// A command's name, as it is typed.
pub fn name(command: &Command) -> &'static str {
    match command {
        Command::Init => "init",
        Command::FullLoad(_) => "full-load",
        Command::Incremental(_) => "incremental",
        Command::Repair(_) => "repair",
        Command::Explain(_) => "explain",
        Command::Validate(_) => "validate",
        Command::Status => "status",
        Command::Seed(arguments) => match &arguments.then {
            Some(SeedCommand::Mutate { .. }) => "seed mutate",
            None => "seed",
        },
        Command::Demo(_) => "demo",
        Command::Completions { .. } => "completions",
        Command::Man { .. } => "man",
    }
}

impl Session {
    /// Seconds since the command began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    pub fn workers(&self) -> usize {
        usize::try_from(self.global.workers).expect("at most 64")
    }

    /// Runs what keeps nothing when it is stopped half-way: it can be dropped at any moment.
    /// The hint says what that means.
    async fn unless_stopped<T>(&self, hint: &'static str, command: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            result = command => result,
            () = self.stop.requested() => Err(Error::Interrupted { hint }),
        }
    }

    /// What it takes to look at both databases.
    pub fn look<'a>(&self, source: &'a Source, readers: DatabaseConnection) -> Look<'a> {
        Look {
            star: sakila::star(),
            source,
            readers,
            workers: self.workers(),
            batch_size: self.global.batch_size,
            progress: self.progress.clone(),
            stop: self.stop.clone(),
        }
    }

    /// Connects to the source.
    pub async fn connect(&self) -> Result<Source> {
        let settings = SourceSettings::new(&self.global)?;
        reach(&settings.address).await?;
        // One more than there are readers: the planner walks ahead of them.
        Source::connect(settings.options, settings.identity, self.global.workers + 1).await
    }
}

/// Tries the address once. The pool would go on trying a refused connection, and in the end not say why.
async fn reach(address: &Address) -> Result<()> {
    let attempt = async {
        match address {
            Address::Tcp(host) => TcpStream::connect(host).await.map(drop),
            Address::Socket(path) => UnixStream::connect(path).await.map(drop),
        }
    };
    let tried = tokio::time::timeout(CONNECT_TIMEOUT, attempt).await;
    tried
        .unwrap_or_else(|elapsed| Err(elapsed.into()))
        .map_err(|cause| Error::Unreachable {
            address: address.to_string(),
            cause,
        })
}

/// The first Ctrl-C or SIGTERM asks to stop, the second ends the program at once.
fn watch_signals(request: StopRequest) {
    tokio::spawn(async move {
        if signal().await.is_err() {
            return;
        }
        warn!("stopping after the work at hand; once more to stop at once");
        request.request();
        if signal().await.is_ok() {
            std::process::exit(Error::Stopped.exit_code().into());
        }
    });
}

async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
