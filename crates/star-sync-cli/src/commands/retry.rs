//! Retries runs that failed because of the source: a server restart, a lost connection, a timeout.
//!
//! Runs are idempotent and can be interrupted at any point, so a run with a transient failure is retried as a whole on
//! new connections. A full load resumes after its last commit.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use star_sync::error::Transience;
use star_sync::metrics;
use tracing::warn;

use super::Session;
use crate::error::{Error, Result};

/// The pause after the first failure. It doubles with each further failure, up to the longest, plus random jitter of up
/// to the same length, so that runs on many machines do not reconnect to a server at the same time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether this process has connected to the source.
#[derive(Default)]
pub(crate) struct Reached(AtomicBool);

impl Reached {
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to retry after this error. `Lost` is retried only if this process has connected to the source before:
    /// otherwise the address may be wrong, which should be reported immediately. `Overloaded` is always retried,
    /// because the server has answered.
    fn makes_passing(&self, error: &Error) -> bool {
        match error.transience() {
            Transience::Lasting => false,
            Transience::Lost => self.0.load(Ordering::Relaxed),
            Transience::Overloaded => true,
        }
    }
}

impl Session {
    /// Runs, and retries after transient failures of the source until the pauses add up to `--retry-for`.
    ///
    /// # Errors
    /// The last failure; `Stopped` after a stop request during a pause.
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
            // Close the connections, since the next attempt may need all that the server allows.
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
