//! Where a trunk is: `sip:HOST[:PORT][;transport=udp|tcp|tls]` (RFC 3261 19.1).
//!
//! Only what a trunk's target needs; the SIP domain has the whole of URIs.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The address of a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    text: String,
    host: String,
    port: Option<u16>,
    transport: Option<Transport>,
}

/// What carries SIP to a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the protocols")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    /// Every transport with its word in files.
    pub const WORDS: &'static [(&'static str, Transport)] =
        &[("udp", Transport::Udp), ("tcp", Transport::Tcp), ("tls", Transport::Tls)];

    /// The word in files.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, t)| *t == self).map_or("", |(word, _)| word)
    }
}

impl Target {
    /// The URI as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host where it is an address and needs no look-up.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The port where one is written; otherwise DNS says, or 5060 and 5061 (RFC 3263).
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// What carries SIP; UDP where nothing else is written, TLS for `sips:`.
    pub fn transport(&self) -> Transport {
        self.transport.unwrap_or(Transport::Udp)
    }

    /// What carries SIP where the target says so; DNS does otherwise (RFC 3263 4.1).
    pub fn written_transport(&self) -> Option<Transport> {
        self.transport
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let (secure, rest) = match text.split_once(':') {
            Some(("sip", rest)) => (false, rest),
            Some(("sips", rest)) => (true, rest),
            _ => return Err(TargetError::Scheme),
        };
        let mut parts = rest.split(';');
        let (host, port) = host_port(parts.next().unwrap_or(""))?;
        let mut transport = secure.then_some(Transport::Tls);
        for parameter in parts {
            let (name, value) = parameter.split_once('=').ok_or(TargetError::Parameter)?;
            let known = Transport::WORDS.iter().find(|(word, _)| *word == value);
            match (name, known) {
                ("transport", Some((_, found))) if !secure || *found != Transport::Udp => {
                    transport = Some(if secure { Transport::Tls } else { *found });
                }
                _ => return Err(TargetError::Parameter),
            }
        }
        Ok(Target { text: text.to_owned(), host, port, transport })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no target of a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not `sip:` or `sips:`.
    #[error("a target starts with sip: or sips:")]
    Scheme,
    /// The host or port.
    #[error("expected sip:HOST or sip:HOST:PORT, without a user part")]
    Host,
    /// A parameter.
    #[error("the only parameter is ;transport=udp, tcp or tls (sips: is never udp)")]
    Parameter,
}

fn host_port(text: &str) -> Result<(String, Option<u16>), TargetError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(TargetError::Host)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| TargetError::Host)?;
        (host, after.strip_prefix(':').or(if after.is_empty() { None } else { Some("") }))
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
        return Err(TargetError::Host);
    }
    let port = match port {
        None => None,
        Some(digits) => Some(digits.parse().ok().filter(|p| *p > 0).ok_or(TargetError::Host)?),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_others_refused() {
        let read =
            |text: &str| text.parse::<Target>().map(|t| (t.host.clone(), t.port, t.transport()));
        let ok = |host: &str, port, transport| Ok((host.to_owned(), port, transport));
        assert_eq!(
            read("sip:sip.north.example;transport=tls"),
            ok("sip.north.example", None, Transport::Tls)
        );
        assert_eq!(read("sip:127.0.0.1:5070"), ok("127.0.0.1", Some(5070), Transport::Udp));
        assert_eq!(read("sips:a.example"), ok("a.example", None, Transport::Tls));
        assert_eq!(read("sip:[::1]:5070;transport=tcp"), ok("::1", Some(5070), Transport::Tcp));
        for (text, error) in [
            ("north.example", TargetError::Scheme),
            ("tel:+4930", TargetError::Scheme),
            ("sip:", TargetError::Host),
            ("sip:user@north.example", TargetError::Host),
            ("sip:north.example:0", TargetError::Host),
            ("sip:north.example:99999", TargetError::Host),
            ("sip:[::1]x", TargetError::Host),
            ("sip:n.example;lr", TargetError::Parameter),
            ("sip:n.example;transport=sctp", TargetError::Parameter),
            ("sips:n.example;transport=udp", TargetError::Parameter),
        ] {
            assert_eq!(text.parse::<Target>(), Err(error), "{text}");
        }
    }
}
