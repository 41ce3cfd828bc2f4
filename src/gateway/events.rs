//! What happens in a gateway, numbered, in a bounded ring: who follows it may come back later and go on
//! where it was.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Happening {
    /// Its number, from 1.
    #[serde(skip)]
    pub number: u64,
    /// `call.started`, `call.state`, `call.message`, `call.ended`, `trunk.up`, `trunk.down`.
    pub r#type: &'static str,
    /// When (RFC 3339 UTC).
    pub at: Timestamp,
    /// What it is about.
    #[serde(serialize_with = "whole")]
    pub data: Arc<Value>,
}

/// The newest happenings of a gateway.
pub struct Events {
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
    run: String,
}

#[derive(Default)]
struct Ring {
    last: u64,
    kept: VecDeque<Happening>,
}

/// What came after a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Since {
    /// Whether something in between is kept no more.
    pub missed: bool,
    /// What came, oldest first.
    pub happenings: Vec<Happening>,
    /// The place after it.
    pub place: u64,
}

fn whole<S: serde::Serializer>(data: &Arc<Value>, s: S) -> Result<S::Ok, S::Error> {
    data.serialize(s)
}

impl Events {
    /// Nothing has happened. `run` names this run of the gateway: numbers start anew with it.
    pub(super) fn new(run: String) -> Events {
        Events { ring: Mutex::default(), newest: watch::Sender::new(0), run }
    }

    /// Adds what happened; beyond 4,096 the oldest is kept no more.
    pub(super) fn tell(&self, r#type: &'static str, data: &impl Serialize) {
        let Ok(data) = serde_json::to_value(data) else { return };
        let mut ring = self.ring();
        ring.last += 1;
        let number = ring.last;
        if ring.kept.len() == MOST {
            ring.kept.pop_front();
        }
        let data = Arc::new(data);
        ring.kept.push_back(Happening { number, r#type, at: Timestamp::now(), data });
        drop(ring);
        self.newest.send_replace(number);
    }

    /// The name of this run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The place of now.
    pub fn now(&self) -> u64 {
        self.ring().last
    }

    /// What came after a place, at most `most` at once.
    pub fn since(&self, place: u64, most: usize) -> Since {
        let ring = self.ring();
        let oldest = ring.last + 1 - ring.kept.len() as u64;
        let missed = place + 1 < oldest || place > ring.last;
        let from = if place > ring.last { ring.last } else { place };
        let happenings: Vec<Happening> =
            ring.kept.iter().filter(|own| own.number > from).take(most).cloned().collect();
        let place = happenings.last().map_or(from.max(oldest - 1), |own| own.number);
        Since { missed, happenings, place }
    }

    /// Wakes when something happens.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing panics while it is held.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A minute of a gateway with a dozen calls a second.
const MOST: usize = 4096;

#[cfg(test)]
impl Events {
    /// A run named `run`, where `call.state` has happened.
    pub(crate) fn of_test() -> Events {
        let events = Events::new("run".to_owned());
        events.tell("call.state", &1);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_goes_on_and_hears_of_a_gap() {
        let events = Events::new("run".to_owned());
        assert_eq!(events.since(0, 9), Since { missed: false, happenings: vec![], place: 0 });
        for n in 0..MOST + 10 {
            events.tell("call.state", &n);
        }
        let last = events.now();
        let two = events.since(last - 2, 9);
        assert_eq!((two.missed, two.place), (false, last));
        assert_eq!(
            two.happenings.iter().map(|own| own.number).collect::<Vec<_>>(),
            [last - 1, last]
        );
        let oldest = events.since(10, 1);
        assert_eq!((oldest.missed, oldest.happenings[0].number, oldest.place), (false, 11, 11));
        assert!(events.since(9, 1).missed);
        assert!(events.since(last + 1, 9).missed, "a number of another run");
    }
}
