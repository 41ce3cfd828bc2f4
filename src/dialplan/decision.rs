//! What is asked of a plan and what it answers. Every request has exactly one decision.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::number::{Number, Region};
use super::plan::{CallerIdentity, Destination, DigitLog, Law, Recording, Route};
use crate::base::{Cause, DialString, DtmfMode, TrunkId, UserId};

/// A call that a user of this gateway starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundRequest {
    /// Who calls.
    pub user: UserId,
    /// The user's country; `None` takes the configuration's, then the plan's.
    pub country: Option<Region>,
    /// What was dialled, as it came; anything outside the alphabet is refused with 484.
    pub dialled: String,
    /// The number the caller wants to show, where it asks for one.
    pub caller_id: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A call that comes from a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundRequest {
    /// The number called, in dialled form (see `trunk::NumberFormat::read`).
    pub did: String,
    /// The number calling, in dialled form, where it is known.
    pub from: Option<String>,
    /// The trunk it came by; `None` in tests that leave it open.
    pub trunk: Option<TrunkId>,
    /// When.
    pub at: Timestamp,
}

/// A plan's answer. `Plan::explain` tells how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where the call goes.
    pub outcome: Outcome,
    /// What decided.
    pub matched: Matched,
    /// Whether the call is recorded.
    pub recording: Recording,
    pub(super) facts: Facts,
}

impl Decision {
    /// The name of the rule that decided, `extension`, `feature`, `emergency`, or `None`.
    pub fn rule(&self) -> Option<&str> {
        match &self.matched {
            Matched::Rule(name) => Some(name),
            Matched::Extension => Some("extension"),
            Matched::Feature => Some("feature"),
            Matched::Emergency => Some("emergency"),
            Matched::Nothing => None,
        }
    }

    /// The number as it was read, where it was one.
    pub fn number(&self) -> Option<&Number> {
        match &self.facts.value {
            Dialled::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Whether this is an emergency call: it passes every cap.
    pub fn is_emergency(&self) -> bool {
        matches!(&self.outcome, Outcome::Dial(call) if call.emergency)
    }

    /// Whether the answer would differ at another time.
    pub fn depends_on_time(&self) -> bool {
        self.facts.timed
    }
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Out over a trunk.
    Dial(Box<TrunkCall>),
    /// To places of this gateway, tried in order.
    Flow(Vec<Destination>),
    /// Nowhere.
    Refuse(Refusal),
}

/// A call that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkCall {
    /// The number.
    pub to: Target,
    /// The trunks.
    pub route: Route,
    /// What the far side is shown; `None` only for an emergency call of a plan that names none.
    pub caller_id: Option<CallerIdentity>,
    /// Overrides the trunk's mode.
    pub dtmf: Option<DtmfMode>,
    /// The one codec of both sides, passed bit for bit.
    pub codec: Option<Law>,
    /// Whether the log names the digits that go out.
    pub digits: DigitLog,
    /// Longest call.
    pub max_call: Duration,
    /// Whether this is an emergency call.
    pub emergency: bool,
}

/// The number of a call that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A number of the world's numbering plan.
    Number(Number),
    /// Digits that only the trunk can read: an emergency number, a short code.
    Short(DialString),
}

impl Target {
    /// E.164 with `+`, or the digits as they were dialled.
    pub fn as_str(&self) -> &str {
        match self {
            Target::Number(number) => number.e164.as_str(),
            Target::Short(digits) => digits.as_str(),
        }
    }
}

/// Why a call goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The cause of its end.
    pub cause: Cause,
    /// In words; for the caller who is a user of this gateway, never for an outside one.
    pub words: String,
}

/// What decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matched {
    /// The emergency table.
    Emergency,
    /// An entry of `[extension]`.
    Extension,
    /// A `[[feature]]` code.
    Feature,
    /// The rule of this name.
    Rule(String),
    /// No rule.
    Nothing,
}

/// What the rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// As it came.
    pub raw: String,
    pub country: Region,
    pub value: Dialled,
    pub who: Who,
    pub at: Timestamp,
    /// A schedule was looked at.
    pub timed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dialled {
    Number(Number),
    /// Dialable, but no complete number.
    Short(DialString),
    /// Not dialable.
    Unreadable(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    User(UserId),
    /// The plan itself, for `number:` destinations.
    Owner,
    Outside {
        from: Option<String>,
        trunk: Option<TrunkId>,
    },
}

impl Who {
    /// The number that calls from outside, where it is known.
    pub fn caller(&self) -> Option<&str> {
        match self {
            Who::Outside { from, .. } => from.as_deref(),
            Who::User(_) | Who::Owner => None,
        }
    }
}
