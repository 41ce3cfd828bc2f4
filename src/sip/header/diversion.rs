//! Diversion (RFC 5806) and History-Info (RFC 7044): whose call it was before it came here.

use std::fmt;

use super::TypedHeader;
use crate::sip::address::NameAddr;
use crate::sip::grammar::{Malformed, percent_decode};

/// One diversion; the newest stands first (RFC 5806 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversion(pub NameAddr);

/// One entry of the history; indexes grow with time (RFC 7044 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryInfo(pub NameAddr);

impl Diversion {
    /// Why: `no-answer`, `user-busy`, `unconditional` and the like.
    pub fn reason(&self) -> Option<String> {
        self.0.params.unquoted("reason").map(|reason| reason.into_owned())
    }

    /// Whether the number is not for the eyes of who is called (RFC 5806 4.1: `privacy`).
    pub fn is_withheld(&self) -> bool {
        let privacy = self.0.params.unquoted("privacy").unwrap_or_default();
        ["full", "uri"].iter().any(|word| privacy.eq_ignore_ascii_case(word))
    }
}

impl HistoryInfo {
    /// Its place in the tree of retargetings: `1`, `1.1`, `1.1.1` and so on.
    pub fn index(&self) -> Option<&str> {
        self.0.params.get("index")
    }

    /// Whether the entry is not for the eyes of who is called: a `Privacy` of its own (RFC 7044 10.1.2).
    pub fn is_withheld(&self) -> bool {
        let mut headers = self.0.uri.headers();
        headers.any(|(name, value)| {
            let value = percent_decode(value);
            let hides = |word: &str| word != "none" && !word.is_empty();
            name.eq_ignore_ascii_case("Privacy")
                && value.split(';').any(|word| hides(&word.trim().to_ascii_lowercase()))
        })
    }

    /// Why the call came to this entry, in the words of a diversion (RFC 7544 table 1): the `cause` of
    /// its URI (RFC 4458).
    pub fn reason(&self) -> Option<&'static str> {
        Some(match self.0.uri.param("cause")? {
            "302" => "unconditional",
            "486" => "user-busy",
            "408" => "no-answer",
            "480" | "487" => "deflection",
            "503" => "unavailable",
            _ => "unknown",
        })
    }
}

impl TypedHeader for Diversion {
    const NAME: &'static str = "Diversion";

    fn parse(value: &str) -> Result<Diversion, Malformed> {
        NameAddr::parse(value).map(Diversion)
    }
}

impl TypedHeader for HistoryInfo {
    const NAME: &'static str = "History-Info";

    fn parse(value: &str) -> Result<HistoryInfo, Malformed> {
        NameAddr::parse(value).map(HistoryInfo)
    }
}

impl fmt::Display for Diversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for HistoryInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_called_first() {
        let diversion =
            Diversion::parse("<sip:+4930111@h>;reason=no-answer;counter=1;privacy=off").unwrap();
        assert_eq!(diversion.0.uri.user(), Some("+4930111"));
        assert_eq!(diversion.reason().as_deref(), Some("no-answer"));
        let history =
            HistoryInfo::parse("<sip:+4930111@h?Reason=SIP%3Bcause%3D302>;index=1.1;mp=1").unwrap();
        assert_eq!(history.index(), Some("1.1"));
        assert_eq!(history.reason(), None);
        let target = HistoryInfo::parse("<sip:+4930222@h;cause=408>;index=1.2").unwrap();
        assert_eq!(target.reason(), Some("no-answer"));
    }

    #[test]
    fn what_is_withheld_says_so_itself() {
        for (text, withheld) in [
            ("<sip:+4930111@h>;privacy=full", true),
            ("<sip:+4930111@h>;privacy=\"URI\"", true),
            ("<sip:+4930111@h>;privacy=name", false),
            ("<sip:+4930111@h>;privacy=off", false),
            ("<sip:+4930111@h>", false),
        ] {
            assert_eq!(Diversion::parse(text).unwrap().is_withheld(), withheld, "{text}");
        }
        for (text, withheld) in [
            ("<sip:+4930111@h?Privacy=history>;index=1", true),
            ("<sip:+4930111@h?Reason=SIP%3Bcause%3D302&privacy=session%3Bhistory>;index=1", true),
            ("<sip:+4930111@h?Privacy=none>;index=1", false),
            ("<sip:+4930111@h?Reason=SIP%3Bcause%3D302>;index=1", false),
        ] {
            assert_eq!(HistoryInfo::parse(text).unwrap().is_withheld(), withheld, "{text}");
        }
    }
}
