//! INVITEs that we send: forks, the answer, CANCEL and its races, hanging up.
//!
//! ```text
//! Calling    -> 18x -> Calling(early fork)      Calling    -> 2xx -> Confirmed(ack)
//! Calling    -> hang up -> Cancelling           Cancelling -> 2xx -> Over(ack, bye)
//! Calling    -> 300-699 -> Over                 Cancelling -> 300-699 -> Over
//! Confirmed, Over -> 2xx of another fork -> same (ack, bye for it)
//! Confirmed, Over -> 2xx again -> same (ack again)
//! ```

use std::time::Instant;

use super::client::{Identity, Sending, Unsent, User};
use super::session::{Cancel, Deadline, Fork, ForkState, OpenState, OwedAck, Phase, SessionState};
use super::{Endpoint, Error, SUPPORTED, reliable};
use crate::sip::Method;
use crate::sip::command::{Body, Credentials, ExtraHeader, Invite, Session};
use crate::sip::dialog::Dialog;
use crate::sip::event::{End, Event, OfferIn, Origin};
use crate::sip::header::{Reason, ReferredBy, Replaces, TypedHeader};
use crate::sip::make::{self, Arrived, Draft, WithContact};

impl Endpoint {
    pub(super) fn invite(&mut self, now: Instant, mut invite: Invite) -> Result<(), Error> {
        let key = invite.session;
        if self.sessions.contains_key(&key) {
            return Err(Error::WrongState(key));
        }
        let path = self
            .path_to(&invite.destination)
            .ok_or(Error::NoListener(invite.destination.address))?;
        if self.live_sessions() >= self.config.max_sessions || self.is_full() {
            let answer = Arrived::made_here(Origin::Local).answer();
            let origin = Origin::Local;
            self.emit(Event::Rejected { session: key, answer, origin });
            return Ok(());
        }
        let tag = self.random.token();
        let call_id = invite.call_id.take().unwrap_or_else(|| self.random.call_id());
        let local = invite.from.with_tag(&tag).to_string();
        let phase = Phase::Calling;
        let destination = invite.destination;
        let mut session =
            SessionState::new(phase, &call_id, local.clone(), &tag, path, destination);
        session.digest = invite.credentials.map(Credentials::client);
        session.offer = if invite.body.is_some() { OfferIn::Invite } else { OfferIn::Response };
        session.invite_cseq = self.random.cseq();
        session.first_target = Some(invite.target.clone());
        session.alternatives = invite.alternatives.into();
        let mut draft = Draft {
            method: Method::Invite,
            uri: invite.target,
            routes: Vec::new(),
            from: local,
            to: invite.to.to_string(),
            call_id: call_id.clone(),
            cseq: session.invite_cseq,
            max_forwards: invite.max_forwards,
            contact: WithContact::Yes,
            asserted_identity: invite.asserted_identity,
            extra: invite.headers,
            authorization: Vec::new(),
            body: invite.body,
            asked_longer: false,
        };
        let supported = match draft.body {
            Some(_) => format!("{}, {SUPPORTED}", reliable::TAG),
            None => SUPPORTED.to_owned(),
        };
        draft.extra.push(ExtraHeader::own("Supported", &supported));
        draft.extra.extend(self.first_timer_headers());
        if let Some(replaces) = &invite.replaces {
            draft.extra.push(ExtraHeader::own(Replaces::NAME, &replaces.to_string()));
            draft.extra.push(ExtraHeader::own("Require", "replaces"));
        }
        if let Some(by) = &invite.referred_by {
            draft.extra.push(ExtraHeader::own(ReferredBy::NAME, &by.to_string()));
        }
        self.dialogs.insert((call_id, tag), key);
        self.sessions.insert(key, Box::new(session));
        self.start(
            now,
            Sending {
                draft,
                path,
                long_requests: destination.long_requests,
                user: User::Invite(key),
                challenges: 0,
                identity: Identity::OfSession,
                fork: String::new(),
            },
        );
        self.listen_for_a_word(now, key);
        Ok(())
    }

    pub(super) fn invite_response(&mut self, now: Instant, key: Session, id: u64, answer: Arrived) {
        match answer.status {
            100..=199 => self.invite_progress(now, key, id, answer),
            200..=299 => self.invite_answered(now, key, answer),
            _ => match self.clients.get(&id).map(|transaction| Unsent::of(transaction)) {
                Some(unsent) => self.invite_unanswered(now, key, unsent, answer),
                None => self.invite_failed(key, answer),
            },
        }
    }

    fn invite_progress(&mut self, now: Instant, key: Session, id: u64, answer: Arrived) {
        let quiet = now + self.config.timing.c;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let calling = session.phase == Phase::Calling;
        session.stop_deadline(Deadline::NoWord);
        if calling {
            session.set_deadline(Deadline::Quiet, quiet);
        }
        if answer.status > 100 {
            session.learn_fork(&answer, ForkState::Early);
            session.hear_allow(make::allow(&answer.response));
        }
        let waiting = match std::mem::replace(&mut session.cancel, Cancel::No) {
            Cancel::Waiting(reasons) => Some(reasons),
            other => {
                session.cancel = other;
                None
            }
        };
        self.look_up_hops(now, key);
        self.schedule_session(key);
        let taken = answer.status > 100 && self.take_provisional(now, key, &answer);
        if let Some(reasons) = waiting {
            self.send_cancel(now, key, id, reasons);
        } else if calling && taken {
            self.emit(Event::Provisional { session: key, answer: answer.answer() });
        }
    }

    fn invite_answered(&mut self, now: Instant, key: Session, answer: Arrived) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let cseq = session.invite_cseq;
        let tag = answer.fork().to_owned();
        if session.fork(&tag).is_some_and(|fork| fork.state != ForkState::Early) {
            let again = session.fork(&tag).and_then(|fork| fork.ack(cseq));
            if let Some((path, bytes)) = again {
                self.transmit(path, bytes);
            }
            return;
        }
        let wanted = session.phase == Phase::Calling;
        let state = if wanted { ForkState::Confirmed } else { ForkState::Dropped };
        if !session.learn_fork(&answer, state) {
            return;
        }
        let offer = session.offer;
        let cancelling = session.phase == Phase::Cancelling;
        let invite = session.outgoing.and_then(|id| self.clients.get(&id));
        let offered = invite.and_then(|invite| invite.draft.body.clone());
        if wanted {
            session.phase = Phase::Confirmed;
            session.stop_all_deadlines();
            session.forks.retain(|fork| fork.state != ForkState::Early);
            session.hear_allow(make::allow(&answer.response));
            if let Some(body) = offered {
                session.describe(Some(body));
            }
            if offer == OfferIn::Response {
                session.owed_ack = Some(OwedAck { fork: tag.clone(), cseq });
            }
        }
        self.look_up_hops(now, key);
        if wanted {
            self.timer_of_response(now, key, &answer.response);
        }
        self.schedule_session(key);
        if !wanted || offer == OfferIn::Invite {
            self.send_ack(key, &tag, cseq, None);
        }
        if wanted {
            let answer = answer.answer();
            self.emit(Event::Answered { session: key, answer, offer });
        } else {
            self.send_bye(now, key, &tag, Vec::new());
        }
        if cancelling {
            self.emit(Event::Ended { session: key, end: End::ByUs, reasons: Vec::new() });
            self.finish(key);
        }
    }

    /// The INVITE failed at one destination: the next one gets it where the failure is not the callee's
    /// word, else its owner is told.
    pub(super) fn invite_unanswered(
        &mut self,
        now: Instant,
        key: Session,
        unsent: Unsent,
        answer: Arrived,
    ) {
        // Silence, no connection, or overload (RFC 3263 4.3); those that we make are 408 and 503.
        let next = answer.origin != Origin::Peer || answer.status == 503;
        if !next || !self.try_next_destination(now, key, unsent) {
            self.invite_failed(key, answer);
        }
    }

    /// Sends the same INVITE, with another branch, to the next destination that can be sent to.
    fn try_next_destination(&mut self, now: Instant, key: Session, unsent: Unsent) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else { return false };
        if session.phase != Phase::Calling {
            return false;
        }
        let failed = session.destination;
        let mut alternatives = std::mem::take(&mut session.alternatives);
        let next = std::iter::from_fn(|| alternatives.pop_front())
            .find_map(|destination| Some((destination, self.path_to(&destination)?)));
        let Some(session) = self.sessions.get_mut(&key) else { return false };
        session.alternatives = alternatives;
        let Some((destination, path)) = next else { return false };
        session.tried.push(session.path.remote.ip());
        session.destination = destination;
        session.path = path;
        session.stop_all_deadlines();
        session.restart_invite(unsent.draft.cseq);
        self.emit(Event::NextDestination { session: key, failed });
        self.start(
            now,
            Sending {
                draft: unsent.draft,
                path,
                long_requests: destination.long_requests,
                user: User::Invite(key),
                challenges: unsent.challenges,
                identity: Identity::OfSession,
                fork: String::new(),
            },
        );
        self.listen_for_a_word(now, key);
        true
    }

    /// While another destination is left, this one has only so long to say anything at all.
    fn listen_for_a_word(&mut self, now: Instant, key: Session) {
        let due = now + self.config.timing.next_destination;
        if let Some(session) = self.sessions.get_mut(&key).filter(|s| !s.alternatives.is_empty()) {
            session.set_deadline(Deadline::NoWord, due);
        }
        self.schedule_session(key);
    }

    /// Nothing came from this destination.
    pub(super) fn no_word(&mut self, now: Instant, key: Session) {
        if let Some(id) = self.sessions.get(&key).and_then(|session| session.outgoing) {
            self.give_up_client(now, id, Origin::Timeout);
        }
    }

    /// A 2xx to an INVITE whose transaction is gone: its destination had been given up. The call goes
    /// on elsewhere, so this one is acknowledged and ended.
    pub(super) fn late_answer(&mut self, now: Instant, key: Session, answer: Arrived) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let cseq = answer.facts.as_ref().map_or(0, |facts| facts.cseq);
        let tag = answer.fork().to_owned();
        if session.fork(&tag).is_some() {
            let again = session.fork(&tag).and_then(|fork| fork.ack(cseq));
            if let Some((path, bytes)) = again {
                self.transmit(path, bytes);
            }
        } else if cseq == session.invite_cseq && session.learn_fork(&answer, ForkState::Dropped) {
            self.send_ack(key, &tag, cseq, None);
            self.send_bye(now, key, &tag, Vec::new());
        }
    }

    /// The INVITE has its final refusal, or none came.
    pub(super) fn invite_failed(&mut self, key: Session, answer: Arrived) {
        let Some(session) = self.sessions.get(&key) else { return };
        if matches!(session.phase, Phase::Calling | Phase::Cancelling) {
            let origin = answer.origin;
            self.emit(Event::Rejected { session: key, answer: answer.answer(), origin });
            self.finish(key);
        }
    }

    /// Timer C: no response for long. The owner is told; the INVITE is cancelled.
    pub(super) fn quiet(&mut self, now: Instant, key: Session) {
        let Some(session) = self.sessions.get(&key) else { return };
        let outgoing = session.outgoing;
        if session.phase == Phase::Calling {
            self.invite_failed(key, Arrived::made_here(Origin::Timeout));
            if let Some(id) = outgoing {
                self.send_cancel(now, key, id, Vec::new());
            }
        } else if let Some(id) = outgoing {
            self.give_up_client(now, id, Origin::Timeout);
        }
    }

    /// 64*T1 after CANCEL: the INVITE is taken as cancelled (RFC 3261 9.1).
    pub(super) fn cancel_unheard(&mut self, now: Instant, key: Session) {
        if let Some(id) = self.sessions.get(&key).and_then(|session| session.outgoing)
            && self.is_unanswered_invite(id)
        {
            self.give_up_client(now, id, Origin::Timeout);
        }
    }

    fn send_cancel(&mut self, now: Instant, key: Session, id: u64, reasons: Vec<ExtraHeader>) {
        if !self.may_cancel(id) {
            return;
        }
        let unheard = now + self.config.timing.give_up();
        if let Some(session) = self.sessions.get_mut(&key) {
            session.cancel = Cancel::Sent;
            session.set_deadline(Deadline::CancelUnheard, unheard);
        }
        self.schedule_session(key);
        self.start_cancel(now, id, reasons);
    }

    pub(super) fn hang_up(
        &mut self,
        now: Instant,
        key: Session,
        reasons: Vec<Reason>,
    ) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        let reasons: Vec<ExtraHeader> = reasons.iter().filter_map(ExtraHeader::of).collect();
        match session.phase {
            Phase::Calling => {
                session.phase = Phase::Cancelling;
                session.stop_deadline(Deadline::Quiet);
                session.stop_deadline(Deadline::NoWord);
                session.cancel = Cancel::Waiting(reasons.clone());
                if let Some(id) = session.outgoing {
                    self.send_cancel(now, key, id, reasons);
                }
                self.schedule_session(key);
                Ok(())
            }
            Phase::Cancelling => Ok(()),
            Phase::Ringing => self.reject(now, key, (480, None), reasons),
            Phase::Confirmed => {
                self.hang_up_answered(now, key, reasons);
                Ok(())
            }
            Phase::Closing | Phase::Over => Err(Error::NoSession(key)),
        }
    }

    fn hang_up_answered(&mut self, now: Instant, key: Session, reasons: Vec<ExtraHeader>) {
        self.refuse_open_requests(now, key);
        let owed = self.sessions.get_mut(&key).and_then(|session| session.owed_ack.take());
        if let Some(OwedAck { fork, cseq }) = owed {
            self.send_ack(key, &fork, cseq, None);
        }
        self.emit(Event::Ended { session: key, end: End::ByUs, reasons: Vec::new() });
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let unacknowledged =
            session.incoming.as_ref().is_some_and(|open| open.state == OpenState::Unacknowledged);
        if unacknowledged {
            session.phase = Phase::Closing;
            session.closing_reasons = reasons;
            return;
        }
        let tag = session.main_fork().map(|fork| fork.dialog.remote_tag.clone());
        if let Some(tag) = tag {
            self.send_bye(now, key, &tag, reasons);
        }
        self.finish(key);
    }

    /// The owner's answer to an offer that came in a 2xx.
    pub(super) fn acknowledge(&mut self, key: Session, body: Option<Body>) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        let owed = session.owed_ack.take().ok_or(Error::WrongState(key))?;
        self.send_ack(key, &owed.fork, owed.cseq, body);
        Ok(())
    }
}

impl SessionState {
    /// Makes or refreshes the dialog that a response to our first INVITE belongs to. `false` where the
    /// response makes none: no To tag in a provisional one, or no Contact in a first one.
    fn learn_fork(&mut self, answer: &Arrived, state: ForkState) -> bool {
        let Some(facts) = &answer.facts else { return false };
        let early = state == ForkState::Early;
        if early && facts.to.tag.is_empty() {
            return false;
        }
        let mut routes = facts.record_routes.clone();
        routes.reverse();
        if let Some(fork) = self.fork_mut(&facts.to.tag) {
            if let Some(contact) = facts.contact.clone() {
                fork.dialog.target = contact;
            }
            if !early {
                fork.dialog.set_routes(routes);
                fork.state = state;
            }
            return true;
        }
        if self.forks.len() >= MOST_FORKS {
            return false;
        }
        let Some(contact) = facts.contact.clone().or_else(|| self.first_target.clone()) else {
            return false;
        };
        let mut dialog = Dialog::new(&self.call_id, &self.local, &facts.to, contact, routes);
        dialog.local_cseq = self.invite_cseq;
        self.forks.push(Fork::new(dialog, state));
        true
    }
}

/// More forks of one call than any proxy makes.
const MOST_FORKS: usize = 32;
