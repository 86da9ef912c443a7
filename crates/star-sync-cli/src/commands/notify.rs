//! Notifies a healthcheck service, and runs a command, when a run has ended (`--ping`, `--on-failure`).
//!
//! For sites without Prometheus. A notification that cannot be sent is logged and does not fail the run. Logs show only
//! the host of the URL, because the rest is a secret of the service.

use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use star_sync::compare::verdict::VerdictCode;
use star_sync::target::bookkeeping::history::Status;
use tokio::process::Command;
use tracing::{debug, warn};
use url::Url;

use super::{Session, copy};
use crate::cli::Notifications;
use crate::error::{Error, Result};

/// The shortest time between pings of the same outcome: services limit pings, and wait for minutes anyway.
const SAME_OUTCOME: Duration = Duration::from_mins(1);
/// How long one ping may take, with name lookup and TLS.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses before retries of a failed ping. With --every there are no retries: the next run sends the next ping.
const PING_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How long the command of --on-failure may run; the next run waits for it.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);

/// The command that writes to a lake.
const PUBLISH: &str = "publish";

/// How a run ended.
#[derive(Clone, Copy)]
pub(crate) enum Outcome<'a> {
    Success,
    Mismatch,
    Failure(&'a Error),
    /// Stopped by Ctrl-C or SIGTERM: neither a success nor a failure.
    Stopped,
}

impl<'a> Outcome<'a> {
    /// The outcome of a command, from its exit code or error.
    pub(crate) fn of_exit(result: &'a Result<u8>) -> Self {
        match result {
            Ok(0) => Self::Success,
            Ok(_) => Self::Mismatch,
            Err(Error::Interrupted { .. }) => Self::Stopped,
            Err(error) => Self::Failure(error),
        }
    }

    /// The outcome of one of many runs.
    pub(crate) fn of_run(status: Status) -> Self {
        match status {
            Status::Mismatch => Self::Mismatch,
            _ => Self::Success,
        }
    }

    fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }
}

/// The notification settings, and what was sent last.
pub(crate) struct Notifier {
    notifications: Notifications,
    state: Mutex<NotificationState>,
}

#[derive(Default)]
struct NotificationState {
    /// Number of failures of each command since its last success.
    failures: BTreeMap<&'static str, u32>,
    /// Unresolved failures, by command, with the time of the last one. Only a success of the same command resolves
    /// them: a successful run does not fix a mismatch that a validation found, a copy, or a lake.
    unresolved: BTreeMap<&'static str, Instant>,
    /// The last ping that was delivered: whether it reported a success, and when.
    ping: Option<(bool, Instant)>,
}

impl NotificationState {
    /// Records the outcome of a command. Returns whether to send a notification.
    fn note(&mut self, command: &'static str, outcome: Outcome<'_>) -> bool {
        match outcome {
            Outcome::Success => {
                self.failures.remove(command);
                self.unresolved.remove(command);
                self.unresolved.is_empty()
            }
            Outcome::Mismatch | Outcome::Failure(_) => {
                *self.failures.entry(command).or_default() += 1;
                if matches!(outcome, Outcome::Mismatch) || [PUBLISH, copy::COMMAND].contains(&command) {
                    self.unresolved.insert(command, Instant::now());
                }
                true
            }
            Outcome::Stopped => false,
        }
    }

    /// Whether a ping with this outcome is due.
    fn is_ping_due(&self, is_success: bool, now: Instant) -> bool {
        self.ping
            .is_none_or(|(was_success, at)| was_success != is_success || now.duration_since(at) >= SAME_OUTCOME)
    }
}

/// The contents of a failure notification.
struct Failure {
    code: &'static str,
    message: String,
    hint: String,
}

impl Notifier {
    pub(crate) fn new(notifications: Notifications) -> Self {
        Self {
            notifications,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, NotificationState> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl Session {
    /// When the command last failed, if that failure is still unresolved.
    pub(crate) fn failed_at(&self, command: &str) -> Option<Instant> {
        self.notifier.state().unresolved.get(command).copied()
    }

    /// Sends the notifications about the outcome of a run.
    pub(crate) async fn notify(&self, command: &'static str, outcome: Outcome<'_>) {
        let (failures, is_ping_due) = {
            let mut state = self.notifier.state();
            if !state.note(command, outcome) {
                return;
            }
            let failures = state.failures.get(command).copied().unwrap_or_default();
            (failures, state.is_ping_due(outcome.is_success(), Instant::now()))
        };
        let failure = match outcome {
            Outcome::Success | Outcome::Stopped => None,
            Outcome::Mismatch => {
                let (sides, hint) = match command {
                    PUBLISH => (
                        "target and lake",
                        "run `{program} publish --force`, which replaces the lake's tables",
                    ),
                    _ => (
                        "source and target",
                        "run `{program} validate --all --deep`, then `{program} repair`",
                    ),
                };
                Some(Failure {
                    code: VerdictCode::Mismatch.name(),
                    message: format!("{command} ended with a mismatch between {sides}"),
                    hint: self.program.fill(hint),
                })
            }
            Outcome::Failure(error) => Some(Failure {
                code: error.code(),
                message: error.to_string(),
                hint: self.program.fill(&error.hint()),
            }),
        };
        if let Some(url) = self.notifier.notifications.ping.as_ref().filter(|_| is_ping_due) {
            self.ping(url, command, failure.as_ref()).await;
        }
        if let (Some(shell_command), Some(failure)) = (&self.notifier.notifications.on_failure, &failure) {
            self.run_on_failure(shell_command, command, failure, failures).await;
        }
    }

    async fn ping(&self, url: &Url, command: &str, failure: Option<&Failure>) {
        let host = url.host_str().unwrap_or_default().to_owned();
        let (url, body) = match failure {
            None => (url.clone(), format!("{} {command}: done\n", self.program.name())),
            Some(Failure { code, message, hint }) => (
                failure_url(url),
                format!(
                    "{} {command}: error[{code}]: {message}\n\nhint: {hint}\n",
                    self.program.name()
                ),
            ),
        };
        let pauses: &'static [Duration] = if self.is_repeated { &[] } else { &PING_PAUSES };
        let sent = tokio::task::spawn_blocking(move || send(&url, &body, pauses)).await;
        match sent {
            Ok(Ok(())) => self.notifier.state().ping = Some((failure.is_none(), Instant::now())),
            Ok(Err(error)) => {
                warn!(code = "PING_FAILED", host, %error, "the healthcheck service of --ping cannot be reached");
            }
            Err(error) => warn!(code = "PING_FAILED", host, %error, "the ping ended unexpectedly"),
        }
    }

    async fn run_on_failure(&self, shell_command: &str, command: &str, failure: &Failure, failures: u32) {
        let mut child = Command::new("sh");
        child
            .args(["-c", shell_command])
            .env("FAILURE_PROGRAM", self.program.name())
            .env("FAILURE_COMMAND", command)
            .env("FAILURE_CODE", failure.code)
            .env("FAILURE_MESSAGE", &failure.message)
            .env("FAILURE_HINT", &failure.hint)
            .env("FAILURE_TARGET", self.target_label())
            .env("FAILURE_COUNT", failures.to_string())
            .stdin(Stdio::null())
            // stdout is reserved for results.
            .stdout(Stdio::from(std::io::stderr()))
            .process_group(0);
        match run_for(&mut child, COMMAND_TIMEOUT).await {
            Ok(Some(status)) if status.success() => debug!("the command of --on-failure has run"),
            Ok(Some(status)) => {
                warn!(code = "ON_FAILURE_FAILED", %status, "the command of --on-failure failed");
            }
            Ok(None) => {
                warn!(code = "ON_FAILURE_FAILED", limit = ?COMMAND_TIMEOUT, "the command of --on-failure took too long and was killed");
            }
            Err(error) => warn!(code = "ON_FAILURE_FAILED", %error, "the command of --on-failure cannot be run"),
        }
    }
}

/// Runs a command that leads a process group. If it exceeds the limit, kills the whole group and returns `None`.
async fn run_for(command: &mut Command, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let mut child = command.spawn()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Ok(status) = tokio::time::timeout(limit, child.wait()).await {
        return status.map(Some);
    }
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait().await.map(|_| None)
}

/// The URL for failures: `/fail` is appended to the path, before the query.
fn failure_url(url: &Url) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("fail");
    }
    url
}

/// Sends a ping, with one retry after each pause.
fn send(url: &Url, body: &str, pauses: &[Duration]) -> std::result::Result<(), ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PING_TIMEOUT))
        .build()
        .into();
    let mut pauses = pauses.iter();
    loop {
        let Err(error) = agent.post(url.as_str()).send(body) else {
            return Ok(());
        };
        // A request that the service refuses would be refused again.
        let is_refused = matches!(error, ureq::Error::StatusCode(status) if status < 500);
        match pauses.next() {
            Some(pause) if !is_refused => std::thread::sleep(*pause),
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_sent_to_the_path_with_fail() {
        for (url, expected) in [
            ("https://hc.example/abc", "https://hc.example/abc/fail"),
            ("https://hc.example/abc/", "https://hc.example/abc/fail"),
            (
                "http://hc.example:8000/abc?rid=1",
                "http://hc.example:8000/abc/fail?rid=1",
            ),
        ] {
            assert_eq!(failure_url(&url.parse().unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn a_change_is_sent_at_once_and_the_same_again_after_a_minute() {
        let now = Instant::now();
        let state = |ping| NotificationState {
            ping,
            ..NotificationState::default()
        };
        assert!(state(None).is_ping_due(true, now));
        assert!(!state(Some((true, now))).is_ping_due(true, now));
        assert!(state(Some((true, now))).is_ping_due(false, now));
        assert!(!state(Some((false, now))).is_ping_due(false, now + SAME_OUTCOME / 2));
        assert!(state(Some((false, now))).is_ping_due(false, now + SAME_OUTCOME));
    }

    #[test]
    fn what_a_validation_or_a_publication_found_is_not_ended_by_runs() {
        let error = Error::STOPPED;
        for (command, outcome) in [
            ("validate", Outcome::Mismatch),
            ("publish", Outcome::Failure(&error)),
            ("copy", Outcome::Failure(&error)),
        ] {
            let mut state = NotificationState::default();
            assert!(state.note("incremental", Outcome::Success));
            assert!(state.note(command, outcome));
            assert!(!state.note("incremental", Outcome::Success), "{command}");
            assert!(state.note(command, outcome));
            assert_eq!(state.failures[command], 2);
            assert!(state.note("incremental", Outcome::Failure(&error)));
            assert_eq!(state.failures["incremental"], 1, "the first failure of an outage");
            assert!(state.note(command, Outcome::Success));
            assert!(!state.failures.contains_key(command));
            assert!(state.note("incremental", Outcome::Success));
        }
        let mut state = NotificationState::default();
        assert!(state.note("validate", Outcome::Failure(&error)));
        assert!(state.note("incremental", Outcome::Success), "the source answers again");
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        // Without this the child would keep the test's stdout pipe open.
        command
            .args(["-c", "sleep 600 & wait"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .process_group(0);
        assert!(
            run_for(&mut command, Duration::from_millis(100))
                .await
                .unwrap()
                .is_none()
        );
        let mut command = Command::new("sh");
        command.args(["-c", "exit 7"]).process_group(0);
        let status = run_for(&mut command, COMMAND_TIMEOUT).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(7));
    }
}
