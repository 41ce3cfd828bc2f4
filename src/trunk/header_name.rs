//! The name of a SIP header that a trunk's pages may see.

use std::fmt;
use std::str::FromStr;

/// A header's name (RFC 3261 25.1: a token), 1 to 64 octets; none that holds a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderName(String);

/// Why a text is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderNameError {
    /// Not a token.
    #[error("a header's name has letters, digits, - and _, 64 at most, such as X-Ticket")]
    NoToken,
    /// `Authorization` and its like.
    #[error("this header holds a credential; no page may see it")]
    Credential,
}

impl HeaderName {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderName {
    type Err = HeaderNameError;

    fn from_str(text: &str) -> Result<HeaderName, HeaderNameError> {
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(letters) {
            return Err(HeaderNameError::NoToken);
        }
        match CREDENTIALS.iter().any(|name| text.eq_ignore_ascii_case(name)) {
            true => Err(HeaderNameError::Credential),
            false => Ok(HeaderName(text.to_owned())),
        }
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const CREDENTIALS: [&str; 4] =
    ["Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_and_no_credentials() {
        assert_eq!("X-Ticket".parse::<HeaderName>().unwrap().as_str(), "X-Ticket");
        for text in ["", "X Ticket", "X:", "X\r\nVia", "Ü", &"a".repeat(65)] {
            assert_eq!(text.parse::<HeaderName>(), Err(HeaderNameError::NoToken), "{text:?}");
        }
        let credential = "proxy-authorization".parse::<HeaderName>();
        assert_eq!(credential, Err(HeaderNameError::Credential));
    }
}
