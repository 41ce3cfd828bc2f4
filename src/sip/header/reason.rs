//! Reason (RFC 3326): why a call ended, as a Q.850 cause or a SIP status.

use std::fmt;

use super::TypedHeader;
use crate::sip::grammar::{self, Malformed};
use crate::sip::params::Params;

/// One reason; a message may hold one per protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `Q.850`, `SIP` or another token, as written.
    pub protocol: String,
    /// The protocol's number for it.
    pub cause: Option<u16>,
    /// Words for people.
    pub text: Option<String>,
}

impl Reason {
    /// A reason in Q.850's terms, 1 to 127.
    pub fn q850(cause: u8, text: &str) -> Reason {
        let text = (!text.is_empty()).then(|| text.to_owned());
        Reason { protocol: "Q.850".to_owned(), cause: Some(cause.into()), text }
    }

    /// The Q.850 cause, when it is one.
    pub fn as_q850(&self) -> Option<u8> {
        let cause = self.cause.and_then(|cause| u8::try_from(cause).ok());
        cause.filter(|cause| self.protocol.eq_ignore_ascii_case("Q.850") && *cause < 128)
    }
}

impl TypedHeader for Reason {
    const NAME: &'static str = "Reason";

    fn parse(value: &str) -> Result<Reason, Malformed> {
        let value = grammar::trim(value);
        let end = value.find(';').unwrap_or(value.len());
        let protocol = grammar::trim(&value[..end]);
        if !grammar::is_token(protocol) {
            return Err(Malformed("Reason starts with the name of a protocol"));
        }
        let params = Params::parse(&value[end..])?;
        let cause = params.unquoted("cause").map(|cause| grammar::number(&cause));
        let wrong = Malformed("the cause of a Reason is a number");
        Ok(Reason {
            protocol: protocol.to_owned(),
            cause: cause.map(|number| number.ok_or(wrong)).transpose()?,
            text: params.unquoted("text").map(|text| text.into_owned()),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            write!(f, ";text={}", grammar::quote(text))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q850_and_others() {
        let reason = Reason::parse("Q.850 ;cause=16 ;text=\"Terminated\"").unwrap();
        assert_eq!(reason.as_q850(), Some(16));
        assert_eq!(reason, Reason::q850(16, "Terminated"));
        assert_eq!(reason.to_string(), "Q.850;cause=16;text=\"Terminated\"");
        let sip = Reason::parse("SIP;cause=200;text=\"Call completed elsewhere\"").unwrap();
        assert_eq!((sip.as_q850(), sip.cause), (None, Some(200)));
        assert!(Reason::parse("").is_err());
        assert!(Reason::parse("Q.850;cause=x").is_err());
    }
}
