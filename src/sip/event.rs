//! What the SIP endpoint tells its owner.
//!
//! Each session that the owner knows ends with exactly one of [`Event::Rejected`],
//! [`Event::Cancelled`] and [`Event::Ended`]; nothing follows it.

use std::net::SocketAddr;

use super::command::{Body, Destination, RequestKey, Session, Transport};
use super::header::{Diversion, HistoryInfo, Reason, ReferTo, ReferredBy};
use super::{Method, NameAddr, Request, Response, Uri};

/// An INVITE that starts a session: its facts, parsed.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The key of the new session.
    pub session: Session,
    /// Who sent it; one of the accepted networks.
    pub source: SocketAddr,
    /// The user whose password the caller has shown; `None` where none was asked for.
    pub user: Option<String>,
    /// Through how many more servers it may go; 70 where it does not say.
    pub max_forwards: u8,
    /// How it came.
    pub transport: Transport,
    /// The address of ours that it came to.
    pub local: SocketAddr,
    /// The request URI; its user part is what was dialled.
    pub target: Uri,
    /// From, with tag.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// `P-Asserted-Identity`: to be believed where the trunk is trusted.
    pub asserted_identities: Vec<NameAddr>,
    /// `Privacy` holds `id` (RFC 3325 9.3), `user` or `header` (RFC 3323): do not show the number.
    pub privacy: Privacy,
    /// The peer's Call-ID, for logs and records.
    pub call_id: String,
    /// The session of ours that the call is to take the place of (RFC 3891), with the same peer.
    pub replaces: Option<Session>,
    /// Whose call it was before, the newest diversion first (RFC 5806).
    pub diversions: Vec<Diversion>,
    /// The same as a history, oldest first (RFC 7044).
    pub history: Vec<HistoryInfo>,
    /// The methods that the peer's `Allow` names; empty where it has none.
    pub allow: Vec<Method>,
    /// The request with all its headers.
    pub request: Request,
    /// The offer; `None` means that we make it in the 200 and the answer comes with the ACK.
    pub body: Option<Body>,
}

/// Whether the caller's identity may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Nothing asked for.
    Open,
    /// The caller asked that it be withheld.
    Withheld,
}

/// One response as received.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 101-699.
    pub status: u16,
    /// The reason phrase, verbatim.
    pub phrase: String,
    /// The fork it belongs to: the To tag; empty where there is none.
    pub fork: String,
    /// The methods that the peer's `Allow` names; empty where it has none.
    pub allow: Vec<Method>,
    /// `Reason` headers (RFC 3326), for instance the Q.850 cause.
    pub reasons: Vec<Reason>,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u32>,
    /// The response with all its headers; `None` where none came.
    pub response: Option<Response>,
    /// The body, if any.
    pub body: Option<Body>,
}

/// Who made a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The peer said so.
    Peer,
    /// The peer said nothing in time; the status is 408.
    Timeout,
    /// The message could not be sent; the status is 503.
    Transport,
    /// A limit or state of ours; nothing was sent.
    Local,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A peer calls.
    Incoming(Box<Incoming>),
    /// A provisional response above 100 to our INVITE.
    Provisional {
        /// Which one.
        session: Session,
        /// The response; `fork` tells forks apart.
        answer: Box<Answer>,
    },
    /// Our INVITE was answered. Other forks end by themselves.
    Answered {
        /// Which one.
        session: Session,
        /// The 2xx.
        answer: Box<Answer>,
        /// Where the body is the offer, the owner owes [`super::Command::Ack`].
        offer: OfferIn,
    },
    /// A destination of our INVITE failed; the next one is being tried.
    NextDestination {
        /// Which one.
        session: Session,
        /// Where nobody answered, or where 503 came from.
        failed: Destination,
    },
    /// Our INVITE failed; the session is over.
    Rejected {
        /// Which one.
        session: Session,
        /// The final response, or one made here (408, 503) where none came.
        answer: Box<Answer>,
        /// Who says so.
        origin: Origin,
    },
    /// The ACK to our 200 came.
    Acked {
        /// Which one.
        session: Session,
        /// The answer, where our 200 carried the offer.
        body: Option<Body>,
    },
    /// The caller gave up before our final response; the session is over.
    Cancelled {
        /// Which one.
        session: Session,
        /// `Reason` of the CANCEL, for instance that the call was answered elsewhere.
        reasons: Vec<Reason>,
    },
    /// The peer sent a re-INVITE: answer it with `Answer` or `Reject`. Another one is refused with 491
    /// or 500 until then.
    Reinvite {
        /// Which one.
        session: Session,
        /// The new offer; `None` where the peer wants ours.
        body: Option<Body>,
    },
    /// Our re-INVITE was answered or refused. The session lives, save after 481 and 408, which bring
    /// [`Event::Ended`] too.
    ReinviteDone {
        /// Which one.
        session: Session,
        /// The final response.
        answer: Box<Answer>,
        /// Who says so: `Local` where another offer was open and nothing was sent.
        origin: Origin,
        /// Where the body is the offer, the owner owes [`super::Command::Ack`].
        offer: OfferIn,
    },
    /// After a 491 the time has come to offer again, where that is still wanted (RFC 3261 14.1).
    Reoffer {
        /// Which one.
        session: Session,
    },
    /// The peer sent UPDATE with an offer: answer it with `AnswerUpdate` or `RejectUpdate`.
    Update {
        /// Which session.
        session: Session,
        /// The fork that offers, while the session is early: the tag of [`Answer::fork`].
        fork: String,
        /// The offer.
        body: Body,
    },
    /// Our UPDATE with an offer was answered or refused.
    UpdateDone {
        /// Which session.
        session: Session,
        /// The final response.
        answer: Box<Answer>,
    },
    /// The peer wants somebody called (RFC 3515): take it with `AcceptRefer` or refuse it. Another
    /// REFER is refused until the first one is done.
    Refer {
        /// Which session.
        session: Session,
        /// What it says.
        refer: Box<Refer>,
    },
    /// What the peer says of the call that our REFER asked for; a final status is the last word.
    ReferProgress {
        /// Which session.
        session: Session,
        /// 100-699, from the NOTIFY's body; 408 where nothing came for long.
        status: u16,
    },
    /// The session is over after it was answered, or an incoming one was given up here.
    Ended {
        /// Which one.
        session: Session,
        /// Why.
        end: End,
        /// `Reason` headers of the BYE.
        reasons: Vec<Reason>,
    },
    /// INFO arrived (and has been answered with 200).
    Info {
        /// Which session.
        session: Session,
        /// Its body.
        body: Body,
    },
    /// A stream to or from a peer is gone: what was reached over it is to be told anew where we are.
    FlowLost {
        /// The peer.
        remote: SocketAddr,
    },
    /// What became of INFO, OPTIONS or REGISTER of ours.
    RequestDone {
        /// As given in the command.
        request: RequestKey,
        /// The session of an INFO.
        session: Option<Session>,
        /// The final response, or one made here where none came.
        answer: Box<Answer>,
        /// Who says so.
        origin: Origin,
    },
}

/// A REFER, parsed.
#[derive(Debug, Clone)]
pub struct Refer {
    /// Who is to be called; the URI's headers may name a dialog to replace.
    pub refer_to: ReferTo,
    /// Who sends it, as it says.
    pub referred_by: Option<ReferredBy>,
    /// Our session that the named dialog to replace is, where it is one of ours.
    pub replaces: Option<Session>,
}

/// Which message of an INVITE transaction carries the offer (RFC 3264 by RFC 3261 13.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferIn {
    /// The INVITE; the 2xx answers.
    Invite,
    /// The 2xx; the ACK answers.
    Response,
}

/// Why an answered session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer's BYE.
    ByPeer,
    /// Our own [`super::Command::HangUp`] of a session that was answered or incoming.
    ByUs,
    /// The ACK of our 200 never came; we sent BYE.
    NoAck,
    /// No PRACK of our reliable provisional response came; the INVITE got 500.
    NoPrack,
    /// A request within the dialog got 481 or no response; we sent BYE where it could help.
    Lost,
    /// Nobody refreshed the session in its time (RFC 4028 10); we sent BYE.
    Expired,
    /// We had an incoming INVITE and neither answered nor refused it in time; it got 480.
    NotAnswered,
}
