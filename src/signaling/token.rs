//! Client tokens: `cp1.<claims>.<mac>`, both parts base64url without padding, the mac HMAC-SHA-256
//! over `cp1.<claims>`. One algorithm, none named in the token, so none can be chosen by a stranger.
//!
//! Pure: time comes in as seconds since 1970.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::base::{DialString, E164, Secret, UserId};

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
    /// The only caller numbers it may use; empty = those of the user. An empty list is never written
    /// into a token, and never read from one: nothing must not come to mean everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "some")]
    pub callers: Vec<String>,
    /// The only values it may dial; empty = those of the dial plan. Each is a number or a code in any
    /// form that can be dialled, or the start of some with a `*` behind it: `+4930*`, `60*`. See
    /// [`Claims::may_dial`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "some")]
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

    /// Whether the token allows dialling `dialled`, the dial plan still decides after it. `meant` is
    /// what the plan reads a value as: a number in E.164, or the digits of a code. Values are compared
    /// as they are meant, so that `030 1234567` and `+49301234567` are one in Germany.
    pub fn may_dial(&self, dialled: &str, meant: impl Fn(&str) -> String) -> bool {
        if self.destinations.is_empty() {
            return true;
        }
        let value = meant(dialled);
        self.destinations.iter().any(|allowed| match prefix(allowed) {
            Some(prefix) => value.starts_with(&kept(prefix)),
            None => value == meant(allowed),
        })
    }

    /// What of the destinations can never match.
    fn check_destinations(&self) -> Result<(), MintError> {
        for text in &self.destinations {
            let bad = |why: &str| MintError::Destination(text.clone(), why.to_owned());
            let start = prefix(text);
            let kept = match start {
                Some(start) => start.parse::<DialString>(),
                None => text.parse::<DialString>(),
            };
            let kept = kept.map_err(|error| bad(&error.to_string()))?;
            let kept = kept.as_str();
            let digits = kept.strip_prefix('+').unwrap_or(kept);
            if digits.contains('+') || (start.is_none() && kept == "+") {
                return Err(bad("+ stands only before a number"));
            }
            if kept.starts_with('+') {
                let fine = match start {
                    Some(_) => {
                        !digits.is_empty()
                            && !digits.starts_with('0')
                            && digits.len() < 15
                            && digits.bytes().all(|b| b.is_ascii_digit())
                    }
                    None => kept.parse::<E164>().is_ok(),
                };
                if !fine {
                    return Err(bad("with + it is a number in full: +4930*, +49301234567"));
                }
            } else if start.is_some() && kept.starts_with('0') {
                return Err(bad(
                    "numbers are compared in full; the start of some begins with +: +4930*",
                ));
            }
        }
        Ok(())
    }

    /// Whether the token allows `number` as the caller; whose number it is, the dial plan knows.
    pub fn may_call_from(&self, number: &str) -> bool {
        self.callers.is_empty() || self.callers.iter().any(|allowed| allowed == number)
    }
}

/// The start that a destination with a `*` behind it stands for. A lone `*` is the star key, not
/// "everything".
fn prefix(destination: &str) -> Option<&str> {
    destination.trim().strip_suffix('*').filter(|prefix| !prefix.is_empty())
}

/// Without what people put between digits.
fn kept(text: &str) -> String {
    text.parse::<DialString>().map(|digits| digits.as_str().to_owned()).unwrap_or_default()
}

/// A list that is written and not empty.
fn some<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let list = Vec::<String>::deserialize(from)?;
    match list.is_empty() {
        true => Err(serde::de::Error::custom("an empty list allows nothing")),
        false => Ok(list),
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
/// [`MintError`]: the token would be dead, live for too long, or name a destination that nobody can
/// dial.
pub fn mint(key: &TokenKey, claims: &Claims, now_unix_s: u64) -> Result<String, MintError> {
    if claims.exp <= now_unix_s {
        return Err(MintError::Expired);
    }
    if claims.exp - now_unix_s > MAX_TTL_S {
        return Err(MintError::TooLong);
    }
    claims.check_destinations()?;
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// It would be dead at once.
    #[error("the token would already have expired")]
    Expired,
    /// It would live for more than [`MAX_TTL_S`].
    #[error("a token lives for at most 1 h")]
    TooLong,
    /// A destination that can never match, and why.
    #[error("destination {0:?}: {1}")]
    Destination(String, String),
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

    /// As a plan in Germany reads values.
    fn meant(value: &str) -> String {
        let digits = kept(value);
        match digits.strip_prefix("00").or(digits.strip_prefix('0').map(|_| "")) {
            Some("") => format!("+49{}", &digits[1..]),
            Some(rest) => format!("+{rest}"),
            None => digits,
        }
    }

    #[test]
    fn destinations_are_compared_as_they_are_meant() {
        let mut scoped = claims();
        assert!(scoped.may_dial("112", meant));
        scoped.destinations = vec!["600".into(), "+49 30*".into(), "040 123-456".into()];
        for (dialled, allowed) in [
            ("600", true),
            ("6-0-0", true),
            ("6000", false),
            ("+493012", true),
            ("030 12", true),
            ("0049 30 12", true),
            ("+4940123456", true),
            ("+49", false),
            ("", false),
        ] {
            assert_eq!(scoped.may_dial(dialled, meant), allowed, "{dialled}");
        }
        scoped.destinations = vec!["*".into()];
        assert!(!scoped.may_dial("600", meant) && scoped.may_dial("*", meant));
        scoped.callers = vec!["+4930123".into()];
        assert!(scoped.may_call_from("+4930123") && !scoped.may_call_from("+4930124"));
    }

    #[test]
    fn destinations_that_nobody_can_dial_make_no_token() {
        let of = |destination: &str| {
            let claims = Claims { destinations: vec![destination.into()], ..claims() };
            mint(&key(1), &claims, NOW)
        };
        for bad in
            ["", " ", "sip:alice@x", "6x", "+49", "+0123*", "030*", "4+9", "+49 30 1*2", "+*"]
        {
            assert!(matches!(of(bad), Err(MintError::Destination(..))), "{bad:?}");
        }
        for fine in ["600", "60*", "+4930*", "+49 30 1234567", "030 1234567", "*97", "*", "112"] {
            assert!(of(fine).is_ok(), "{fine:?}");
        }
    }

    #[test]
    fn an_empty_list_in_a_token_is_no_token() {
        let signed = |json: &str| {
            let signed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json));
            let mac = key(1).mac(&signed).finalize().into_bytes();
            verify(&key(1), &format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)), NOW)
        };
        let json = |more: &str| {
            let exp = NOW + 60;
            format!(r#"{{"sub":"alice","exp":{exp},"scopes":["call:out"]{more}}}"#)
        };
        assert!(signed(&json("")).is_ok());
        for more in [r#","destinations":[]"#, r#","callers":[]"#] {
            assert_eq!(signed(&json(more)), Err(TokenError::Invalid), "{more}");
        }
    }
}
