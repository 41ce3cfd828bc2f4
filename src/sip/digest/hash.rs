//! Algorithms and the computation of a digest response (RFC 7616 3.4).

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};

/// A hash function of RFC 8760, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    /// SHA-256, which RFC 8760 2.1 wants preferred.
    Sha256,
    /// SHA-512/256.
    Sha512_256,
    /// MD5, for trunks that offer nothing else.
    Md5,
}

/// A hash function and whether it is used in its `-sess` form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Algorithm {
    /// The hash function.
    pub hash: Hash,
    /// `-sess`: the password's hash is bound to nonce and cnonce (RFC 7616 3.4.2).
    pub session: bool,
}

/// The quality of protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI are protected.
    Auth,
    /// The body too.
    AuthInt,
}

/// All that goes into a response.
pub(super) struct Inputs<'a> {
    pub algorithm: Algorithm,
    pub username: &'a str,
    pub realm: &'a str,
    pub password: &'a str,
    pub nonce: &'a str,
    pub method: &'a str,
    pub uri: &'a str,
    pub body: &'a [u8],
    /// None is the form of RFC 2069, without nc and cnonce.
    pub protection: Option<Protection<'a>>,
    /// For `-sess` only: the cnonce that opened the session.
    pub session_cnonce: &'a str,
}

/// What `qop` adds.
#[derive(Clone, Copy)]
pub(super) struct Protection<'a> {
    pub qop: Qop,
    pub nc: u32,
    pub cnonce: &'a str,
}

impl Algorithm {
    /// MD5, which a challenge without `algorithm` means (RFC 7616 3.3).
    pub const MD5: Algorithm = Algorithm { hash: Hash::Md5, session: false };

    /// The algorithm of this name, in any case.
    pub fn parse(name: &str) -> Option<Algorithm> {
        let all = [Hash::Sha256, Hash::Sha512_256, Hash::Md5]
            .into_iter()
            .flat_map(|hash| [false, true].map(|session| Algorithm { hash, session }));
        all.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The name as it is written.
    pub fn name(self) -> &'static str {
        match (self.hash, self.session) {
            (Hash::Sha256, false) => "SHA-256",
            (Hash::Sha256, true) => "SHA-256-sess",
            (Hash::Sha512_256, false) => "SHA-512-256",
            (Hash::Sha512_256, true) => "SHA-512-256-sess",
            (Hash::Md5, false) => "MD5",
            (Hash::Md5, true) => "MD5-sess",
        }
    }
}

impl Qop {
    /// The qop of this name, in any case.
    pub fn parse(name: &str) -> Option<Qop> {
        [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| qop.name().eq_ignore_ascii_case(name))
    }

    /// The name as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }
}

impl Inputs<'_> {
    /// The response, as lower-case hex.
    pub fn response(&self) -> String {
        let hash = |parts: &[&str]| hex_of(self.algorithm.hash, parts.join(":").as_bytes());
        let mut secret = hash(&[self.username, self.realm, self.password]);
        if self.algorithm.session {
            secret = hash(&[&secret, self.nonce, self.session_cnonce]);
        }
        let Some(Protection { qop, nc, cnonce }) = self.protection else {
            return hash(&[&secret, self.nonce, &hash(&[self.method, self.uri])]);
        };
        let request = match qop {
            Qop::Auth => hash(&[self.method, self.uri]),
            Qop::AuthInt => hash(&[self.method, self.uri, &hex_of(self.algorithm.hash, self.body)]),
        };
        hash(&[&secret, self.nonce, &format!("{nc:08x}"), cnonce, qop.name(), &request])
    }
}

/// `bytes` as lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn hex_of(hash: Hash, bytes: &[u8]) -> String {
    match hash {
        Hash::Sha256 => hex(&Sha256::digest(bytes)),
        Hash::Sha512_256 => hex(&Sha512_256::digest(bytes)),
        Hash::Md5 => hex(&Md5::digest(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_7616_3_9_1(algorithm: &str, protection: Option<Qop>) -> String {
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        Inputs {
            algorithm: Algorithm::parse(algorithm).unwrap(),
            username: "Mufasa",
            realm: "http-auth@example.org",
            password: "Circle of Life",
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            method: "GET",
            uri: "/dir/index.html",
            body: b"v=0\r\n",
            protection: protection.map(|qop| Protection { qop, nc: 1, cnonce }),
            session_cnonce: cnonce,
        }
        .response()
    }

    #[test]
    fn responses_are_those_of_rfc_7616_3_9_1() {
        assert_eq!(rfc_7616_3_9_1("MD5", Some(Qop::Auth)), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            rfc_7616_3_9_1("sha-256", Some(Qop::Auth)),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    /// The RFC has no such examples; the values are another implementation's (hashlib).
    #[test]
    fn the_other_forms() {
        let table = [
            ("MD5", None, "7b2cc3b30e75b4777ea31027084363fd"),
            ("MD5", Some(Qop::AuthInt), "d1b8e2ac3f6782372de4bf3d8735b406"),
            ("MD5-sess", Some(Qop::Auth), "e783283f46242139c486a698fec7211d"),
            (
                "SHA-256-sess",
                Some(Qop::AuthInt),
                "cade7e5b751d9c3c2f066a95f2405c5509ad0171cf93f117e98b7f0ebb212e57",
            ),
            (
                "SHA-512-256",
                Some(Qop::Auth),
                "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0",
            ),
            (
                "SHA-512-256-sess",
                Some(Qop::Auth),
                "3f2a34f923c38b0fb26dce2fdfc2ce326c23cecf86fbb1444f3e51fbbc2cb92e",
            ),
        ];
        for (algorithm, qop, response) in table {
            assert_eq!(rfc_7616_3_9_1(algorithm, qop), response, "{algorithm} {qop:?}");
        }
    }
}
