//! INVITEs that peers send: ringing, answering, refusing, CANCEL, and the 2xx until its ACK.

use std::net::IpAddr;
use std::time::Instant;

use super::receive::Received;
use super::reliable::{self, Reliable};
use super::session::{Deadline, Fork, ForkState, OpenInvite, OpenState, Phase, SessionState};
use super::{Endpoint, Error};
use crate::sip::command::{Body, Destination, ExtraHeader, LongRequests, Session};
use crate::sip::dialog::Dialog;
use crate::sip::event::{End, Event};
use crate::sip::header::{Reason, Replaces, TypedHeader};
use crate::sip::make::{self, Facts, Reply};
use crate::sip::transaction::Backoff;
use crate::sip::{MessageExt, Method, Request};

impl Endpoint {
    /// An INVITE that starts a session; source, limits and extensions have been checked.
    pub(super) fn receive_invite(
        &mut self,
        now: Instant,
        received: Received,
        user: Option<String>,
    ) {
        let Received { request, facts, echo, source, reply } = received;
        if self.is_merged(&facts) {
            let received = Received { request, facts, echo, source, reply };
            return self.reply_stateless(received, Reply::status(482));
        }
        let Some(contact) = facts.contact.clone() else {
            let received = Received { request, facts, echo, source, reply };
            return self.reply_stateless(received, Reply::status(400));
        };
        let granted = match self.timer_of_request(Session(0), &request) {
            Ok(granted) => granted,
            Err(answer) => {
                let received = Received { request, facts, echo, source, reply };
                return self.reply_stateless(received, answer);
            }
        };
        let replaces = match self.replaced_by(&request, source.remote.ip()) {
            Ok(replaces) => replaces,
            Err(status) => {
                let received = Received { request, facts, echo, source, reply };
                return self.reply_stateless(received, Reply::status(status));
            }
        };
        let key = self.next_session();
        let required = request.list("Require").any(|own| own.eq_ignore_ascii_case(reliable::TAG));
        let reliable =
            required.then(|| Reliable::new(self.random.cseq(), make::offer_in(&request)));
        let tag = self.random.token();
        let local = format!("{};tag={tag}", facts.to.text);
        let Some(mut incoming) = make::incoming(request, source, key, replaces) else { return };
        incoming.user = user;
        let routes = facts.record_routes.clone();
        let mut dialog = Dialog::new(&facts.call_id, &local, &facts.from, contact, routes);
        dialog.remote_cseq = Some(facts.cseq);
        dialog.local_cseq = self.random.cseq();
        let destination = Destination {
            transport: source.transport,
            tls: source.tls,
            address: source.remote,
            long_requests: LongRequests::ByUdp,
        };
        let transaction = self.open_server(now, Method::Invite, reply, echo, Some(key), &tag);
        let phase = Phase::Ringing;
        let mut session =
            SessionState::new(phase, &facts.call_id, local, &tag, source, destination);
        session.reliable = reliable;
        session.invite_cseq = facts.cseq;
        self.callers.insert((facts.call_id.clone(), facts.from.tag.clone()), key);
        session.granted = granted;
        session.hear_allow(incoming.allow.clone());
        session.forks.push(Fork::new(dialog, ForkState::Early));
        session.incoming = Some(self.open_invite(transaction, facts.cseq));
        session.set_deadline(Deadline::NotAnswered, now + self.config.timing.answer);
        self.dialogs.insert((facts.call_id, tag), key);
        self.sessions.insert(key, Box::new(session));
        self.look_up_hops(now, key);
        self.schedule_session(key);
        self.emit(Event::Incoming(Box::new(incoming)));
    }

    /// Whether an INVITE has come before by another way: a proxy forked it, and both branches end here
    /// (RFC 3261 8.2.2.2).
    fn is_merged(&self, facts: &Facts) -> bool {
        let name = (facts.call_id.clone(), facts.from.tag.clone());
        let session = self.callers.get(&name).and_then(|key| self.sessions.get(key));
        session.is_some_and(|session| session.invite_cseq == facts.cseq)
    }

    /// The session that an INVITE wants to take the place of; the status of the refusal where there is
    /// no such one of this peer (RFC 3891 3).
    fn replaced_by(&self, request: &Request, source: IpAddr) -> Result<Option<Session>, u16> {
        let mut values = request.get_all(Replaces::NAME);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(400);
        }
        let replaces = Replaces::parse(value).map_err(|_| 400_u16)?;
        let key = self.session_of(&replaces).ok_or(481_u16)?;
        if self.is_source(key, source) { Ok(Some(key)) } else { Err(481) }
    }

    pub(super) fn open_invite(&self, transaction: u64, cseq: u32) -> OpenInvite {
        let timing = &self.config.timing;
        let backoff = Backoff::new(timing.t1, Some(timing.t2));
        OpenInvite { transaction, cseq, last: None, state: OpenState::Unanswered, backoff }
    }

    pub(super) fn progress(
        &mut self,
        now: Instant,
        key: Session,
        (status, phrase): (u16, Option<String>),
        headers: Vec<ExtraHeader>,
        body: Option<Body>,
    ) -> Result<(), Error> {
        let transaction = self.unanswered(key)?;
        let ringing = self.sessions.get(&key).is_some_and(|s| s.phase == Phase::Ringing);
        if !ringing || !(101..200).contains(&status) {
            return Err(Error::WrongState(key));
        }
        let reply = Reply { status, phrase, headers, body };
        if self.sessions.get(&key).is_some_and(|session| session.reliable.is_some()) {
            return self.progress_reliably(now, key, reply);
        }
        let sent = self.respond(now, transaction, reply);
        let repeat = now + self.config.timing.repeat_provisional;
        if let Some(session) = self.sessions.get_mut(&key) {
            if let Some(open) = &mut session.incoming {
                open.last = sent;
            }
            session.set_deadline(Deadline::RepeatProvisional, repeat);
        }
        self.schedule_session(key);
        Ok(())
    }

    pub(super) fn answer(
        &mut self,
        now: Instant,
        key: Session,
        headers: Vec<ExtraHeader>,
        body: Option<Body>,
    ) -> Result<(), Error> {
        let transaction = self.unanswered(key)?;
        let reply = Reply { status: 200, phrase: None, headers, body };
        let Some(mut reply) = self.ready_answer(key, reply) else { return Ok(()) };
        reply.headers.extend(self.grant_timer(now, key));
        if let Some(session) = self.sessions.get_mut(&key) {
            session.describe(reply.body.clone());
        }
        let Some(sent) = self.respond(now, transaction, reply) else {
            return Err(Error::WrongState(key));
        };
        let give_up = now + self.config.timing.give_up();
        if let Some(session) = self.sessions.get_mut(&key) {
            session.stop_deadline(Deadline::NotAnswered);
            session.stop_deadline(Deadline::RepeatProvisional);
            session.phase = Phase::Confirmed;
            if let Some(fork) = session.main_fork() {
                fork.state = ForkState::Confirmed;
            }
            if let Some(open) = &mut session.incoming {
                open.state = OpenState::Unacknowledged;
                open.last = Some(sent);
                let first = open.backoff.first(now);
                session.set_deadline(Deadline::RepeatFinal, first);
            }
            session.set_deadline(Deadline::NoAck, give_up);
        }
        self.schedule_session(key);
        Ok(())
    }

    pub(super) fn reject(
        &mut self,
        now: Instant,
        key: Session,
        (status, phrase): (u16, Option<String>),
        headers: Vec<ExtraHeader>,
    ) -> Result<(), Error> {
        let transaction = self.unanswered(key)?;
        if !(300..700).contains(&status) {
            return Err(Error::WrongState(key));
        }
        self.respond(now, transaction, Reply { status, phrase, headers, body: None });
        self.invite_closed(key, End::ByUs);
        Ok(())
    }

    /// The final refusal of the open INVITE has been sent: the session goes with its first one.
    pub(super) fn invite_closed(&mut self, key: Session, end: End) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.incoming = None;
        session.stop_deadline(Deadline::NotAnswered);
        if session.phase == Phase::Ringing {
            self.emit(Event::Ended { session: key, end, reasons: Vec::new() });
            self.finish(key);
        } else {
            self.schedule_session(key);
        }
    }

    /// CANCEL for an INVITE that we know (RFC 3261 9.2).
    pub(super) fn cancelled(&mut self, now: Instant, invite: u64, received: Received) {
        let reasons = make::reasons(&received.request);
        let Received { echo, reply, .. } = received;
        self.answer_request(now, Method::Cancel, reply, echo, Reply::status(200));
        if !self.is_open(invite) {
            return;
        }
        self.respond(now, invite, Reply::status(487));
        let Some(key) = self.servers.get(&invite).and_then(|own| own.session) else { return };
        self.withdrawn(key, reasons);
    }

    /// The peer takes its INVITE back.
    fn withdrawn(&mut self, key: Session, reasons: Vec<Reason>) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.incoming = None;
        session.stop_deadline(Deadline::NotAnswered);
        if session.phase == Phase::Ringing {
            self.emit(Event::Cancelled { session: key, reasons });
            self.finish(key);
        } else {
            self.schedule_session(key);
        }
    }

    /// BYE before the final response (RFC 3261 15.1.2): the INVITE gets 487.
    pub(super) fn bye_while_ringing(&mut self, now: Instant, key: Session, reasons: Vec<Reason>) {
        if let Ok(transaction) = self.unanswered(key) {
            self.respond(now, transaction, Reply::status(487));
        }
        self.withdrawn(key, reasons);
    }

    /// The ACK of our 2xx.
    pub(super) fn receive_ack(&mut self, now: Instant, key: Session, mut received: Received) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let awaited = |open: &OpenInvite| {
            open.state == OpenState::Unacknowledged && open.cseq == received.facts.cseq
        };
        if !session.incoming.as_ref().is_some_and(awaited) {
            return;
        }
        session.incoming = None;
        session.stop_deadline(Deadline::RepeatFinal);
        session.stop_deadline(Deadline::NoAck);
        if session.phase == Phase::Closing {
            return self.close_now(now, key);
        }
        self.schedule_session(key);
        let body = make::take_body(&mut received.request);
        self.emit(Event::Acked { session: key, body });
    }

    /// The BYE that waited for the ACK (RFC 3261 15) goes out.
    fn close_now(&mut self, now: Instant, key: Session) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let reasons = std::mem::take(&mut session.closing_reasons);
        let tag = session.main_fork().map(|fork| fork.dialog.remote_tag.clone());
        if let Some(tag) = tag {
            self.send_bye(now, key, &tag, reasons);
        }
        self.finish(key);
    }

    pub(super) fn session_timeout(&mut self, now: Instant, key: Session) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return self.schedule.set(super::Owner::Session(key), None);
        };
        let Some((deadline, due)) = session.expire(now) else {
            return self.schedule_session(key);
        };
        match deadline {
            Deadline::RepeatFinal | Deadline::RepeatProvisional => {
                self.repeat(now, key, deadline, due)
            }
            Deadline::NoAck => self.no_ack(now, key),
            Deadline::NotAnswered => {
                if let Ok(transaction) = self.unanswered(key) {
                    self.respond(now, transaction, Reply::status(480));
                }
                self.invite_closed(key, End::NotAnswered);
            }
            Deadline::Quiet => self.quiet(now, key),
            Deadline::NoWord => self.no_word(now, key),
            Deadline::RepeatReliable => self.repeat_reliable(now, key, due),
            Deadline::NoPrack => self.no_prack(now, key),
            Deadline::CancelUnheard => self.cancel_unheard(now, key),
            Deadline::Refresh => self.refresh(now, key),
            Deadline::Expired => self.expired(now, key),
            Deadline::Reoffer => self.reoffer(now, key),
            Deadline::ReferOver => self.refer_unanswered(now, key),
            Deadline::ReferSilent => self.refer_silent(key),
        }
        self.schedule_session(key);
    }

    fn repeat(&mut self, now: Instant, key: Session, deadline: Deadline, due: Instant) {
        let provisional = now + self.config.timing.repeat_provisional;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(open) = &mut session.incoming else { return };
        let next = match deadline {
            Deadline::RepeatFinal => open.backoff.after(due, now),
            _ => provisional,
        };
        let last = open.last.clone();
        session.set_deadline(deadline, next);
        if let Some((path, bytes)) = last {
            self.transmit(path, bytes);
        }
    }

    fn no_ack(&mut self, now: Instant, key: Session) {
        let closing = self.sessions.get(&key).is_some_and(|s| s.phase == Phase::Closing);
        if !closing {
            self.emit(Event::Ended { session: key, end: End::NoAck, reasons: Vec::new() });
        }
        self.close_now(now, key);
    }

    /// The server transaction of the INVITE that the owner owes a final response.
    pub(super) fn unanswered(&self, key: Session) -> Result<u64, Error> {
        let session = self.sessions.get(&key).ok_or(Error::NoSession(key))?;
        match &session.incoming {
            Some(open) if open.state == OpenState::Unanswered => Ok(open.transaction),
            _ => Err(Error::WrongState(key)),
        }
    }
}
