//! Who starts a session: known by address, or by a password that is asked for (RFC 3261 22.2).
//!
//! A challenge costs no state and is sent to the networks of trunks only; what is wrong with
//! credentials is never told (the same challenge for unknown users and wrong passwords).

use std::net::IpAddr;
use std::time::Instant;

use super::Endpoint;
use super::receive::Received;
use crate::sip::MessageExt;
use crate::sip::command::ExtraHeader;
use crate::sip::digest::{Hash, Server, ServerConfig, Verdict};
use crate::sip::header::AuthParams;
use crate::sip::make::Reply;

impl Endpoint {
    /// The INVITE with the user that it is from, where one has to be known; `None` after a challenge.
    pub(super) fn identified(
        &mut self,
        now: Instant,
        received: Received,
    ) -> Option<(Received, Option<String>)> {
        let source = received.source.remote.ip();
        if self.config.accept.iter().any(|network| network.contains(source)) {
            return Some((received, None));
        }
        let config = || ServerConfig::new(&self.config.realm);
        let key = &mut self.random;
        let server = self.challenges.get_or_insert_with(|| Server::new(config(), key.key(), now));
        let challenged = &self.config.challenged;
        let verdict = received
            .request
            .get_all("Authorization")
            .filter_map(|value| AuthParams::parse(value).ok())
            .find(|params| params.get("realm").as_deref() == Some(&self.config.realm))
            .map(|params| {
                server.verify(now, &received.request, &params, |user| {
                    let own = challenged.iter().find(|own| {
                        own.username == user && own.networks.iter().any(|n| n.contains(source))
                    });
                    own.map(|own| &own.password)
                })
            });
        let stale = match verdict {
            Some(Verdict::Accepted { username }) => return Some((received, Some(username))),
            Some(Verdict::Stale) => true,
            Some(Verdict::Refused(why)) => {
                tracing::info!(%source, why, "credentials of an incoming call refused");
                false
            }
            None => false,
        };
        let here = challenged.iter().filter(|own| own.networks.iter().any(|n| n.contains(source)));
        let hashes: Vec<Hash> = here.flat_map(|own| own.hashes.iter().copied()).collect();
        let challenges = server.challenge(now, self.random.salt(), stale, &hashes);
        let headers = challenges
            .iter()
            .map(|one| ExtraHeader::own("WWW-Authenticate", &one.to_string()))
            .collect();
        self.reply_stateless(received, Reply { headers, ..Reply::status(401) });
        None
    }

    /// Whether callers from this address may show a password.
    pub(super) fn may_be_challenged(&self, address: IpAddr) -> bool {
        let networks = self.config.challenged.iter().flat_map(|own| &own.networks);
        networks.into_iter().any(|network| network.contains(address))
    }
}
