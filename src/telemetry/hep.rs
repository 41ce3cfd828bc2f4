//! HEPv3, the encapsulation of Homer (<https://github.com/sipcapture/HEP>): what was said, by whom and when,
//! for a collector. Pure.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One message of somebody's, to be told to a collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Who got it.
    pub to: SocketAddr,
    /// When, since 1970.
    pub at: Duration,
    /// How it travelled.
    pub carried: Carried,
    /// What it is.
    pub kind: Kind,
    /// Which gateway tells it, as the collector names it.
    pub node: u32,
    /// What the collector wants to be shown.
    pub key: Option<&'a str>,
    /// What all messages of one call have in common.
    pub correlation: &'a str,
    /// The message.
    pub payload: &'a [u8],
}

/// The protocol below the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocols")]
pub enum Carried {
    Udp,
    Tcp,
}

/// The type of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A SIP message.
    Sip,
    /// A line of a log, as JSON.
    Log,
}

impl Capture<'_> {
    /// The datagram; `None` where it would not fit into one.
    pub fn datagram(&self) -> Option<Vec<u8>> {
        if self.payload.len() > MOST_PAYLOAD {
            return None;
        }
        let mut out = Vec::with_capacity(self.payload.len() + 160);
        out.extend(b"HEP3\0\0");
        // Both ends of one family: a mapped address is the IPv4 one that it stands for.
        let (from, to) = (self.from.ip().to_canonical(), self.to.ip().to_canonical());
        let family = if from.is_ipv4() && to.is_ipv4() { AF_INET } else { AF_INET6 };
        chunk(&mut out, IP_FAMILY, &[family]);
        let protocol = match self.carried {
            Carried::Udp => 17,
            Carried::Tcp => 6,
        };
        chunk(&mut out, IP_PROTOCOL, &[protocol]);
        for (address, [four, six]) in [(from, SOURCE), (to, DESTINATION)] {
            match (address, family) {
                (IpAddr::V4(own), AF_INET) => chunk(&mut out, four, &own.octets()),
                (IpAddr::V4(own), _) => chunk(&mut out, six, &own.to_ipv6_mapped().octets()),
                (IpAddr::V6(own), _) => chunk(&mut out, six, &own.octets()),
            }
        }
        chunk(&mut out, SOURCE_PORT, &self.from.port().to_be_bytes());
        chunk(&mut out, DESTINATION_PORT, &self.to.port().to_be_bytes());
        let seconds = u32::try_from(self.at.as_secs()).unwrap_or(u32::MAX);
        chunk(&mut out, SECONDS, &seconds.to_be_bytes());
        chunk(&mut out, MICROSECONDS, &self.at.subsec_micros().to_be_bytes());
        let kind = match self.kind {
            Kind::Sip => 1,
            Kind::Log => 100,
        };
        chunk(&mut out, PROTOCOL_TYPE, &[kind]);
        chunk(&mut out, CAPTURE_ID, &self.node.to_be_bytes());
        if let Some(key) = self.key {
            chunk(&mut out, AUTHENTICATE_KEY, key.as_bytes());
        }
        chunk(&mut out, CORRELATION_ID, self.correlation.as_bytes());
        chunk(&mut out, PAYLOAD, self.payload);
        let length = u16::try_from(out.len()).ok()?;
        out[4..6].copy_from_slice(&length.to_be_bytes());
        Some(out)
    }
}

/// Vendor 0, type, length with this head, value.
fn chunk(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend([0, 0]);
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16 + 6).to_be_bytes());
    out.extend(value);
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IP_FAMILY: u16 = 0x01;
const IP_PROTOCOL: u16 = 0x02;
/// The chunk of an IPv4 and of an IPv6 address.
const SOURCE: [u16; 2] = [0x03, 0x05];
const DESTINATION: [u16; 2] = [0x04, 0x06];
const SOURCE_PORT: u16 = 0x07;
const DESTINATION_PORT: u16 = 0x08;
const SECONDS: u16 = 0x09;
const MICROSECONDS: u16 = 0x0a;
const PROTOCOL_TYPE: u16 = 0x0b;
const CAPTURE_ID: u16 = 0x0c;
const AUTHENTICATE_KEY: u16 = 0x0e;
const PAYLOAD: u16 = 0x0f;
const CORRELATION_ID: u16 = 0x11;
/// A datagram takes 65,507 octets; the rest is room for the other chunks.
const MOST_PAYLOAD: usize = 64_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(payload: &[u8]) -> Capture<'_> {
        Capture {
            from: "192.0.2.1:5060".parse().unwrap(),
            to: "198.51.100.7:5070".parse().unwrap(),
            at: Duration::from_micros(1_700_000_000_000_005),
            carried: Carried::Udp,
            kind: Kind::Sip,
            node: 2001,
            key: None,
            correlation: "c",
            payload,
        }
    }

    #[test]
    fn every_chunk_is_where_the_specification_has_it() {
        let bytes = capture(b"SIP").datagram().unwrap();
        let expected: &[&[u8]] = &[
            b"HEP3\0\x6d",
            b"\0\0\0\x01\0\x07\x02",
            b"\0\0\0\x02\0\x07\x11",
            b"\0\0\0\x03\0\x0a\xc0\x00\x02\x01",
            b"\0\0\0\x04\0\x0a\xc6\x33\x64\x07",
            b"\0\0\0\x07\0\x08\x13\xc4",
            b"\0\0\0\x08\0\x08\x13\xce",
            b"\0\0\0\x09\0\x0a\x65\x53\xf1\x00",
            b"\0\0\0\x0a\0\x0a\0\0\0\x05",
            b"\0\0\0\x0b\0\x07\x01",
            b"\0\0\0\x0c\0\x0a\0\0\x07\xd1",
            b"\0\0\0\x11\0\x07c",
            b"\0\0\0\x0f\0\x09SIP",
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(usize::from(u16::from_be_bytes([bytes[4], bytes[5]])), bytes.len());
    }

    #[test]
    fn families_are_not_mixed_and_what_fits_no_datagram_is_none() {
        let mixed = Capture { to: "[2001:db8::1]:5060".parse().unwrap(), ..capture(b"") };
        let bytes = mixed.datagram().unwrap();
        assert_eq!(bytes[12], AF_INET6);
        let mapped = b"\0\0\0\x05\0\x16\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01";
        assert!(bytes.windows(mapped.len()).any(|own| own == mapped));
        assert_eq!(capture(&[0; 65_000]).datagram(), None);
    }
}
