//! What arrives: who may say it, which transaction it belongs to, and who takes it.

use std::net::SocketAddr;
use std::time::Instant;

use super::client::ClientKey;
use super::server::ServerKey;
use super::{Endpoint, Path};
use crate::sip::codec::{ParseError, check, parse, write};
use crate::sip::command::Transport;
use crate::sip::event::Origin;
use crate::sip::header::{TypedHeader, Via};
use crate::sip::make::{self, Arrived, Echo, Facts, Reply};
use crate::sip::transaction::Reliability;
use crate::sip::{Message, MessageExt, Method, Refusal, Request, Response};

/// Whether this transport delivers by itself.
pub(super) fn reliability(transport: Transport) -> Reliability {
    match transport {
        Transport::Udp => Reliability::Unreliable,
        Transport::Tcp | Transport::Tls => Reliability::Reliable,
    }
}

/// A request with what is needed to place and answer it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) request: Request,
    pub(super) facts: Facts,
    pub(super) echo: Echo,
    /// Where it came from.
    pub(super) source: Path,
    /// Where its responses go.
    pub(super) reply: Path,
}

impl Endpoint {
    pub(super) fn receive(&mut self, now: Instant, path: Path, bytes: &[u8]) {
        match parse(bytes, &self.config.limits) {
            Ok(Message::Request(request)) => self.receive_request(now, path, request),
            Ok(Message::Response(response)) => self.receive_response(now, path, response),
            Err(ParseError::Refused(refusal)) if self.is_accepted(path.remote.ip()) => {
                self.refuse(path, &refusal);
            }
            Err(ParseError::Refused(_) | ParseError::Dropped(_)) => {}
        }
    }

    fn receive_response(&mut self, now: Instant, path: Path, response: Response) {
        let Some(via) = response.top_via() else { return };
        let (Some(branch), Some(facts)) = (via.branch(), Facts::of(&response)) else { return };
        let Some(id) = self.client_keys.get(&ClientKey::new(branch, facts.method)).copied() else {
            return self.late_response(now, path, facts, response);
        };
        // A response counts only from where its request went: no challenge from elsewhere is answered.
        let ours = self.clients.get(&id).is_some_and(|transaction| {
            transaction.path.remote.ip() == path.remote.ip()
                && transaction.draft.call_id == facts.call_id
                && transaction.draft.cseq == facts.cseq
        });
        if ours {
            let status = response.status();
            let facts = Some(facts);
            let arrived = Arrived { status, facts, response, origin: Origin::Peer };
            if let Some(arrived) = self.with_hop(now, id, arrived) {
                self.client_response(now, id, arrived);
            }
        }
    }

    /// A response without a transaction: only a 2xx to an INVITE still means something, and only from
    /// where that INVITE went and was given up.
    fn late_response(&mut self, now: Instant, path: Path, facts: Facts, response: Response) {
        let status = response.status();
        if facts.method != Method::Invite || !(200..300).contains(&status) {
            return;
        }
        let name = (facts.call_id.clone(), facts.from.tag.clone());
        let Some(key) = self.dialogs.get(&name).copied() else { return };
        let source = path.remote.ip();
        let tried = |session: &super::SessionState| session.tried.contains(&source);
        if self.sessions.get(&key).is_some_and(|session| tried(session)) {
            let facts = Some(facts);
            let arrived = Arrived { status, facts, response, origin: Origin::Peer };
            self.late_answer(now, key, arrived);
        }
    }

    fn receive_request(&mut self, now: Instant, source: Path, mut request: Request) {
        let (Some(mut via), Some(facts)) = (request.top_via(), Facts::of(&request)) else { return };
        let branch = match via.rfc3261_branch() {
            Some(branch) => branch.to_owned(),
            // RFC 3261 17.2.3: peers of RFC 2543 are told apart by the whole message's identity.
            None => format!("{} {} {} {via}", facts.call_id, facts.from.tag, facts.cseq),
        };
        let sent_by = format!("{}:{}", via.host, via.port.unwrap_or(5060));
        let reply = reply_path(source, &via);
        via.stamp(source.remote);
        request.pop_via();
        request.push_front(Via::NAME, via.to_string());
        let echo = Echo::new(&request, branch, sent_by);
        let key = ServerKey::new(&echo, request.method());
        let received = Received { request, facts, echo, source, reply };
        if let Some(id) = self.server_keys.get(&key).copied() {
            let same = |own: &super::ServerTransaction| own.path.remote.ip() == source.remote.ip();
            if !self.servers.get(&id).is_some_and(|own| same(own)) {
                return;
            }
            if received.request.method() != Method::Ack {
                return self.repeated_request(id);
            }
            self.refusal_acked(now, id);
        }
        match received.request.method() {
            Method::Cancel => self.receive_cancel(now, &key, received),
            _ if received.facts.to.tag.is_empty() => self.receive_outside(now, received),
            _ => self.receive_inside(now, received),
        }
    }

    /// A request with a To tag: it acts on a dialog only from the leg's own source.
    fn receive_inside(&mut self, now: Instant, received: Received) {
        let name = (received.facts.call_id.clone(), received.facts.to.tag.clone());
        let source = received.source.remote.ip();
        match self.dialogs.get(&name).copied() {
            Some(key) if self.is_source(key, source) => {
                self.receive_in_session(now, key, received);
            }
            Some(_) => {}
            None if self.is_accepted(source) => self.no_such_dialog(received),
            None => {}
        }
    }

    /// 481, without any state; ACK is never answered.
    pub(super) fn no_such_dialog(&mut self, received: Received) {
        self.reply_stateless(received, Reply::status(481));
    }

    fn receive_outside(&mut self, now: Instant, received: Received) {
        if !self.is_accepted(received.source.remote.ip()) {
            return;
        }
        if let Err(refusal) = check(&received.request, &Endpoint::policy()) {
            return self.refuse(received.reply, &refusal);
        }
        let method = received.request.method();
        let new_session = method == Method::Invite;
        if self.is_full() || (new_session && self.is_closed()) {
            let seconds = self.random.retry_after().as_secs().to_string();
            let reply = Reply::with(503, "Retry-After", &seconds);
            return self.reply_stateless(received, reply);
        }
        match method {
            Method::Invite => {
                if let Some((received, user)) = self.identified(now, received) {
                    self.receive_invite(now, received, user);
                }
            }
            Method::Options => {
                let Received { echo, reply, .. } = received;
                self.answer_request(now, method, reply, echo, Reply::status(200));
            }
            _ => self.no_such_dialog(received),
        }
    }

    fn receive_cancel(&mut self, now: Instant, key: &ServerKey, received: Received) {
        let source = received.source.remote.ip();
        let invite = self.server_keys.get(&key.invite()).copied();
        let own = |own: &super::ServerTransaction| own.path.remote.ip() == source;
        match invite.filter(|id| self.servers.get(id).is_some_and(|server| own(server))) {
            Some(id) => self.cancelled(now, id, received),
            None if self.is_accepted(source) => self.no_such_dialog(received),
            None => {}
        }
    }

    /// Sends the response of a refusal without keeping anything.
    pub(super) fn refuse(&mut self, path: Path, refusal: &Refusal) {
        let mut response = refusal.response(&self.random.token());
        make::explain(&mut response, refusal.status(), refusal.detail());
        let Some(mut via) = response.top_via() else { return };
        let reply = reply_path(path, &via);
        via.stamp(path.remote);
        response.pop_via();
        response.push_front(Via::NAME, via.to_string());
        self.transmit(reply, write(&response.into()).into());
    }

    pub(super) fn reply_stateless(&mut self, received: Received, reply: Reply) {
        if received.request.method() == Method::Ack {
            return;
        }
        let Received { mut echo, reply: path, .. } = received;
        echo.set_tag(&self.random.token());
        let bytes = echo.write(reply, "", &self.config.product);
        self.transmit(path, bytes.into());
    }
}

/// Where responses go (RFC 3261 18.2.2, RFC 3581 4): back over the stream; by datagram to the source
/// where the peer asks for that, else to the port that it names.
fn reply_path(source: Path, via: &Via) -> Path {
    let symmetric = via.params.contains("rport");
    match source.transport {
        Transport::Udp if !symmetric => {
            let port = via.port.unwrap_or(5060);
            Path { remote: SocketAddr::new(source.remote.ip(), port), ..source }
        }
        Transport::Udp | Transport::Tcp | Transport::Tls => source,
    }
}
