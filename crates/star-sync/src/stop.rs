//! A request to stop, passed down to whoever hands out work.

use tokio::sync::watch;

/// Set once, when the run is to end after the work at hand.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// The end that asks.
pub struct StopRequest(watch::Sender<bool>);

/// Both ends of a request.
pub fn stop() -> (StopRequest, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopRequest(sender), Stop(receiver))
}

impl StopRequest {
    /// Asks to stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether somebody has asked.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is requested; for ever, if nobody is left to request it.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|requested| *requested).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
