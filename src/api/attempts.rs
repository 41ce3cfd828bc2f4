//! Wrong keys: counted by address, told to the log so that a flood of them does not flood it, and after
//! some of them an address has to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Problem;
use super::places::Network;
use crate::signaling::ErrorCode;
use crate::telemetry::Metrics;

/// How a wrong key was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `POST /v1/session`.
    Login,
    /// `Authorization: Bearer`.
    Bearer,
}

/// The addresses that showed wrong keys in the last minute; as many of them as there is room for.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    metrics: Arc<Metrics>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    of: HashMap<Network, Failures>,
    lines: Option<Failures>,
}

/// Failures since the first of them.
#[derive(Debug, Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Attempts {
    pub(super) fn new(metrics: Arc<Metrics>) -> Attempts {
        Attempts { metrics, seen: Mutex::default() }
    }

    /// Whether an address may show a key.
    ///
    /// # Errors
    /// It showed too many wrong ones; the answer says when to come back.
    pub(super) fn may_try(&self, now: Instant, peer: IpAddr) -> Result<(), Problem> {
        let seen = self.seen();
        let Some(own) = seen.of.get(&Network::of(peer)) else { return Ok(()) };
        if own.count < MOST_FAILURES || own.is_over(now) {
            return Ok(());
        }
        let wait = WINDOW.saturating_sub(now.saturating_duration_since(own.since));
        drop(seen);
        self.metrics.auth_failed("refused");
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Err(Problem::new(ErrorCode::RequestTooManyFailures).after(seconds))
    }

    /// An address showed a wrong key.
    pub(super) fn failed(&self, now: Instant, peer: IpAddr, way: Way) {
        let (name, words) = match way {
            Way::Login => ("login", "a login with a key that is none of this gateway's"),
            Way::Bearer => ("bearer", "a request with a key that is none of this gateway's"),
        };
        self.metrics.auth_failed(name);
        if let Some(count) = self.count(now, peer) {
            let peer = peer.to_canonical();
            if count >= MOST_FAILURES {
                tracing::warn!(%peer, count, "{words}; the address has to wait for a minute");
            } else {
                tracing::warn!(%peer, "{words}; more of them are told when there are {MOST_FAILURES}");
            }
        }
    }

    /// How many wrong keys the address has shown, where a line of the log should say so: at the first of
    /// them and at the last that is taken, and not in more lines a minute than people read.
    fn count(&self, now: Instant, peer: IpAddr) -> Option<u32> {
        let network = Network::of(peer);
        let mut seen = self.seen();
        if seen.of.len() >= MOST_ADDRESSES && !seen.of.contains_key(&network) {
            seen.of.retain(|_, own| !own.is_over(now));
            if seen.of.len() >= MOST_ADDRESSES {
                // Who has the fewest, and the longest ago, is forgotten first.
                let least = seen.of.iter().min_by_key(|(_, own)| (own.count, own.since));
                let least = least.map(|(network, _)| *network);
                least.and_then(|network| seen.of.remove(&network));
            }
        }
        let own = seen.of.entry(network).or_insert(Failures { since: now, count: 0 });
        let count = own.one_more(now);
        if count != 1 && count != MOST_FAILURES {
            return None;
        }
        let lines = seen.lines.get_or_insert(Failures { since: now, count: 0 });
        (lines.one_more(now) <= MOST_LINES).then_some(count)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing panics while it is held.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }

    fn one_more(&mut self, now: Instant) -> u32 {
        if self.is_over(now) {
            *self = Failures { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// Wrong keys of one address in a [`WINDOW`]; a person who types one needs fewer.
pub(super) const MOST_FAILURES: u32 = 10;
/// From an address's first wrong key on.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
const MOST_ADDRESSES: usize = 4096;
/// Lines of the log in a [`WINDOW`], of all addresses together.
const MOST_LINES: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_waits_a_minute_after_ten_wrong_keys_and_others_do_not() {
        let attempts = Attempts::default();
        let now = crate::base::epoch();
        for n in 0..MOST_FAILURES {
            assert!(attempts.may_try(now, ip("192.0.2.1")).is_ok(), "{n}");
            attempts.failed(now, ip("192.0.2.1"), Way::Login);
        }
        assert!(
            attempts.may_try(now + WINDOW - Duration::from_millis(1), ip("192.0.2.1")).is_err()
        );
        assert!(attempts.may_try(now, ip("192.0.2.2")).is_ok());
        assert!(attempts.may_try(now + WINDOW, ip("192.0.2.1")).is_ok());
        attempts.failed(now + WINDOW, ip("192.0.2.1"), Way::Bearer);
        assert!(attempts.may_try(now + WINDOW, ip("192.0.2.1")).is_ok(), "counted from anew");
        let text = attempts.metrics.render();
        for line in ["{way=\"login\"} 10", "{way=\"bearer\"} 1", "{way=\"refused\"} 1"] {
            let line = format!("crosspoint_auth_failures_total{line}");
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
    }

    #[test]
    fn neither_memory_nor_the_log_grows_with_addresses() {
        let attempts = Attempts::default();
        let now = crate::base::epoch();
        for _ in 0..MOST_FAILURES {
            attempts.count(now, ip("2001:db8::1"));
        }
        let told = (0..2 * MOST_ADDRESSES as u32)
            .filter(|n| attempts.count(now, std::net::Ipv4Addr::from_bits(*n).into()).is_some())
            .count();
        assert_eq!(told + 2, MOST_LINES as usize, "the first address had two lines");
        assert_eq!(attempts.seen().of.len(), MOST_ADDRESSES);
        assert!(attempts.may_try(now, ip("2001:db8::2")).is_err(), "who waits is not forgotten");
        assert_eq!(attempts.count(now + WINDOW, ip("192.0.2.1")), Some(1), "a new minute");
        assert_eq!(attempts.seen().of.len(), 1, "what is over is forgotten");
    }
}
