//! Whose packets a plain RTP leg takes: there is no tag to verify, so the address has to do.
//!
//! The source is the signalled address, or one of the trunk's `media_from` ranges. A port may be
//! learned once, from there, in the first 5 s (a trunk behind a NAT or a media proxy sends from
//! another port than it signals). After that only a new offer and answer move it. Packets from
//! elsewhere are counted and never followed, and so are packets of a second stream from the right
//! address while the first one is alive. Where the very address that was signalled speaks within
//! those 5 s, what was learned was somebody else's (the end of the call that had our port before,
//! behind the same address): it takes the lock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::base::Network;
use crate::rtp::{Seq, Ssrc};

/// The lock of one leg.
#[derive(Debug, Clone)]
pub(super) struct SourceLock {
    signalled: SocketAddr,
    ranges: Vec<Network>,
    opened_at: Instant,
    locked: Option<SocketAddr>,
    /// Where packets came from before the last offer and answer: some are still on their way.
    before: Option<SocketAddr>,
    stream: Option<Stream>,
    /// A stream that would follow: its source and the number it must go on with.
    candidate: Option<(Ssrc, Seq)>,
    foreign: u64,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    ssrc: Ssrc,
    last: Instant,
}

/// How long a port may be learned.
const LEARN_FOR: Duration = Duration::from_secs(5);
/// How long packets of the place that a new answer has left may still come: more than networks hold
/// them, less than anybody misses where the peer speaks from its old port all the same.
const IN_FLIGHT: Duration = Duration::from_millis(300);
/// A stream is over after this silence: ten packets, far beyond jitter. A trunk that changes its
/// source (a transfer, an announcement) is heard again after it.
const STREAM_OVER: Duration = Duration::from_millis(200);

impl SourceLock {
    /// A lock on what the SDP says.
    pub(super) fn new(now: Instant, signalled: SocketAddr, ranges: Vec<Network>) -> Self {
        Self {
            signalled,
            ranges,
            opened_at: now,
            locked: None,
            before: None,
            stream: None,
            candidate: None,
            foreign: 0,
        }
    }

    /// What a new offer and answer say. The same address keeps what was learned.
    pub(super) fn resignal(&mut self, now: Instant, signalled: SocketAddr) {
        if signalled != self.signalled {
            *self = Self {
                foreign: self.foreign,
                before: self.locked.or(Some(self.signalled)),
                ..Self::new(now, signalled, std::mem::take(&mut self.ranges))
            };
        }
    }

    /// Whether a datagram from `source` may be looked at, and learns its port if it may.
    pub(super) fn accepts(&mut self, now: Instant, source: SocketAddr) -> bool {
        let learning = now.saturating_duration_since(self.opened_at) <= LEARN_FOR;
        // They must not teach the port that the peer has just left.
        let passed = now.saturating_duration_since(self.opened_at);
        let is_old = self.before == Some(source) && passed <= IN_FLIGHT;
        let accepted = match self.locked {
            Some(locked) if source == locked => true,
            Some(_) if source == self.signalled && learning => {
                // The stream so far was the other's.
                (self.stream, self.candidate) = (None, None);
                true
            }
            Some(_) => false,
            None => source == self.signalled || (learning && !is_old && self.is_ours(source)),
        };
        if accepted {
            self.locked = Some(source);
        } else {
            self.foreign += 1;
        }
        accepted
    }

    /// Whether a packet of an accepted datagram belongs to the leg's stream.
    pub(super) fn accepts_stream(&mut self, now: Instant, ssrc: Ssrc, seq: Seq) -> bool {
        let over = self
            .stream
            .is_none_or(|stream| now.saturating_duration_since(stream.last) > STREAM_OVER);
        let known = self.stream.is_some_and(|stream| stream.ssrc == ssrc);
        // The very first stream is taken at once; a second one after the first has ended and two
        // packets of it came in a row.
        let follows = self.candidate == Some((ssrc, seq));
        let accepted = known || self.stream.is_none() || (over && follows);
        if accepted {
            self.stream = Some(Stream { ssrc, last: now });
            self.candidate = None;
        } else {
            self.candidate = Some((ssrc, seq.next()));
            self.foreign += 1;
        }
        accepted
    }

    /// Whether RTCP may come from here: any port of the address that RTP comes from.
    pub(super) fn accepts_rtcp(&mut self, source: SocketAddr) -> bool {
        let accepted = match self.locked {
            Some(locked) => locked.ip() == source.ip(),
            None => self.is_ours(source),
        };
        self.foreign += u64::from(!accepted);
        accepted
    }

    /// Where packets for the trunk go: back to where they come from.
    pub(super) fn destination(&self) -> SocketAddr {
        self.locked.unwrap_or(self.signalled)
    }

    /// Packets that were not taken.
    pub(super) fn foreign(&self) -> u64 {
        self.foreign
    }

    fn is_ours(&self, source: SocketAddr) -> bool {
        source.ip() == self.signalled.ip()
            || self.ranges.iter().any(|range| range.contains(source.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    fn at(ms: u64) -> Instant {
        epoch() + Duration::from_millis(ms)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn lock() -> SourceLock {
        let ranges = vec!["198.51.100.0/24".parse().unwrap()];
        SourceLock::new(at(0), address("192.0.2.1:4000"), ranges)
    }

    #[test]
    fn the_signalled_address_is_taken_and_others_never() {
        let mut lock = lock();
        assert!(!lock.accepts(at(0), address("203.0.113.9:4000")));
        assert!(lock.accepts(at(10), address("192.0.2.1:4000")));
        assert!(!lock.accepts(at(20), address("192.0.2.1:4002")), "the port is locked");
        assert!(!lock.accepts(at(20), address("198.51.100.7:4000")));
        assert_eq!((lock.destination(), lock.foreign()), (address("192.0.2.1:4000"), 3));
    }

    #[test]
    fn a_port_is_learned_once_within_five_seconds() {
        let mut early = lock();
        assert!(early.accepts(at(4_999), address("192.0.2.1:9000")));
        assert!(!early.accepts(at(5_001), address("192.0.2.1:4000")));
        assert_eq!(early.destination(), address("192.0.2.1:9000"));
        let mut late = lock();
        assert!(!late.accepts(at(5_001), address("192.0.2.1:9000")));
        assert!(late.accepts(at(60_000), address("192.0.2.1:4000")), "the signalled one always");
        let mut farm = lock();
        assert!(farm.accepts(at(100), address("198.51.100.7:7000")));
        assert_eq!(farm.destination(), address("198.51.100.7:7000"));
    }

    #[test]
    fn the_end_of_another_call_does_not_hold_the_lock() {
        let mut lock = lock();
        let (other, own) = (address("192.0.2.1:9000"), address("192.0.2.1:4000"));
        assert!(lock.accepts(at(10), other) && lock.accepts_stream(at(10), Ssrc(1), Seq(70)));
        assert!(lock.accepts(at(20), own) && lock.accepts_stream(at(20), Ssrc(2), Seq(1)));
        assert!(!lock.accepts(at(30), other));
        assert_eq!(lock.destination(), own);
        assert!(lock.accepts_stream(at(40), Ssrc(2), Seq(2)));
    }

    #[test]
    fn only_a_new_answer_moves_the_lock() {
        let mut lock = lock();
        assert!(lock.accepts(at(0), address("192.0.2.1:9000")));
        lock.resignal(at(100), address("192.0.2.1:4000"));
        assert_eq!(lock.destination(), address("192.0.2.1:9000"), "the same address again");
        lock.resignal(at(200), address("192.0.2.2:5000"));
        assert_eq!(lock.destination(), address("192.0.2.2:5000"));
        assert!(!lock.accepts(at(200), address("192.0.2.1:9000")));
        assert!(lock.accepts(at(200), address("192.0.2.2:5000")));
    }

    #[test]
    fn a_second_stream_is_not_heard_while_the_first_is_alive() {
        let mut lock = lock();
        for n in 0..10 {
            let now = at(u64::from(n) * 20);
            assert!(lock.accepts_stream(now, Ssrc(1), Seq(n)));
            assert!(!lock.accepts_stream(now, Ssrc(666), Seq(n)));
        }
        assert_eq!(lock.foreign(), 10);
        // Silence, then a stream that goes on: a transfer behind the trunk.
        assert!(!lock.accepts_stream(at(500), Ssrc(2), Seq(70)));
        assert!(!lock.accepts_stream(at(510), Ssrc(3), Seq(9)));
        assert!(!lock.accepts_stream(at(520), Ssrc(2), Seq(71)), "interrupted by another");
        assert!(lock.accepts_stream(at(540), Ssrc(2), Seq(72)));
    }

    #[test]
    fn what_is_still_on_its_way_from_the_old_port_teaches_nothing() {
        let [old, new] = ["192.0.2.1:4000", "192.0.2.1:5000"].map(|a| a.parse().unwrap());
        let mut lock = SourceLock::new(at(0), old, Vec::new());
        assert!(lock.accepts(at(10), old));
        lock.resignal(at(1_000), new);
        assert!(!lock.accepts(at(1_005), old) && !lock.accepts(at(1_290), old));
        assert_eq!(lock.destination(), new, "sound goes where the answer says");
        // A peer that goes on speaking from there is heard again.
        assert!(lock.accepts(at(1_310), old));
        assert!(lock.accepts(at(1_400), new), "and the signalled one takes over");
        assert_eq!(lock.destination(), new);
    }
}
