//! The messages of `crosspoint.v1`, as the page sends and gets them.
//!
//! New fields and types may appear at any time; unknown fields of a request are ignored. Hold and
//! transfer are in `service`, the first messages of a connection in `hello`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    CallHold, CallMessage, CallReport, CallTransfer, HeldBy, Hello, LegReport, PageStats, Receipt,
    Refusal, TokenRefresh, Tones, TransferStatus, Warning, Welcome, Words,
};
use crate::base::{CallId, Cause, DialString, Digit, E164, EndCode, EndedBy, Party, SipStatus};

/// The number that a page gave its request; the reply names it as `re`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// What a page asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// `hello`: the first message.
    Hello(Hello),
    /// `token`: a fresh token of the same user.
    Token(TokenRefresh),
    /// `call.start`.
    CallStart(CallStart),
    /// `call.answer`.
    CallAnswer(CallAnswer),
    /// `call.reject`.
    CallReject(CallReject),
    /// `call.hangup`.
    CallHangup(CallHangup),
    /// `call.media`: the page's peer connection is renewed or replaced.
    CallMedia(CallMedia),
    /// `call.mute`: the page sends no sound, or sends it again.
    CallMute(CallMute),
    /// `call.message`: words for the application's server.
    CallMessage(CallMessage),
    /// `call.hold`: neither side hears the other from now on.
    CallHold(CallHold),
    /// `call.unhold`.
    CallUnhold(CallHold),
    /// `call.transfer`: the far side is handed over.
    CallTransfer(CallTransfer),
    /// `ice`: a candidate of the page, or the end of them.
    Ice(Ice),
    /// `dtmf.send`: tones that the gateway sends, paced by it.
    DtmfSend(DtmfSend),
    /// `dtmf.press`: a key goes down.
    DtmfPress(DtmfPress),
    /// `dtmf.release`: it comes up.
    DtmfRelease(DtmfRelease),
    /// `dtmf.cancel`: forget the tones not yet sent.
    DtmfCancel(DtmfCancel),
    /// `call.stats`: what the page has measured.
    CallStats(PageStats),
    /// `call.report`: what its user thinks.
    CallReport(CallReport),
    /// `ping`: answered at once.
    Ping(Ping),
}

impl Request {
    /// The call that the request is about.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Request::Hello(_) | Request::Token(_) | Request::Ping(_) => None,
            Request::CallStart(body) => Some(body.call),
            Request::CallAnswer(body) => Some(body.call),
            Request::CallReject(body) => Some(body.call),
            Request::CallHangup(body) => Some(body.call),
            Request::CallMedia(body) => Some(body.call),
            Request::CallMute(body) => Some(body.call),
            Request::CallMessage(body) => Some(body.call),
            Request::CallHold(body) | Request::CallUnhold(body) => Some(body.call),
            Request::CallTransfer(body) => Some(body.call),
            Request::CallStats(body) => Some(body.call),
            Request::CallReport(body) => Some(body.call),
            Request::Ice(body) => Some(body.call),
            Request::DtmfSend(body) => Some(body.call),
            Request::DtmfPress(body) => Some(body.call),
            Request::DtmfRelease(body) => Some(body.call),
            Request::DtmfCancel(body) => Some(body.call),
        }
    }
}

/// `call.start`: parsed and within its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct CallStart {
    /// The id, made by the page.
    pub call: CallId,
    /// What was dialled.
    pub to: DialString,
    /// The caller number asked for.
    pub from: Option<E164>,
    /// The application's own words: at most 32, keys to 64 and values to 256 characters.
    pub metadata: BTreeMap<String, String>,
    /// The page's offer, at most 16 KiB.
    pub sdp: String,
}

/// `call.answer`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CallAnswer {
    /// The call.
    pub call: CallId,
    /// The page's answer, at most 16 KiB; empty where it was given before (`call.media`, `warm`).
    #[serde(default)]
    pub sdp: String,
}

/// `call.reject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct CallReject {
    /// The call.
    pub call: CallId,
    /// Why.
    #[serde(default)]
    pub reason: RejectReason,
}

/// Why a page does not take a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectReason {
    /// The user is on another call.
    Busy,
    /// The user does not want it.
    #[default]
    Declined,
    /// The page cannot take it (no microphone, for one).
    Unavailable,
}

impl RejectReason {
    /// The cause that the caller is told.
    pub fn cause(self) -> Cause {
        match self {
            RejectReason::Busy => Cause::Busy,
            RejectReason::Declined => Cause::Declined,
            RejectReason::Unavailable => Cause::Unreachable,
        }
    }
}

/// `call.hangup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct CallHangup {
    /// The call.
    pub call: CallId,
}

/// `call.media`, from the page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CallMedia {
    /// The call.
    pub call: CallId,
    /// What it is about.
    pub mode: MediaMode,
    /// The page's offer (with `warm` its answer), at most 16 KiB.
    pub sdp: String,
}

/// What becomes of a page's peer connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaMode {
    /// The same one, with new ICE credentials (RFC 8445 9).
    Restart,
    /// Another one under the same call: the page was loaded again.
    NewPeer,
    /// The answer to the offer of a call that rings, so that there is sound at once when it is taken.
    Warm,
}

/// `call.mute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct CallMute {
    /// The call.
    pub call: CallId,
    /// Whether it is muted from now on.
    pub muted: bool,
}

/// `ice`, from the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ice {
    /// The call.
    pub call: CallId,
    /// The candidate; `None` when there are no more.
    pub candidate: Option<Candidate>,
}

/// A candidate as `RTCIceCandidate.toJSON()` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// `candidate:…`, at most 512 characters.
    pub candidate: String,
    /// The media section by its `mid`.
    #[serde(default)]
    pub sdp_mid: Option<String>,
    /// The media section by its number.
    #[serde(default)]
    pub sdp_m_line_index: Option<u16>,
    /// Which generation of ICE credentials it belongs to.
    #[serde(default)]
    pub username_fragment: Option<String>,
}

/// `dtmf.send`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DtmfSend {
    /// The call.
    pub call: CallId,
    /// What to send.
    pub tones: Tones,
    /// Length of each tone in ms, 40 to 6000; the trunk's own when absent.
    #[serde(default)]
    pub duration: Option<u32>,
    /// Silence between two tones in ms, 30 to 6000; the trunk's own when absent.
    #[serde(default)]
    pub gap: Option<u32>,
}

/// `dtmf.press`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct DtmfPress {
    /// The call.
    pub call: CallId,
    /// The key that went down.
    pub tone: Digit,
}

/// `dtmf.release`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct DtmfRelease {
    /// The call.
    pub call: CallId,
}

/// `dtmf.cancel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct DtmfCancel {
    /// The call.
    pub call: CallId,
}

/// `ping`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Ping {
    /// The last event that the page has got: none up to it needs to be kept for it.
    #[serde(default)]
    pub last_seq: Option<u64>,
}

/// What a granted request is answered with.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To `hello`.
    Welcome(Box<Welcome>),
    /// To `call.start`.
    Started {
        /// Our answer, with our candidates in it.
        sdp: String,
        /// The number in international form, or the extension.
        to: String,
        /// The name of the dial plan's rule.
        rule: Option<String>,
    },
    /// To `call.media`.
    Media {
        /// Our answer, with our candidates in it.
        sdp: String,
    },
    /// To `call.transfer`.
    Transfer {
        /// `accepted`: it is under way, and `call.transfer` events follow.
        status: TransferStatus,
    },
    /// To everything else.
    Done {},
}

/// What the gateway tells a page without being asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum Event {
    /// Somebody calls.
    #[serde(rename = "call.incoming")]
    CallIncoming(Box<CallIncoming>),
    /// A call goes on.
    #[serde(rename = "call.state")]
    CallState {
        /// The call.
        call: CallId,
        /// Where it is now.
        state: CallState,
        /// The SIP response that brought it there.
        #[serde(skip_serializing_if = "Option::is_none")]
        sip: Option<SipStatus>,
        /// The trunk's codec, once known.
        #[serde(skip_serializing_if = "Option::is_none")]
        codec: Option<String>,
        /// Whether the far side's sound is heard before the answer.
        #[serde(default)]
        early_media: bool,
    },
    /// The gateway renews the peer connection: an offer, which `call.answer` answers.
    #[serde(rename = "call.media")]
    CallMedia {
        /// The call.
        call: CallId,
        /// Our offer.
        sdp: String,
    },
    /// The hold of a call has changed.
    #[serde(rename = "call.held")]
    CallHeld {
        /// The call.
        call: CallId,
        /// Who holds it; `null` where nobody does.
        by: Option<HeldBy>,
    },
    /// How far a transfer is.
    #[serde(rename = "call.transfer")]
    CallTransfer {
        /// The call that is handed over.
        call: CallId,
        /// How far.
        status: TransferStatus,
        /// The SIP status that said so.
        #[serde(skip_serializing_if = "Option::is_none")]
        sip: Option<u16>,
    },
    /// Words of the application's server.
    #[serde(rename = "call.message")]
    CallMessage {
        /// The call.
        call: CallId,
        /// What is said.
        data: Words,
    },
    /// A call that rang is over before it was answered here.
    #[serde(rename = "call.cancelled")]
    CallCancelled {
        /// The call.
        call: CallId,
        /// `cancelled`, `answered-elsewhere`, …
        code: EndCode,
    },
    /// A call is over: the last event about it.
    #[serde(rename = "call.ended")]
    CallEnded {
        /// The call.
        call: CallId,
        /// Why, for programs.
        code: EndCode,
        /// Why, for people.
        message: String,
        /// Who ended it.
        by: EndedBy,
        /// The SIP status behind it.
        sip: Option<SipStatus>,
        /// The Q.850 cause behind it.
        q850: Option<u8>,
        /// The dial plan's rule that refused it.
        #[serde(skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// Whether the same call may succeed when tried again soon.
        retryable: bool,
    },
    /// A candidate of the gateway that is not in its answer; `null` ends them.
    #[serde(rename = "ice")]
    Ice {
        /// The call.
        call: CallId,
        /// The candidate.
        candidate: Option<Candidate>,
    },
    /// Somebody left a message in a mailbox of this user's.
    #[serde(rename = "voicemail.waiting")]
    VoicemailWaiting {
        /// The mailbox's name in the plan.
        mailbox: String,
        /// The message (`GET /v1/voicemails/{id}`).
        voicemail: String,
        /// Messages in the mailbox.
        waiting: u64,
        /// The length of the new one.
        duration_ms: u64,
    },
    /// A digit from the phone side.
    #[serde(rename = "dtmf")]
    Dtmf {
        /// The call.
        call: CallId,
        /// The key.
        tone: Digit,
        /// Down or up.
        phase: Phase,
        /// Its length in ms, at the end.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration: Option<u32>,
        /// How it came.
        source: Source,
        /// When, in ms since the call began.
        at: u64,
    },
    /// A digit of the page has gone out to the trunk.
    #[serde(rename = "dtmf.sent")]
    DtmfSent {
        /// The call.
        call: CallId,
        /// The key.
        tone: Digit,
        /// What was measured.
        receipt: Receipt,
    },
    /// How both legs sound, every few seconds and once at the end.
    #[serde(rename = "call.stats")]
    CallStats {
        /// The call.
        call: CallId,
        /// What comes from the page.
        page: Box<LegReport>,
        /// What comes from the trunk.
        trunk: Box<LegReport>,
    },
    /// A fault of the quality appears or is over.
    #[serde(rename = "call.warning")]
    CallWarning {
        /// The call.
        call: CallId,
        /// Which.
        name: Warning,
        /// Whether it is there now.
        active: bool,
        /// What was measured.
        value: f64,
        /// From where on it counts.
        threshold: f64,
    },
    /// How digits go to the trunk from now on: after an offer and answer, or a refused INFO.
    #[serde(rename = "dtmf.mode")]
    DtmfMode {
        /// The call.
        call: CallId,
        /// The mode in force; `null` where there is none.
        mode: Option<Source>,
        /// The final status of the refused INFO.
        #[serde(skip_serializing_if = "Option::is_none")]
        info_status: Option<u16>,
        /// `media/no-digits` where there is no mode: digits do not go out.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Refusal>,
    },
    /// The token ends soon: send `token`.
    #[serde(rename = "token.expiring")]
    TokenExpiring {
        /// In seconds since 1970.
        expires_at: u64,
    },
    /// The gateway is going to close the connection.
    #[serde(rename = "closing")]
    Closing {
        /// Why, for people.
        reason: String,
        /// When to come back.
        reconnect_in_ms: u64,
        /// Where to come back to, when elsewhere.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
}

impl Event {
    /// The call that goes on with this event, where it is about one.
    pub(super) fn of_call_in_progress(&self) -> Option<CallId> {
        match self {
            Event::CallState { call, .. }
            | Event::Dtmf { call, .. }
            | Event::DtmfSent { call, .. }
            | Event::DtmfMode { call, .. }
            | Event::CallHeld { call, .. }
            | Event::CallTransfer { call, .. }
            | Event::CallMessage { call, .. }
            | Event::CallStats { call, .. }
            | Event::CallWarning { call, .. } => Some(*call),
            _ => None,
        }
    }

    /// A state of a call that goes on, with the codec of its far side where it is known.
    pub fn state(call: CallId, state: CallState, codec: Option<String>) -> Event {
        let early_media = state == CallState::EarlyMedia;
        Event::CallState { call, state, sip: None, codec, early_media }
    }

    /// The end in the words of its cause. `sip` as it came from the trunk, else the cause's own.
    pub fn ended(
        call: CallId,
        cause: Cause,
        by: EndedBy,
        sip: Option<SipStatus>,
        rule: Option<String>,
    ) -> Event {
        Event::CallEnded {
            call,
            code: cause.end_code(),
            message: cause.message().to_owned(),
            by,
            sip,
            q850: Some(cause.q850()),
            rule,
            retryable: cause.retryable(),
        }
    }
}

/// `call.incoming`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallIncoming {
    /// The call.
    pub call: CallId,
    /// Who calls.
    pub from: Party,
    /// What was called.
    pub to: Party,
    /// Headers that the trunk's rules let through.
    pub metadata: BTreeMap<String, String>,
    /// The gateway's offer.
    pub sdp: String,
    /// How far the caller's number was verified (RFC 8224); absent = not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
}

/// The attestation of a caller's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the levels of ATIS-1000074")]
pub enum Verified {
    A,
    B,
    C,
    #[serde(rename = "failed")]
    Failed,
}

/// Where a call is, as the page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallState {
    /// On its way.
    Connecting,
    /// It rings at the far side.
    Ringing,
    /// The far side's sound is heard, nobody has answered.
    EarlyMedia,
    /// Answered.
    Active,
    /// A side is lost and waited for.
    Reconnecting,
}

/// A key is down or up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It went down.
    Start,
    /// It came up.
    End,
}

/// How a digit came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// As RTP events.
    Rfc4733,
    /// As SIP INFO.
    SipInfo,
    /// As tones in the sound.
    Inband,
}
