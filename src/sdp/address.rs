//! Which media addresses are believed (the address policy of an SDP that came from outside).

use std::net::IpAddr;

/// What a media address may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPolicy {
    /// A public trunk: no loopback, unspecified, multicast, broadcast, documentation or link-local
    /// address, and private ones only as said.
    Public(PrivateAddresses),
    /// Whatever can receive a datagram, loopback included: tests and laboratories. Unspecified,
    /// multicast and broadcast addresses stay refused.
    Any,
}

/// Whether a public trunk may name private addresses (RFC 1918, RFC 6598, RFC 4193).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// They are refused.
    Refused,
    /// The trunk is inside.
    Allowed,
}

impl AddressPolicy {
    /// Whether media may be sent to this address.
    pub fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if address.is_unspecified() || address.is_multicast() || is_broadcast(address) {
            return false;
        }
        match self {
            AddressPolicy::Any => true,
            AddressPolicy::Public(private) => {
                !address.is_loopback()
                    && !is_link_local(address)
                    && !is_reserved(address)
                    && (private == PrivateAddresses::Allowed || !is_private(address))
            }
        }
    }
}

fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        // 100.64.0.0/10 is the carriers' own private range (RFC 6598).
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// "This network", documentation and reserved ranges: never a media endpoint (RFC 6890).
fn is_reserved(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.octets()[0] >= 240 || v4.is_documentation(),
        IpAddr::V6(v6) => v6.segments()[0] == 0x2001 && v6.segments()[1] == 0xdb8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_leg_takes_no_address_that_is_not_public() {
        use PrivateAddresses::{Allowed, Refused};
        let cases = [
            ("198.18.0.1", true, true, true),
            ("8.8.8.8", true, true, true),
            ("10.1.2.3", false, true, true),
            ("100.64.0.1", false, true, true),
            ("fd00::1", false, true, true),
            ("127.0.0.1", false, false, true),
            ("::1", false, false, true),
            ("::ffff:127.0.0.1", false, false, true),
            ("169.254.169.254", false, false, true),
            ("fe80::1", false, false, true),
            ("192.0.2.1", false, false, true),
            ("0.0.0.0", false, false, false),
            ("::", false, false, false),
            ("224.0.0.1", false, false, false),
            ("255.255.255.255", false, false, false),
            ("2a00:1450::1", true, true, true),
        ];
        for (address, public, inside, any) in cases {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(AddressPolicy::Public(Refused).allows(ip), public, "{address}");
            assert_eq!(AddressPolicy::Public(Allowed).allows(ip), inside, "{address}");
            assert_eq!(AddressPolicy::Any.allows(ip), any, "{address}");
        }
    }
}
