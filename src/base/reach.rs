//! How far an address reaches: a host that is heard from there can say so of its own kind only.

use std::net::IpAddr;

/// From where an address can be sent to, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// This machine: loopback.
    Machine,
    /// One link (RFC 3927, RFC 4291 2.5.6).
    Link,
    /// One network (RFC 1918, RFC 4193), or that of a carrier (RFC 6598).
    Site,
    /// Everywhere else.
    World,
}

impl Reach {
    /// `None` where nobody in particular is: unspecified, multicast and broadcast addresses.
    pub fn of(address: IpAddr) -> Option<Reach> {
        let address = address.to_canonical();
        if address.is_unspecified() || address.is_multicast() {
            return None;
        }
        let (machine, link, site) = match address {
            IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0 => return None,
            IpAddr::V4(v4) => {
                let carrier = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
                (v4.is_loopback(), v4.is_link_local(), v4.is_private() || carrier)
            }
            IpAddr::V6(v6) => (v6.is_loopback(), v6.is_unicast_link_local(), v6.is_unique_local()),
        };
        Some(match (machine, link, site) {
            (true, _, _) => Reach::Machine,
            (_, true, _) => Reach::Link,
            (_, _, true) => Reach::Site,
            _ => Reach::World,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_by_their_ranges() {
        for (text, reach) in [
            ("127.0.0.1", Some(Reach::Machine)),
            ("::ffff:127.9.9.9", Some(Reach::Machine)),
            ("::1", Some(Reach::Machine)),
            ("169.254.169.254", Some(Reach::Link)),
            ("fe80::1", Some(Reach::Link)),
            ("10.1.2.3", Some(Reach::Site)),
            ("100.64.0.1", Some(Reach::Site)),
            ("fd00::1", Some(Reach::Site)),
            ("100.128.0.1", Some(Reach::World)),
            ("203.0.113.9", Some(Reach::World)),
            ("2001:db8::1", Some(Reach::World)),
            ("0.0.0.0", None),
            ("0.1.2.3", None),
            ("255.255.255.255", None),
            ("224.0.0.1", None),
            ("ff02::1", None),
            ("::", None),
        ] {
            assert_eq!(Reach::of(text.parse().unwrap()), reach, "{text}");
        }
        assert!(Reach::Machine < Reach::Link && Reach::Site < Reach::World);
    }
}
