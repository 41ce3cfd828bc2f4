//! SIP sessions of test calls, which belong to no call: where their events go.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::sip::{Event, Session};

/// All test calls of the moment.
#[derive(Default)]
pub(super) struct Probes(Mutex<HashMap<Session, mpsc::Sender<Event>>>);

impl Probes {
    /// Events of `session` go to `to` from now on.
    pub fn add(&self, session: Session, to: mpsc::Sender<Event>) {
        self.sessions().insert(session, to);
    }

    /// Nobody waits for them any more.
    pub fn remove(&self, session: Session) {
        self.sessions().remove(&session);
    }

    /// Gives an event to who waits for it; one that nobody takes is of a test that is over.
    pub fn tell(&self, session: Session, event: Event) {
        if let Some(to) = self.sessions().get(&session) {
            let _ = to.try_send(event);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Session, mpsc::Sender<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
