//! Reliable provisional responses (RFC 3262), both ways.
//!
//! ```text
//! Calling: reliable 18x, RSeq first or next -> PRACK, told     repeated or out of order -> nothing
//! Ringing(Require: 100rel):
//!   progress -> 18x sent again at T1, 2*T1, ... -> PRACK -> 200, next 18x or the held 2xx
//!                                               -> 64*T1 without PRACK -> 500, Ended(NoPrack)
//! ```
//!
//! We ask for it (`Supported`) where our INVITE has the offer, so that a reliable 18x can only answer
//! it. We do it where the peer requires it. To an INVITE that requires it and has no offer no 18x is
//! sent at all: the first one would have to carry our offer, which the owner makes in the 2xx.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::client::User;
use super::receive::Received;
use super::session::{Deadline, Phase};
use super::{Endpoint, Error, Path};
use crate::sip::command::{ExtraHeader, Session};
use crate::sip::event::{End, OfferIn};
use crate::sip::header::{RAck, RSeq};
use crate::sip::make::{Arrived, Reply};
use crate::sip::transaction::Backoff;
use crate::sip::{MessageExt, Method};

/// The option tag.
pub(super) const TAG: &str = "100rel";

/// What an incoming session that requires reliable responses keeps of them.
#[derive(Debug)]
pub(super) struct Reliable {
    next: u32,
    offer: OfferIn,
    pending: Option<Pending>,
    /// Not sent before the pending one is acknowledged.
    waiting: VecDeque<Reply>,
    /// The 2xx, held while a response is unacknowledged.
    answer: Option<Reply>,
    /// An acknowledged response has answered the offer: the 2xx carries no second answer.
    has_answered: bool,
}

#[derive(Debug)]
struct Pending {
    rseq: u32,
    sent: (Path, Arc<[u8]>),
    backoff: Backoff,
    has_body: bool,
}

impl Reliable {
    /// `first` is the number of the first response.
    pub(super) fn new(first: u32, offer: OfferIn) -> Reliable {
        Reliable {
            next: first,
            offer,
            pending: None,
            waiting: VecDeque::new(),
            answer: None,
            has_answered: false,
        }
    }

    /// Whether the offer of the INVITE has its acknowledged answer.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }
}

impl Endpoint {
    /// A provisional response to our INVITE whose fork is known: whether it is to be taken. A reliable
    /// one is acknowledged.
    pub(super) fn take_provisional(
        &mut self,
        now: Instant,
        key: Session,
        answer: &Arrived,
    ) -> bool {
        let required = answer.response.list("Require").any(|tag| tag.eq_ignore_ascii_case(TAG));
        let Some(RSeq(rseq)) = answer.response.header_ok().filter(|_| required) else {
            return true;
        };
        let Some(session) = self.sessions.get_mut(&key) else { return false };
        let cseq = session.invite_cseq;
        let tag = answer.fork().to_owned();
        // Without a dialog there is no PRACK.
        let Some(fork) = session.fork_mut(&tag) else { return true };
        // RFC 3262 4: neither a repetition nor one that has overtaken another is processed.
        if fork.last_rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
            return false;
        }
        fork.last_rseq = Some(rseq);
        if let Some(mut sending) = self.within(key, &tag, Method::PRack) {
            let rack = RAck { response: rseq, number: cseq, method: Method::Invite };
            sending.draft.extra = ExtraHeader::of(&rack).into_iter().collect();
            sending.user = User::Prack(key);
            self.start(now, sending);
        }
        true
    }

    /// Sends a provisional response reliably, or keeps it until its turn comes.
    pub(super) fn progress_reliably(
        &mut self,
        now: Instant,
        key: Session,
        reply: Reply,
    ) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        let Some(reliable) = &mut session.reliable else { return Err(Error::WrongState(key)) };
        match (reliable.offer, &reliable.pending) {
            (OfferIn::Response, _) => {}
            (OfferIn::Invite, None) => self.send_reliably(now, key, reply),
            // A peer that does not acknowledge hears no more of what it did not hear.
            (OfferIn::Invite, Some(_)) if reliable.waiting.len() >= MOST_WAITING => {}
            (OfferIn::Invite, Some(_)) => reliable.waiting.push_back(reply),
        }
        Ok(())
    }

    fn send_reliably(&mut self, now: Instant, key: Session, mut reply: Reply) {
        let Ok(transaction) = self.unanswered(key) else { return };
        let Some(reliable) = self.sessions.get_mut(&key).and_then(|own| own.reliable.as_mut())
        else {
            return;
        };
        let rseq = reliable.next;
        reliable.next = reliable.next.wrapping_add(1);
        let has_body = reply.body.is_some();
        reply.headers.push(ExtraHeader::own("Require", TAG));
        reply.headers.push(ExtraHeader::own("RSeq", &rseq.to_string()));
        let Some(sent) = self.respond(now, transaction, reply) else { return };
        let timing = &self.config.timing;
        let backoff = Backoff::new(timing.t1, None);
        let (first, give_up) = (backoff.first(now), now + timing.give_up());
        if let Some(session) = self.sessions.get_mut(&key) {
            if let Some(reliable) = &mut session.reliable {
                reliable.pending = Some(Pending { rseq, sent, backoff, has_body });
            }
            session.set_deadline(Deadline::RepeatReliable, first);
            session.set_deadline(Deadline::NoPrack, give_up);
        }
        self.schedule_session(key);
    }

    /// The 2xx as it may go out now; `None` where it is held until PRACK (RFC 3262 3).
    pub(super) fn ready_answer(&mut self, key: Session, mut reply: Reply) -> Option<Reply> {
        let Some(session) = self.sessions.get_mut(&key) else { return Some(reply) };
        let Some(reliable) = session.reliable.as_mut().filter(|_| session.phase == Phase::Ringing)
        else {
            return Some(reply);
        };
        if reliable.pending.is_some() {
            reliable.answer = Some(reply);
            return None;
        }
        if reliable.has_answered {
            reply.body = None;
        }
        Some(reply)
    }

    pub(super) fn receive_prack(&mut self, now: Instant, key: Session, received: Received) {
        let rack = received.request.header_ok::<RAck>();
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let cseq = session.incoming.as_ref().map(|open| open.cseq);
        let ringing = session.phase == Phase::Ringing;
        let reliable = session.reliable.as_mut().filter(|_| ringing);
        let pending = reliable.and_then(|own| {
            let hit = |pending: &mut Pending| {
                rack.as_ref().is_some_and(|rack| {
                    rack.response == pending.rseq
                        && Some(rack.number) == cseq
                        && rack.method == Method::Invite
                })
            };
            let pending = own.pending.take_if(hit)?;
            own.has_answered |= pending.has_body;
            Some(pending)
        });
        if pending.is_none() {
            return self.reply_in_session(now, key, received, Reply::status(481));
        }
        session.stop_deadline(Deadline::RepeatReliable);
        session.stop_deadline(Deadline::NoPrack);
        let reliable = session.reliable.as_mut();
        let (answer, next) = reliable.map_or((None, None), |own| {
            let answer = own.answer.take();
            // What was still to be said before the answer is of no use after it.
            let next = if answer.is_some() { None } else { own.waiting.pop_front() };
            (answer, next)
        });
        // A new offer this early is refused; what was agreed holds (RFC 3262 5).
        let status = if received.request.body().is_empty() { 200 } else { 488 };
        self.reply_in_session(now, key, received, Reply::status(status));
        self.schedule_session(key);
        if let Some(reply) = answer {
            // The INVITE is open, so this cannot be too late.
            let _ = self.answer(now, key, reply.headers, reply.body);
        } else if let Some(reply) = next {
            self.send_reliably(now, key, reply);
        }
    }

    /// The unacknowledged response goes out again.
    pub(super) fn repeat_reliable(&mut self, now: Instant, key: Session, due: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let pending = session.reliable.as_mut().and_then(|own| own.pending.as_mut());
        let Some(pending) = pending else { return };
        let (next, (path, bytes)) = (pending.backoff.after(due, now), pending.sent.clone());
        session.set_deadline(Deadline::RepeatReliable, next);
        self.transmit(path, bytes);
    }

    /// 64*T1 without PRACK: the INVITE is refused (RFC 3262 3).
    pub(super) fn no_prack(&mut self, now: Instant, key: Session) {
        if let Ok(transaction) = self.unanswered(key) {
            self.respond(now, transaction, Reply::status(500));
        }
        self.invite_closed(key, End::NoPrack);
    }
}

/// Responses that wait for the PRACK of the one before: 180, 183 and a few more.
const MOST_WAITING: usize = 8;
