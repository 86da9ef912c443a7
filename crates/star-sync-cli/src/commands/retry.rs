//! Runs again what failed because of the source: a server that restarts, a connection that is lost, no answer in time.
//!
//! Every run can be interrupted anywhere, and running it again is right; so a run that fails for a passing reason is
//! simply run again, on new connections. A full load then resumes after what it has committed.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use star_sync::error::Transience;
use star_sync::metrics;
use tracing::warn;

use super::Session;
use crate::error::{Error, Result};

/// The pause after the first failure; each further one is twice as long, up to the longest, and up to as much again is
/// added by chance: runs on many machines that lost the same server do not come back all at once.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether the source has been connected to since the program began.
#[derive(Default)]
pub(crate) struct Reached(AtomicBool);

impl Reached {
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// A source that was never there is not waited for: its address may be wrong, and that should show at once.
    fn makes_passing(&self, error: &Error) -> bool {
        match error.transience() {
            Transience::Lasting => false,
            Transience::Lost => self.0.load(Ordering::Relaxed),
            Transience::Overloaded => true,
        }
    }
}

impl Session {
    /// Runs until it ends otherwise than by a passing failure of the source, or until the pauses come to
    /// `--retry-for`.
    ///
    /// # Errors
    /// The last failure; `Stopped` if that was asked for in a pause.
    pub(crate) async fn persistently<T>(&self, run: impl AsyncFn(&Self) -> Result<T>) -> Result<T> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times()
            .with_total_delay(Some(self.global.retry_for))
            .build();
        loop {
            let error = match run(&self.another_attempt()).await {
                Err(error) if self.reached.makes_passing(&error) => error,
                ended => return ended,
            };
            // The next attempt may need their number.
            self.disconnect().await;
            let Some(pause) = pauses.next() else {
                warn!(code = "RETRIES_EXHAUSTED", limit = ?self.global.retry_for, "the source has failed for too long; giving up");
                return Err(error);
            };
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            warn!(code = "RETRYING", %error, cause, ?pause, "the source failed; retrying after a backoff");
            tokio::select! {
                biased;
                () = self.stop.requested() => return Err(Error::STOPPED),
                () = tokio::time::sleep(pause) => {}
            }
            metrics::retried(metrics::SOURCE_FAILED);
        }
    }
}
