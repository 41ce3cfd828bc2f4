//! UPDATE in both directions, also before the answer (RFC 3311): a new offer within a dialog that
//! needs no ACK, a new target, or nothing but a sign of life.
//!
//! ```text
//! UPDATE of the peer, no body -> 200        with an offer -> Update -> AnswerUpdate | RejectUpdate
//! while its own offer is open -> 500        while ours is open -> 491
//! ```

use std::time::Instant;

use super::client::User;
use super::receive::Received;
use super::session::{Deadline, ForkState, OpenState, Phase};
use super::{Endpoint, Error};
use crate::sip::command::{Body, ExtraHeader, Session};
use crate::sip::event::{Event, OfferIn};
use crate::sip::make::{self, Arrived, Reply, WithContact};
use crate::sip::{MessageExt, Method};

/// Our UPDATE on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpdateOut {
    /// There is none.
    No,
    /// It carries an offer.
    Offered,
    /// It only refreshes the session.
    Refreshes,
}

impl Endpoint {
    pub(super) fn receive_update(&mut self, now: Instant, key: Session, mut received: Received) {
        let retry = self.random.retry_reinvite().as_secs().to_string();
        let late = || Reply::with(500, "Retry-After", &retry);
        let granted = match self.timer_of_request(key, &received.request) {
            Ok(granted) => granted,
            Err(reply) => return self.reply_in_session(now, key, received, reply),
        };
        let (pending, open_update) = (self.offer_pending(key), self.open_update(key).is_some());
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let tag = received.facts.from.tag.clone();
        let live = session.fork(&tag).is_some_and(|fork| fork.state != ForkState::Dropped);
        let has_offer = !received.request.body().is_empty();
        let open = session.incoming.as_ref().map(|open| open.state);
        let answered_early =
            session.reliable.as_ref().is_some_and(super::reliable::Reliable::has_answered);
        let refusal = match session.phase {
            Phase::Cancelling | Phase::Closing | Phase::Over => Some(Reply::status(481)),
            _ if !live => Some(Reply::status(481)),
            _ if !session.offers.take(now) => Some(late()),
            _ if !has_offer => None,
            // RFC 3311 5.2: its own offer, in the INVITE, has no answer yet.
            Phase::Ringing if !answered_early => Some(late()),
            Phase::Calling if session.offer == OfferIn::Response => Some(Reply::status(491)),
            Phase::Confirmed if open == Some(OpenState::Unanswered) => Some(late()),
            Phase::Confirmed if open.is_some() || pending || session.owed_ack.is_some() => {
                Some(Reply::status(491))
            }
            _ if open_update => Some(late()),
            _ => None,
        };
        if let Some(reply) = refusal {
            return self.reply_in_session(now, key, received, reply);
        }
        session.hear_allow(make::allow(&received.request));
        if let (Some(fork), Some(contact)) =
            (session.fork_mut(&tag), received.facts.contact.clone())
        {
            fork.dialog.target = contact;
        }
        session.granted = granted;
        self.look_up_hops(now, key);
        let Some(body) = make::take_body(&mut received.request) else {
            let headers = self.grant_timer(now, key);
            let reply = Reply { headers, ..Reply::status(200) };
            return self.reply_in_session(now, key, received, reply);
        };
        let Received { echo, reply, .. } = received;
        let id = self.open_server(now, Method::Update, reply, echo, Some(key), "");
        if let Some(session) = self.sessions.get_mut(&key) {
            session.update_in = Some(id);
        }
        self.emit(Event::Update { session: key, fork: tag, body });
    }

    /// The transaction of the peer's UPDATE whose offer the owner has not answered.
    pub(super) fn open_update(&self, key: Session) -> Option<u64> {
        let id = self.sessions.get(&key)?.update_in?;
        self.is_open_request(id).then_some(id)
    }

    pub(super) fn answer_update(
        &mut self,
        now: Instant,
        key: Session,
        body: Body,
    ) -> Result<(), Error> {
        let id = self.open_update(key).ok_or(Error::WrongState(key))?;
        let headers = self.grant_timer(now, key);
        let body = Some(body);
        if let Some(session) = self.sessions.get_mut(&key) {
            session.update_in = None;
            session.describe(body.clone());
        }
        self.respond(now, id, Reply { headers, body, ..Reply::status(200) });
        Ok(())
    }

    pub(super) fn reject_update(
        &mut self,
        now: Instant,
        key: Session,
        status: u16,
        headers: Vec<ExtraHeader>,
    ) -> Result<(), Error> {
        let id = self.open_update(key).ok_or(Error::WrongState(key))?;
        if let Some(session) = self.sessions.get_mut(&key) {
            session.update_in = None;
        }
        self.respond(now, id, Reply { headers, ..Reply::status(status) });
        Ok(())
    }

    pub(super) fn update(&mut self, now: Instant, key: Session, body: Body) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        if session.is_hung_up() || session.main_fork().is_none() {
            return Err(Error::WrongState(key));
        }
        let early = session.phase != Phase::Confirmed;
        let busy = session.update_out != UpdateOut::No
            || self.open_update(key).is_some()
            || (!early && self.offer_open(key));
        if busy {
            let answer = Arrived::pending().answer();
            self.emit(Event::UpdateDone { session: key, answer });
            self.wait_for_glare(now, key);
            return Ok(());
        }
        self.send_update(now, key, Some(body))
    }

    /// Sends UPDATE, with an offer or only as a refresh.
    pub(super) fn send_update(
        &mut self,
        now: Instant,
        key: Session,
        body: Option<Body>,
    ) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        session.update_out = if body.is_some() { UpdateOut::Offered } else { UpdateOut::Refreshes };
        let tag = session.main_fork().map(|fork| fork.dialog.remote_tag.clone());
        let sending = tag.and_then(|tag| self.within(key, &tag, Method::Update));
        let mut sending = sending.ok_or(Error::WrongState(key))?;
        sending.draft.contact = WithContact::Yes;
        sending.draft.extra = self.timer_headers(key);
        sending.draft.body = body;
        sending.user = User::Update(key);
        self.start(now, sending);
        Ok(())
    }

    /// The final response to our UPDATE, or none.
    pub(super) fn update_done(
        &mut self,
        now: Instant,
        key: Session,
        offered: Option<Body>,
        answer: Arrived,
    ) {
        if answer.status < 200 {
            return;
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let kind = std::mem::replace(&mut session.update_out, UpdateOut::No);
        if session.is_hung_up() {
            return;
        }
        if answer.status < 300 {
            session.describe(offered);
            let contact = answer.facts.as_ref().and_then(|facts| facts.contact.clone());
            if let (Some(fork), Some(contact)) = (session.fork_mut(answer.fork()), contact) {
                fork.dialog.target = contact;
            }
            self.look_up_hops(now, key);
            self.timer_of_response(now, key, &answer.response);
        } else if matches!(answer.status, 405 | 501) {
            session.takes_update = false;
        }
        let (lost, status) = (super::within::ends_dialog(&answer), answer.status);
        let confirmed =
            self.sessions.get(&key).is_some_and(|session| session.phase == Phase::Confirmed);
        if kind == UpdateOut::Offered {
            self.emit(Event::UpdateDone { session: key, answer: answer.answer() });
        }
        match status {
            200..=299 => {}
            _ if lost && confirmed => self.lost(now, key),
            491 if kind == UpdateOut::Offered => self.wait_for_glare(now, key),
            // The refresh goes on as a re-INVITE.
            405 | 501 if kind == UpdateOut::Refreshes => self.refresh(now, key),
            _ if kind == UpdateOut::Refreshes => self.refresh_failed(now, key),
            _ => {}
        }
    }

    /// The session ends: requests of the peer that the owner has not answered get their refusal.
    pub(super) fn refuse_open_requests(&mut self, now: Instant, key: Session) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.stop_deadline(Deadline::Reoffer);
        let open =
            [session.update_in.take(), session.refer_in.take().and_then(|own| own.transaction)];
        for id in open.into_iter().flatten() {
            self.respond(now, id, Reply::status(481));
        }
        if let Ok(id) = self.unanswered(key) {
            self.respond(now, id, Reply::status(487));
        }
    }
}
