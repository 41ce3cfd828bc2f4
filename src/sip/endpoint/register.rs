//! REGISTER: one request outside of any dialog, with the numbers that its registration keeps.

use std::time::Instant;

use super::client::{Identity, Sending, User};
use super::{Endpoint, Error};
use crate::sip::Method;
use crate::sip::command::{MAX_FORWARDS, Register};
use crate::sip::make::{Draft, WithContact};

impl Endpoint {
    pub(super) fn register(&mut self, now: Instant, register: Register) -> Result<(), Error> {
        let Register { request, registrar, address, destination, ask, credentials } = register;
        let path = self.path_to(&destination).ok_or(Error::NoListener(destination.address))?;
        let tag = self.random.token();
        let draft = Draft {
            method: Method::Register,
            uri: registrar,
            routes: Vec::new(),
            from: address.clone().with_tag(&tag).to_string(),
            to: address.to_string(),
            call_id: ask.call_id.clone(),
            cseq: ask.cseq,
            max_forwards: MAX_FORWARDS,
            contact: WithContact::Binding(ask),
            asserted_identity: None,
            extra: Vec::new(),
            authorization: Vec::new(),
            asked_longer: false,
            body: None,
        };
        let identity = match credentials {
            Some(credentials) => Identity::Own(Box::new(credentials.client())),
            None => Identity::None,
        };
        self.start(
            now,
            Sending {
                draft,
                path,
                long_requests: destination.long_requests,
                user: User::Register(request),
                challenges: 0,
                identity,
                fork: String::new(),
            },
        );
        Ok(())
    }
}
