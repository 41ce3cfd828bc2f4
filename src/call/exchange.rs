//! What goes into and comes out of the state machine.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use crate::base::{CallId, Cause, Party, SipStatus, TrunkId};
use crate::dtmf::ToneItem;

use super::{Decision, Early, Leg, LegEvent, LegKind, Record, Rejection, Target, Targets, Who};

/// What is known when a call begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// The call.
    pub id: CallId,
    /// What carries the caller's leg.
    pub caller: LegKind,
    /// The trunk that the call came from, where it came from one.
    pub trunk: Option<TrunkId>,
    /// Who calls.
    pub from: Party,
    /// Who is called, as it was dialled.
    pub to: Party,
    /// The wall time of the beginning, for stamps only.
    pub started_at: Timestamp,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The answer to [`Output::Route`].
    Routed(Decision),
    /// Something happened on a leg.
    Leg(Leg, LegEvent),
    /// The answer to [`Output::Write`] of [`Kept::Answer`]: it is on disk, or cannot be.
    RecordKept,
    /// The party of this leg wants somebody else called in its place. Only while the call is connected.
    HandOver {
        /// Whose place is to be taken.
        old: Leg,
        /// Who is dialled.
        targets: Targets,
        /// The longest that the new party may talk; `None` keeps the call's own end.
        max_call: Option<Duration>,
    },
    /// A call of this target has come and takes the place of this leg: it becomes the next callee, and
    /// is answered. From now on the call ends at this moment at the latest, where there is one.
    Replaced(Leg, Target, Option<Instant>),
    /// The gateway ends the call: its operator, a limit, its own stop, a fault.
    End(Cause),
    /// The moment of [`Output::Timeout`] has come.
    Timeout,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Ask the dial plan; give the answer as [`Input::Routed`].
    Route,
    /// Dial a target as this leg.
    Dial(Leg, Target),
    /// Tell the caller how far the call is (a page's state, a trunk's 180 or 183).
    Progress(Progress),
    /// Switch what the caller's page hears before the answer. Never for a trunk: its own network
    /// plays ringback.
    Feed(Feed),
    /// Give the record to the store. For [`Kept::Answer`] say [`Input::RecordKept`] when it is
    /// on disk.
    Write(Kept, Box<Record>),
    /// Answer the caller (a page's state `active`, a trunk's 200).
    Answer,
    /// Connect the media of the caller and this callee, both ways.
    Connect(Leg),
    /// How far the handing over of a party is ([`Input::HandOver`]).
    HandOver(HandOver),
    /// Send these digits on this leg.
    SendTones(Leg, Vec<ToneItem>),
    /// Take back the dialling of a leg that has not answered (CANCEL; the page stops ringing).
    /// A trunk leg stays known until it is rejected, ended or answered after all.
    Cancel(Leg, Cause),
    /// End a leg: BYE after the answer (an answer that came too late is acknowledged first), a
    /// final refusal of the caller before it, `call.ended` for a page.
    HangUp(Leg, End),
    /// The call is over and every leg is gone. Last of all; exactly once.
    Ended(End),
    /// Nothing to do until this moment or the next input; `None` = no timer runs.
    Timeout(Option<Instant>),
}

/// How far the handing over of a party is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandOver {
    /// The new party rings, and may be heard.
    Rings(Leg, Early),
    /// The new party talks in the place of the old one, which leaves.
    Done {
        /// Who asked for it.
        old: Leg,
        /// Who talks.
        new: Leg,
    },
    /// Nobody took it: all is as it was.
    Failed(Rejection),
}

/// How far the call is, before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A callee rings.
    Ringing,
    /// This callee's sound comes before the answer.
    EarlyMedia(Leg),
}

/// What the caller's page hears before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Ringback made by the gateway.
    Ringback,
    /// The sound of this leg.
    Leg(Leg),
}

/// Which of a call's two writings of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// At the answer: it must be on disk before the caller hears of the answer.
    Answer,
    /// At the end.
    End,
}

/// Why and by whom a call ended. Exactly one per call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub cause: Cause,
    /// Who ended it.
    pub by: Who,
    /// The SIP status: as it came, or the cause's own where the gateway refused; `None` where the
    /// call was hung up or given up.
    pub sip: Option<SipStatus>,
    /// The Q.850 cause, 1 to 127.
    pub q850: u8,
    /// The rule of the dial plan that decided about the call.
    pub rule: Option<String>,
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The dial plan is asked.
    Routing,
    /// Targets are dialled or ring.
    Dialing,
    /// The caller hears a callee before the answer.
    Early,
    /// A callee answered; the record is on its way to the disk.
    Answering,
    /// Both sides talk.
    Connected,
    /// Ended for both sides; cancelled legs have yet to finish.
    Ending,
    /// Everything is gone.
    Over,
}

/// An input that changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The caller's misuse: the call is over.
    #[error("the call is over")]
    Over,
    /// The caller's misuse: no such leg was dialled.
    #[error("the call has no leg {0:?}")]
    UnknownLeg(Leg),
    /// The user's wish cannot be met: digits with nobody to send them to.
    #[error("there is no other side to send digits to yet")]
    NoPeer,
    /// The caller's misuse: a second route decision.
    #[error("the call has its route already")]
    AlreadyRouted,
}
