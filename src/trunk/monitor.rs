//! A trunk's health: OPTIONS while nothing else tells, and a circuit breaker.
//!
//! ```text
//! Up    --interval-->  OPTIONS  --answered-->          Up
//! Up    --no answer, 3 in a row-->                     Down    (the breaker opens)
//! Down  --every 5 s--> OPTIONS  --answered-->          Up      (the breaker closes)
//! ```
//!
//! Calls count too: an attempt that timed out or found nobody is a failure, any answer to an
//! attempt shows that the trunk lives.

use std::time::{Duration, Instant};

/// Whether a trunk is sent calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It is; also before anything is known.
    Up,
    /// It is not.
    Down,
}

/// What the monitor is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The final status of an OPTIONS that it asked for, or of a call's INVITE.
    Answered(u16),
    /// A request found nobody or timed out.
    Failed,
    /// Time has come.
    Timeout,
}

/// What the monitor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send an OPTIONS to the trunk.
    Request,
    /// The breaker closed.
    Up,
    /// The breaker opened.
    Down,
    /// Nothing until then; always last.
    Timeout(Instant),
}

/// The health of one trunk.
#[derive(Debug)]
pub struct Monitor {
    interval: Duration,
    health: Health,
    /// Failures in a row.
    failures: u32,
    /// The next OPTIONS, or when the one on its way counts as lost.
    deadline: Instant,
    waiting: Waiting,
    requests: u32,
    news: Option<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    ToAsk,
    ForAnswer,
}

impl Monitor {
    /// A trunk that nothing is known of; the first OPTIONS goes out after `first`, which differs
    /// from trunk to trunk so that they are not all asked at once.
    pub fn new(now: Instant, interval: Duration, first: Duration) -> Monitor {
        Monitor {
            interval,
            health: Health::Up,
            failures: 0,
            deadline: now + first,
            waiting: Waiting::ToAsk,
            requests: 0,
            news: None,
        }
    }

    /// Whether the trunk is sent calls.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Takes an input.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Answered(status) if lives(status) => self.alive(now),
            Input::Answered(_) | Input::Failed => self.failed(now),
            Input::Timeout if now < self.deadline => {}
            Input::Timeout => match self.waiting {
                Waiting::ToAsk => {
                    self.requests += 1;
                    self.waiting = Waiting::ForAnswer;
                    self.deadline = now + ANSWER_WAIT;
                }
                Waiting::ForAnswer => self.failed(now),
            },
        }
    }

    /// What to do now; drained to `Timeout`.
    pub fn poll_output(&mut self) -> Output {
        if self.requests > 0 {
            self.requests -= 1;
            return Output::Request;
        }
        self.news.take().unwrap_or(Output::Timeout(self.deadline))
    }

    fn alive(&mut self, now: Instant) {
        self.failures = 0;
        if self.health == Health::Down {
            self.health = Health::Up;
            self.news = Some(Output::Up);
        }
        self.waiting = Waiting::ToAsk;
        self.deadline = now + self.interval;
    }

    fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_TO_OPEN && self.health == Health::Up {
            self.health = Health::Down;
            self.news = Some(Output::Down);
        }
        // Once in doubt it is asked at the pace of probes, so that three failures take seconds.
        self.waiting = Waiting::ToAsk;
        self.deadline = now + PROBE_INTERVAL;
    }
}

/// Whether an answer shows that the trunk could take calls. A refusal of OPTIONS does.
fn lives(status: u16) -> bool {
    !matches!(status, 408 | 500 | 502 | 503 | 504)
}

const FAILURES_TO_OPEN: u32 = 3;
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Four retransmissions over UDP (0.5, 1.5, 3.5 s, RFC 3261 timer E) have gone out by then.
const ANSWER_WAIT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    /// Runs a monitor to `until` (ms) with a trunk that answers as `answers` says by time, and
    /// writes down what it does.
    fn run(until: u64, answers: impl Fn(u64) -> Option<u16>) -> Vec<(u64, &'static str)> {
        let mut monitor = Monitor::new(epoch(), Duration::from_secs(30), Duration::ZERO);
        let mut log = Vec::new();
        let mut now = 0;
        while now <= until {
            let at = epoch() + Duration::from_millis(now);
            monitor.handle_input(at, Input::Timeout);
            let next = loop {
                match monitor.poll_output() {
                    Output::Request => {
                        log.push((now, "OPTIONS"));
                        if let Some(status) = answers(now) {
                            monitor.handle_input(at, Input::Answered(status));
                        }
                    }
                    Output::Up => log.push((now, "up")),
                    Output::Down => log.push((now, "down")),
                    Output::Timeout(next) => break next,
                }
            };
            now = u64::try_from((next - epoch()).as_millis()).unwrap();
        }
        log
    }

    #[test]
    fn up_trunk_is_asked_every_interval() {
        let log = run(60_000, |_| Some(405));
        assert_eq!(log, [(0, "OPTIONS"), (30_000, "OPTIONS"), (60_000, "OPTIONS")]);
    }

    #[test]
    fn three_failures_open_and_probes_every_5_s_close() {
        let log = run(40_000, |now| (now >= 30_000).then_some(200));
        let opened = log.iter().position(|(_, what)| *what == "down").unwrap();
        assert_eq!(log[..opened].iter().filter(|(_, what)| *what == "OPTIONS").count(), 3);
        assert_eq!(log[opened].0, 22_000);
        assert_eq!(log.last(), Some(&(36_000, "up")));
    }

    #[test]
    fn a_503_is_a_failure_and_calls_count() {
        let mut monitor = Monitor::new(epoch(), Duration::from_secs(30), Duration::from_secs(30));
        for input in [Input::Answered(503), Input::Failed, Input::Answered(486), Input::Failed] {
            monitor.handle_input(epoch(), input);
            assert_eq!(monitor.health(), Health::Up);
        }
        monitor.handle_input(epoch(), Input::Failed);
        monitor.handle_input(epoch(), Input::Failed);
        assert_eq!(monitor.health(), Health::Down);
        assert_eq!(monitor.poll_output(), Output::Down);
        monitor.handle_input(epoch(), Input::Answered(180));
        assert_eq!(monitor.poll_output(), Output::Up);
    }
}
