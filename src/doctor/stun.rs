//! The messages of STUN and TURN that the check speaks (RFC 8489, RFC 8656): Binding, Allocate with the
//! long-term credential, Refresh that gives the allocation back. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// Where do you see me?
    Binding,
    /// An address of yours to relay by; the first time without a credential, to hear realm and nonce.
    Allocate(Option<&'a Credential>),
    /// The allocation is not needed any more.
    Release(&'a Credential),
}

/// The long-term credential (RFC 8489 9.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub username: String,
    pub password: String,
    pub realm: String,
    pub nonce: Vec<u8>,
}

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The class: whether it is a success.
    pub success: bool,
    /// Where the server sees us.
    pub mapped: Option<SocketAddr>,
    /// The address to relay by.
    pub relayed: Option<SocketAddr>,
    /// 401, 438 ...
    pub error: Option<u16>,
    pub realm: Option<String>,
    pub nonce: Option<Vec<u8>>,
}

/// A request as octets.
pub(super) fn write(request: &Request<'_>, transaction: [u8; 12]) -> Vec<u8> {
    let kind: u16 = match request {
        Request::Binding => 0x0001,
        Request::Allocate(_) => 0x0003,
        Request::Release(_) => 0x0004,
    };
    let mut out = Vec::with_capacity(256);
    out.extend(kind.to_be_bytes());
    out.extend([0, 0]);
    out.extend(COOKIE.to_be_bytes());
    out.extend(transaction);
    let credential = match request {
        Request::Binding => None,
        Request::Allocate(credential) => {
            // UDP, the only one that media needs (RFC 8656 18.7).
            attribute(&mut out, REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            *credential
        }
        Request::Release(credential) => {
            attribute(&mut out, LIFETIME, &[0; 4]);
            Some(*credential)
        }
    };
    if let Some(own) = credential {
        attribute(&mut out, USERNAME, own.username.as_bytes());
        attribute(&mut out, REALM, own.realm.as_bytes());
        attribute(&mut out, NONCE, &own.nonce);
        // RFC 8489 14.5: the mac is over a header whose length counts the mac, too.
        set_length(&mut out, 24);
        let key = Md5::digest(format!("{}:{}:{}", own.username, own.realm, own.password));
        let mut mac = Hmac::<Sha1>::new_from_slice(&key).expect("HMAC takes a key of any length");
        mac.update(&out);
        let mac = mac.finalize().into_bytes();
        attribute(&mut out, MESSAGE_INTEGRITY, &mac);
    }
    set_length(&mut out, 0);
    out
}

/// The answer to the request of this transaction; `None` for anything else.
pub(super) fn read(bytes: &[u8], transaction: [u8; 12]) -> Option<Answer> {
    let head = bytes.get(..HEADER)?;
    let kind = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    // RFC 8489 5: two zero bits, the cookie; the class of an answer has its higher bit set.
    let right = kind & 0xc000 == 0
        && kind & 0x0100 != 0
        && head[4..8] == COOKIE.to_be_bytes()
        && head[8..20] == transaction;
    if !right {
        return None;
    }
    let mut rest = bytes.get(HEADER..HEADER + length)?;
    let mut answer = Answer { success: kind & 0x0010 == 0, ..Answer::default() };
    while let [a, b, c, d, after @ ..] = rest {
        let (kind, length) =
            (u16::from_be_bytes([*a, *b]), usize::from(u16::from_be_bytes([*c, *d])));
        let value = after.get(..length)?;
        match kind {
            XOR_MAPPED_ADDRESS => answer.mapped = address(value, transaction),
            XOR_RELAYED_ADDRESS => answer.relayed = address(value, transaction),
            ERROR_CODE => {
                let code = value.get(2..4)?;
                answer.error = Some(u16::from(code[0] & 7) * 100 + u16::from(code[1]));
            }
            REALM => answer.realm = String::from_utf8(value.to_vec()).ok(),
            NONCE => answer.nonce = Some(value.to_vec()),
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(answer)
}

/// How long the message is that begins with this header.
pub(super) fn whole_length(header: &[u8]) -> Option<usize> {
    let head = header.get(..HEADER)?;
    Some(HEADER + usize::from(u16::from_be_bytes([head[2], head[3]])))
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn set_length(out: &mut [u8], more: usize) {
    let length = (out.len() - HEADER + more) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
}

/// RFC 8489 14.2.
fn address(value: &[u8], transaction: [u8; 12]) -> Option<SocketAddr> {
    let [_, family, high, low, rest @ ..] = value else { return None };
    let port = u16::from_be_bytes([*high, *low]) ^ (COOKIE >> 16) as u16;
    let ip = match (family, rest.len()) {
        (1, 4) => {
            let bits = u32::from_be_bytes(rest.try_into().ok()?) ^ COOKIE;
            IpAddr::V4(Ipv4Addr::from(bits))
        }
        (2, 16) => {
            let mut mask = [0; 16];
            mask[..4].copy_from_slice(&COOKIE.to_be_bytes());
            mask[4..].copy_from_slice(&transaction);
            let bits = u128::from_be_bytes(rest.try_into().ok()?) ^ u128::from_be_bytes(mask);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

const HEADER: usize = 20;
const COOKIE: u32 = 0x2112_a442;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const LIFETIME: u16 = 0x000d;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_of_rfc_5769_is_read() {
        // RFC 5769 2.2: a Binding response, its mapped address 192.0.2.1:32853.
        let bytes: [u8; 80] = [
            0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
            0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74,
            0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01,
            0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99,
            0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b,
            0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
        ];
        let transaction = bytes[8..20].try_into().unwrap();
        let answer = read(&bytes, transaction).unwrap();
        assert!(answer.success);
        assert_eq!(answer.mapped, Some("192.0.2.1:32853".parse().unwrap()));
        assert_eq!(whole_length(&bytes), Some(80));
        assert_eq!(read(&bytes, [0; 12]), None, "somebody else's answer");
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut], transaction), None, "{cut}");
        }
    }

    #[test]
    fn what_a_server_may_send_never_panics() {
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            let mut bytes = vec![1, 1, 0, 24, 0x21, 0x12, 0xa4, 0x42];
            bytes.extend([0; 12]);
            for _ in 0..24 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                bytes.push((seed >> 56) as u8 & 0x2f);
            }
            let _ = read(&bytes, [0; 12]);
        }
    }
}
