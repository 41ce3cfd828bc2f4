//! URIs: `sip:` and `sips:` (RFC 3261 19.1), `tel:` (RFC 3966), and any other scheme as opaque text.
//!
//! The text is kept as it came, escapes included, and is what is written again: an escape is never
//! decoded and encoded anew. `==` compares the text; [`Uri::equivalent`] is the comparison of
//! RFC 3261 19.1.4.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::str::FromStr;

use super::grammar::{self, Malformed};

/// A URI, parsed once; its parts are slices of its text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    text: String,
    parts: Parts,
}

/// What a URI's scheme says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else, which a request gets 416 for.
    Other,
}

/// The host of a URI or a Via.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name to be located (RFC 3263), as written.
    Name(String),
    /// An address; IPv6 stands in brackets on the wire (RFC 5118 4.1).
    Ip(IpAddr),
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Parts {
    Sip(SipParts),
    Tel { number: Range<usize>, params: Range<usize> },
    Opaque,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct SipParts {
    secure: bool,
    user: Option<Range<usize>>,
    password: Option<Range<usize>>,
    host: Host,
    port: Option<u16>,
    params: Range<usize>,
    headers: Range<usize>,
}

impl Uri {
    /// Parses a URI as it stands between `<` and `>` or in a request line: no blanks, ASCII only.
    pub fn parse(text: &str) -> Result<Uri, Malformed> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte)) {
            return Err(Malformed("a URI has no blanks, quotes, angle brackets or bytes over 127"));
        }
        let colon = text.find(':').ok_or(Malformed("a URI starts with a scheme"))?;
        let parts = match &text[..colon] {
            scheme if !is_scheme(scheme) => return Err(Malformed("a URI starts with a scheme")),
            scheme if scheme.eq_ignore_ascii_case("sip") => parse_sip(text, colon + 1, false)?,
            scheme if scheme.eq_ignore_ascii_case("sips") => parse_sip(text, colon + 1, true)?,
            scheme if scheme.eq_ignore_ascii_case("tel") => parse_tel(text, colon + 1)?,
            _ => Parts::Opaque,
        };
        Ok(Uri { text: text.to_owned(), parts })
    }

    /// `sip:user@host:port`. What a user part may not hold is escaped (RFC 3261 25.1).
    pub fn sip(user: Option<&str>, host: &Host, port: Option<u16>) -> Result<Uri, Malformed> {
        let mut text = String::from("sip:");
        if let Some(user) = user {
            text.push_str(&escape_user(user));
            text.push('@');
        }
        text.push_str(&host.to_string());
        if let Some(port) = port {
            text.push_str(&format!(":{port}"));
        }
        Uri::parse(&text)
    }

    /// The same URI with one more parameter, before its headers.
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Result<Uri, Malformed> {
        let end = match &self.parts {
            Parts::Sip(sip) => sip.params.end,
            Parts::Tel { params, .. } => params.end,
            Parts::Opaque => return Err(Malformed("an opaque URI has no parameters")),
        };
        let param = value.map_or(format!(";{name}"), |value| format!(";{name}={value}"));
        Uri::parse(&format!("{}{param}{}", &self.text[..end], &self.text[end..]))
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        match &self.parts {
            Parts::Sip(sip) if sip.secure => Scheme::Sips,
            Parts::Sip(_) => Scheme::Sip,
            Parts::Tel { .. } => Scheme::Tel,
            Parts::Opaque => Scheme::Other,
        }
    }

    /// The user part of sip and sips, or the number of tel, as written.
    pub fn user(&self) -> Option<&str> {
        match &self.parts {
            Parts::Sip(sip) => sip.user.clone().map(|span| &self.text[span]),
            Parts::Tel { number, .. } => Some(&self.text[number.clone()]),
            Parts::Opaque => None,
        }
    }

    /// The user part with its escapes undone, for people and the dial plan; never for the wire.
    pub fn user_decoded(&self) -> Option<Cow<'_, str>> {
        self.user().map(grammar::percent_decode)
    }

    /// The host of sip and sips.
    pub fn host(&self) -> Option<&Host> {
        self.as_sip().map(|sip| &sip.host)
    }

    /// The port where one is written.
    pub fn port(&self) -> Option<u16> {
        self.as_sip().and_then(|sip| sip.port)
    }

    /// The value of a parameter, as written; empty for one without a value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Names and values of the parameters; the value is empty where there is none.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let span = match &self.parts {
            Parts::Sip(sip) => sip.params.clone(),
            Parts::Tel { params, .. } => params.clone(),
            Parts::Opaque => 0..0,
        };
        pairs(&self.text[span], ';')
    }

    /// Names and values of the headers behind `?`, escapes kept.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let span = self.as_sip().map_or(0..0, |sip| sip.headers.clone());
        pairs(&self.text[span], '&')
    }

    /// Whether this is a loose router's URI (RFC 3261 19.1.1, `lr`).
    pub fn is_loose_router(&self) -> bool {
        self.param("lr").is_some()
    }

    /// Whether two URIs name the same resource (RFC 3261 19.1.4, RFC 3966 4, RFC 5954 4.2).
    pub fn equivalent(&self, other: &Uri) -> bool {
        match (&self.parts, &other.parts) {
            (Parts::Sip(own), Parts::Sip(its)) => {
                own.secure == its.secure
                    && own.port == its.port
                    && own.host.equivalent(&its.host)
                    && same_bytes(self.user(), other.user())
                    && same_bytes(self.span(&own.password), other.span(&its.password))
                    && sip_params_match(self, other)
                    && sip_params_match(other, self)
                    && headers_match(self, other)
            }
            (Parts::Tel { .. }, Parts::Tel { .. }) => {
                let number = |uri: &Uri| without_separators(uri.user().unwrap_or_default());
                number(self) == number(other) && tel_params(self) == tel_params(other)
            }
            (Parts::Opaque, Parts::Opaque) => self.text == other.text,
            _ => false,
        }
    }

    fn as_sip(&self) -> Option<&SipParts> {
        match &self.parts {
            Parts::Sip(sip) => Some(sip),
            _ => None,
        }
    }

    fn span(&self, span: &Option<Range<usize>>) -> Option<&str> {
        span.clone().map(|span| &self.text[span])
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    /// The number or name is personal data: only scheme and host are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            Some(host) => write!(f, "Uri({:?} at {host})", self.scheme()),
            None => write!(f, "Uri({:?})", self.scheme()),
        }
    }
}

impl FromStr for Uri {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Uri, Malformed> {
        Uri::parse(text)
    }
}

impl Host {
    /// Parses a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn parse(text: &str) -> Result<Host, Malformed> {
        if let Some(rest) = text.strip_prefix('[') {
            let inner = rest.strip_suffix(']').ok_or(Malformed("an IPv6 address ends with `]`"))?;
            let address = Ipv6Addr::from_str(inner).map_err(|_| Malformed("no IPv6 address"))?;
            return Ok(Host::Ip(IpAddr::V6(address)));
        }
        // Underscores are outside RFC 3261's hostname and inside many a real one.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text.is_empty() || text.starts_with('.') || !text.bytes().all(allowed) {
            return Err(Malformed(
                "a host is a name, an IPv4 address or an IPv6 address in brackets",
            ));
        }
        Ok(IpAddr::from_str(text).map_or_else(|_| Host::Name(text.to_owned()), Host::Ip))
    }

    /// Parses `host` or `host:port`.
    pub fn parse_with_port(text: &str) -> Result<(Host, Option<u16>), Malformed> {
        let end = text.rfind(']').map_or(0, |at| at + 1);
        let Some(colon) = text[end..].find(':').map(|at| at + end) else {
            return Ok((Host::parse(text)?, None));
        };
        let port = grammar::number(grammar::trim(&text[colon + 1..]));
        let port = port.ok_or(Malformed("a port is a number of 0 to 65535"))?;
        Ok((Host::parse(grammar::trim(&text[..colon]))?, Some(port)))
    }

    /// Whether both are the same address, or the same name without regard to case.
    pub fn equivalent(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Name(own), Host::Name(its)) => own.eq_ignore_ascii_case(its),
            (Host::Ip(own), Host::Ip(its)) => own == its,
            _ => false,
        }
    }

    /// The address, when it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Ip(address) => Some(*address),
            Host::Name(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Host {
        Host::Ip(address.ip())
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Host {
        Host::Ip(address)
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// `@` stands in a SIP URI at most once, everywhere else it is escaped; `;` and `?` may stand in the
/// user part (RFC 4475 3.1.1.9), so `@` is looked for first.
fn parse_sip(text: &str, start: usize, secure: bool) -> Result<Parts, Malformed> {
    let (mut user, mut password, mut host_start) = (None, None, start);
    if let Some(at) = text[start..].find('@').map(|at| at + start) {
        if text[at + 1..].contains('@') {
            return Err(Malformed("a SIP URI has one `@` at most"));
        }
        let colon = text[start..at].find(':').map(|colon| colon + start);
        if colon.unwrap_or(at) == start {
            return Err(Malformed("the user part of a URI is not empty"));
        }
        user = Some(start..colon.unwrap_or(at));
        password = colon.map(|colon| colon + 1..at);
        host_start = at + 1;
    }
    let headers_start = text[host_start..].find('?').map_or(text.len(), |at| at + host_start);
    let params_start =
        text[host_start..headers_start].find(';').map_or(headers_start, |at| at + host_start);
    let (host, port) = Host::parse_with_port(&text[host_start..params_start])?;
    let params = params_start..headers_start;
    check_params(&text[params.clone()])?;
    let headers = headers_start..text.len();
    Ok(Parts::Sip(SipParts { secure, user, password, host, port, params, headers }))
}

fn parse_tel(text: &str, start: usize) -> Result<Parts, Malformed> {
    let end = text[start..].find(';').map_or(text.len(), |at| at + start);
    let digits = without_separators(&text[start..end]);
    let body = digits.strip_prefix('+').unwrap_or(&digits);
    if body.is_empty()
        || !body.bytes().all(|byte| byte.is_ascii_hexdigit() || b"*#".contains(&byte))
    {
        return Err(Malformed("a tel URI is digits and visual separators"));
    }
    check_params(&text[end..])?;
    Ok(Parts::Tel { number: start..end, params: end..text.len() })
}

fn check_params(text: &str) -> Result<(), Malformed> {
    if text.is_empty() || text[1..].split(';').all(|one| !one.is_empty() && !one.starts_with('=')) {
        return Ok(());
    }
    Err(Malformed("a parameter of a URI has a name"))
}

/// `;a=b;c` or `?a=b&c` as pairs; the first byte is the sign that opens the list.
fn pairs(text: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    let list = text.get(1..).unwrap_or_default();
    list.split(separator)
        .filter(|one| !one.is_empty())
        .map(|one| one.split_once('=').unwrap_or((one, "")))
}

fn same_bytes(own: Option<&str>, its: Option<&str>) -> bool {
    own.map(grammar::percent_decode) == its.map(grammar::percent_decode)
}

/// Every parameter of `uri` is the same in `other`; one that is missing there counts only when it
/// says where or how to send (RFC 3261 19.1.4).
fn sip_params_match(uri: &Uri, other: &Uri) -> bool {
    const BOTH_OR_NEITHER: [&str; 5] = ["maddr", "method", "transport", "ttl", "user"];
    uri.params().all(|(name, value)| match other.param(name) {
        Some(its) => {
            grammar::percent_decode(value).eq_ignore_ascii_case(&grammar::percent_decode(its))
        }
        None => !BOTH_OR_NEITHER.iter().any(|one| one.eq_ignore_ascii_case(name)),
    })
}

fn headers_match(own: &Uri, its: &Uri) -> bool {
    let set = |uri: &Uri| {
        let decode = |text| grammar::percent_decode(text).into_owned();
        let mut all: Vec<_> = uri
            .headers()
            .map(|(name, value)| (decode(name).to_ascii_lowercase(), decode(value)))
            .collect();
        all.sort();
        all
    };
    set(own) == set(its)
}

fn tel_params(uri: &Uri) -> Vec<(String, String)> {
    let lower = |text: &str| text.to_ascii_lowercase();
    let mut all: Vec<_> = uri.params().map(|(name, value)| (lower(name), lower(value))).collect();
    all.sort();
    all
}

/// The number without RFC 3966's visual separators.
fn without_separators(number: &str) -> String {
    number.chars().filter(|digit| !"-.()".contains(*digit)).flat_map(char::to_lowercase).collect()
}

/// user = unreserved / escaped / user-unreserved (RFC 3261 25.1).
fn escape_user(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            escaped.push(byte as char);
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
