//! WWW-Authenticate, Proxy-Authenticate, Authorization and Proxy-Authorization (RFC 3261 20.44,
//! 20.27, 20.7, 20.28): scheme and auth-params as written. What they mean is `digest`'s.
//!
//! These headers hold commas that separate parameters, not elements: read them with
//! `MessageExt::get_all`, never as a list.

use std::borrow::Cow;
use std::fmt;

use super::TypedHeader;
use crate::sip::grammar::{self, Malformed};

/// A scheme and its parameters: the content of all four headers.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthParams {
    scheme: String,
    params: Vec<(String, String)>,
}

impl AuthParams {
    /// `Digest` without parameters.
    pub fn digest() -> AuthParams {
        AuthParams { scheme: "Digest".to_owned(), params: Vec::new() }
    }

    /// Whether the scheme is Digest.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// The value of a parameter without quotes.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let (_, value) = self.params.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some(grammar::unquote(value))
    }

    /// Adds a parameter whose value is written as it is: a token.
    pub fn push_token(&mut self, name: &str, value: &str) {
        self.params.push((name.to_owned(), value.to_owned()));
    }

    /// Adds a parameter whose value is quoted.
    pub fn push_quoted(&mut self, name: &str, value: &str) {
        self.params.push((name.to_owned(), grammar::quote(value)));
    }

    /// Parses one header. Several challenges in one line (RFC 7235 4.1) are taken by
    /// [`AuthParams::parse_list`].
    pub fn parse(value: &str) -> Result<AuthParams, Malformed> {
        match AuthParams::parse_list(value)? {
            list if list.len() == 1 => list.into_iter().next().ok_or(NO_SCHEME),
            _ => Err(Malformed("one scheme is expected here")),
        }
    }

    /// Parses all challenges of one header line. An element that starts with a word, a blank and a
    /// parameter opens the next challenge.
    pub fn parse_list(value: &str) -> Result<Vec<AuthParams>, Malformed> {
        let mut list: Vec<AuthParams> = Vec::new();
        for element in grammar::split(value, b',').filter(|element| !element.is_empty()) {
            let name_end = element.find('=').unwrap_or(element.len());
            let name = grammar::trim(&element[..name_end]);
            let param = match name.split_once([' ', '\t']) {
                Some((scheme, _)) => {
                    if !grammar::is_token(scheme) {
                        return Err(NO_SCHEME);
                    }
                    list.push(AuthParams { scheme: scheme.to_owned(), params: Vec::new() });
                    grammar::trim(&element[scheme.len()..])
                }
                None => element,
            };
            let last = list.last_mut().ok_or(NO_SCHEME)?;
            last.params.push(parse_param(param)?);
            if last.params.len() > MAX_PARAMS {
                return Err(Malformed("more parameters than any scheme has"));
            }
        }
        if list.is_empty() { Err(NO_SCHEME) } else { Ok(list) }
    }
}

impl fmt::Display for AuthParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        for (index, (name, value)) in self.params.iter().enumerate() {
            write!(f, "{} {name}={value}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Debug for AuthParams {
    /// A response may be guessed at offline: only the scheme is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthParams({})", self.scheme)
    }
}

macro_rules! auth_headers {
    ($($(#[$doc:meta])* $type:ident = $name:literal,)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $type(pub AuthParams);

        impl TypedHeader for $type {
            const NAME: &'static str = $name;

            fn parse(value: &str) -> Result<$type, Malformed> {
                AuthParams::parse(value).map($type)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

auth_headers! {
    /// A user agent's challenge, in a 401.
    WwwAuthenticate = "WWW-Authenticate",
    /// A proxy's challenge, in a 407.
    ProxyAuthenticate = "Proxy-Authenticate",
    /// The answer to a 401.
    Authorization = "Authorization",
    /// The answer to a 407.
    ProxyAuthorization = "Proxy-Authorization",
}

fn parse_param(text: &str) -> Result<(String, String), Malformed> {
    let wrong = Malformed("an auth-param is a name, `=` and a token or a quoted string");
    let (name, value) = text.split_once('=').ok_or(wrong)?;
    let (name, value) = (grammar::trim(name), grammar::trim(value));
    let whole = match grammar::quoted_len(value) {
        Some(length) => length == value.len(),
        None => !value.is_empty() && !value.contains([' ', '\t', '"']),
    };
    if grammar::is_token(name) && whole {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(wrong)
    }
}

const NO_SCHEME: Malformed = Malformed("authentication starts with a scheme");

/// Digest has 12 (RFC 7616 3.4); the rest is room for extensions.
const MAX_PARAMS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_and_parameters() {
        let value = "Digest realm=\"a, b\", nonce=\"x\\\"y\", qop=\"auth,auth-int\", stale=TRUE";
        let params = AuthParams::parse(value).unwrap();
        assert!(params.is_digest());
        assert_eq!(params.get("REALM").as_deref(), Some("a, b"));
        assert_eq!(params.get("nonce").as_deref(), Some("x\"y"));
        assert_eq!(params.get("stale").as_deref(), Some("TRUE"));
        assert_eq!(params.get("opaque"), None);
        assert_eq!(params.to_string(), value);
    }

    #[test]
    fn several_challenges_in_one_line() {
        let value = "Digest realm=\"a\", nonce=\"1\", Basic realm=\"b\" ,digest  nonce = 2";
        let list = AuthParams::parse_list(value).unwrap();
        let nonces: Vec<_> = list.iter().map(|one| one.get("nonce")).collect();
        assert_eq!(nonces, [Some("1".into()), None, Some("2".into())]);
        assert!(AuthParams::parse(value).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        let table = [
            "",
            "Digest",
            "realm=\"a\"",
            "Digest realm",
            "Digest realm=\"a",
            "D@ x=1",
            "Digest a=b c",
        ];
        for value in table {
            assert!(AuthParams::parse(value).is_err(), "{value}");
        }
    }
}
