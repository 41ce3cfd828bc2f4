//! Credentials for TURN servers, made for each page from a secret that the servers share with the
//! gateway (`use-auth-secret` of coturn; draft-uberti-behave-turn-rest-00 2.2): the user name is the
//! moment of its end, the password a mac over it. Nothing is told to the server beforehand.
//!
//! Pure: time comes in as seconds since 1970.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::IceServer;
use crate::base::{Secret, UserId};

/// A STUN or TURN server as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceSource {
    /// `stun:`, `turn:` and `turns:` addresses.
    pub urls: Vec<String>,
    /// What credentials are made from; `None` for a server that wants none.
    pub secret: Option<Secret<String>>,
}

impl IceSource {
    /// What a page of `user` is told at `now_unix_s`; good for [`TTL_S`].
    pub fn for_page(&self, user: &UserId, now_unix_s: u64) -> IceServer {
        let urls = self.urls.clone();
        let Some(secret) = &self.secret else {
            return IceServer { urls, username: None, credential: None };
        };
        let username = format!("{}:{user}", now_unix_s + TTL_S);
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(username.as_bytes());
        let credential = STANDARD.encode(mac.finalize().into_bytes());
        IceServer { urls, username: Some(username), credential: Some(credential) }
    }
}

/// How long a credential is good, in seconds: a page gets new ones at each login, and an allocation
/// that lives is refreshed with the ones that made it. Longer than the longest call.
pub const TTL_S: u64 = 12 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_mac_of_the_user_name() {
        let source = IceSource {
            urls: vec!["turn:turn.example:3478".into()],
            secret: Some(Secret::new("north".into())),
        };
        let server = source.for_page(&"alice".parse().unwrap(), 1_700_000_000 - TTL_S);
        assert_eq!(server.username.as_deref(), Some("1700000000:alice"));
        // printf 1700000000:alice | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(server.credential.as_deref(), Some(CREDENTIAL));
        assert!(!format!("{source:?}").contains("north"));
    }

    #[test]
    fn a_server_without_a_secret_has_no_credentials() {
        let source = IceSource { urls: vec!["stun:s.example".into()], secret: None };
        let server = source.for_page(&"alice".parse().unwrap(), 0);
        assert_eq!((server.username, server.credential), (None, None));
    }

    const CREDENTIAL: &str = "Cd/49soE35ICqcJF/bCTn8Z4OyE=";
}
