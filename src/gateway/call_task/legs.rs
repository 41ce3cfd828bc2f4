//! The legs of a call as its task holds them: what a leg's number stands for on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::CallInput;
use crate::base::{Cause, E164, SessionId, UserId};
use crate::dialplan::Destination;
use crate::dtmf::InfoSupport;
use crate::media;
use crate::recording::Pauses;
use crate::signaling::socket::Page;
use crate::signaling::{Refusal, RequestId, Verified};
use crate::sip::{self, MAX_FORWARDS};

use crate::gateway::trunks::{Channel, Trunk};

/// The caller's leg.
pub(super) enum Caller {
    Page(CallerPage),
    Trunk(CallerTrunk),
    /// A line of another call, whose caller is to be connected.
    Line(CallerLine),
}

impl Caller {
    /// Through how many servers a call that goes out for this caller may go: one less than it came with, so
    /// that a loop through trunks ends (RFC 3261 16.3).
    pub fn max_forwards(&self) -> u8 {
        match self {
            Caller::Page(_) => MAX_FORWARDS,
            Caller::Trunk(trunk) => trunk.max_forwards.saturating_sub(1),
            Caller::Line(line) => line.max_forwards,
        }
    }
}

pub(super) struct CallerPage {
    pub session: SessionId,
    pub page: Page,
    /// `call.start`, until it is answered.
    pub start: Option<RequestId>,
    pub began: Began,
    /// Our SDP answer for the reply to `call.start`, or why there is none.
    pub answer: Result<String, Refusal>,
    /// Whether the page knows that the call is over.
    pub told_end: bool,
}

/// Who began the call of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Began {
    /// The page itself.
    ByPage,
    /// A program: the page was rung, and for it the call is up since it took it.
    ByProgram,
}

pub(super) struct CallerTrunk {
    pub sip: sip::Session,
    pub channel: Channel,
    /// Through how many more servers its call may go.
    pub max_forwards: u8,
    /// Whether its `Allow` names INFO.
    pub info: InfoSupport,
    /// How far its network has verified the caller's number.
    pub verified: Option<Verified>,
    /// Whose call it was before, and the headers that the trunk lets through, as pages are told.
    pub metadata: BTreeMap<String, String>,
    /// The INVITE's offer; `None` makes ours go out in the 200.
    pub offer: Option<String>,
    pub answered: bool,
    /// The SIP session still lives.
    pub alive: bool,
    /// It is another call's now.
    pub given: bool,
}

pub(super) struct CallerLine {
    /// The other call.
    pub parent: mpsc::Sender<CallInput>,
    /// Which of its callees this call is for.
    pub n: u8,
    /// Where the caller is to go.
    pub to: Destination,
    /// The number that was called, which is shown where the call goes out.
    pub called: Option<E164>,
    /// Through how many more servers the call may go.
    pub max_forwards: u8,
    /// When nothing of it is recorded.
    pub pauses: Arc<Pauses>,
}

/// A leg toward a target.
pub(super) enum Callee {
    Trunk(CalleeTrunk),
    Page(CalleePage),
    Line(CalleeLine),
    /// It could not even be dialled.
    Nothing,
}

pub(super) struct CalleeTrunk {
    pub sip: sip::Session,
    pub trunk: Arc<Trunk>,
    /// Its place on the trunk, until the attempt is over.
    pub channel: Option<Channel>,
    pub alive: bool,
    /// Taken back before it answered; its silence was counted then.
    pub given_up: bool,
    /// It has said where its media is.
    pub described: bool,
}

pub(super) struct CalleePage {
    pub session: SessionId,
    pub user: UserId,
    pub page: Page,
    pub media: media::Session,
    pub answered: bool,
    /// Its peer connection is on its way up, though it still rings.
    pub warm: bool,
    pub told_end: bool,
}

pub(super) struct CalleeLine {
    /// Media of a trunk that calls; a page's is the call's own.
    pub media: Option<media::Session>,
    /// The line before it is served.
    pub line: Option<Box<dyn media::Line>>,
    /// Tells the line that nobody took its transfer.
    pub refuse: std::sync::mpsc::Sender<()>,
    /// The call that it has started.
    pub onward: Option<mpsc::Sender<CallInput>>,
    /// That one was answered.
    pub joined: bool,
}

impl CalleeLine {
    /// Ends what it has started and gives its media back.
    pub(super) async fn close(&mut self, cause: Cause) {
        if let Some(onward) = self.onward.take() {
            // One that is over by itself is over.
            let _ = onward.send(CallInput::End(cause)).await;
        }
        if let Some(media) = self.media.take() {
            media.close();
        }
    }
}

impl Caller {
    pub(super) fn page(&self) -> Option<&CallerPage> {
        match self {
            Caller::Page(page) => Some(page),
            Caller::Trunk(_) | Caller::Line(_) => None,
        }
    }
}
