//! From a flow of the plan to the steps of a call: who rings, in which order, for how long.
//!
//! The first destination with somebody there rings first; the next one follows when nobody took the
//! call. Where nobody is, the trace says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::base::{SessionId, UserId};
use crate::call::{Step, Target};
use crate::dialplan::{Destination, Plan, RingStrategy};

/// What becomes of a flow.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ringing {
    /// Empty where nobody is there.
    pub steps: Vec<Step>,
    /// For the call's trace.
    pub trace: Vec<String>,
}

/// Who is there.
pub(super) struct Presence<'a> {
    /// The pages of a user that may take calls.
    pub pages: &'a dyn Fn(&UserId) -> Vec<SessionId>,
    /// How long a user has been without a call.
    pub idle: &'a dyn Fn(&UserId) -> Idle,
}

/// How long a user has been without a call; the longest sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Idle {
    /// Since the gateway started.
    Always,
    /// Since a call ended.
    Since(Instant),
    /// Not at all: the user talks.
    Talking,
}

impl Ringing {
    /// The steps of a flow.
    pub fn of(plan: &Plan, flow: &[Destination], presence: &Presence<'_>) -> Ringing {
        let mut ringing = Ringing::default();
        for (index, destination) in flow.iter().enumerate() {
            match destination {
                Destination::User(user) => {
                    ringing.ring_all(presence, destination, std::slice::from_ref(user), None);
                }
                Destination::Ring(name) => match plan.ring(name) {
                    Some(ring) => ringing.ring_group(presence, destination, ring),
                    None => ringing.pass(destination, "there is no such group"),
                },
                Destination::Hangup => {
                    ringing.trace.push("then hangup".to_owned());
                    break;
                }
                // A line answers: it serves the rest of the flow itself.
                Destination::Voicemail(_) | Destination::Menu(_) | Destination::App(_) => {
                    let rest = flow[index..].to_vec();
                    ringing.trace.push(format!("line {destination}"));
                    let targets = vec![Target::Line(rest)];
                    ringing.steps.push(Step { targets, ring: None });
                    break;
                }
                // Where nobody answers in time, the flow goes on here.
                Destination::Webhook(_) => {
                    ringing.trace.push(format!("ask {destination}"));
                    let targets = vec![Target::Line(vec![destination.clone()])];
                    ringing.steps.push(Step { targets, ring: None });
                }
                // A call of its own goes on to it; when that fails, the flow goes on here.
                Destination::Number(_) => {
                    ringing.trace.push(format!("on to {destination}"));
                    let targets = vec![Target::Line(vec![destination.clone()])];
                    ringing.steps.push(Step { targets, ring: None });
                }
            }
        }
        ringing
    }

    fn ring_group(
        &mut self,
        presence: &Presence<'_>,
        destination: &Destination,
        ring: &crate::dialplan::Ring,
    ) {
        let mut users = ring.users.clone();
        match ring.strategy {
            RingStrategy::All => {
                return self.ring_all(presence, destination, &users, Some(ring.timeout));
            }
            RingStrategy::InOrder => {}
            // Equals keep the order of the plan.
            RingStrategy::LongestIdle => users.sort_by_key(|user| (presence.idle)(user)),
        }
        let before = self.steps.len();
        for user in &users {
            let targets = targets(presence, user);
            if !targets.is_empty() {
                self.trace.push(format!("ring {destination}: {user}"));
                self.steps.push(Step { targets, ring: Some(ring.timeout) });
            }
        }
        if self.steps.len() == before {
            self.pass(destination, NOBODY);
        }
    }

    fn ring_all(
        &mut self,
        presence: &Presence<'_>,
        destination: &Destination,
        users: &[UserId],
        ring: Option<std::time::Duration>,
    ) {
        let mut all = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for user in users {
            let targets = targets(presence, user);
            if !targets.is_empty() {
                names.push(user.as_str());
                all.extend(targets);
            }
        }
        all.truncate(MAX_RINGING);
        if all.is_empty() {
            return self.pass(destination, NOBODY);
        }
        self.trace.push(format!("ring {destination}: {}", names.join(", ")));
        self.steps.push(Step { targets: all, ring });
    }

    fn pass(&mut self, destination: &Destination, why: &str) {
        self.trace.push(format!("pass {destination}: {why}"));
    }
}

/// When each user was last in a call. Users come from the configuration, so their number is bounded.
#[derive(Default)]
pub(super) struct IdleUsers(Mutex<HashMap<UserId, State>>);

#[derive(Default)]
struct State {
    calls: u32,
    ended: Option<Instant>,
}

/// A user who is in a call until this is dropped.
pub(super) struct Talking {
    users: Arc<IdleUsers>,
    user: UserId,
}

impl IdleUsers {
    /// How long a user has been without a call.
    pub fn of(&self, user: &UserId) -> Idle {
        match self.lock().get(user) {
            None => Idle::Always,
            Some(state) if state.calls > 0 => Idle::Talking,
            Some(state) => state.ended.map_or(Idle::Always, Idle::Since),
        }
    }

    /// A user's call begins.
    pub fn talks(self: &Arc<IdleUsers>, user: UserId) -> Talking {
        self.lock().entry(user.clone()).or_default().calls += 1;
        Talking { users: self.clone(), user }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, State>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Talking {
    /// Who is in a call.
    pub fn user(&self) -> &UserId {
        &self.user
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        if let Some(state) = self.users.lock().get_mut(&self.user) {
            state.calls = state.calls.saturating_sub(1);
            state.ended = Some(Instant::now());
        }
    }
}

fn targets(presence: &Presence<'_>, user: &UserId) -> Vec<Target> {
    let pages = (presence.pages)(user).into_iter().take(MAX_RINGING);
    pages.map(|session| Target::Page { user: user.clone(), session }).collect()
}

/// Why a destination of a plan is passed over.
const NOBODY: &str = "nobody is signed in";

/// Pages that ring at once: each holds a peer connection of its own.
const MAX_RINGING: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::epoch;
    use crate::dialplan::{Known, NoFiles, load};

    const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
country = "DE"
timezone = "UTC"
[group.desk]
users = ["a", "b", "c", "d"]
[ring.all]
users = ["group:desk"]
timeout = "25s"
[ring.order]
users = ["group:desk"]
strategy = "in-order"
timeout = "10s"
[ring.idle]
users = ["group:desk"]
strategy = "longest-idle"
timeout = "10s"
[voicemail.box]
greeting = "v.wav"
max = "3m"
[[inbound]]
name = "x"
did = "any"
flow = ["ring:all"]
"#;

    /// Users `a` to `c` have a page each, `b` a second one; `d` is away.
    fn ringing(flow: &[Destination]) -> Ringing {
        let plan = load(PLAN, "p", &Known::default(), &NoFiles).unwrap();
        let session = |n: u64| SessionId::from_parts(n, 0);
        let pages = |user: &UserId| match user.as_str() {
            "a" => vec![session(1)],
            "b" => vec![session(2), session(3)],
            "c" => vec![session(4)],
            _ => Vec::new(),
        };
        let idle = |user: &UserId| match user.as_str() {
            "a" => Idle::Talking,
            "b" => Idle::Since(epoch() + Duration::from_secs(5)),
            _ => Idle::Since(epoch()),
        };
        Ringing::of(&plan, flow, &Presence { pages: &pages, idle: &idle })
    }

    fn ring(name: &str) -> Destination {
        Destination::Ring(name.to_owned())
    }

    /// Each step as the users it rings.
    fn users(ringing: &Ringing) -> Vec<String> {
        let user = |target: &Target| match target {
            Target::Page { user, .. } => user.to_string(),
            other => other.to_string(),
        };
        ringing.steps.iter().map(|s| s.targets.iter().map(user).collect::<String>()).collect()
    }

    #[test]
    fn each_strategy_rings_in_its_way() {
        for (name, steps, seconds) in [
            ("all", &["abbc"][..], 25),
            ("order", &["a", "bb", "c"], 10),
            ("idle", &["c", "bb", "a"], 10),
        ] {
            let ringing = ringing(&[ring(name)]);
            assert_eq!(users(&ringing), steps, "{name}");
            assert!(ringing.steps.iter().all(|s| s.ring == Some(Duration::from_secs(seconds))));
        }
    }

    #[test]
    fn who_is_away_is_passed_over_and_a_number_is_a_step_of_its_own() {
        let away = Destination::User("d".parse().unwrap());
        let user = Destination::User("c".parse().unwrap());
        let number = Destination::Number("+4930123".parse().unwrap());
        let ringing = ringing(&[away, number, user, Destination::Hangup, ring("all")]);
        assert_eq!(users(&ringing), ["line to a number", "c"]);
        assert_eq!(
            ringing.trace,
            [
                "pass user:d: nobody is signed in",
                "on to number:+4930123",
                "ring user:c: c",
                "then hangup",
            ]
        );
    }

    #[test]
    fn a_line_answers_and_serves_the_rest_of_the_flow() {
        let voicemail = Destination::Voicemail("box".to_owned());
        let flow = [ring("all"), voicemail.clone(), Destination::Hangup];
        let ringing = ringing(&flow);
        assert_eq!(users(&ringing), ["abbc", "line voicemail:box"]);
        assert_eq!(ringing.steps[1].targets, [Target::Line(vec![voicemail, Destination::Hangup])]);
    }

    #[test]
    fn a_user_is_idle_from_the_end_of_the_last_of_several_calls() {
        let users = Arc::new(IdleUsers::default());
        let alice: UserId = "alice".parse().unwrap();
        assert_eq!(users.of(&alice), Idle::Always);
        let (first, second) = (users.talks(alice.clone()), users.talks(alice.clone()));
        drop(first);
        assert_eq!(users.of(&alice), Idle::Talking);
        drop(second);
        assert!(matches!(users.of(&alice), Idle::Since(_)));
        assert!(Idle::Always < users.of(&alice) && users.of(&alice) < Idle::Talking);
    }
}
