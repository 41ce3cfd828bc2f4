//! Server transactions of the endpoint: how a request is answered, and its last response.

use std::sync::Arc;
use std::time::Instant;

use super::{Endpoint, Owner, Path, shrink};
use crate::sip::Method;
use crate::sip::command::Session;
use crate::sip::make::{Echo, Reply};
use crate::sip::transaction::{ServerInvite, ServerNonInvite, Step};

/// What a request names its transaction by (RFC 3261 17.2.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ServerKey {
    pub(super) branch: String,
    pub(super) sent_by: String,
    pub(super) method: &'static str,
}

impl ServerKey {
    /// ACK has the key of its INVITE.
    pub(super) fn new(echo: &Echo, method: Method) -> ServerKey {
        let method = match method {
            Method::Invite | Method::Ack => "INVITE",
            Method::Cancel => "CANCEL",
            _ => "",
        };
        ServerKey { branch: echo.branch.clone(), sent_by: echo.sent_by.clone(), method }
    }

    /// The key of the INVITE that a CANCEL is for.
    pub(super) fn invite(&self) -> ServerKey {
        ServerKey { method: "INVITE", ..self.clone() }
    }
}

#[derive(Debug)]
pub(super) enum ServerMachine {
    Invite(ServerInvite),
    NonInvite(ServerNonInvite),
}

#[derive(Debug)]
pub(super) struct ServerTransaction {
    pub(super) key: ServerKey,
    pub(super) machine: ServerMachine,
    pub(super) path: Path,
    pub(super) echo: Echo,
    pub(super) session: Option<Session>,
    response: Option<Arc<[u8]>>,
}

impl Endpoint {
    /// A request that is new; `local_tag` goes into the To of every response above 100.
    pub(super) fn open_server(
        &mut self,
        now: Instant,
        method: Method,
        path: Path,
        mut echo: Echo,
        session: Option<Session>,
        local_tag: &str,
    ) -> u64 {
        let timing = &self.config.timing;
        let reliability = super::receive::reliability(path.transport);
        let machine = match method {
            Method::Invite => ServerMachine::Invite(ServerInvite::start(now, timing, reliability)),
            _ => ServerMachine::NonInvite(ServerNonInvite::start(now, timing, reliability)),
        };
        let key = ServerKey::new(&echo, method);
        echo.set_tag(local_tag);
        let id = self.next_transaction();
        self.server_keys.insert(key.clone(), id);
        let response = None;
        let transaction = ServerTransaction { key, machine, path, echo, session, response };
        self.servers.insert(id, Box::new(transaction));
        self.schedule_server(id);
        id
    }

    /// Answers a request in a transaction that nothing else refers to.
    pub(super) fn answer_request(
        &mut self,
        now: Instant,
        method: Method,
        path: Path,
        echo: Echo,
        reply: Reply,
    ) {
        let tag = self.random.token();
        let id = self.open_server(now, method, path, echo, None, &tag);
        self.respond(now, id, reply);
    }

    /// The request arrived again.
    pub(super) fn repeated_request(&mut self, id: u64) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        let step = match &mut transaction.machine {
            ServerMachine::Invite(machine) => machine.on_request(),
            ServerMachine::NonInvite(machine) => machine.on_request(),
        };
        if step == Step::Resend {
            self.send_response(id);
        }
    }

    /// The ACK of a 300-699.
    pub(super) fn refusal_acked(&mut self, now: Instant, id: u64) {
        if let Some(ServerTransaction { machine: ServerMachine::Invite(machine), .. }) =
            self.servers.get_mut(&id).map(Box::as_mut)
        {
            machine.on_ack(now);
        }
        self.schedule_server(id);
    }

    /// Sends a response if it is not too late for it; returns what was sent, and how.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        id: u64,
        reply: Reply,
    ) -> Option<(Path, Arc<[u8]>)> {
        let contact = self.contact(&self.servers.get(&id)?.path);
        let transaction = self.servers.get_mut(&id)?;
        let step = match &mut transaction.machine {
            ServerMachine::Invite(machine) => machine.on_user_response(now, reply.status),
            ServerMachine::NonInvite(machine) => machine.on_user_response(now, reply.status),
        };
        if step != Step::Respond {
            return None;
        }
        let status = reply.status;
        let bytes = transaction.echo.write(reply, &contact, &self.config.product);
        if status >= 200 {
            transaction.echo.forget_request();
        }
        transaction.response = Some(bytes.into());
        self.schedule_server(id);
        self.send_response(id)
    }

    fn send_response(&mut self, id: u64) -> Option<(Path, Arc<[u8]>)> {
        let transaction = self.servers.get(&id)?;
        let (path, bytes) = (transaction.path, transaction.response.clone()?);
        self.transmit(path, bytes.clone());
        Some((path, bytes))
    }

    pub(super) fn server_timeout(&mut self, now: Instant, id: u64) {
        let Some(transaction) = self.servers.get_mut(&id) else {
            return self.schedule.set(Owner::Server(id), None);
        };
        let step = match &mut transaction.machine {
            ServerMachine::Invite(machine) => machine.on_timeout(now),
            ServerMachine::NonInvite(machine) => machine.on_timeout(now),
        };
        match step {
            Step::SendTrying => {
                let bytes = transaction.echo.trying(&self.config.product);
                transaction.response = Some(bytes.into());
                self.send_response(id);
                self.schedule_server(id);
            }
            Step::Resend => {
                self.send_response(id);
                self.schedule_server(id);
            }
            Step::TimedOut | Step::Ended => {
                self.schedule.set(Owner::Server(id), None);
                if let Some(transaction) = self.servers.remove(&id) {
                    self.server_keys.remove(&transaction.key);
                    shrink(&mut self.servers);
                    shrink(&mut self.server_keys);
                }
            }
            _ => self.schedule_server(id),
        }
    }

    fn schedule_server(&mut self, id: u64) {
        let due = self.servers.get(&id).and_then(|transaction| match &transaction.machine {
            ServerMachine::Invite(machine) => machine.next_timeout(),
            ServerMachine::NonInvite(machine) => machine.next_timeout(),
        });
        self.schedule.set(Owner::Server(id), due);
    }

    /// Whether a request of the peer other than INVITE has no final response.
    pub(super) fn is_open_request(&self, id: u64) -> bool {
        match self.servers.get(&id).map(|transaction| &transaction.machine) {
            Some(ServerMachine::NonInvite(machine)) => machine.is_open(),
            _ => false,
        }
    }

    /// Whether an INVITE of the peer has no final response.
    pub(super) fn is_open(&self, id: u64) -> bool {
        match self.servers.get(&id).map(|transaction| &transaction.machine) {
            Some(ServerMachine::Invite(machine)) => machine.is_open(),
            _ => false,
        }
    }
}
