//! The locator: look-ups under way, the cache between them, and which destinations failed of late.
//!
//! It asks DNS questions as data; its driver answers every one of them. A look-up ends after
//! [`LONGEST`] at the latest, then with what old answers say.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::cache::Cache;
use super::plan::{Patience, Plan, Reachable, Step, Wanted};
use super::record::{Question, Reply};
use crate::sip::command::Destination;
use crate::sip::random::Random;

/// Names one look-up between the locator and its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookUp(pub u64);

/// Why nothing was located.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// The DNS knows no address of this name that we can reach.
    #[error("the name has no address that can be reached")]
    NoSuchName,
    /// The DNS does not answer, and nothing is known from before.
    #[error("the DNS does not answer")]
    NoAnswer,
    /// Too many look-ups at once.
    #[error("too many names are being looked up")]
    Busy,
}

/// What the locator is told.
#[derive(Debug)]
pub enum Input {
    /// Locate this; the answer names the look-up.
    Locate(LookUp, Wanted),
    /// What became of a question.
    Replied(Question, Reply),
    /// Nobody answered there: it is tried last for a while.
    Unreachable(Destination),
    /// The moment of the last `Timeout` has come.
    Timeout,
}

/// What the locator wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the DNS this; each question is open once only.
    Ask(Question),
    /// A look-up is over: all destinations in the order of trying, at least one.
    Located(LookUp, Result<Vec<Destination>, LocateError>),
    /// Nothing more; call again at this moment, if any.
    Timeout(Option<Instant>),
}

/// The engine.
#[derive(Debug)]
pub struct Locator {
    reachable: Reachable,
    random: Random,
    cache: Cache,
    open: BTreeMap<LookUp, Open>,
    /// Asked, not replied.
    asked: HashSet<Question>,
    /// Destinations where nobody answered, until when they are tried last.
    unreachable: HashMap<Destination, Instant>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Open {
    wanted: Wanted,
    since: Instant,
    waits_for: Vec<Question>,
}

impl Locator {
    /// A locator with an empty cache. The same seed draws the same order of equal SRV records.
    pub fn new(reachable: Reachable, seed: [u8; 32]) -> Locator {
        Locator {
            reachable,
            random: Random::new(seed),
            cache: Cache::default(),
            open: BTreeMap::new(),
            asked: HashSet::new(),
            unreachable: HashMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Locate(look_up, _) if self.open.len() >= MOST_LOOK_UPS => {
                self.outputs.push_back(Output::Located(look_up, Err(LocateError::Busy)));
            }
            Input::Locate(look_up, wanted) => {
                self.open.insert(look_up, Open { wanted, since: now, waits_for: Vec::new() });
                self.advance(now, look_up, Patience::Some);
            }
            Input::Replied(question, reply) => {
                self.asked.remove(&question);
                self.cache.put(now, question.clone(), reply);
                self.advance_those(now, Patience::Some, |open| open.waits_for.contains(&question));
            }
            Input::Unreachable(destination) => {
                self.unreachable.retain(|_, until| *until > now);
                if self.unreachable.len() < MOST_UNREACHABLE {
                    self.unreachable.insert(destination, now + LAST_FOR);
                }
            }
            Input::Timeout => {
                let late = |open: &Open| open.since + LONGEST <= now;
                let unheard = self.open.values().filter(|open| late(open));
                for question in unheard.flat_map(|open| open.waits_for.iter().cloned()) {
                    self.cache.put(now, question, Reply::Failed);
                }
                self.advance_those(now, Patience::None, late);
            }
        }
    }

    /// The next thing to do; `Timeout` is the last one.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| {
            Output::Timeout(self.open.values().map(|open| open.since + LONGEST).min())
        })
    }

    fn advance_those(&mut self, now: Instant, patience: Patience, which: impl Fn(&Open) -> bool) {
        let chosen: Vec<LookUp> =
            self.open.iter().filter(|(_, open)| which(open)).map(|(key, _)| *key).collect();
        for look_up in chosen {
            self.advance(now, look_up, patience);
        }
    }

    fn advance(&mut self, now: Instant, look_up: LookUp, patience: Patience) {
        let Some(open) = self.open.get_mut(&look_up) else { return };
        let times = (now, open.since);
        let plan = Plan::new(&self.cache, &self.reachable, &mut self.random, times, patience);
        match plan.step(&open.wanted) {
            Step::Ask(questions) => {
                for question in &questions {
                    if self.asked.insert(question.clone()) {
                        self.outputs.push_back(Output::Ask(question.clone()));
                    }
                }
                open.waits_for = questions;
            }
            Step::Done(found) => {
                self.open.remove(&look_up);
                let found = found.map(|found| self.reachable_first(now, found));
                self.outputs.push_back(Output::Located(look_up, found));
            }
        }
    }

    /// RFC 3263 4.3 lets a client remember who failed: those come last, in their order.
    fn reachable_first(&self, now: Instant, found: Vec<Destination>) -> Vec<Destination> {
        let failed = |own: &Destination| self.unreachable.get(own).is_some_and(|t| now < *t);
        let (last, mut first): (Vec<_>, Vec<_>) = found.into_iter().partition(failed);
        first.extend(last);
        first
    }

    #[cfg(test)]
    pub(super) fn cached(&self) -> usize {
        self.cache.len()
    }
}

/// How long a look-up may take: a caller waits for it in silence.
pub(super) const LONGEST: Duration = Duration::from_secs(3);

/// How long a destination that did not answer is tried last.
pub(super) const LAST_FOR: Duration = Duration::from_secs(60);

/// Look-ups at once; each is a call being set up.
const MOST_LOOK_UPS: usize = 4_096;

/// Destinations that are remembered as failing.
const MOST_UNREACHABLE: usize = 1_024;
