//! Where a call goes: the answer to [`Output::Route`](super::Output::Route), as data.

use std::fmt;
use std::time::Duration;

use crate::base::{Cause, Party, SessionId, SipStatus, TrunkId, UserId};

use super::LegKind;
use crate::dialplan::Destination;

/// What the dial plan said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Connect to these targets.
    Connect(Box<Route>),
    /// Refuse the call.
    Refuse(Refusal),
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is dialled and in which manner.
    pub targets: Targets,
    /// The caller as the callee sees it; `None` keeps what the set-up said.
    pub from: Option<Party>,
    /// The callee in its normal form; `None` keeps what the set-up said.
    pub to: Option<Party>,
    /// The name of the rule that matched.
    pub rule: Option<String>,
    /// How the plan came to it, one line a step; the call's attempts follow in its record.
    pub trace: Vec<String>,
    /// The longest ringing; `None` keeps the limit of the gateway.
    pub ring: Option<Duration>,
    /// The longest call; `None` keeps the limit of the gateway.
    pub max_call: Option<Duration>,
}

/// Targets and the manner of dialling them. An empty list is a refusal with
/// [`Cause::Unreachable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// One after the other: the next only where failover is allowed.
    Hunt(Vec<Target>),
    /// All at once: the first answer wins.
    Ring(Vec<Target>),
    /// One step after the other; the targets of a step ring at once. The next step comes when all
    /// of a step have refused or its time is over.
    Flow(Vec<Step>),
}

/// One step of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What rings at once; an empty step is passed over.
    pub targets: Vec<Target>,
    /// How long it rings; `None` keeps that of the route.
    pub ring: Option<Duration>,
}

impl Targets {
    /// The same as steps.
    pub(super) fn into_steps(self) -> Vec<Step> {
        let step = |targets| Step { targets, ring: None };
        match self {
            Targets::Hunt(targets) => targets.into_iter().map(|t| step(vec![t])).collect(),
            Targets::Ring(targets) => vec![step(targets)],
            Targets::Flow(steps) => steps,
        }
    }
}

/// Something that can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A trunk.
    Trunk(TrunkId),
    /// One page of a user.
    Page {
        /// The user.
        user: UserId,
        /// The page's signalling session.
        session: SessionId,
    },
    /// A line of the gateway's own: it serves the first of these and answers at once; the others follow
    /// where nobody takes a transfer.
    Line(Vec<Destination>),
}

impl Step {
    /// Whether pages are rung, or a line of our own follows: nothing that a trunk does is waited for.
    pub(super) fn is_of_pages(&self) -> bool {
        self.targets.first().is_some_and(|target| target.kind() != LegKind::Trunk)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Trunk(trunk) => write!(f, "trunk {trunk}"),
            Target::Page { user, .. } => write!(f, "page of {user}"),
            Target::Line(flow) => match flow.first() {
                // The trace of attempts goes to the log, and no number does.
                Some(Destination::Number(_)) => f.write_str("line to a number"),
                Some(to) => write!(f, "line {to}"),
                None => f.write_str("line of nothing"),
            },
        }
    }
}

impl Target {
    /// What will carry the leg.
    pub fn kind(&self) -> LegKind {
        match self {
            Target::Trunk(_) => LegKind::Trunk,
            Target::Page { .. } => LegKind::Page,
            Target::Line(_) => LegKind::Line,
        }
    }
}

/// Why a call is refused before anything is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, in the one table of causes.
    pub cause: Cause,
    /// The status to refuse a trunk's INVITE with, where it is not the cause's own.
    pub sip: Option<SipStatus>,
    /// The name of the rule that refused, `None` when no rule matched.
    pub rule: Option<String>,
    /// How the plan came to it, one line a step.
    pub trace: Vec<String>,
}
