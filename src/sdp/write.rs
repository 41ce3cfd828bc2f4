//! Model to text (RFC 8866 section 5): lines end with CR LF, in the order of section 5.

use std::fmt;

use super::{Address, AddressFamily, Attribute, Media, Session};

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        write!(f, "v=0\r\n")?;
        write!(f, "o={} {} {} ", origin.username, origin.session_id, origin.version)?;
        write!(f, "{}\r\n", origin.address)?;
        // One character at least (section 5.3).
        write!(f, "s={}\r\n", if self.name.is_empty() { "-" } else { &self.name })?;
        write_connection(f, self.connection.as_ref())?;
        write!(f, "t=0 0\r\n")?;
        write_attributes(f, &self.attributes)?;
        self.media.iter().try_for_each(|m| write!(f, "{m}"))
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind, self.port, self.protocol)?;
        self.formats.iter().try_for_each(|format| write!(f, " {format}"))?;
        write!(f, "\r\n")?;
        write_connection(f, self.connection.as_ref())?;
        write_attributes(f, &self.attributes)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(ip) if ip.is_ipv4() => write!(f, "IN IP4 {ip}"),
            Address::Ip(ip) => write!(f, "IN IP6 {ip}"),
            Address::Name { family: AddressFamily::Ip4, name } => write!(f, "IN IP4 {name}"),
            Address::Name { family: AddressFamily::Ip6, name } => write!(f, "IN IP6 {name}"),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}:{value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn write_connection(f: &mut fmt::Formatter<'_>, address: Option<&Address>) -> fmt::Result {
    address.map_or(Ok(()), |address| write!(f, "c={address}\r\n"))
}

fn write_attributes(f: &mut fmt::Formatter<'_>, attributes: &[Attribute]) -> fmt::Result {
    attributes.iter().try_for_each(|a| write!(f, "a={a}\r\n"))
}
