//! The thread of a pipeline stage.
//!
//! Tokio's blocking threads will not do: where the system grants no further thread, tokio leaves a stage waiting for
//! another one to end, which waits for the stage.

use std::thread;

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// A stage at work on a thread of its own.
pub struct StageThread<T> {
    stage: &'static str,
    result: oneshot::Receiver<T>,
}

impl<T: Send + 'static> StageThread<T> {
    /// Starts the stage.
    ///
    /// # Errors
    /// If the system grants no further thread.
    pub fn spawn(stage: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Result<Self> {
        let (sender, result) = oneshot::channel();
        thread::Builder::new()
            .name(stage.to_owned())
            .spawn(move || {
                // Nobody waits for the result of a run that was dropped.
                let _ = sender.send(work());
            })
            .map_err(|cause| Error::Threads { needed: 1, cause })?;
        Ok(Self { stage, result })
    }
}

impl<T> StageThread<T> {
    /// Waits for the stage's result.
    ///
    /// # Errors
    /// If the stage panicked.
    pub async fn join(self) -> Result<T> {
        self.result.await.map_err(|_| Error::Panicked { stage: self.stage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[tokio::test]
    async fn a_stage_that_panics_ends_with_an_error_that_names_it() {
        let stage = StageThread::spawn("transform", || assert_eq!(1, 2)).unwrap();
        let error = stage.join().await.unwrap_err();
        assert_eq!(error.code(), Code::Panicked);
        assert_eq!(StageThread::spawn("writer", || 7).unwrap().join().await.unwrap(), 7);
    }
}
