//! Via (RFC 3261 20.42) with `received` (18.2.1) and `rport` (RFC 3581): where a response goes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::TypedHeader;
use crate::sip::grammar::{self, Malformed};
use crate::sip::params::Params;
use crate::sip::uri::Host;

/// One Via, that is, one hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, `WS`, `WSS` or another token, as written.
    pub transport: String,
    /// Who sent it: host.
    pub host: Host,
    /// Who sent it: port where written.
    pub port: Option<u16>,
    /// branch, received, rport and the rest.
    pub params: Params,
}

impl Via {
    /// What every branch of RFC 3261 starts with (8.1.1.7).
    pub const MAGIC_COOKIE: &'static str = "z9hG4bK";

    /// A Via of ours, which asks for `rport` (RFC 3581 3).
    pub fn new(transport: &str, host: impl Into<Host>, port: Option<u16>, branch: &str) -> Via {
        let mut params = Params::new();
        params.set_flag("rport");
        params.set("branch", branch);
        Via { transport: transport.to_owned(), host: host.into(), port, params }
    }

    /// The branch parameter.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// The branch when it is unique in the sense of RFC 3261: it starts with the magic cookie.
    pub fn rfc3261_branch(&self) -> Option<&str> {
        let cookie = |branch: &&str| {
            branch.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(Via::MAGIC_COOKIE))
        };
        self.branch().filter(cookie).filter(|branch| branch.len() > 7)
    }

    /// The address in `received`. IPv6 comes with brackets or without (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.unquoted("received")?;
        IpAddr::from_str(text.trim_start_matches('[').trim_end_matches(']')).ok()
    }

    /// The port in `rport`, once the server has filled it in.
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport").and_then(grammar::number)
    }

    /// Whether the client asks for symmetric responses (RFC 3581 3).
    pub fn asks_for_rport(&self) -> bool {
        self.params.contains("rport") && self.params.get("rport").is_none()
    }

    /// Notes where the request really came from: `received` where the address differs or `rport` is
    /// asked for, and `rport` where asked (RFC 3261 18.2.1, RFC 3581 4). What the sender wrote into
    /// `received` is replaced, never believed.
    pub fn stamp(&mut self, source: SocketAddr) {
        let rport = self.asks_for_rport();
        if rport {
            self.params.set("rport", &source.port().to_string());
        }
        if rport || self.host.ip() != Some(source.ip()) {
            self.params.set("received", &source.ip().to_string());
        } else {
            self.params.remove("received");
        }
    }
}

impl TypedHeader for Via {
    const NAME: &'static str = "Via";

    /// `SIP/2.0/UDP host:port;params`; blanks may stand around the slashes and the colon
    /// (RFC 4475 3.1.1.1).
    fn parse(value: &str) -> Result<Via, Malformed> {
        let wrong = Malformed("Via is `SIP/2.0/` transport, a blank, host and parameters");
        let value = grammar::trim(value);
        let end = grammar::find(value, b';').unwrap_or(value.len());
        let (head, params) = value.split_at(end);
        let mut parts = head.splitn(3, '/').map(grammar::trim);
        let protocol = parts.next().ok_or(wrong)?;
        let version = parts.next().ok_or(wrong)?;
        if !protocol.eq_ignore_ascii_case("SIP") || !grammar::is_token(version) {
            return Err(wrong);
        }
        let (transport, sent_by) =
            parts.next().ok_or(wrong)?.split_once([' ', '\t']).ok_or(wrong)?;
        if !grammar::is_token(transport) {
            return Err(wrong);
        }
        let (host, port) = Host::parse_with_port(grammar::trim(sent_by))?;
        Ok(Via { transport: transport.to_owned(), host, port, params: Params::parse(params)? })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        // value, transport, host, port, branch
        let table = [
            ("SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1", "UDP", "192.0.2.2", None, Some("z9hG4bK1")),
            ("SIP/2.0/TLS [2001:db8::9:1]:5061", "TLS", "[2001:db8::9:1]", Some(5061), None),
            (
                "SIP  / 2.0  / TCP     a.example : 5070  ; branch  =   x",
                "TCP",
                "a.example",
                Some(5070),
                Some("x"),
            ),
            ("sip/2.0/ws df7jal23ls0d.invalid", "ws", "df7jal23ls0d.invalid", None, None),
        ];
        for (value, transport, host, port, branch) in table {
            let via = Via::parse(value).unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!((via.transport.as_str(), via.port), (transport, port), "{value}");
            assert_eq!(via.host.to_string(), host, "{value}");
            assert_eq!(via.branch(), branch, "{value}");
            assert_eq!(Via::parse(&via.to_string()), Ok(via), "{value}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let table = [
            "",
            "SIP/2.0/UDP",
            "UDP h",
            "HTTP/1.1/TCP h",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP h;;",
            "SIP/2.0/U@P h",
            "SIP/2.0/UDP a b",
        ];
        for value in table {
            assert!(Via::parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn the_source_is_stamped_rfc_3581_4() {
        let source = "192.0.2.9:5678".parse().unwrap();
        let table = [
            ("SIP/2.0/UDP 192.0.2.9;branch=b", "SIP/2.0/UDP 192.0.2.9;branch=b"),
            ("SIP/2.0/UDP h;branch=b", "SIP/2.0/UDP h;branch=b;received=192.0.2.9"),
            (
                "SIP/2.0/UDP 192.0.2.9;rport;branch=b",
                "SIP/2.0/UDP 192.0.2.9;rport=5678;branch=b;received=192.0.2.9",
            ),
            ("SIP/2.0/UDP h;received=6.6.6.6", "SIP/2.0/UDP h;received=192.0.2.9"),
            ("SIP/2.0/UDP 192.0.2.9;received=6.6.6.6", "SIP/2.0/UDP 192.0.2.9"),
        ];
        for (before, after) in table {
            let mut via = Via::parse(before).unwrap();
            via.stamp(source);
            assert_eq!(via.to_string(), after);
        }
    }

    #[test]
    fn only_the_cookie_makes_a_branch_unique() {
        let branch = |value: &str| Via::parse(value).unwrap().rfc3261_branch().map(str::to_owned);
        assert_eq!(branch("SIP/2.0/UDP h;branch=z9hG4bKx").as_deref(), Some("z9hG4bKx"));
        assert_eq!(branch("SIP/2.0/UDP h;branch=z9hG4bK"), None);
        assert_eq!(branch("SIP/2.0/UDP h;branch=1"), None);
        assert_eq!(branch("SIP/2.0/UDP h"), None);
    }
}
