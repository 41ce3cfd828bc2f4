//! A run that is to end before its time: calls that are on are hung up, none begins.

use std::sync::Arc;

use tokio::sync::watch;

/// Shared by whoever stops a run and by its calls.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// One that nobody has used.
    pub fn new() -> Stop {
        Stop(Arc::new(watch::Sender::new(false)))
    }

    /// From now on.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was used.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is used. Cancel safe.
    pub async fn stopped(&self) {
        // Its sender is kept here, so it is never closed.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

impl Default for Stop {
    fn default() -> Stop {
        Stop::new()
    }
}

/// What a call says that was stopped.
pub(super) const STOPPED: &str = "the run was stopped";
