//! A trunk's health: OPTIONS while nothing else tells, and a circuit breaker.
//!
//! ```text
//! Up    --interval-->  OPTIONS  --answered-->          Up
//! Up    --no answer, 3 in a row-->                     Down    (the breaker opens)
//! Down  --every 5 s--> OPTIONS  --answered-->          Up      (the breaker closes)
//! ```
//!
//! Calls count too: an attempt that timed out or found nobody is a failure, any answer to an
//! attempt shows that the trunk lives. A trunk that is sent no OPTIONS has only its calls:
//!
//! ```text
//! Up    --3 calls in a row failed-->  Down
//! Down  --after 30 s-->  Up on trial  --a call failed-->    Down
//! Up on trial  --answered-->          Up
//! ```

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
    /// The breaker closed on trial: the next failure opens it again.
    OnTrial,
    /// Nothing until then; always last.
    Timeout(Instant),
}

/// The health of one trunk.
#[derive(Debug)]
pub struct Monitor {
    probing: Probing,
    health: Health,
    /// Failures in a row.
    failures: u32,
    /// The next OPTIONS, or when the one on its way counts as lost.
    deadline: Instant,
    waiting: Waiting,
    requests: u32,
    news: Option<Output>,
}

/// How a trunk is asked while no call tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probing {
    /// OPTIONS at this interval while it is up.
    Options(Duration),
    /// It is not: its calls are all that tells.
    CallsOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    ToAsk,
    ForAnswer,
}

impl Monitor {
    /// A trunk that nothing is known of; the first OPTIONS goes out after `first`, which differs
    /// from trunk to trunk so that they are not all asked at once.
    pub fn new(now: Instant, probing: Probing, first: Duration) -> Monitor {
        Monitor {
            probing,
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
                Waiting::ToAsk if self.probing == Probing::CallsOnly => {
                    self.deadline = now + NOTHING_TO_DO;
                    if self.health == Health::Down {
                        self.health = Health::Up;
                        self.failures = FAILURES_TO_OPEN - 1;
                        self.news = Some(Output::OnTrial);
                    }
                }
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
        self.deadline = now
            + match self.probing {
                Probing::Options(interval) => interval,
                Probing::CallsOnly => NOTHING_TO_DO,
            };
    }

    fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_TO_OPEN && self.health == Health::Up {
            self.health = Health::Down;
            self.news = Some(Output::Down);
        }
        // Once in doubt it is asked at the pace of probes, so that three failures take seconds.
        self.waiting = Waiting::ToAsk;
        self.deadline = now
            + match (self.probing, self.health) {
                (Probing::Options(_), _) => PROBE_INTERVAL,
                (Probing::CallsOnly, Health::Down) => TRIAL_AFTER,
                (Probing::CallsOnly, Health::Up) => NOTHING_TO_DO,
            };
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
/// What a trunk without OPTIONS may cost: one call in 30 s takes the way round by a dead trunk.
const TRIAL_AFTER: Duration = Duration::from_secs(30);
const NOTHING_TO_DO: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    const INTERVAL: Duration = Duration::from_secs(30);

    /// Runs a monitor to `until` (ms) with a trunk that answers as `answers` says by time, and
    /// writes down what it does.
    fn run(until: u64, answers: impl Fn(u64) -> Option<u16>) -> Vec<(u64, &'static str)> {
        let mut monitor = Monitor::new(epoch(), Probing::Options(INTERVAL), Duration::ZERO);
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
                    Output::OnTrial => unreachable!("a trunk that is asked needs no trial"),
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
    fn without_options_a_breaker_closes_on_trial() {
        let mut monitor = Monitor::new(epoch(), Probing::CallsOnly, Duration::ZERO);
        let mut at = |seconds: u64, input: Input| {
            let now = epoch() + Duration::from_secs(seconds);
            monitor.handle_input(now, input);
            match monitor.poll_output() {
                Output::Timeout(_) => None,
                news => Some((news, monitor.health())),
            }
        };
        assert_eq!(at(0, Input::Timeout), None, "it asks for no OPTIONS");
        assert_eq!(at(1, Input::Failed), None);
        assert_eq!(at(2, Input::Answered(503)), None);
        assert_eq!(at(3, Input::Failed), Some((Output::Down, Health::Down)));
        assert_eq!(at(32, Input::Timeout), None);
        assert_eq!(at(33, Input::Timeout), Some((Output::OnTrial, Health::Up)));
        assert_eq!(at(34, Input::Failed), Some((Output::Down, Health::Down)));
        assert_eq!(at(64, Input::Timeout), Some((Output::OnTrial, Health::Up)));
        assert_eq!(at(65, Input::Answered(200)), None);
        assert_eq!(at(66, Input::Failed), None, "it has proved itself");
    }

    #[test]
    fn a_503_is_a_failure_and_calls_count() {
        let mut monitor = Monitor::new(epoch(), Probing::Options(INTERVAL), INTERVAL);
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
