//! What the endpoint keeps of one session: its dialogs, its open INVITE and its deadlines.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::refer::ReferIn;
use super::reliable::Reliable;
use super::session_timer::{Granted, Timer};
use super::update::UpdateOut;
use super::{Endpoint, Owner, Path, shrink};
use crate::sip::command::{Body, Destination, ExtraHeader, Session};
use crate::sip::dialog::Dialog;
use crate::sip::digest;
use crate::sip::event::OfferIn;
use crate::sip::transaction::Backoff;
use crate::sip::{Method, Uri};

/// The life of a session as its owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Our INVITE has no final response.
    Calling,
    /// The owner hung up while our INVITE had no final response.
    Cancelling,
    /// The peer's INVITE has no final response.
    Ringing,
    /// Answered.
    Confirmed,
    /// The owner has been told the end; BYE waits for the ACK of our 2xx (RFC 3261 15).
    Closing,
    /// The owner has been told the end; late messages are still taken care of.
    Over,
}

/// A deadline of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    /// No ACK of our 2xx came: BYE (RFC 3261 13.3.1.4).
    NoAck,
    /// Our 2xx is to be sent again.
    RepeatFinal,
    /// Timer C: no response to our INVITE for long.
    Quiet,
    /// No final response 64*T1 after CANCEL.
    CancelUnheard,
    /// The owner has not answered the peer's INVITE.
    NotAnswered,
    /// Our provisional response is to be repeated.
    RepeatProvisional,
    /// Nothing came from this destination, and there is another one.
    NoWord,
    /// Our reliable provisional response is to be sent again.
    RepeatReliable,
    /// No PRACK of our reliable provisional response came.
    NoPrack,
    /// The session timer wants a refresh of ours.
    Refresh,
    /// Nobody refreshed the session.
    Expired,
    /// The wait after a 491 is over.
    Reoffer,
    /// The peer's REFER is without an answer, or without a final word.
    ReferOver,
    /// Our REFER is without a final word.
    ReferSilent,
}

/// One dialog of a session with the ACKs that belong to it.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) dialog: Dialog,
    pub(super) state: ForkState,
    /// The number of the peer's last reliable provisional response that was taken.
    pub(super) last_rseq: Option<u32>,
    /// ACKs of 2xx by CSeq, to be sent again with each repetition; the last few only.
    acks: Vec<(u32, Path, Arc<[u8]>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForkState {
    /// No 2xx.
    Early,
    /// The session's dialog.
    Confirmed,
    /// A 2xx that came after the end or beside another one: ACKed and ended by BYE.
    Dropped,
}

impl Fork {
    pub(super) fn new(dialog: Dialog, state: ForkState) -> Fork {
        Fork { dialog, state, last_rseq: None, acks: Vec::new() }
    }

    pub(super) fn ack(&self, cseq: u32) -> Option<(Path, Arc<[u8]>)> {
        let (_, path, bytes) = self.acks.iter().find(|(own, _, _)| *own == cseq)?;
        Some((*path, bytes.clone()))
    }

    pub(super) fn keep_ack(&mut self, cseq: u32, path: Path, bytes: Arc<[u8]>) {
        if self.acks.len() >= KEPT_ACKS {
            self.acks.remove(0);
        }
        self.acks.push((cseq, path, bytes));
    }
}

/// The peer's INVITE or re-INVITE that is not done: no final response, or no ACK of the 2xx.
#[derive(Debug)]
pub(super) struct OpenInvite {
    /// Its server transaction.
    pub(super) transaction: u64,
    /// Its sequence number, which the ACK carries too.
    pub(super) cseq: u32,
    /// The last response of ours that is sent again: a provisional one or the 2xx.
    pub(super) last: Option<(Path, Arc<[u8]>)>,
    pub(super) state: OpenState,
    pub(super) backoff: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenState {
    /// The owner owes a final response.
    Unanswered,
    /// The peer owes the ACK.
    Unacknowledged,
}

/// A 2xx with an offer whose ACK the owner owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwedAck {
    pub(super) fork: String,
    pub(super) cseq: u32,
}

#[derive(Debug)]
pub(super) struct SessionState {
    pub(super) phase: Phase,
    pub(super) call_id: String,
    /// Our From (caller) or To (called) value, with our tag.
    pub(super) local: String,
    pub(super) local_tag: String,
    /// Where requests go when Contact and routes name no address that the peer may name.
    pub(super) path: Path,
    pub(super) destination: Destination,
    /// Where our INVITE goes when `destination` fails.
    pub(super) alternatives: VecDeque<Destination>,
    /// Where our INVITE was given up: a late 2xx from there is ended.
    pub(super) tried: Vec<IpAddr>,
    pub(super) digest: Option<digest::Client>,
    pub(super) forks: Vec<Fork>,
    /// Our INVITE or re-INVITE in progress.
    pub(super) outgoing: Option<u64>,
    pub(super) offer: OfferIn,
    pub(super) invite_cseq: u32,
    /// The request URI of our INVITE, for peers whose responses lack Contact.
    pub(super) first_target: Option<Uri>,
    /// `Reason` headers for a CANCEL that has to wait for a provisional response.
    pub(super) cancel: Cancel,
    /// The peer's INVITE or re-INVITE in progress.
    pub(super) incoming: Option<OpenInvite>,
    /// Where the peer's INVITE requires reliable provisional responses.
    pub(super) reliable: Option<Reliable>,
    pub(super) owed_ack: Option<OwedAck>,
    /// The last SDP of ours that holds: what a refresh by re-INVITE offers again.
    pub(super) described: Option<Body>,
    /// Whether the peer's `Allow` names UPDATE.
    pub(super) takes_update: bool,
    /// The session timer in force.
    pub(super) timer: Option<Timer>,
    /// What the open request of the peer is granted in its 2xx.
    pub(super) granted: Option<Granted>,
    pub(super) update_out: UpdateOut,
    /// The transaction of the peer's UPDATE with an offer.
    pub(super) update_in: Option<u64>,
    pub(super) refer_in: Option<ReferIn>,
    /// Whether a REFER of ours is out, so that NOTIFY is expected.
    pub(super) refer_out: bool,
    /// How often the peer may change the session.
    pub(super) offers: Rate,
    /// For the BYE of [`Phase::Closing`].
    pub(super) closing_reasons: Vec<ExtraHeader>,
    /// Client transactions that still refer to this session.
    pub(super) pending: usize,
    deadlines: Vec<(Deadline, Instant)>,
}

/// How often the peer of a session may change it: a bucket that holds [`OFFERS`] re-INVITEs, UPDATEs
/// and REFERs and refills with time.
#[derive(Debug, Default)]
pub(super) struct Rate {
    spent: Duration,
    at: Option<Instant>,
}

impl Rate {
    /// Whether one more is taken.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.at = Some(now);
        self.spent = self.spent.saturating_sub(passed);
        let fits = self.spent + OFFER_COST <= OFFER_COST * OFFERS;
        if fits {
            self.spent += OFFER_COST;
        }
        fits
    }
}

/// How far the cancelling of our INVITE is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cancel {
    /// Nobody wants it.
    No,
    /// CANCEL goes out with the first provisional response.
    Waiting(Vec<ExtraHeader>),
    /// It has been sent.
    Sent,
}

impl SessionState {
    pub(super) fn new(
        phase: Phase,
        call_id: &str,
        local: String,
        local_tag: &str,
        path: Path,
        destination: Destination,
    ) -> SessionState {
        SessionState {
            phase,
            call_id: call_id.to_owned(),
            local,
            local_tag: local_tag.to_owned(),
            path,
            destination,
            alternatives: VecDeque::new(),
            tried: Vec::new(),
            digest: None,
            forks: Vec::new(),
            outgoing: None,
            offer: OfferIn::Invite,
            invite_cseq: 0,
            first_target: None,
            cancel: Cancel::No,
            incoming: None,
            reliable: None,
            owed_ack: None,
            described: None,
            takes_update: false,
            timer: None,
            granted: None,
            update_out: UpdateOut::No,
            update_in: None,
            refer_in: None,
            refer_out: false,
            offers: Rate::default(),
            closing_reasons: Vec::new(),
            pending: 0,
            deadlines: Vec::new(),
        }
    }

    pub(super) fn is_hung_up(&self) -> bool {
        matches!(self.phase, Phase::Cancelling | Phase::Closing | Phase::Over)
    }

    /// An SDP of ours holds from now on.
    pub(super) fn describe(&mut self, body: Option<Body>) {
        if let Some(body) = body.filter(|body| body.is("application/sdp")) {
            self.described = Some(body);
        }
    }

    /// What the peer's `Allow` says; none says nothing.
    pub(super) fn hear_allow(&mut self, allow: Vec<Method>) {
        if !allow.is_empty() {
            self.takes_update = allow.contains(&Method::Update);
        }
    }

    /// The INVITE goes out again with another number: early dialogs of the old one are gone.
    pub(super) fn restart_invite(&mut self, cseq: u32) {
        self.invite_cseq = cseq;
        self.forks.retain(|fork| fork.state == ForkState::Dropped);
    }

    pub(super) fn forget_transaction(&mut self, id: u64) {
        if self.outgoing == Some(id) {
            self.outgoing = None;
        }
    }

    pub(super) fn fork(&self, tag: &str) -> Option<&Fork> {
        self.forks.iter().find(|fork| fork.dialog.remote_tag == tag)
    }

    pub(super) fn fork_mut(&mut self, tag: &str) -> Option<&mut Fork> {
        self.forks.iter_mut().find(|fork| fork.dialog.remote_tag == tag)
    }

    /// The dialog that requests of ours go in: the confirmed one, else the first early one.
    pub(super) fn main_fork(&mut self) -> Option<&mut Fork> {
        let confirmed = self.forks.iter().position(|fork| fork.state == ForkState::Confirmed);
        let early = || self.forks.iter().position(|fork| fork.state == ForkState::Early);
        let index = confirmed.or_else(early)?;
        self.forks.get_mut(index)
    }

    pub(super) fn set_deadline(&mut self, deadline: Deadline, due: Instant) {
        self.stop_deadline(deadline);
        self.deadlines.push((deadline, due));
    }

    pub(super) fn stop_deadline(&mut self, deadline: Deadline) {
        self.deadlines.retain(|(own, _)| *own != deadline);
    }

    pub(super) fn stop_all_deadlines(&mut self) {
        self.deadlines.clear();
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.iter().map(|(_, due)| *due).min()
    }

    /// Takes the earliest deadline that has come; giving up comes before repeating.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(Deadline, Instant)> {
        let due = self.next_deadline().filter(|due| *due <= now)?;
        let repeats = |own: Deadline| {
            matches!(
                own,
                Deadline::RepeatFinal | Deadline::RepeatProvisional | Deadline::RepeatReliable
            )
        };
        let of_now = |own: &(Deadline, Instant)| own.1 == due;
        let index = self
            .deadlines
            .iter()
            .position(|own| of_now(own) && !repeats(own.0))
            .or_else(|| self.deadlines.iter().position(of_now))?;
        Some(self.deadlines.remove(index))
    }
}

impl Endpoint {
    /// Puts the session's next deadline into the schedule.
    pub(super) fn schedule_session(&mut self, key: Session) {
        let due = self.sessions.get(&key).and_then(|session| session.next_deadline());
        self.schedule.set(Owner::Session(key), due);
    }

    /// The owner has been told the end: nothing of the session runs any more but its transactions.
    pub(super) fn finish(&mut self, key: Session) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.phase != Phase::Over {
            self.over += 1;
        }
        session.phase = Phase::Over;
        session.incoming = None;
        session.owed_ack = None;
        session.described = None;
        session.alternatives = VecDeque::new();
        session.stop_all_deadlines();
        self.schedule_session(key);
        self.sweep(key);
    }

    /// Forgets a session that is over and that no transaction needs.
    pub(super) fn sweep(&mut self, key: Session) {
        let done = |session: &SessionState| session.phase == Phase::Over && session.pending == 0;
        if !self.sessions.get(&key).is_some_and(|session| done(session)) {
            return;
        }
        if let Some(session) = self.sessions.remove(&key) {
            self.over -= 1;
            if let Some(fork) = session.forks.first() {
                let caller = (session.call_id.clone(), fork.dialog.remote_tag.clone());
                if self.callers.get(&caller) == Some(&key) {
                    self.callers.remove(&caller);
                    shrink(&mut self.callers);
                }
            }
            self.dialogs.remove(&(session.call_id, session.local_tag));
            shrink(&mut self.sessions);
            shrink(&mut self.dialogs);
        }
        self.schedule.set(Owner::Session(key), None);
    }
}

/// At once: somebody plays with the hold key, or a PBX moves a call through its menus.
const OFFERS: u32 = 10;

/// One a second for good.
const OFFER_COST: Duration = Duration::from_secs(1);

/// Repetitions of a 2xx come within 32 s; more INVITEs than this in that time are not answered well.
const KEPT_ACKS: usize = 8;
