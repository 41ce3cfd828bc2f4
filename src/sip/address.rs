//! Addresses in headers: `"Alice" <sip:alice@h>;tag=1`, or the bare `sip:alice@h;tag=1`
//! (RFC 3261 20.10), in From, To, Contact, Route, P-Asserted-Identity and the like.

use std::fmt;

use super::codec::readable;
use super::grammar::{self, Malformed};
use super::params::Params;
use super::uri::Uri;

/// A display name, a URI, and the header's parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// What people call the party, without quotes and escapes.
    pub display: Option<String>,
    /// Where it is.
    pub uri: Uri,
    /// The header's own parameters, not the URI's.
    pub params: Params,
}

impl NameAddr {
    /// An address without a name and parameters.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr { display: None, uri, params: Params::new() }
    }

    /// The same address with a name for people.
    pub fn with_display(self, name: &str) -> NameAddr {
        NameAddr { display: Some(name.to_owned()), ..self }
    }

    /// The same address with a tag.
    pub fn with_tag(mut self, tag: &str) -> NameAddr {
        self.params.set("tag", tag);
        self
    }

    /// Parses one address. Parameters of the bare form belong to the header, and the bare form may
    /// hold no `,`, `;` or `?` of its own (RFC 3261 20.10).
    pub fn parse(text: &str) -> Result<NameAddr, Malformed> {
        let text = grammar::trim(text);
        let Some(open) = grammar::find(text, b'<') else { return parse_bare(text) };
        let close = text[open..].find('>').ok_or(Malformed("`<` without `>`"))? + open;
        Ok(NameAddr {
            display: parse_display(grammar::trim(&text[..open]))?,
            uri: Uri::parse(&text[open + 1..close])?,
            params: Params::parse(&text[close + 1..])?,
        })
    }

    /// The tag (RFC 3261 19.3).
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }
}

impl fmt::Display for NameAddr {
    /// Always with angle brackets, which are never wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.display {
            write!(f, "{} ", grammar::quote(name))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

impl fmt::Debug for NameAddr {
    /// The name is personal data and not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NameAddr({:?}{})", self.uri, self.params)
    }
}

fn parse_bare(text: &str) -> Result<NameAddr, Malformed> {
    let end = text.find(';').unwrap_or(text.len());
    let uri = grammar::trim(&text[..end]);
    if uri.contains([',', '?']) {
        return Err(Malformed("a URI with `,` or `?` stands in angle brackets"));
    }
    Ok(NameAddr { display: None, uri: Uri::parse(uri)?, params: Params::parse(&text[end..])? })
}

/// display-name = *(token LWS) / quoted-string (RFC 3261 25.1). Bytes over 127 outside quotes are
/// wrong and common, and let through.
fn parse_display(text: &str) -> Result<Option<String>, Malformed> {
    if text.is_empty() {
        return Ok(None);
    }
    let name = match grammar::quoted_len(text) {
        Some(length) if length == text.len() => grammar::unquote(text),
        Some(_) => return Err(Malformed("nothing stands between the display name and `<`")),
        None => {
            let allowed = |byte: u8| {
                grammar::is_token_byte(byte) || byte == b' ' || byte == b'\t' || byte > 127
            };
            if !text.bytes().all(allowed) {
                return Err(Malformed("a display name is tokens or a quoted string"));
            }
            text.into()
        }
    };
    Ok(Some(readable(&name).into_owned()).filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        // text, display, uri, tag
        let table = [
            ("<sip:a@h>", None, "sip:a@h", None),
            ("sip:a@h;tag=1", None, "sip:a@h", Some("1")),
            ("sip:a@h ; tag = 1", None, "sip:a@h", Some("1")),
            ("<sip:a@h;lr>;tag=x", None, "sip:a@h;lr", Some("x")),
            ("\"Al, \\\"x\\\" <b>\" <sip:a@h>;tag=2", Some("Al, \"x\" <b>"), "sip:a@h", Some("2")),
            ("Alice Smith <sip:a,b@h?c=d>", Some("Alice Smith"), "sip:a,b@h?c=d", None),
            ("caller<sip:a@h>", Some("caller"), "sip:a@h", None),
            ("\"\" <tel:+1-2>", None, "tel:+1-2", None),
            ("J\u{fc}rgen <sip:j@h>", Some("J\u{fc}rgen"), "sip:j@h", None),
        ];
        for (text, display, uri, tag) in table {
            let address = NameAddr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(address.display.as_deref(), display, "{text}");
            assert_eq!(address.uri.as_str(), uri, "{text}");
            assert_eq!(address.tag(), tag, "{text}");
            assert_eq!(NameAddr::parse(&address.to_string()), Ok(address), "{text}");
        }
    }

    #[test]
    fn broken_addresses_are_refused() {
        let table = [
            "",
            "Alice",
            "<sip:a@h",
            "sip:a@h>",
            "< sip:a@h >",
            "Bell, Alexander <sip:a@h>",
            "\"open <sip:a@h>",
            "\"a\" b <sip:a@h>",
            "sip:a@h?Route=%3Csip:x%3E",
            "<sip:a@h>tag=1",
            "<sip:a@h>;tag=",
        ];
        for text in table {
            assert!(NameAddr::parse(text).is_err(), "{text}");
        }
    }
}
