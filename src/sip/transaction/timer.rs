//! The timers of RFC 3261 table 4 and RFC 6026 as data: their base values and a table of deadlines.

use std::time::{Duration, Instant};

/// The base values that all timers are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// T1, the estimate of a round trip: 500 ms.
    pub t1: Duration,
    /// T2, the longest interval of retransmission of non-INVITE requests and INVITE responses: 4 s.
    pub t2: Duration,
    /// T4, the longest time a message stays in the network: 5 s.
    pub t4: Duration,
    /// How long the user of a server INVITE transaction may be silent before `100 Trying`: 200 ms.
    pub trying: Duration,
    /// Timer D on unreliable transports: at least 32 s.
    pub d: Duration,
    /// How long a destination of an INVITE may say nothing at all while there is another one to try: 4 s,
    /// time for four copies. Timer B (32 s) is for the last one; no caller waits that long twice.
    pub next_destination: Duration,
    /// Timer C: how long an INVITE that we sent may go without any new response: 180 s.
    pub c: Duration,
    /// How long an INVITE that we received may stay unanswered before 480: 300 s.
    pub answer: Duration,
    /// A provisional response above 100 is repeated so often (RFC 3261 13.3.1.1): 60 s.
    pub repeat_provisional: Duration,
}

impl Timing {
    /// 64 times T1: the time after which a silent peer is given up.
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying: Duration::from_millis(200),
            d: Duration::from_secs(32),
            next_destination: Duration::from_secs(4),
            c: Duration::from_secs(180),
            answer: Duration::from_secs(300),
            repeat_provisional: Duration::from_secs(60),
        }
    }
}

/// The timers by their letters. Of two that are due at once the one that gives up comes first, so
/// that nothing is sent in the moment of giving up; the order of the variants says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sip) enum Timer {
    /// INVITE client: give up.
    B,
    /// INVITE client: wait for repeated final responses.
    D,
    /// Non-INVITE client: give up.
    F,
    /// INVITE server: give up waiting for ACK.
    H,
    /// INVITE server: absorb repeated ACKs.
    I,
    /// Non-INVITE server: absorb repeated requests.
    J,
    /// Non-INVITE client: absorb repeated responses.
    K,
    /// INVITE server: absorb repeated INVITEs after a 2xx (RFC 6026).
    L,
    /// INVITE client: take further 2xx (RFC 6026).
    M,
    /// INVITE client: retransmit.
    A,
    /// Non-INVITE client: retransmit.
    E,
    /// INVITE server: retransmit the final response.
    G,
    /// INVITE server: send `100 Trying`.
    Trying,
}

const COUNT: usize = Timer::Trying as usize + 1;

const ORDER: [Timer; COUNT] = [
    Timer::B,
    Timer::D,
    Timer::F,
    Timer::H,
    Timer::I,
    Timer::J,
    Timer::K,
    Timer::L,
    Timer::M,
    Timer::A,
    Timer::E,
    Timer::G,
    Timer::Trying,
];

/// When each timer is due, if it runs.
#[derive(Debug, Clone, Default)]
pub(in crate::sip) struct TimerTable {
    due: [Option<Instant>; COUNT],
}

impl TimerTable {
    /// Starts a timer, or starts it anew.
    pub(in crate::sip) fn set(&mut self, timer: Timer, due: Instant) {
        self.due[timer as usize] = Some(due);
    }

    /// Stops one timer.
    pub(in crate::sip) fn stop(&mut self, timer: Timer) {
        self.due[timer as usize] = None;
    }

    /// Stops all timers.
    pub(in crate::sip) fn clear(&mut self) {
        self.due = [None; COUNT];
    }

    /// The earliest deadline.
    pub(in crate::sip) fn next(&self) -> Option<Instant> {
        self.due.iter().flatten().min().copied()
    }

    /// Takes the earliest timer that is due, with the moment it was due.
    pub(in crate::sip) fn expire(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let due = self.next().filter(|due| *due <= now)?;
        let timer = ORDER.into_iter().find(|timer| self.due[*timer as usize] == Some(due))?;
        self.stop(timer);
        Some((timer, due))
    }
}

/// An interval of retransmission that doubles up to a limit, counted from when it was due.
#[derive(Debug, Clone, Copy)]
pub(in crate::sip) struct Backoff {
    interval: Duration,
    longest: Option<Duration>,
}

impl Backoff {
    /// First interval and, where there is one, the longest.
    pub(in crate::sip) fn new(first: Duration, longest: Option<Duration>) -> Backoff {
        Backoff { interval: first, longest }
    }

    /// The first deadline.
    pub(in crate::sip) fn first(&self, now: Instant) -> Instant {
        now + self.interval
    }

    /// The deadline after the one at `due`; never in the past, so that a stalled process sends no burst.
    pub(in crate::sip) fn after(&mut self, due: Instant, now: Instant) -> Instant {
        self.interval *= 2;
        if let Some(longest) = self.longest {
            self.interval = self.interval.min(longest);
        }
        (due + self.interval).max(now)
    }

    /// Goes to the longest interval at once (a non-INVITE client that heard a provisional response).
    pub(in crate::sip) fn slow_down(&mut self) {
        if let Some(longest) = self.longest {
            self.interval = longest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    #[test]
    fn giving_up_comes_before_sending_again() {
        let mut table = TimerTable::default();
        table.set(Timer::A, epoch());
        table.set(Timer::B, epoch());
        assert_eq!(table.expire(epoch()).map(|t| t.0), Some(Timer::B));
        assert_eq!(table.expire(epoch()).map(|t| t.0), Some(Timer::A));
        assert_eq!(table.expire(epoch()), None);
    }

    #[test]
    fn the_order_names_every_timer_once() {
        for (index, timer) in ORDER.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
        }
    }
}
