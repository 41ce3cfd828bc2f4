//! Re-INVITE in both directions (RFC 3261 14) and the retry after glare.
//!
//! ```text
//! reinvite -> 2xx -> ReinviteDone          reinvite -> 491 -> ReinviteDone(491) .. Reoffer
//! reinvite -> 408, 481 -> ReinviteDone, Ended(Lost)
//! while another offer is open:  reinvite -> ReinviteDone(491, made here) .. Reoffer
//!                               re-INVITE of the peer -> 491, or 500 where its own one is open
//! ```

use std::time::Instant;

use super::client::User;
use super::receive::Received;
use super::session::{Deadline, ForkState, OpenState, OwedAck, Phase};
use super::within::ends_dialog;
use super::{Endpoint, Error};
use crate::sip::Method;
use crate::sip::command::{Body, Session};
use crate::sip::event::{Event, OfferIn, Origin};
use crate::sip::make::{self, Arrived, Reply, WithContact};

impl Endpoint {
    pub(super) fn receive_reinvite(&mut self, now: Instant, key: Session, mut received: Received) {
        let pending = self.offer_pending(key);
        let open_update = self.open_update(key).is_some();
        let retry = self.random.retry_reinvite().as_secs().to_string();
        let late = || Reply::with(500, "Retry-After", &retry);
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let tag = received.facts.from.tag.clone();
        let confirmed = session.phase == Phase::Confirmed
            && session.fork(&tag).is_some_and(|fork| fork.state == ForkState::Confirmed);
        let refusal = match session.incoming.as_ref().map(|open| open.state) {
            _ if !confirmed => Some(Reply::status(481)),
            // RFC 3261 14.2, RFC 3311 5.2.
            Some(OpenState::Unanswered) => Some(late()),
            Some(OpenState::Unacknowledged) => Some(Reply::status(491)),
            None if open_update => Some(late()),
            None if pending || session.owed_ack.is_some() => Some(Reply::status(491)),
            None if !session.offers.take(now) => Some(late()),
            None => None,
        };
        if let Some(reply) = refusal {
            return self.reply_in_session(now, key, received, reply);
        }
        let granted = match self.timer_of_request(key, &received.request) {
            Ok(granted) => granted,
            Err(reply) => return self.reply_in_session(now, key, received, reply),
        };
        if let Some(session) = self.sessions.get_mut(&key) {
            session.granted = granted;
            session.hear_allow(make::allow(&received.request));
            if let (Some(fork), Some(contact)) =
                (session.fork_mut(&tag), received.facts.contact.clone())
            {
                fork.dialog.target = contact;
            }
        }
        let cseq = received.facts.cseq;
        let body = make::take_body(&mut received.request);
        let Received { echo, reply, .. } = received;
        let transaction = self.open_server(now, Method::Invite, reply, echo, Some(key), "");
        let open = self.open_invite(transaction, cseq);
        let give_up = now + self.config.timing.give_up();
        if let Some(session) = self.sessions.get_mut(&key) {
            session.incoming = Some(open);
            session.set_deadline(Deadline::NotAnswered, give_up);
        }
        self.look_up_hops(now, key);
        self.schedule_session(key);
        self.emit(Event::Reinvite { session: key, body });
    }

    /// Whether an offer of ours in the confirmed dialog waits for its answer.
    pub(super) fn offer_pending(&self, key: Session) -> bool {
        let Some(session) = self.sessions.get(&key) else { return false };
        session.outgoing.is_some_and(|id| self.is_unanswered_invite(id))
            || session.update_out == super::update::UpdateOut::Offered
    }

    /// Whether an offer of either side is open, so that another one has to wait.
    pub(super) fn offer_open(&self, key: Session) -> bool {
        self.offer_pending(key)
            || self.open_update(key).is_some()
            || self
                .sessions
                .get(&key)
                .is_some_and(|session| session.incoming.is_some() || session.owed_ack.is_some())
    }

    pub(super) fn reinvite(
        &mut self,
        now: Instant,
        key: Session,
        body: Option<Body>,
    ) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        if session.phase != Phase::Confirmed {
            return Err(Error::WrongState(key));
        }
        if self.offer_open(key) {
            let answer = Arrived::pending().answer();
            let (origin, offer) = (Origin::Local, OfferIn::Invite);
            self.emit(Event::ReinviteDone { session: key, answer, origin, offer });
            self.wait_for_glare(now, key);
            return Ok(());
        }
        self.send_reinvite(now, key, body)
    }

    pub(super) fn send_reinvite(
        &mut self,
        now: Instant,
        key: Session,
        body: Option<Body>,
    ) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        session.stop_deadline(Deadline::Reoffer);
        session.offer = if body.is_some() { OfferIn::Invite } else { OfferIn::Response };
        let tag = session.main_fork().map(|fork| fork.dialog.remote_tag.clone());
        let sending = tag.and_then(|tag| self.within(key, &tag, Method::Invite));
        let mut sending = sending.ok_or(Error::WrongState(key))?;
        sending.draft.contact = WithContact::Yes;
        sending.draft.extra = self.timer_headers(key);
        sending.draft.body = body;
        sending.user = User::Reinvite(key);
        self.start(now, sending);
        self.schedule_session(key);
        Ok(())
    }

    pub(super) fn reinvite_response(
        &mut self,
        now: Instant,
        key: Session,
        id: u64,
        answer: Arrived,
    ) {
        let quiet = now + self.config.timing.c;
        let Some(transaction) = self.clients.get(&id) else { return };
        let (cseq, tag) = (transaction.draft.cseq, transaction.fork.clone());
        let offered = transaction.draft.body.clone();
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if answer.status < 200 {
            session.set_deadline(Deadline::Quiet, quiet);
            return self.schedule_session(key);
        }
        session.stop_deadline(Deadline::Quiet);
        if answer.status >= 300 {
            self.schedule_session(key);
            return self.reinvite_failed(now, key, answer);
        }
        let over = session.phase != Phase::Confirmed;
        let offer = session.offer;
        let owed = Some(OwedAck { fork: tag.clone(), cseq });
        let waits = session.owed_ack == owed;
        let Some(fork) = session.fork_mut(&tag) else { return };
        if let Some((path, bytes)) = fork.ack(cseq) {
            return self.transmit(path, bytes);
        }
        if waits {
            return;
        }
        if let Some(contact) = answer.facts.as_ref().and_then(|facts| facts.contact.clone()) {
            fork.dialog.target = contact;
        }
        if !over && offer == OfferIn::Response {
            session.owed_ack = owed;
        }
        session.describe(offered);
        session.hear_allow(make::allow(&answer.response));
        self.look_up_hops(now, key);
        self.timer_of_response(now, key, &answer.response);
        self.schedule_session(key);
        if over || offer == OfferIn::Invite {
            self.send_ack(key, &tag, cseq, None);
        }
        if !over {
            let (answer, origin) = (answer.answer(), Origin::Peer);
            self.emit(Event::ReinviteDone { session: key, answer, origin, offer });
        }
    }

    pub(super) fn reinvite_failed(&mut self, now: Instant, key: Session, answer: Arrived) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.stop_deadline(Deadline::Quiet);
        let offer = session.offer;
        if session.phase != Phase::Confirmed {
            return;
        }
        self.schedule_session(key);
        let lost = ends_dialog(&answer);
        let glare = answer.status == 491;
        let origin = answer.origin;
        self.emit(Event::ReinviteDone { session: key, answer: answer.answer(), origin, offer });
        if lost {
            self.lost(now, key);
        } else if glare {
            self.wait_for_glare(now, key);
        } else {
            self.refresh_failed(now, key);
        }
    }

    /// RFC 3261 14.1: both sides wait for different times, so that one is first.
    pub(super) fn wait_for_glare(&mut self, now: Instant, key: Session) {
        let made = self.sessions.get(&key).is_some_and(|session| session.first_target.is_some());
        let due = now + self.random.glare(made);
        if let Some(session) = self.sessions.get_mut(&key) {
            session.set_deadline(Deadline::Reoffer, due);
        }
        self.schedule_session(key);
    }

    /// The time after a 491 has passed: the owner says whether it still wants to offer. A refresh
    /// that met the glare is due anyway.
    pub(super) fn reoffer(&mut self, now: Instant, key: Session) {
        if self.offer_open(key) {
            return self.wait_for_glare(now, key);
        }
        self.emit(Event::Reoffer { session: key });
    }
}
