//! The thread of a pipeline stage.
//!
//! Tokio's blocking threads cannot be used: if the system allows no further thread, tokio queues a stage until another
//! one ends, which in turn waits for the queued one.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// How long an ended thread of the previous stage may still count against the system's limit.
const LONGEST_END: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

/// A stage that runs on its own thread.
pub(crate) struct StageThread<T> {
    stage: &'static str,
    result: oneshot::Receiver<T>,
}

impl<T: Send + 'static> StageThread<T> {
    /// Starts the stage.
    ///
    /// # Errors
    /// If the system allows no further thread.
    pub(crate) async fn spawn(stage: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Result<Self> {
        let (sender, result) = oneshot::channel();
        // If a thread cannot be started, its closure is dropped; the work must survive for the retry.
        let work = Arc::new(Mutex::new(Some((work, sender))));
        let deadline = Instant::now() + LONGEST_END;
        let runtime = Handle::current();
        loop {
            let (work, runtime) = (Arc::clone(&work), runtime.clone());
            let started = thread::Builder::new().name(stage.to_owned()).spawn(move || {
                let taken = work.lock().expect("no holder of this lock panics").take();
                if let Some((work, sender)) = taken {
                    // Dropping a transaction returns its connection to a pool, which requires the runtime.
                    let _context = runtime.enter();
                    // Sending fails if the run was dropped; the result is then not needed.
                    let _ = sender.send(work());
                }
            });
            match started {
                Ok(_) => return Ok(Self { stage, result }),
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(cause) => return Err(Error::Threads { needed: 1, cause }),
            }
        }
    }
}

impl<T> StageThread<T> {
    /// Waits for the stage's result.
    ///
    /// # Errors
    /// If the stage panicked.
    pub(crate) async fn join(self) -> Result<T> {
        self.result.await.map_err(|_| Error::Panicked { stage: self.stage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[tokio::test]
    async fn a_stage_that_panics_ends_with_an_error_that_names_it() {
        let stage = StageThread::spawn("transform", || assert_eq!(1, 2)).await.unwrap();
        let error = stage.join().await.unwrap_err();
        assert_eq!(error.code(), Code::Panicked);
        let stage = StageThread::spawn("writer", || 7).await.unwrap();
        assert_eq!(stage.join().await.unwrap(), 7);
    }
}
