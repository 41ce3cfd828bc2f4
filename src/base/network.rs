//! A range of addresses in CIDR notation (RFC 4632, RFC 4291 2.3).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses: `203.0.113.0/28`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// One address only.
    pub fn host(address: IpAddr) -> Network {
        let address = address.to_canonical();
        Network { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// The address that was written before the `/`.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many of its first bits count.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether an address is in the range. An IPv4 address mapped into IPv6 is its IPv4 self.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => {
                digits.parse().ok().filter(|p| *p <= longest).ok_or(NetworkError::Prefix)?
            }
        };
        if prefix == 0 {
            return Err(NetworkError::Everybody);
        }
        // An IPv4 range written inside IPv6 (::ffff:192.0.2.0/120) is its IPv4 self.
        match (address.to_canonical(), address) {
            (canonical @ IpAddr::V4(_), IpAddr::V6(_)) => {
                let prefix = prefix.checked_sub(96).ok_or(NetworkError::Prefix)?;
                if prefix == 0 {
                    return Err(NetworkError::Everybody);
                }
                Ok(Network { address: canonical, prefix })
            }
            _ => Ok(Network { address, prefix }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The part before `/`.
    #[error("not an IP address or a range like 203.0.113.0/28")]
    Address,
    /// The part after `/`.
    #[error("the length after / is 1 to 32, for IPv6 1 to 128")]
    Prefix,
    /// A length of 0.
    #[error("/0 would accept everybody; name the trunk's own ranges")]
    Everybody,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("203.0.113.0/28", "203.0.113.15", "203.0.113.16"),
            ("127.0.0.1", "::ffff:127.0.0.1", "127.0.0.2"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("128.0.0.0/1", "200.1.1.1", "100.1.1.1"),
            ("192.0.2.0/24", "::ffff:192.0.2.1", "::1"),
            ("::ffff:192.0.2.0/120", "192.0.2.255", "192.0.3.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "192.0.2.1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network}");
            assert!(!network.contains(outside.parse().unwrap()), "{network}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (text, error) in [
            ("", NetworkError::Address),
            ("north.example", NetworkError::Address),
            ("1.2.3.4/33", NetworkError::Prefix),
            ("1.2.3.4/", NetworkError::Prefix),
            ("0.0.0.0/0", NetworkError::Everybody),
            ("::/0", NetworkError::Everybody),
            ("::ffff:0.0.0.0/96", NetworkError::Everybody),
            ("::ffff:192.0.2.0/64", NetworkError::Prefix),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }
}
