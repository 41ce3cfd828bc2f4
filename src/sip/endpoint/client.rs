//! Client transactions of the endpoint: the request, where it went, who waits for its response.

use std::sync::Arc;
use std::time::Instant;

use super::{Endpoint, Owner, Path, shrink};
use crate::sip::Method;
use crate::sip::command::{ExtraHeader, LongRequests, RequestKey, Session, Transport};
use crate::sip::digest;
use crate::sip::event::Origin;
use crate::sip::make::{Arrived, Draft};
use crate::sip::transaction::{ClientInvite, ClientNonInvite, Step};

/// What a response names its transaction by (RFC 3261 17.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    pub(super) branch: String,
    pub(super) method: &'static str,
}

impl ClientKey {
    pub(super) fn new(branch: &str, method: Method) -> ClientKey {
        let method = match method {
            Method::Invite => "INVITE",
            Method::Cancel => "CANCEL",
            _ => "",
        };
        ClientKey { branch: branch.to_owned(), method }
    }
}

#[derive(Debug)]
pub(super) enum ClientMachine {
    Invite(ClientInvite),
    NonInvite(ClientNonInvite),
}

/// Who waits for the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum User {
    /// The INVITE that starts a session.
    Invite(Session),
    /// A re-INVITE.
    Reinvite(Session),
    /// Nobody: CANCEL only moves its INVITE.
    Cancel(Session),
    /// Nobody, save for a challenge.
    Bye(Session),
    /// Nobody: its response says nothing that the INVITE's will not.
    Prack(Session),
    /// The owner, where it carries an offer.
    Update(Session),
    /// Nobody: what it told is told.
    Notify(Session),
    /// The owner.
    Refer(Session, RequestKey),
    /// The owner.
    Info(Session, RequestKey),
    /// The owner.
    Options(RequestKey),
    /// The owner.
    Register(RequestKey),
}

impl User {
    pub(super) fn session(&self) -> Option<Session> {
        match self {
            User::Invite(session)
            | User::Reinvite(session)
            | User::Cancel(session)
            | User::Bye(session)
            | User::Prack(session)
            | User::Update(session)
            | User::Notify(session)
            | User::Refer(session, _)
            | User::Info(session, _) => Some(*session),
            User::Options(_) | User::Register(_) => None,
        }
    }
}

/// Whose credentials answer a challenge to a request.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    /// Nobody's: the request went elsewhere than to the peer that they are for.
    None,
    /// The session's.
    OfSession,
    /// The request's own.
    Own(Box<digest::Client>),
}

#[derive(Debug)]
pub(super) struct ClientTransaction {
    pub(super) key: ClientKey,
    pub(super) machine: ClientMachine,
    pub(super) path: Path,
    pub(super) user: User,
    pub(super) draft: Draft,
    pub(super) via: String,
    pub(super) challenges: u32,
    pub(super) identity: Identity,
    /// The To tag of the dialog that the request is in; empty outside.
    pub(super) fork: String,
    bytes: Arc<[u8]>,
    ack: Option<Arc<[u8]>>,
    /// The datagram path, where the length alone moved the request to a stream.
    shorter: Option<Path>,
}

impl ClientTransaction {
    /// The final response has come: what would be sent again is not needed for the 32 s that an INVITE
    /// stays. Its ACKs need its credentials.
    fn is_answered(&mut self) {
        self.bytes = Arc::from([]);
        self.draft.body = None;
        self.draft.extra = Vec::new();
        self.draft.asserted_identity = None;
    }
}

/// What goes out again, to the next destination (RFC 3263 4.3).
#[derive(Debug)]
pub(super) struct Unsent {
    pub(super) draft: Draft,
    pub(super) challenges: u32,
}

impl Unsent {
    pub(super) fn of(transaction: &ClientTransaction) -> Unsent {
        Unsent { draft: transaction.draft.clone(), challenges: transaction.challenges }
    }
}

/// A request about to be sent.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) draft: Draft,
    pub(super) path: Path,
    pub(super) long_requests: LongRequests,
    pub(super) user: User,
    pub(super) challenges: u32,
    pub(super) identity: Identity,
    pub(super) fork: String,
}

impl Endpoint {
    /// Sends a request in a transaction of its own.
    pub(super) fn start_client(&mut self, now: Instant, sending: Sending) -> u64 {
        let Sending { draft, mut path, long_requests, user, challenges, identity, fork } = sending;
        let branch = self.random.branch();
        let mut via = self.via(&path, &branch);
        let contact = self.contact(&path);
        let mut bytes = draft.write(&via, &contact, &self.config.product);
        let mut shorter = None;
        if path.transport == Transport::Udp
            && bytes.len() > LONGEST_DATAGRAM_REQUEST
            && long_requests == LongRequests::ByTcp
            && self.may_have_stream(now, path.remote)
        {
            shorter = Some(path);
            path.transport = Transport::Tcp;
            via = self.via(&path, &branch);
            bytes = draft.write(&via, &contact, &self.config.product);
        }
        let timing = &self.config.timing;
        let reliability = super::receive::reliability(path.transport);
        let machine = match draft.method {
            Method::Invite => ClientMachine::Invite(ClientInvite::start(now, timing, reliability)),
            _ => ClientMachine::NonInvite(ClientNonInvite::start(now, timing, reliability)),
        };
        let key = ClientKey::new(&branch, draft.method);
        self.insert_client(ClientTransaction {
            key,
            machine,
            path,
            user,
            draft,
            via,
            challenges,
            identity,
            fork,
            bytes: bytes.into(),
            ack: None,
            shorter,
        })
    }

    /// Sends CANCEL with the branch of the INVITE (RFC 3261 9.1).
    pub(super) fn start_cancel(&mut self, now: Instant, invite: u64, reasons: Vec<ExtraHeader>) {
        let Some(transaction) = self.clients.get(&invite) else { return };
        let Some(session) = transaction.user.session() else { return };
        let draft = transaction.draft.cancel(reasons);
        let path = transaction.path;
        let via = transaction.via.clone();
        let key = ClientKey { branch: transaction.key.branch.clone(), method: "CANCEL" };
        let reliability = super::receive::reliability(path.transport);
        let machine = ClientNonInvite::start(now, &self.config.timing, reliability);
        let bytes = draft.write(&via, "", &self.config.product);
        self.insert_client(ClientTransaction {
            key,
            machine: ClientMachine::NonInvite(machine),
            path,
            user: User::Cancel(session),
            draft,
            via,
            challenges: 0,
            identity: Identity::None,
            fork: String::new(),
            bytes: bytes.into(),
            ack: None,
            shorter: None,
        });
    }

    fn insert_client(&mut self, transaction: ClientTransaction) -> u64 {
        let id = self.next_transaction();
        self.transmit(transaction.path, transaction.bytes.clone());
        if let Some(session) = transaction.user.session().and_then(|s| self.sessions.get_mut(&s)) {
            session.pending += 1;
        }
        self.client_keys.insert(transaction.key.clone(), id);
        self.clients.insert(id, Box::new(transaction));
        self.schedule_client(id);
        id
    }

    /// A response that belongs to a transaction of ours and came from where its request went.
    pub(super) fn client_response(&mut self, now: Instant, id: u64, response: Arrived) {
        let Some(transaction) = self.clients.get_mut(&id) else { return };
        let status = response.status;
        let step = match &mut transaction.machine {
            ClientMachine::Invite(machine) => machine.on_response(now, response.status),
            ClientMachine::NonInvite(machine) => machine.on_response(now, response.status),
        };
        self.schedule_client(id);
        match step {
            Step::AckAgain => self.send_refusal_ack(id, &response),
            Step::AckAndDeliver => {
                self.send_refusal_ack(id, &response);
                self.deliver(now, id, response);
            }
            Step::Deliver => self.deliver(now, id, response),
            _ => {}
        }
        if status >= 200
            && let Some(transaction) = self.clients.get_mut(&id)
        {
            transaction.is_answered();
        }
    }

    fn deliver(&mut self, now: Instant, id: u64, response: Arrived) {
        if matches!(response.status, 401 | 407) && self.answer_challenge(now, id, &response) {
            return;
        }
        if response.status == 422 && self.ask_for_longer(now, id, &response) {
            return;
        }
        let Some(transaction) = self.clients.get(&id) else { return };
        match transaction.user.clone() {
            User::Invite(session) => self.invite_response(now, session, id, response),
            User::Reinvite(session) => self.reinvite_response(now, session, id, response),
            User::Cancel(_) | User::Bye(_) | User::Prack(_) => {}
            User::Update(session) => {
                let offered = transaction.draft.body.clone();
                self.update_done(now, session, offered, response);
            }
            User::Notify(session) => self.notify_done(now, session, &response),
            User::Refer(session, request) => {
                self.refer_answered(session, response.status);
                self.request_done(now, Some(session), request, response);
            }
            User::Info(session, request) => {
                self.request_done(now, Some(session), request, response)
            }
            User::Options(request) | User::Register(request) => {
                self.request_done(now, None, request, response)
            }
        }
    }

    /// Sends a request again with credentials. At most two challenges a request, and only where the
    /// request went to the peer that the credentials are for: the response came from there.
    fn answer_challenge(&mut self, now: Instant, id: u64, response: &Arrived) -> bool {
        let cnonce = self.random.token();
        let Some(transaction) = self.clients.get_mut(&id) else { return false };
        let round = transaction.challenges + 1;
        let session = transaction.user.session().and_then(|key| self.sessions.get_mut(&key));
        let client = match &mut transaction.identity {
            Identity::None => None,
            Identity::OfSession => session.and_then(|session| session.digest.as_mut()),
            Identity::Own(client) => Some(&mut **client),
        };
        let Some(client) = client else { return false };
        let request = transaction.draft.request("", "", "");
        if client.challenged(&request, &response.response, round).is_err() {
            return false;
        }
        let mut draft = transaction.draft.clone();
        draft.authorize(client, &cnonce);
        let sending = Sending {
            path: transaction.shorter.unwrap_or(transaction.path),
            long_requests: match transaction.shorter {
                Some(_) => LongRequests::ByTcp,
                None => LongRequests::ByUdp,
            },
            challenges: round,
            fork: transaction.fork.clone(),
            identity: transaction.identity.clone(),
            user: transaction.user.clone(),
            draft,
        };
        self.send_again(now, sending)
    }

    /// Sends a request again that asked for too short a session interval (RFC 4028 7.4); once.
    fn ask_for_longer(&mut self, now: Instant, id: u64, response: &Arrived) -> bool {
        let Some(headers) = self.longer_interval(response) else { return false };
        let Some(transaction) = self.clients.get(&id) else { return false };
        let timed =
            matches!(transaction.user, User::Invite(_) | User::Reinvite(_) | User::Update(_));
        if !timed || transaction.draft.asked_longer {
            return false;
        }
        let mut draft = transaction.draft.clone();
        draft.asked_longer = true;
        let names: Vec<&str> = headers.iter().map(|header| header.parts().0).collect();
        draft.extra.retain(|header| !names.contains(&header.parts().0));
        draft.extra.extend(headers);
        let sending = Sending {
            path: transaction.path,
            long_requests: LongRequests::ByUdp,
            challenges: transaction.challenges,
            fork: transaction.fork.clone(),
            identity: transaction.identity.clone(),
            user: transaction.user.clone(),
            draft,
        };
        self.send_again(now, sending)
    }

    fn send_again(&mut self, now: Instant, mut sending: Sending) -> bool {
        if let Some(key) = sending.user.session() {
            let Some(session) = self.sessions.get_mut(&key) else { return false };
            match sending.user {
                User::Invite(_) if session.is_hung_up() => return false,
                User::Invite(_) => {
                    sending.draft.cseq += 1;
                    session.restart_invite(sending.draft.cseq);
                }
                _ => match session.fork_mut(&sending.fork) {
                    Some(fork) => sending.draft.cseq = fork.dialog.next_cseq(),
                    None => return false,
                },
            }
        } else {
            sending.draft.cseq += 1;
        }
        self.start(now, sending);
        true
    }

    fn send_refusal_ack(&mut self, id: u64, response: &Arrived) {
        let Some(transaction) = self.clients.get_mut(&id) else { return };
        let to = response.facts.as_ref().map_or(&*transaction.draft.to, |facts| &facts.to.text);
        let (draft, via) = (&transaction.draft, &transaction.via);
        let bytes = transaction
            .ack
            .get_or_insert_with(|| draft.ack_of_refusal(to).write(via, "", "").into());
        let (path, bytes) = (transaction.path, bytes.clone());
        self.transmit(path, bytes);
    }

    /// The peer cannot be reached by this path (RFC 3261 17.1.4).
    pub(super) fn send_failed(&mut self, now: Instant, path: Path) {
        let hit = |transaction: &ClientTransaction| {
            let own = &transaction.path;
            let same_stream = own.connection.is_some() && own.connection == path.connection;
            own.transport == path.transport && (same_stream || own.remote == path.remote)
        };
        let mut failed: Vec<u64> =
            self.clients.iter().filter(|(_, t)| hit(t)).map(|(id, _)| *id).collect();
        failed.sort_unstable();
        for id in failed {
            self.client_failed(now, id);
        }
    }

    fn client_failed(&mut self, now: Instant, id: u64) {
        let Some(transaction) = self.clients.get(&id) else { return };
        if let Some(shorter) = transaction.shorter {
            // The stream was only taken for the request's length: the datagram is still to be tried.
            let sending = Sending {
                draft: transaction.draft.clone(),
                path: shorter,
                long_requests: LongRequests::ByUdp,
                user: transaction.user.clone(),
                challenges: transaction.challenges,
                identity: transaction.identity.clone(),
                fork: transaction.fork.clone(),
            };
            self.has_no_stream(now, shorter.remote);
            self.start(now, sending);
            return self.end_client(id);
        }
        // In its last state a transaction only waits for repetitions: nothing is lost.
        let waits = match &transaction.machine {
            ClientMachine::Invite(machine) => machine.is_open(),
            ClientMachine::NonInvite(machine) => machine.is_open(),
        };
        if waits {
            self.give_up_client(now, id, Origin::Transport);
        }
    }

    /// Ends a transaction without a final response and tells who waits for one.
    pub(super) fn give_up_client(&mut self, now: Instant, id: u64, origin: Origin) {
        let Some(transaction) = self.clients.get(&id) else { return };
        let user = transaction.user.clone();
        let unsent = Unsent::of(transaction);
        self.end_client(id);
        let answer = Arrived::made_here(origin);
        match user {
            User::Invite(session) => self.invite_unanswered(now, session, unsent, answer),
            User::Reinvite(session) => self.reinvite_failed(now, session, answer),
            User::Cancel(_) | User::Bye(_) | User::Prack(_) => {}
            User::Update(session) => self.update_done(now, session, None, answer),
            User::Notify(session) => self.notify_done(now, session, &answer),
            User::Refer(session, request) => {
                self.refer_answered(session, answer.status);
                self.request_done(now, Some(session), request, answer);
            }
            User::Info(session, request) => self.request_done(now, Some(session), request, answer),
            User::Options(request) | User::Register(request) => {
                self.request_done(now, None, request, answer)
            }
        }
    }

    pub(super) fn client_timeout(&mut self, now: Instant, id: u64) {
        let Some(transaction) = self.clients.get_mut(&id) else {
            return self.schedule.set(Owner::Client(id), None);
        };
        let step = match &mut transaction.machine {
            ClientMachine::Invite(machine) => machine.on_timeout(now),
            ClientMachine::NonInvite(machine) => machine.on_timeout(now),
        };
        match step {
            Step::Resend => {
                let (path, bytes) = (transaction.path, transaction.bytes.clone());
                self.transmit(path, bytes);
                self.schedule_client(id);
            }
            Step::TimedOut => self.give_up_client(now, id, Origin::Timeout),
            Step::Ended => self.end_client(id),
            _ => self.schedule_client(id),
        }
    }

    pub(super) fn end_client(&mut self, id: u64) {
        self.schedule.set(Owner::Client(id), None);
        let Some(transaction) = self.clients.remove(&id) else { return };
        self.client_keys.remove(&transaction.key);
        shrink(&mut self.clients);
        shrink(&mut self.client_keys);
        if let Some(key) = transaction.user.session() {
            if let Some(session) = self.sessions.get_mut(&key) {
                session.pending -= 1;
                session.forget_transaction(id);
            }
            self.sweep(key);
        }
    }

    fn schedule_client(&mut self, id: u64) {
        let due = self.clients.get(&id).and_then(|transaction| match &transaction.machine {
            ClientMachine::Invite(machine) => machine.next_timeout(),
            ClientMachine::NonInvite(machine) => machine.next_timeout(),
        });
        self.schedule.set(Owner::Client(id), due);
    }

    /// Whether CANCEL may go out for this INVITE: a provisional response has come.
    pub(super) fn may_cancel(&self, id: u64) -> bool {
        match self.clients.get(&id).map(|transaction| &transaction.machine) {
            Some(ClientMachine::Invite(machine)) => machine.may_cancel(),
            _ => false,
        }
    }

    /// Whether this INVITE of ours has no final response.
    pub(super) fn is_unanswered_invite(&self, id: u64) -> bool {
        match self.clients.get(&id).map(|transaction| &transaction.machine) {
            Some(ClientMachine::Invite(machine)) => machine.is_open(),
            _ => false,
        }
    }

    /// Sends a request; the session keeps the transaction of an INVITE.
    pub(super) fn start(&mut self, now: Instant, sending: Sending) {
        let user = sending.user.clone();
        let id = self.start_client(now, sending);
        if let User::Invite(key) | User::Reinvite(key) = user
            && let Some(session) = self.sessions.get_mut(&key)
        {
            session.outgoing = Some(id);
        }
    }
}

/// RFC 3261 18.1.1: where the path MTU is not known.
const LONGEST_DATAGRAM_REQUEST: usize = 1300;
