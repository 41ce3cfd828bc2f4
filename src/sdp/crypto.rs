//! `a=crypto` (RFC 4568): the keys of SRTP in a session description.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// A suite that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CryptoSuite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568 6.2.1), which everybody has.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32` (RFC 4568 6.2.2).
    AesCm128HmacSha1_32,
    /// `AEAD_AES_128_GCM` (RFC 7714 14.2).
    AeadAes128Gcm,
}

impl CryptoSuite {
    /// Every suite in the order of our offers: the one that everybody has before the better one,
    /// since some peers look at the first line only.
    pub const ALL: [CryptoSuite; 3] = [
        CryptoSuite::AesCm128HmacSha1_80,
        CryptoSuite::AeadAes128Gcm,
        CryptoSuite::AesCm128HmacSha1_32,
    ];

    /// Its name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            CryptoSuite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            CryptoSuite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            CryptoSuite::AeadAes128Gcm => "AEAD_AES_128_GCM",
        }
    }

    /// Octets of master key and salt together.
    pub const fn key_length(self) -> usize {
        match self {
            CryptoSuite::AesCm128HmacSha1_80 | CryptoSuite::AesCm128HmacSha1_32 => 30,
            CryptoSuite::AeadAes128Gcm => 28,
        }
    }
}

/// Master key and master salt. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct CryptoKey(pub Vec<u8>);

impl fmt::Debug for CryptoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// One line: what its writer would send with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Names the line between offer and answer.
    pub tag: u32,
    /// How.
    pub suite: CryptoSuite,
    /// With what.
    pub key: CryptoKey,
}

/// Whether a stream is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protection {
    /// Never; keys of the peer are read over.
    #[default]
    None,
    /// Where the peer takes it: our offer is `RTP/AVP` with keys, which a peer that knows none reads
    /// over.
    Optional,
    /// No stream without it: `RTP/SAVP`.
    Required,
}

/// What a stream is encrypted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedCrypto {
    /// How, both ways (RFC 4568 5.1.2).
    pub suite: CryptoSuite,
    /// With what we send: our key.
    pub send: CryptoKey,
    /// With what we receive: theirs.
    pub receive: CryptoKey,
}

impl Crypto {
    /// Reads a value; `None` for one that is not spoken here: an unknown suite, a key identifier
    /// (MKI), parameters that switch protection off.
    pub fn parse(value: &str) -> Option<Crypto> {
        let mut fields = value.split_ascii_whitespace();
        let tag = fields.next().filter(|tag| tag.len() <= 9)?.parse().ok()?;
        let name = fields.next()?;
        let suite =
            CryptoSuite::ALL.into_iter().find(|own| own.name().eq_ignore_ascii_case(name))?;
        let keys = fields.next()?;
        // Several keys need key identifiers.
        let inline = keys.strip_prefix("inline:").filter(|keys| !keys.contains(';'))?;
        let mut parts = inline.split('|');
        let text = parts.next()?.trim_end_matches('=');
        if parts.any(|part| part.contains(':')) {
            return None;
        }
        // RFC 4568 6.3: parameters that are not known and not optional refuse the line.
        let harmless =
            |parameter: &str| parameter.starts_with('-') || parameter.starts_with("WSH=");
        if !fields.all(harmless) {
            return None;
        }
        let key =
            STANDARD_NO_PAD.decode(text).ok().filter(|key| key.len() == suite.key_length())?;
        Some(Crypto { tag, suite, key: CryptoKey(key) })
    }
}

impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode(&self.key.0);
        write!(f, "{} {} inline:{key}", self.tag, self.suite.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_peers_write_them() {
        let key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
        for (value, read) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}"), true),
            (format!("1 AES_CM_128_HMAC_SHA1_32 inline:{key}|2^20"), true),
            (format!("7 aes_cm_128_hmac_sha1_80 inline:{key}|2^31 WSH=64"), true),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20|1:4"), false),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4"), false),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTP"), false),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}AAAA"), false),
            (format!("1 F8_128_HMAC_SHA1_80 inline:{key}"), false),
            ("1 AES_CM_128_HMAC_SHA1_80".to_owned(), false),
            (format!("x AES_CM_128_HMAC_SHA1_80 inline:{key}"), false),
            (format!("1 AES_CM_128_HMAC_SHA1_80 {key}"), false),
        ] {
            assert_eq!(Crypto::parse(&value).is_some(), read, "{value}");
        }
        let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}");
        let crypto = Crypto::parse(&line).unwrap();
        assert_eq!(crypto.to_string(), line, "RFC 4568 9.1");
        assert!(!format!("{crypto:?}").contains(key));
        let gcm =
            Crypto { tag: 2, suite: CryptoSuite::AeadAes128Gcm, key: CryptoKey((0..28).collect()) };
        assert_eq!(Crypto::parse(&gcm.to_string()), Some(gcm));
    }
}
