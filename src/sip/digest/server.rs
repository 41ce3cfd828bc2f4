//! The server's side: challenges without state, and credentials checked.
//!
//! A nonce carries its age and our seal, so a challenge costs no memory. Only a nonce that came back
//! with the right password is remembered, with its highest count, until it is too old.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::hash::{self, Algorithm, Hash, Inputs, Protection, Qop};
use crate::base::Secret;
use crate::sip::header::AuthParams;
use crate::sip::message::{MessageExt, Request};
use crate::sip::method;
use crate::sip::uri::Uri;

/// How a server challenges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// The realm of all challenges.
    pub realm: String,
    /// How long a nonce is good.
    pub lifetime: Duration,
    /// The algorithms offered, the best first (RFC 8760 2.3).
    pub hashes: Vec<Hash>,
}

/// Challenges and checks.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    key: Secret<[u8; 32]>,
    start: Instant,
    used: HashMap<String, Used>,
}

/// What credentials are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are this user's.
    Accepted {
        /// Whose.
        username: String,
    },
    /// The password is right and the nonce too old or used before: challenge with `stale`.
    Stale,
    /// Anything else, with the reason for the log: challenge, or refuse.
    Refused(&'static str),
}

/// A nonce in use.
#[derive(Debug)]
struct Used {
    count: u32,
    until: Instant,
}

impl ServerConfig {
    /// Five minutes a nonce; SHA-256, and MD5 for the phones that know no better.
    pub fn new(realm: &str) -> ServerConfig {
        let hashes = vec![Hash::Sha256, Hash::Md5];
        ServerConfig { realm: realm.to_owned(), lifetime: Duration::from_secs(300), hashes }
    }
}

impl Server {
    /// A server whose nonces are sealed with `key`, which must be random.
    pub fn new(config: ServerConfig, key: [u8; 32], now: Instant) -> Server {
        Server { config, key: Secret::new(key), start: now, used: HashMap::new() }
    }

    /// The challenges for a 401 or 407, one header each, the best first; of the algorithms those among
    /// `hashes`. `salt` is random.
    pub fn challenge(
        &self,
        now: Instant,
        salt: u64,
        stale: bool,
        hashes: &[Hash],
    ) -> Vec<AuthParams> {
        let nonce = self.nonce(now.saturating_duration_since(self.start).as_secs(), salt);
        let one = |hash: &Hash| {
            let mut params = AuthParams::digest();
            params.push_quoted("realm", &self.config.realm);
            params.push_quoted("nonce", &nonce);
            let algorithm = Algorithm { hash: *hash, session: false };
            params.push_token("algorithm", algorithm.name());
            params.push_quoted("qop", "auth,auth-int");
            if stale {
                params.push_token("stale", "true");
            }
            params
        };
        self.config.hashes.iter().filter(|hash| hashes.contains(hash)).map(one).collect()
    }

    /// Checks the credentials of `request`. `password` looks a user up; an unknown one takes as
    /// long as a wrong password.
    pub fn verify<'p>(
        &mut self,
        now: Instant,
        request: &Request,
        credentials: &AuthParams,
        password: impl FnOnce(&str) -> Option<&'p Secret<String>>,
    ) -> Verdict {
        let get = |name| credentials.get(name).unwrap_or_default();
        let (username, nonce, cnonce) = (get("username"), get("nonce"), get("cnonce"));
        let Some(algorithm) = self.offered(credentials) else {
            return Verdict::Refused("scheme or algorithm were not offered");
        };
        if get("realm") != self.config.realm.as_str() {
            return Verdict::Refused("the realm is another");
        }
        let Some(age) = self.age(now, &nonce) else {
            return Verdict::Refused("the nonce is not ours");
        };
        let Some((qop, nc)) = Qop::parse(&get("qop")).zip(parse_count(&get("nc"))) else {
            return Verdict::Refused("qop or nc are missing");
        };
        let uri = get("uri");
        let same = Uri::parse(&uri).is_ok_and(|uri| uri.equivalent(request.uri()));
        if cnonce.is_empty() || !same {
            return Verdict::Refused("cnonce is missing, or the URI is not the request's");
        }
        let known = password(&username);
        let expected = Inputs {
            algorithm,
            username: &username,
            realm: &self.config.realm,
            password: known.map_or("", |password| password.expose()),
            nonce: &nonce,
            method: method::name(request.method()),
            uri: &uri,
            body: request.body(),
            protection: Some(Protection { qop, nc, cnonce: &cnonce }),
            session_cnonce: &cnonce,
        }
        .response();
        let right = expected.as_bytes().ct_eq(get("response").as_bytes());
        if !(bool::from(right) & known.is_some()) {
            return Verdict::Refused("user or password are wrong");
        }
        if age > self.config.lifetime || !self.count(now, &nonce, nc, age) {
            return Verdict::Stale;
        }
        Verdict::Accepted { username: username.into_owned() }
    }

    /// How many nonces are remembered, for a gauge.
    pub fn nonces(&self) -> usize {
        self.used.len()
    }

    fn offered(&self, credentials: &AuthParams) -> Option<Algorithm> {
        let algorithm = match credentials.get("algorithm") {
            Some(name) => Algorithm::parse(&name)?,
            None => Algorithm::MD5,
        };
        let offered = credentials.is_digest() && self.config.hashes.contains(&algorithm.hash);
        offered.then_some(algorithm).filter(|algorithm| !algorithm.session)
    }

    /// Notes the use of a nonce whose password was right: each count goes up (RFC 7616 3.4, nc).
    fn count(&mut self, now: Instant, nonce: &str, nc: u32, age: Duration) -> bool {
        if let Some(used) = self.used.get_mut(nonce) {
            let higher = nc > used.count;
            used.count = used.count.max(nc);
            return higher;
        }
        if self.used.len() >= MAX_NONCES {
            self.used.retain(|_, used| used.until >= now);
        }
        if self.used.len() >= MAX_NONCES {
            return false;
        }
        // Nonces count whole seconds, so one may live up to a second longer than it looks.
        let until = now + self.config.lifetime.saturating_sub(age) + Duration::from_secs(1);
        self.used.insert(nonce.to_owned(), Used { count: nc, until });
        true
    }

    /// Seconds since the start and salt, in hex, and a seal over them and the realm.
    fn nonce(&self, seconds: u64, salt: u64) -> String {
        let text = format!("{seconds:016x}{salt:016x}");
        let mut seal = Hmac::<Sha256>::new_from_slice(self.key.expose())
            .expect("HMAC takes keys of any length");
        seal.update(self.config.realm.as_bytes());
        seal.update(text.as_bytes());
        text + &hash::hex(&seal.finalize().into_bytes()[..16])
    }

    /// How old a nonce of ours is.
    fn age(&self, now: Instant, nonce: &str) -> Option<Duration> {
        let hex = |span| u64::from_str_radix(nonce.get(span)?, 16).ok();
        let (seconds, salt) = (hex(0..16)?, hex(16..32)?);
        let ours = self.nonce(seconds, salt);
        let issued = Duration::from_secs(seconds);
        let age = now.saturating_duration_since(self.start).checked_sub(issued)?;
        bool::from(ours.as_bytes().ct_eq(nonce.as_bytes())).then_some(age)
    }
}

/// nc = 8 hex digits, counted from 1.
fn parse_count(text: &str) -> Option<u32> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let count = u32::from_str_radix(text, 16).ok().filter(|_| digits);
    count.filter(|count| *count > 0)
}

/// At 50 new nonces a second, five minutes' worth.
const MAX_NONCES: usize = 16_384;

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
