//! A request to stop a run, passed to the tasks that start work.

use tokio::sync::watch;

/// The receiving end. After a request, the run ends when the work in progress is finished.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// The sending end.
pub struct StopRequest(watch::Sender<bool>);

/// Creates both ends of a stop request.
pub fn stop() -> (StopRequest, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopRequest(sender), Stop(receiver))
}

impl StopRequest {
    /// Requests the stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether a stop was requested.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until a stop is requested; waits forever once no sending end is left.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|requested| *requested).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
