//! Refer-To (RFC 3515 2.1), Referred-By (RFC 3892 2) and Replaces (RFC 3891 6.1): who is to be
//! called, who wants it, and which dialog the new call takes the place of.

use std::fmt;

use super::TypedHeader;
use crate::sip::address::NameAddr;
use crate::sip::grammar::{self, Malformed};
use crate::sip::params::Params;
use crate::sip::uri::Uri;

/// Who is to be called. Headers of the URI (`?Replaces=…`) are part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferTo(pub NameAddr);

/// Who sent the REFER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferredBy(pub NameAddr);

/// The dialog that a new call takes the place of, as its other side sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of the side that gets this header.
    pub to_tag: String,
    /// The tag of the other side.
    pub from_tag: String,
    /// Only while it is early (`early-only`).
    pub early_only: bool,
}

impl ReferTo {
    /// The dialog that the call is to replace, where the URI says one (RFC 3891 3, RFC 5589 7.3).
    ///
    /// # Errors
    /// There is a `Replaces` and it cannot be read.
    pub fn replaces(&self) -> Result<Option<Replaces>, Malformed> {
        let mut found =
            self.0.uri.headers().filter(|(name, _)| {
                grammar::percent_decode(name).eq_ignore_ascii_case(Replaces::NAME)
            });
        let Some((_, value)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(Malformed("two Replaces in one Refer-To"));
        }
        Replaces::parse(&grammar::percent_decode(value)).map(Some)
    }

    /// A Refer-To whose call replaces a dialog.
    ///
    /// # Errors
    /// The URI cannot take headers.
    pub fn replacing(target: &Uri, replaces: &Replaces) -> Result<ReferTo, Malformed> {
        let value = escape(&replaces.to_string());
        let text = target.as_str();
        let sign = if text.contains('?') { '&' } else { '?' };
        Uri::parse(&format!("{text}{sign}Replaces={value}")).map(NameAddr::new).map(ReferTo)
    }
}

impl TypedHeader for ReferTo {
    const NAME: &'static str = "Refer-To";

    fn parse(value: &str) -> Result<ReferTo, Malformed> {
        NameAddr::parse(value).map(ReferTo)
    }
}

impl TypedHeader for ReferredBy {
    const NAME: &'static str = "Referred-By";

    fn parse(value: &str) -> Result<ReferredBy, Malformed> {
        NameAddr::parse(value).map(ReferredBy)
    }
}

impl TypedHeader for Replaces {
    const NAME: &'static str = "Replaces";

    fn parse(value: &str) -> Result<Replaces, Malformed> {
        let value = grammar::trim(value);
        let end = value.find(';').unwrap_or(value.len());
        let call_id = grammar::trim(&value[..end]);
        let params = Params::parse(&value[end..])?;
        let tag = |name| {
            let tag: Option<&str> = params.get(name);
            tag.filter(|tag| !tag.is_empty()).map(str::to_owned)
        };
        let wrong = Malformed("Replaces is a Call-ID, a to-tag and a from-tag");
        if call_id.is_empty() || call_id.contains([' ', '\t', ',']) {
            return Err(wrong);
        }
        Ok(Replaces {
            call_id: call_id.to_owned(),
            to_tag: tag("to-tag").ok_or(wrong)?,
            from_tag: tag("from-tag").ok_or(wrong)?,
            early_only: params.contains("early-only"),
        })
    }
}

impl fmt::Display for ReferTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ReferredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        f.write_str(if self.early_only { ";early-only" } else { "" })
    }
}

/// As the value of a URI's header: all but what hvalue may hold is escaped (RFC 3261 25.1).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*()[]/:$".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_as_a_header_and_within_refer_to() {
        // RFC 3891 6.1, and its form in RFC 5589 7.3.
        let value = "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff";
        let replaces = Replaces::parse(value).unwrap();
        assert_eq!(
            (replaces.call_id.as_str(), replaces.to_tag.as_str(), replaces.from_tag.as_str()),
            ("98732@sip.example.com", "ff87ff", "r33th4x0r")
        );
        assert!(!replaces.early_only);
        let refer = ReferTo::parse(
            "<sip:b@192.0.2.4?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>",
        )
        .unwrap();
        let found = refer.replaces().unwrap().unwrap();
        assert_eq!(found.call_id, "12345@192.168.118.3");
        assert_eq!((found.to_tag.as_str(), found.from_tag.as_str()), ("12345", "5FFE-3994"));
        let made = ReferTo::replacing(&Uri::parse("sip:b@h;lr").unwrap(), &replaces).unwrap();
        assert_eq!(made.replaces(), Ok(Some(replaces)));
        assert_eq!(ReferTo::parse("<tel:+4930123>").unwrap().replaces(), Ok(None));
    }

    #[test]
    fn what_is_no_replaces() {
        for value in [
            "",
            "id",
            "id;to-tag=1",
            "id;from-tag=1",
            ";to-tag=1;from-tag=2",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert!(Replaces::parse(value).is_err(), "{value}");
        }
        for uri in [
            "<sip:b@h?Replaces=x>",
            "<sip:b@h?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>",
        ] {
            assert!(ReferTo::parse(uri).unwrap().replaces().is_err(), "{uri}");
        }
    }
}
