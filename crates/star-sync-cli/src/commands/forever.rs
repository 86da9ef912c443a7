//! `incremental --every`: runs once per interval until the program is stopped.

use std::time::{Duration, Instant};

use star_sync::metrics;
#[cfg(feature = "lake")]
use star_sync::target::bookkeeping::history::Status;
use tokio::time::MissedTickBehavior;
#[cfg(feature = "lake")]
use tracing::debug;
use tracing::{info, warn};

use super::load::{self, Load};
use super::notify::Outcome;
use super::{Session, validate};
use crate::cli::{Incremental, Validate};
use crate::error::{Error, Result};

/// The longest backoff after a failed run, unless the interval is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// Runs until it is stopped. A failed run is reported and retried; an invalid setting ends the command.
///
/// # Errors
/// Invalid settings only.
pub(crate) async fn run(session: &Session, arguments: &Incremental, every: Duration, load: Load) -> Result<u8> {
    let mut ticks = tokio::time::interval(every);
    // Runs missed during a long run are skipped.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut failures = 0;
    let mut validated = Instant::now();
    #[cfg(feature = "lake")]
    let mut published: Option<Instant> = None;
    info!(every = ?every, "running until stopped");
    loop {
        tokio::select! {
            biased;
            () = session.stop.requested() => return Ok(0),
            _ = ticks.tick() => {}
        }
        let (mut command, mut run) = ("incremental", session.again());
        let mut result = load::sync(&run, command, load, Some(&arguments.copy))
            .await
            .map(|report| report.status);
        run.write_metrics();
        run.disconnect().await;
        #[cfg(feature = "lake")]
        if let (Ok(status), Some(pace)) = (&result, arguments.publish.publish_every) {
            let is_due = published.is_none_or(|published| published.elapsed() >= pace);
            if is_due && *status == Status::Mismatch {
                warn!(
                    code = "PUBLICATION_HELD",
                    "the lake is not published to until the mismatch is resolved"
                );
            }
            if is_due && *status == Status::Done {
                published = Some(Instant::now());
                let published = super::publish::after_run(&session.again(), &arguments.publish).await;
                result = published.and(result);
            } else if let Err(error) = super::publish::record_backlog(session, &arguments.publish).await {
                debug!(%error, "the backlog of the lake cannot be read");
            }
            run.write_metrics();
        }
        if let (Ok(status), Some(pace)) = (&result, arguments.validate_every)
            && validated.elapsed() >= pace
        {
            run.notify(command, Outcome::of_run(*status)).await;
            validated = Instant::now();
            (command, run) = ("validate", session.again());
            result = validate::repeated(&run, &Validate::default()).await;
            run.write_metrics();
        }
        run.disconnect().await;
        match result {
            Ok(status) => {
                failures = 0;
                run.notify(command, Outcome::of_run(status)).await;
            }
            Err(error) if error.is_stopped() => return Ok(0),
            Err(error @ Error::Setting { .. }) => return Err(error),
            Err(error) => {
                failures += 1;
                run.output.error(command, run.seconds(), &error);
                run.notify(command, Outcome::Failure(&error)).await;
                let pause = pause_after(failures, every, error.is_refused_login());
                warn!(
                    code = "RUN_FAILED",
                    failures,
                    ?pause,
                    "the run failed; retrying after a backoff"
                );
                tokio::select! {
                    biased;
                    () = session.stop.requested() => return Ok(0),
                    () = tokio::time::sleep(pause) => {}
                }
                metrics::retried(metrics::RUN_FAILED);
            }
        }
    }
}

/// The backoff after a failed run: the interval after the first failure, doubled with each further one. After a refused
/// log-in it is the longest from the start, because servers lock accounts and block hosts after a few attempts.
fn pause_after(failures: u32, every: Duration, is_login_refused: bool) -> Duration {
    if is_login_refused {
        return LONGEST_PAUSE.max(every);
    }
    let doublings = failures.saturating_sub(1).min(16);
    every.saturating_mul(1 << doublings).min(LONGEST_PAUSE.max(every))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_are_never_shorter_than_the_pace() {
        let seconds = |failures, every| pause_after(failures, Duration::from_secs(every), false).as_secs();
        assert_eq!([1, 2, 3, 4].map(|failures| seconds(failures, 30)), [30, 60, 120, 240]);
        assert_eq!(seconds(40, 30), 600);
        assert_eq!(seconds(3, 3_600), 3_600);
        assert_eq!(pause_after(1, Duration::from_secs(1), true), LONGEST_PAUSE);
    }
}
