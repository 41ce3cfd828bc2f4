//! Requests outside of calls (OPTIONS, REGISTER): who waits for which answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::sip::{Answer, Origin, RequestKey};

/// What became of a request.
pub(super) struct Done {
    pub answer: Box<Answer>,
    pub origin: Origin,
}

/// All that are not answered yet. Each ends: the endpoint makes an answer where none comes.
#[derive(Default)]
pub(super) struct Requests {
    last: AtomicU64,
    waiting: Mutex<HashMap<RequestKey, oneshot::Sender<Done>>>,
}

impl Requests {
    /// A key for a new request, and where its answer comes.
    pub fn open(&self) -> (RequestKey, oneshot::Receiver<Done>) {
        let key = RequestKey(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(key, sender);
        (key, answer)
    }

    /// Gives an answer to who waits for it; nobody may wait any more.
    pub fn done(&self, key: RequestKey, done: Done) {
        if let Some(waiting) = self.waiting().remove(&key) {
            let _ = waiting.send(done);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<RequestKey, oneshot::Sender<Done>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
