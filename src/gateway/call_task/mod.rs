//! One task per call: it owns the call's state machine and carries its outputs to SIP, media, the
//! page and the store, and what happens there back to it as inputs.

mod between_pages;
mod digits;
mod handover;
mod joining;
mod legs;
mod line_leg;
mod machine;
mod media_side;
mod order;
mod originate;
mod outputs;
mod page_handover;
mod page_leg;
mod play;
mod quality;
mod recording;
mod renegotiate;
mod spawn;
mod transfer;
mod trunk_leg;

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::base::{CallId, Cause, Digit, SessionId};
use crate::codec::Prompt;
use crate::dtmf::ToneItem;
use crate::ivr::LineEvent;
use crate::media::{self, Hold, MediaEvent};
use crate::signaling::socket::Page;
use crate::signaling::{CallStart, DtmfSend, MediaMode, Refusal, RequestId, TransferTo, Words};
use crate::sip;

use self::joining::{Given, Told};
use super::registry::LivePage;
use super::trunks::Channel;

pub(super) use order::spawn_order;
pub use originate::{CallOrder, NotStarted};
pub use recording::RecordingWish;
pub(super) use spawn::{spawn_from_page, spawn_from_trunk};

/// What a call's task is told.
#[derive(Debug)]
pub(super) enum CallInput {
    /// A page asks something about this call; `reply` is where the answer goes.
    Page { session: SessionId, ask: PageAsk, reply: Option<(Page, RequestId)> },
    /// A text for the data channel of this session's peer connection.
    Say(SessionId, String),
    /// A page's session is over; it may not be one of this call's.
    PageGone(SessionId),
    /// The operator holds the call for its page, or lets it go.
    Hold(Hold),
    /// The application's server says something to the call's pages.
    Message(Words),
    /// The operator sends digits to the far side, as the call's page would.
    Tones(Vec<ToneItem>),
    /// The operator hands the call's far side over.
    Transfer(TransferTo),
    /// A trunk's call that takes the place of one of the call's SIP sessions, with its offer.
    TakeOver(Box<sip::Incoming>, sip::Session, Channel, Option<String>),
    /// Another call asks for the far side of this one; the page of this session has asked it.
    Give { asking: SessionId, to: CallId, reply: oneshot::Sender<Result<Box<Given>, Refusal>> },
    /// The far side of another call, or why it does not come.
    Given(Result<Box<Given>, Refusal>),
    /// A page of this call has asked in `other` that the two become one.
    Join { asking: SessionId, other: CallId, told: Told },
    /// Something happened on one of the call's SIP sessions.
    Sip(Box<sip::Event>),
    /// Something happened to the call's media.
    Media(MediaOf, MediaEvent),
    /// A line of this call wants something.
    Line(u8, LineEvent),
    /// The operator has everybody hear this, or no more.
    Play(Option<Arc<Prompt>>),
    /// The operator wants the call recorded, or not.
    Record(RecordingWish),
    /// What a webhook said of where the call goes.
    Decided(u8, Result<String, String>),
    /// The call that a line of this one has started goes on.
    Onward(u8, Onward),
    /// The callee of a call that nobody calls from is connected with this.
    Serve(Box<dyn media::Line>),
    /// The record of the answer is on disk, or cannot be.
    RecordKept,
    /// The operator or the gateway ends the call.
    End(Cause),
}

/// News of the call that a line has started.
#[derive(Debug)]
pub(super) enum Onward {
    /// Its callee rings.
    Rings,
    /// Answered: what its side says and hears.
    Joined(media::PipeEnd),
    /// Over, answered or not.
    Over(Cause),
}

/// What a page can ask of a call that exists.
#[derive(Debug)]
pub(super) enum PageAsk {
    Answer { sdp: String },
    Reject { cause: Cause },
    HangUp,
    Media { mode: MediaMode, sdp: String },
    Candidate(Option<String>),
    SendTones(DtmfSend),
    Press(Digit),
    Release,
    CancelTones,
    Hold(Hold),
    Transfer(TransferTo),
}

impl PageAsk {
    /// The type of the page's message.
    fn name(&self) -> &'static str {
        match self {
            PageAsk::Answer { .. } => "call.answer",
            PageAsk::Reject { .. } => "call.reject",
            PageAsk::HangUp => "call.hangup",
            PageAsk::Media { .. } => "call.media",
            PageAsk::Candidate(_) => "ice",
            PageAsk::SendTones(_) => "dtmf.send",
            PageAsk::Press(_) => "dtmf.press",
            PageAsk::Release => "dtmf.release",
            PageAsk::CancelTones => "dtmf.cancel",
            PageAsk::Hold(Hold::On) => "call.hold",
            PageAsk::Hold(Hold::Off) => "call.unhold",
            PageAsk::Transfer(_) => "call.transfer",
        }
    }
}

/// Which media session of a call: the one of the calling page (with the trunk leg in it), or that
/// of a page that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaOf {
    Caller,
    Callee(u8),
}

/// A page that starts a call.
pub(super) struct PageOrigin {
    pub session: SessionId,
    pub live: LivePage,
    pub request: RequestId,
    pub start: CallStart,
}
