//! Where a call goes: the answer to [`Output::Route`](super::Output::Route), as data.

use std::time::Duration;

use crate::base::{Cause, Party, SessionId, SipStatus, TrunkId, UserId};

use super::LegKind;

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
}

impl Target {
    /// What will carry the leg.
    pub fn kind(&self) -> LegKind {
        match self {
            Target::Trunk(_) => LegKind::Trunk,
            Target::Page { .. } => LegKind::Page,
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
}
