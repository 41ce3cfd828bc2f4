//! Requests within a session's dialogs, both ways: BYE, INFO, the ACK of our 2xx; and OPTIONS.

use std::time::Instant;

use super::client::{Identity, Sending, User};
use super::receive::Received;
use super::session::{ForkState, Phase};
use super::{Endpoint, Error};
use crate::sip::codec::check;
use crate::sip::command::{
    Body, ExtraHeader, LongRequests, MAX_FORWARDS, Options, RequestKey, Session,
};
use crate::sip::dialog::Sequence;
use crate::sip::event::{End, Event};
use crate::sip::make::{self, Arrived, Draft, Reply, WithContact};
use crate::sip::{Method, NameAddr};

impl Endpoint {
    /// A request whose Call-ID, To tag and source are those of this session.
    pub(super) fn receive_in_session(&mut self, now: Instant, key: Session, received: Received) {
        let method = received.request.method();
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let cseq = received.facts.cseq;
        let Some(fork) = session.fork_mut(&received.facts.from.tag) else {
            return self.no_such_dialog(received);
        };
        if method == Method::Ack {
            return self.receive_ack(now, key, received);
        }
        if let Err(refusal) = check(&received.request, &Endpoint::policy()) {
            return self.refuse(received.source, &refusal);
        }
        // RFC 3261 12.2.2: an old number is out of order.
        if fork.dialog.check_cseq(method, cseq) == Sequence::Stale {
            return self.reply_stateless(received, Reply::status(500));
        }
        match method {
            Method::Bye => self.receive_bye(now, key, received),
            Method::Invite => self.receive_reinvite(now, key, received),
            Method::Info => self.receive_info(now, key, received),
            Method::PRack => self.receive_prack(now, key, received),
            Method::Update => self.receive_update(now, key, received),
            Method::Refer => self.receive_refer(now, key, received),
            Method::Notify => self.receive_notify(now, key, received),
            _ => self.reply_in_session(now, key, received, Reply::status(200)),
        }
    }

    pub(super) fn reply_in_session(
        &mut self,
        now: Instant,
        key: Session,
        received: Received,
        reply: Reply,
    ) {
        let method = received.request.method();
        let Received { echo, reply: path, .. } = received;
        let id = self.open_server(now, method, path, echo, Some(key), "");
        self.respond(now, id, reply);
    }

    fn receive_bye(&mut self, now: Instant, key: Session, received: Received) {
        let reasons = make::reasons(&received.request);
        let tag = received.facts.from.tag.clone();
        self.reply_in_session(now, key, received, Reply::status(200));
        let Some(session) = self.sessions.get(&key) else { return };
        match session.phase {
            Phase::Ringing => self.bye_while_ringing(now, key, reasons),
            Phase::Confirmed => {
                let main = session.fork(&tag).is_some_and(|f| f.state == ForkState::Confirmed);
                if !main {
                    return;
                }
                self.refuse_open_requests(now, key);
                self.emit(Event::Ended { session: key, end: End::ByPeer, reasons });
                self.finish(key);
            }
            Phase::Closing => self.finish(key),
            Phase::Calling | Phase::Cancelling | Phase::Over => {}
        }
    }

    fn receive_info(&mut self, now: Instant, key: Session, mut received: Received) {
        let body = make::take_body(&mut received.request);
        let known = |body: &Body| {
            let name = body.content_type.split(';').next().unwrap_or_default().trim();
            self.config.info_types.iter().any(|own| own.eq_ignore_ascii_case(name))
        };
        let reply = match &body {
            Some(body) if !known(body) => {
                Reply::with(415, "Accept", &self.config.info_types.join(", "))
            }
            _ => Reply::status(200),
        };
        let taken = reply.status == 200;
        self.reply_in_session(now, key, received, reply);
        let live = self.sessions.get(&key).is_some_and(|session| !session.is_hung_up());
        if let (Some(body), true, true) = (body, taken, live) {
            self.emit(Event::Info { session: key, body });
        }
    }

    pub(super) fn info(
        &mut self,
        now: Instant,
        key: Session,
        request: RequestKey,
        body: Body,
    ) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        if session.is_hung_up() {
            return Err(Error::NoSession(key));
        }
        let tag = session.main_fork().map(|fork| fork.dialog.remote_tag.clone());
        let sending = tag.and_then(|tag| self.within(key, &tag, Method::Info));
        let mut sending = sending.ok_or(Error::WrongState(key))?;
        sending.draft.body = Some(body);
        sending.user = User::Info(key, request);
        self.start(now, sending);
        Ok(())
    }

    pub(super) fn options(&mut self, now: Instant, options: Options) -> Result<(), Error> {
        let Options { request, target, destination, from, credentials } = options;
        let path = self.path_to(&destination).ok_or(Error::NoListener(destination.address))?;
        let tag = self.random.token();
        let draft = Draft {
            method: Method::Options,
            to: NameAddr::new(target.clone()).to_string(),
            uri: target,
            routes: Vec::new(),
            from: from.with_tag(&tag).to_string(),
            call_id: self.random.call_id(),
            cseq: self.random.cseq(),
            max_forwards: MAX_FORWARDS,
            contact: WithContact::Yes,
            asserted_identity: None,
            extra: ExtraHeader::new("Accept", "application/sdp").into_iter().collect(),
            authorization: Vec::new(),
            body: None,
            asked_longer: false,
        };
        let long_requests = destination.long_requests;
        let user = User::Options(request);
        let identity = match credentials {
            Some(credentials) => Identity::Own(Box::new(credentials.client())),
            None => Identity::None,
        };
        let fork = String::new();
        self.start(
            now,
            Sending { draft, path, long_requests, user, challenges: 0, identity, fork },
        );
        Ok(())
    }

    /// The final response, or none, to INFO and OPTIONS.
    pub(super) fn request_done(
        &mut self,
        now: Instant,
        session: Option<Session>,
        request: RequestKey,
        answer: Arrived,
    ) {
        if answer.status < 200 {
            return;
        }
        let live = |key: &Session| {
            self.sessions.get(key).is_some_and(|state| state.phase == Phase::Confirmed)
        };
        let lost = session.filter(|key| ends_dialog(&answer) && live(key));
        let origin = answer.origin;
        self.emit(Event::RequestDone { request, session, answer: answer.answer(), origin });
        if let Some(key) = lost {
            self.lost(now, key);
        }
    }

    /// The peer does not know the dialog any more (RFC 3261 12.2.1.2).
    pub(super) fn lost(&mut self, now: Instant, key: Session) {
        self.refuse_open_requests(now, key);
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let tag = session.main_fork().map(|fork| fork.dialog.remote_tag.clone());
        if let Some(tag) = tag {
            self.send_bye(now, key, &tag, Vec::new());
        }
        self.emit(Event::Ended { session: key, end: End::Lost, reasons: Vec::new() });
        self.finish(key);
    }

    pub(super) fn send_bye(
        &mut self,
        now: Instant,
        key: Session,
        tag: &str,
        reasons: Vec<ExtraHeader>,
    ) {
        let Some(mut sending) = self.within(key, tag, Method::Bye) else { return };
        sending.draft.extra = reasons;
        self.start(now, sending);
    }

    /// Sends the ACK of a 2xx and keeps it for the repetitions of the 2xx.
    pub(super) fn send_ack(&mut self, key: Session, tag: &str, cseq: u32, body: Option<Body>) {
        let Some(path) = self.dialog_path(key, tag) else { return };
        let branch = self.random.branch();
        let (via, contact) = (self.via(&path, &branch), self.contact(&path));
        // RFC 3261 13.2.2.4: the ACK carries the credentials of its INVITE.
        let outgoing = self.sessions.get(&key).and_then(|session| session.outgoing);
        let invite = outgoing.and_then(|id| self.clients.get(&id));
        let authorization = invite
            .filter(|invite| invite.path.remote.ip() == path.remote.ip())
            .map_or_else(Vec::new, |invite| invite.draft.authorization.clone());
        let Some(fork) = self.sessions.get_mut(&key).and_then(|session| session.fork_mut(tag))
        else {
            return;
        };
        let mut draft = draft_within(&fork.dialog, Method::Ack, cseq);
        draft.authorization = authorization;
        draft.body.clone_from(&body);
        let bytes: std::sync::Arc<[u8]> = draft.write(&via, &contact, &self.config.product).into();
        fork.keep_ack(cseq, path, bytes.clone());
        if let Some(session) = self.sessions.get_mut(&key) {
            session.describe(body);
        }
        self.transmit(path, bytes);
    }

    /// A request of ours in one dialog of a session, with its number taken; BYE unless changed.
    pub(super) fn within(&mut self, key: Session, tag: &str, method: Method) -> Option<Sending> {
        let path = self.dialog_path(key, tag)?;
        let cnonce = self.random.token();
        let session = self.sessions.get_mut(&key)?;
        // Credentials answer only the peer that they are for.
        let own = path.remote.ip() == session.destination.address.ip();
        let identity = if own { Identity::OfSession } else { Identity::None };
        let long_requests =
            if own { session.destination.long_requests } else { LongRequests::ByUdp };
        let fork = session.fork_mut(tag)?;
        let cseq = fork.dialog.next_cseq();
        let mut draft = draft_within(&fork.dialog, method, cseq);
        if let (true, Some(client)) = (own, session.digest.as_mut()) {
            draft.authorize(client, &cnonce);
        }
        let (user, fork) = (User::Bye(key), tag.to_owned());
        Some(Sending { draft, path, long_requests, user, challenges: 0, identity, fork })
    }
}

pub(super) fn draft_within(
    dialog: &crate::sip::dialog::Dialog,
    method: Method,
    cseq: u32,
) -> Draft {
    let routed = dialog.routed();
    Draft {
        method,
        uri: routed.uri,
        routes: routed.routes,
        from: dialog.local.clone(),
        to: dialog.remote.clone(),
        call_id: dialog.call_id.clone(),
        cseq,
        max_forwards: MAX_FORWARDS,
        contact: WithContact::No,
        asserted_identity: None,
        extra: Vec::new(),
        authorization: Vec::new(),
        body: None,
        asked_longer: false,
    }
}

/// RFC 3261 12.2.1.2: these say that the peer has no such dialog any more.
pub(super) fn ends_dialog(answer: &Arrived) -> bool {
    matches!(answer.status, 408 | 481)
}
