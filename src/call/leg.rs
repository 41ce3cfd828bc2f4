//! The legs of a call and what can happen on one, in words that are the same for a page and a trunk.

use crate::base::{Cause, SipStatus};
use crate::dtmf::ToneItem;

use super::LegQuality;

/// One leg of a call. The caller's exists from the start; each target that is dialled is a callee
/// leg with a number of its own, counting from 0 in the order of dialling, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leg {
    /// The leg that started the call.
    Caller,
    /// The n-th target that was dialled.
    Callee(u8),
}

/// What carries a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LegKind {
    /// A page over WebRTC: media has to connect, ringback has to be played to it.
    Page,
    /// A trunk over SIP: its network plays its own ringback after a 180.
    Trunk,
    /// A line of the gateway's own: a menu, a mailbox, a test line, or the way from a menu onward.
    Line,
}

/// What happened on a leg.
#[derive(Debug, Clone, PartialEq)]
pub enum LegEvent {
    /// The far side has the request and says nothing about ringing (SIP 100, other 1xx without SDP).
    Trying,
    /// The far side rings (SIP 180, a page that shows the call).
    Ringing(Early),
    /// The far side says something before the answer (SIP 181, 182, 183).
    Progress(Early),
    /// The far side answered: a 200, or the page's user took the call.
    Answered,
    /// The far side will not take the call: a final status, or no answer of the protocol at all.
    Rejected(Rejection),
    /// The leg is over by its own side: BYE, CANCEL, or the page hung up or is gone.
    /// The cause says why when the side said so; [`Cause::Hangup`] otherwise.
    Ended(Cause),
    /// Media flows (ICE and DTLS are up, or RTP came back after a loss).
    MediaReady,
    /// Media cannot be set up on this leg.
    MediaFailed,
    /// Media stopped arriving; [`LegEvent::MediaReady`] takes it back.
    MediaLost,
    /// The leg's side wants these tones at the other side and media does not carry them already
    /// (a page's `dtmf.send`, SIP INFO).
    Tones(Vec<ToneItem>),
    /// A digit came as media, which carries it to the other leg itself. Counted, not kept.
    DigitHeard,
    /// The codec that was negotiated, as SDP names it (`PCMA`, `opus`).
    Codec(String),
    /// The latest quality of what arrives on this leg.
    Quality(LegQuality),
}

/// Whether sound comes before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    /// No sound: ringback is played locally.
    NoMedia,
    /// Sound of the far side (SDP in an 18x): it replaces local ringback.
    Media,
}

/// A final refusal of a callee leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why, in the one table of causes.
    pub cause: Cause,
    /// The status as it came; `None` where no SIP status came (timeout, unreachable, a page).
    pub sip: Option<SipStatus>,
    /// The Q.850 cause that came with it.
    pub q850: Option<u8>,
    /// Whether the trunk's `retry_on` names this status, `timeout` or `unreachable`.
    pub retry: Retry,
}

impl Rejection {
    /// A refusal that leads to no other target, with no SIP status: what a page's refusal is.
    pub fn plain(cause: Cause) -> Rejection {
        Rejection { cause, sip: None, q850: None, retry: Retry::Never }
    }

    /// For the trace: the status, or the cause where none came. The peer's own phrase stays out.
    pub(super) fn words(&self) -> String {
        match &self.sip {
            Some(sip) => sip.status.to_string(),
            None => self.cause.end_code().as_str().to_owned(),
        }
    }
}

/// Whether a refusal lets the next target be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The trunk's `retry_on` matches.
    Next,
    /// It does not.
    Never,
}
