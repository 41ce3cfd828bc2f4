//! Client tokens: `cp1.<claims>.<mac>`, both parts base64url without padding, the mac HMAC-SHA-256
//! over `cp1.<claims>`. One algorithm, none named in the token, so none can be chosen by a stranger.
//!
//! Pure: time comes in as seconds since 1970.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::base::{Secret, UserId};

/// The key that signs tokens: 32 bytes or more.
#[derive(Debug, Clone)]
pub struct TokenKey(Secret<Vec<u8>>);

impl TokenKey {
    /// Shortest key, in bytes: as long as the mac (RFC 2104 3).
    pub const MIN_BYTES: usize = 32;

    /// A key of at least [`TokenKey::MIN_BYTES`]; `None` when it is shorter.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<TokenKey> {
        let bytes = bytes.into();
        (bytes.len() >= Self::MIN_BYTES).then(|| TokenKey(Secret::new(bytes)))
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose())
            .expect("HMAC takes a key of any length");
        mac.update(signed.as_bytes());
        mac
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user that the page acts for.
    pub sub: UserId,
    /// When it ends, in seconds since 1970.
    pub exp: u64,
    /// When it was made, in seconds since 1970; [`mint`] says it.
    #[serde(default)]
    pub iat: u64,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// The only caller numbers it may use; empty = those of the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<String>,
    /// The only values it may dial, each exact or ending in `*`; empty = those of the dial plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
    /// The longest that a call placed with it may last, in seconds; `None` = as the dial plan says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_call_s: Option<u64>,
}

/// Names a token: the first half of its mac. It gives nothing away that would make another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId(pub [u8; 16]);

impl TokenId {
    /// Of a token that [`verify`] has found good.
    pub fn of(token: &str) -> TokenId {
        let mac = token.rsplit_once('.').and_then(|(_, mac)| URL_SAFE_NO_PAD.decode(mac).ok());
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(mac.unwrap_or_default()) {
            *to = from;
        }
        TokenId(id)
    }
}

impl Claims {
    /// Everything that a user may do, until `exp`.
    pub fn new(sub: UserId, exp: u64) -> Claims {
        Claims {
            sub,
            exp,
            iat: 0,
            scopes: vec![Scope::CallOut, Scope::CallIn],
            callers: Vec::new(),
            destinations: Vec::new(),
            max_call_s: None,
        }
    }

    /// Whether the token allows `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether the token allows dialling `dialled`; the dial plan still decides after it.
    pub fn may_dial(&self, dialled: &str) -> bool {
        self.destinations.is_empty()
            || self.destinations.iter().any(|allowed| match allowed.strip_suffix('*') {
                // A lone `*` is the star key, not "everything".
                Some(prefix) if !prefix.is_empty() => dialled.starts_with(prefix),
                _ => dialled == allowed,
            })
    }

    /// Whether the token allows `number` as the caller; whose number it is, the dial plan knows.
    pub fn may_call_from(&self, number: &str) -> bool {
        self.callers.is_empty() || self.callers.iter().any(|allowed| allowed == number)
    }
}

/// One thing that a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Start calls.
    #[serde(rename = "call:out")]
    CallOut,
    /// Be called.
    #[serde(rename = "call:in")]
    CallIn,
}

/// Signs `claims` at `now_unix_s`.
///
/// # Errors
/// [`MintError`]: the token would be dead or live for too long.
pub fn mint(key: &TokenKey, claims: &Claims, now_unix_s: u64) -> Result<String, MintError> {
    if claims.exp <= now_unix_s {
        return Err(MintError::Expired);
    }
    if claims.exp - now_unix_s > MAX_TTL_S {
        return Err(MintError::TooLong);
    }
    let claims = Claims { iat: now_unix_s, ..claims.clone() };
    let json = serde_json::to_vec(&claims).expect("claims are strings and numbers");
    let signed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json));
    let mac = key.mac(&signed).finalize().into_bytes();
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)))
}

/// The claims of a token of ours that is alive at `now_unix_s`. The mac is compared in constant
/// time, and nothing of the token is read before it is right.
///
/// # Errors
/// [`TokenError`].
pub fn verify(key: &TokenKey, token: &str, now_unix_s: u64) -> Result<Claims, TokenError> {
    if token.len() > MAX_BYTES || !token.starts_with(PREFIX) {
        return Err(TokenError::Invalid);
    }
    let (signed, mac) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
    let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| TokenError::Invalid)?;
    key.mac(signed).verify_slice(&mac).map_err(|_| TokenError::Invalid)?;
    let json = signed.strip_prefix(PREFIX).ok_or(TokenError::Invalid)?;
    let json = URL_SAFE_NO_PAD.decode(json).map_err(|_| TokenError::Invalid)?;
    let claims: Claims = serde_json::from_slice(&json).map_err(|_| TokenError::Invalid)?;
    if claims.exp <= now_unix_s { Err(TokenError::Expired) } else { Ok(claims) }
}

/// Why no token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// It would be dead at once.
    #[error("the token would already have expired")]
    Expired,
    /// It would live for more than [`MAX_TTL_S`].
    #[error("a token lives for at most 1 h")]
    TooLong,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, not ours, or changed.
    #[error("the token is not one of this gateway's")]
    Invalid,
    /// Ours, and over.
    #[error("the token has expired")]
    Expired,
    /// Ours, and taken back.
    #[error("the token was revoked")]
    Revoked,
}

/// Longest life of a token, in seconds.
pub const MAX_TTL_S: u64 = 3600;

const PREFIX: &str = "cp1.";
const MAX_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(byte: u8) -> TokenKey {
        TokenKey::new([byte; 32]).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            scopes: vec![Scope::CallOut],
            iat: NOW,
            ..Claims::new("alice".parse().unwrap(), NOW + 600)
        }
    }

    #[test]
    fn a_token_is_good_for_its_key_and_its_time() {
        let token = mint(&key(1), &claims(), NOW).unwrap();
        assert_eq!(verify(&key(1), &token, NOW + 599), Ok(claims()));
        assert_eq!(verify(&key(1), &token, NOW + 600), Err(TokenError::Expired));
        assert_eq!(verify(&key(2), &token, NOW), Err(TokenError::Invalid));
        assert!(TokenKey::new([0; 31]).is_none());
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let token = mint(&key(1), &claims(), NOW).unwrap();
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(verify(&key(1), &changed, NOW), Err(TokenError::Invalid), "at {at}");
        }
        for bad in ["", "cp1.", "cp1..", "cp1.e30", "cp1.e30.", "cp2.e30.AA", "…"] {
            assert_eq!(verify(&key(1), bad, NOW), Err(TokenError::Invalid), "{bad}");
        }
    }

    #[test]
    fn lives_for_at_most_an_hour() {
        let mut long = claims();
        long.exp = NOW + 3601;
        assert_eq!(mint(&key(1), &long, NOW), Err(MintError::TooLong));
        long.exp = NOW;
        assert_eq!(mint(&key(1), &long, NOW), Err(MintError::Expired));
    }

    #[test]
    fn destinations_are_exact_or_a_prefix() {
        let mut scoped = claims();
        assert!(scoped.may_dial("112"));
        scoped.destinations = vec!["600".into(), "+4930*".into()];
        for (dialled, allowed) in
            [("600", true), ("6000", false), ("+493012", true), ("+49", false), ("", false)]
        {
            assert_eq!(scoped.may_dial(dialled), allowed, "{dialled}");
        }
        scoped.destinations = vec!["*".into()];
        assert!(!scoped.may_dial("600"));
        scoped.callers = vec!["+4930123".into()];
        assert!(scoped.may_call_from("+4930123") && !scoped.may_call_from("+4930124"));
    }
}
