//! The deliveries of one webhook: which are due, what became of them, and a log of both. Pure.
//!
//! ```text
//! add --> pending --take_due--> being tried --taken---> delivered     (a webhook that had failed before:
//!            ^                      |    '--unwanted--> failed         the others that wait are due at once)
//!            '------ not taken -----'    '--not taken, the last time--> failed
//! ```
//!
//! At most eight are tried at once and at most 1,000 wait. Where one more comes, the oldest that waits is
//! dropped: what happens now is always tried, and a receiver that is back is known by it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

/// A delivery and how it went.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Delivery {
    /// What the receiver knows it by: the same for every try.
    pub id: String,
    /// What happened.
    pub r#type: &'static str,
    /// When it happened (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How it stands.
    pub state: DeliveryState,
    /// Every try so far.
    pub attempts: Vec<Attempt>,
    #[serde(skip)]
    number: u64,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It is on its way, or waits for its next try.
    Pending,
    /// A 2xx came.
    Delivered,
    /// Every try failed.
    Failed,
    /// Too many waited before it.
    Dropped,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Attempt {
    /// When (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The status that came.
    pub status: Option<u16>,
    /// Why there is none, or why it does not count.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

impl Delivery {
    /// One that was not tried yet.
    pub(super) fn new(number: u64, id: String, r#type: &'static str, at: Timestamp) -> Delivery {
        Delivery { id, r#type, at, state: DeliveryState::Pending, attempts: Vec::new(), number }
    }

    #[cfg(test)]
    pub(crate) fn sample(number: u64) -> Delivery {
        Delivery::new(number, format!("msg_{number}"), "call.ended", Timestamp::UNIX_EPOCH)
    }

    /// Its place in the log: what happened later has a higher one.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// What a try came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    NotTaken,
    /// The receiver wants no more of it.
    Unwanted,
}

/// A delivery to try now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Try {
    pub id: String,
    pub body: Arc<str>,
}

/// The deliveries of one webhook.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// The oldest first.
    log: VecDeque<Noted>,
    /// How many are being tried.
    trying: usize,
    /// The last try was not taken.
    failing: bool,
}

#[derive(Debug)]
struct Noted {
    shown: Delivery,
    body: Arc<str>,
    /// How many of [`WAITS`] are over.
    step: usize,
    next: Next,
    /// When the step's own try is due, where it was tried sooner. Once a step: a receiver that takes some
    /// and refuses others is not asked all the time.
    sooner: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    At(Instant),
    BeingTried,
    Never,
}

impl Deliveries {
    /// Takes one, which is due at once; says which one had to go for it.
    pub(super) fn add(&mut self, now: Instant, shown: Delivery, body: String) -> Option<String> {
        let mut dropped = None;
        if self.pending() >= MOST_WAITING {
            let waits = |own: &&mut Noted| matches!(own.next, Next::At(_));
            if let Some(oldest) = self.log.iter_mut().find(waits) {
                oldest.next = Next::Never;
                oldest.shown.state = DeliveryState::Dropped;
                dropped = Some(oldest.shown.id.clone());
            }
        }
        if self.log.len() >= MOST_LOGGED {
            // One that is over makes room; those that wait are bounded by themselves.
            let over = self.log.iter().position(|own| own.next == Next::Never);
            over.and_then(|over| self.log.remove(over));
        }
        let next = Next::At(now);
        self.log.push_back(Noted { shown, body: body.into(), step: 0, next, sooner: None });
        dropped
    }

    /// One that is due, which is being tried from now on.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Try> {
        if self.trying == AT_ONCE {
            return None;
        }
        let is_due = |own: &&mut Noted| matches!(own.next, Next::At(at) if at <= now);
        let own = self.log.iter_mut().find(is_due)?;
        own.next = Next::BeingTried;
        self.trying += 1;
        Some(Try { id: own.shown.id.clone(), body: own.body.clone() })
    }

    /// When the next one is due, where one more can be tried.
    pub(super) fn timeout(&self) -> Option<Instant> {
        let due = self.log.iter().filter_map(|own| match own.next {
            Next::At(at) => Some(at),
            Next::BeingTried | Next::Never => None,
        });
        due.min().filter(|_| self.trying < AT_ONCE)
    }

    /// What a try came to, and how its delivery stands now.
    pub(super) fn tried(
        &mut self,
        now: Instant,
        id: &str,
        attempt: Attempt,
        outcome: Outcome,
    ) -> DeliveryState {
        self.trying = self.trying.saturating_sub(1);
        let was_failing = std::mem::replace(&mut self.failing, outcome == Outcome::NotTaken);
        let Some(own) = self.log.iter_mut().find(|own| own.shown.id == id) else {
            return DeliveryState::Dropped;
        };
        if own.shown.attempts.len() == MOST_ATTEMPTS {
            own.shown.attempts.remove(0);
        }
        own.shown.attempts.push(attempt);
        (own.next, own.shown.state) = match (outcome, own.sooner) {
            (Outcome::Taken, _) => (Next::Never, DeliveryState::Delivered),
            (Outcome::Unwanted, _) => (Next::Never, DeliveryState::Failed),
            (Outcome::NotTaken, Some(due)) if due > now => (Next::At(due), DeliveryState::Pending),
            (Outcome::NotTaken, _) => {
                own.step += 1;
                own.sooner = None;
                match WAITS.get(own.step) {
                    Some(wait) => (Next::At(now + *wait), DeliveryState::Pending),
                    None => (Next::Never, DeliveryState::Failed),
                }
            }
        };
        let state = own.shown.state;
        if was_failing && outcome == Outcome::Taken {
            self.hurry(now);
        }
        state
    }

    /// Tries one again, whatever became of it, by a row of waits of its own; `false` where it is not in
    /// the log. One that is being tried goes on.
    pub(super) fn again(&mut self, now: Instant, id: &str) -> bool {
        let Some(own) = self.log.iter_mut().find(|own| own.shown.id == id) else { return false };
        if own.next != Next::BeingTried {
            (own.step, own.next, own.sooner) = (0, Next::At(now), None);
            own.shown.state = DeliveryState::Pending;
        }
        true
    }

    /// How many are tried or wait.
    pub(super) fn pending(&self) -> usize {
        self.log.iter().filter(|own| own.next != Next::Never).count()
    }

    /// All that are known of.
    pub(super) fn newest_first(&self) -> Vec<Delivery> {
        self.log.iter().rev().map(|own| own.shown.clone()).collect()
    }

    /// The receiver is back: nothing waits for its time.
    fn hurry(&mut self, now: Instant) {
        for own in &mut self.log {
            if let (Next::At(due), None) = (own.next, own.sooner)
                && due > now
            {
                own.sooner = Some(due);
                own.next = Next::At(now);
            }
        }
    }
}

/// Before each try. The last comes after eleven hours: a night's maintenance.
const WAITS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_secs(120),
    Duration::from_secs(900),
    Duration::from_secs(3_600),
    Duration::from_secs(10_800),
    Duration::from_secs(25_200),
];
const AT_ONCE: usize = 8;
const MOST_WAITING: usize = 1_000;
const MOST_LOGGED: usize = 2_000;
/// Those of a delivery that are kept: all of its own, and of some that were asked for.
const MOST_ATTEMPTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    fn add(all: &mut Deliveries, now: Instant, n: usize) -> Option<String> {
        all.add(now, Delivery::sample(n as u64), format!("body {n}"))
    }

    fn tried(all: &mut Deliveries, now: Instant, id: &str, outcome: Outcome) -> DeliveryState {
        let attempt = Attempt { at: Timestamp::UNIX_EPOCH, status: None, error: None, took_ms: 1 };
        all.tried(now, id, attempt, outcome)
    }

    fn state(all: &Deliveries, n: usize) -> DeliveryState {
        let id = format!("msg_{n}");
        all.newest_first().into_iter().find(|own| own.id == id).unwrap().state
    }

    /// Lets everything that comes due be tried until nothing is left, and gives when each try was, in seconds.
    fn tries(all: &mut Deliveries, begun: Instant, outcome: Outcome) -> Vec<u64> {
        let mut at = Vec::new();
        while let Some(now) = all.timeout() {
            let due = all.take_due(now).unwrap();
            at.push((now - begun).as_secs());
            tried(all, now, &due.id, outcome);
        }
        at
    }

    #[test]
    fn one_that_is_never_taken_is_tried_for_eleven_hours_and_has_failed() {
        let (mut all, now) = (Deliveries::default(), epoch());
        add(&mut all, now, 1);
        let at = tries(&mut all, now, Outcome::NotTaken);
        assert_eq!(at, [0, 2, 17, 137, 1037, 4637, 15_437, 40_637]);
        assert_eq!((state(&all, 1), all.pending()), (DeliveryState::Failed, 0));
        assert_eq!(all.newest_first()[0].attempts.len(), 8);
        // 410: once is enough.
        add(&mut all, now, 2);
        assert_eq!(tries(&mut all, now, Outcome::Unwanted), [0]);
        assert_eq!(state(&all, 2), DeliveryState::Failed);
    }

    #[test]
    fn a_receiver_that_is_back_gets_what_waits_at_once() {
        let (mut all, now) = (Deliveries::default(), epoch());
        (0..20).for_each(|n| drop(add(&mut all, now, n)));
        let mut clock = now;
        // Each of them has failed four times: it is to be tried a quarter of an hour later.
        while clock < now + Duration::from_secs(200) {
            while let Some(due) = all.take_due(clock) {
                tried(&mut all, clock, &due.id, Outcome::NotTaken);
            }
            clock = all.timeout().unwrap();
        }
        assert!(clock > now + Duration::from_secs(1000));
        let later = now + Duration::from_secs(300);
        add(&mut all, later, 20);
        assert_eq!(all.timeout(), Some(later));
        let first = all.take_due(later).unwrap();
        assert_eq!(tried(&mut all, later, &first.id, Outcome::Taken), DeliveryState::Delivered);
        let mut taken = 0;
        while let Some(due) = all.take_due(later) {
            tried(&mut all, later, &due.id, Outcome::Taken);
            taken += 1;
        }
        assert_eq!((taken, all.pending(), all.timeout()), (20, 0, None));
    }

    /// A receiver that takes all but one is asked for that one at most twice a step.
    #[test]
    fn what_alone_is_refused_is_not_tried_all_the_time() {
        let (mut all, now) = (Deliveries::default(), epoch());
        add(&mut all, now, 0);
        let (mut refused, mut clock) = (Vec::new(), now);
        for n in 1..50_000 {
            while let Some(due) = all.take_due(clock) {
                let bad = due.id == "msg_0";
                let outcome = if bad { Outcome::NotTaken } else { Outcome::Taken };
                refused.extend(bad.then(|| (clock - now).as_secs()));
                tried(&mut all, clock, &due.id, outcome);
            }
            clock = now + Duration::from_secs(n as u64);
            add(&mut all, clock, n);
        }
        assert!((9..=16).contains(&refused.len()), "{refused:?}");
        assert!(refused.contains(&40_637), "{refused:?}");
    }

    #[test]
    fn the_oldest_gives_way_and_what_happens_now_is_always_tried() {
        let (mut all, now) = (Deliveries::default(), epoch());
        for n in 0..3_000 {
            let dropped = add(&mut all, now, n);
            assert_eq!(dropped.is_some(), n >= MOST_WAITING, "{n}");
        }
        assert_eq!((all.pending(), all.log.len()), (MOST_WAITING, MOST_LOGGED));
        assert_eq!(
            (state(&all, 1_999), state(&all, 2_000)),
            (DeliveryState::Dropped, DeliveryState::Pending)
        );
        // Eight at once, and those are not dropped.
        let trying: Vec<Try> = std::iter::from_fn(|| all.take_due(now)).collect();
        assert_eq!((trying.len(), all.timeout()), (AT_ONCE, None));
        assert_eq!(trying[0].id, "msg_2000");
        assert_eq!(add(&mut all, now, 3_000).unwrap(), "msg_2008");
        // Wishes to have old ones again do not let the log grow.
        for n in 1_002..3_000 {
            all.again(now, &format!("msg_{n}"));
        }
        (3_001..9_000).for_each(|n| drop(add(&mut all, now, n)));
        assert!(all.log.len() <= MOST_LOGGED + AT_ONCE, "{}", all.log.len());
    }

    /// However often it is asked for: one try at a time, and one row of waits.
    #[test]
    fn again_is_once_however_often_it_is_said() {
        let (mut all, now) = (Deliveries::default(), epoch());
        add(&mut all, now, 1);
        let due = all.take_due(now).unwrap();
        assert!(all.again(now, "msg_1") && !all.again(now, "msg_2"));
        assert_eq!(all.take_due(now), None);
        tried(&mut all, now, &due.id, Outcome::Taken);
        assert_eq!(state(&all, 1), DeliveryState::Delivered);
        (0..3).for_each(|_| assert!(all.again(now, "msg_1")));
        assert_eq!(tries(&mut all, now, Outcome::NotTaken).len(), 8);
        (0..5).for_each(|_| {
            all.again(now, "msg_1");
            tries(&mut all, now, Outcome::NotTaken);
        });
        assert_eq!(all.newest_first()[0].attempts.len(), MOST_ATTEMPTS);
    }
}
