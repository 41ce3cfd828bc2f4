//! Encryption at rest: a file of chunks, each sealed by itself, so that what a crash leaves can be read.
//!
//! ```text
//! magic (8) | salt (32) | { last and length (4, big endian) | sealed bytes and tag (length) }
//! ```
//!
//! AES-256-GCM under a key of the file's own, HKDF-SHA256 of the gateway's key and the salt. The nonce is
//! the number of the chunk, so none can be moved, left out or taken from another file; the head of a chunk is
//! authenticated with it, so a file that was cut is known to be. What is missing at the end is missing
//! there and nowhere else.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use crate::base::Secret;

/// The gateway's key.
#[derive(Clone)]
pub struct SealKey(Secret<String>);

impl SealKey {
    /// Any text of at least 32 characters, best 256 random bits.
    pub fn new(text: Secret<String>) -> SealKey {
        SealKey(text)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

/// Seals or opens the chunks of one file, in their order.
pub struct Seal {
    key: LessSafeKey,
    next: u64,
}

/// Bytes in front of the chunks.
pub(super) const PREAMBLE: usize = 8 + 32;
/// Bytes in front of a chunk.
pub(super) const HEAD: usize = 4;
/// Longer than its contents by this.
pub(super) const TAG: usize = 16;
const MAGIC: &[u8; 8] = b"CPSEAL1\n";
const LAST: u32 = 1 << 31;
/// No chunk is larger: a second of the widest sound has 64 KiB.
const LARGEST: u32 = 1 << 20;

/// The first bytes of a file with this salt, 32 random bytes.
pub(super) fn preamble(salt: &[u8; 32]) -> [u8; PREAMBLE] {
    let mut out = [0; PREAMBLE];
    out[..8].copy_from_slice(MAGIC);
    out[8..].copy_from_slice(salt);
    out
}

/// What a chunk's head says: how many bytes follow, and whether it is the last.
pub(super) fn chunk(head: [u8; HEAD]) -> Option<(usize, bool)> {
    let word = u32::from_be_bytes(head);
    let length = word & !LAST;
    (TAG as u32..=LARGEST).contains(&length).then_some((length as usize, word & LAST != 0))
}

impl Seal {
    /// For the file that begins with this; `None` where it is no sealed file.
    pub fn of(key: &SealKey, preamble: &[u8; PREAMBLE]) -> Option<Seal> {
        let salt = preamble.strip_prefix(MAGIC)?;
        let salt = Salt::new(HKDF_SHA256, salt);
        let pseudo_random = salt.extract(key.0.expose().as_bytes());
        let material = pseudo_random.expand(&[b"crosspoint recording"], &AES_256_GCM).ok()?;
        Some(Seal { key: LessSafeKey::new(UnboundKey::from(material)), next: 0 })
    }

    /// A chunk as it is written.
    pub(super) fn seal(&mut self, contents: &[u8], last: bool) -> Option<Vec<u8>> {
        let length = u32::try_from(contents.len() + TAG).ok().filter(|n| *n <= LARGEST)?;
        let head = (length | if last { LAST } else { 0 }).to_be_bytes();
        let mut out = Vec::with_capacity(HEAD + length as usize);
        out.extend_from_slice(&head);
        out.extend_from_slice(contents);
        let nonce = self.nonce();
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(head), &mut out[HEAD..]);
        out.extend_from_slice(tag.ok()?.as_ref());
        Some(out)
    }

    /// The contents of the next chunk; `None` where it is not what was written, or not with this key.
    pub(super) fn open(&mut self, head: [u8; HEAD], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let nonce = self.nonce();
        let length = self.key.open_in_place(nonce, Aad::from(head), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.next.to_be_bytes());
        self.next += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SealKey {
        SealKey::new(Secret::new(text.to_owned()))
    }

    fn head_of(chunk: &[u8]) -> ([u8; HEAD], Vec<u8>) {
        (chunk[..HEAD].try_into().unwrap(), chunk[HEAD..].to_vec())
    }

    #[test]
    fn chunks_open_in_their_order_with_their_key_and_not_otherwise() {
        let right = key("0123456789abcdef0123456789abcdef");
        let preamble = preamble(&[7; 32]);
        let mut seal = Seal::of(&right, &preamble).unwrap();
        let first = seal.seal(b"first", false).unwrap();
        let second = seal.seal(b"second", true).unwrap();
        assert!(!first.windows(5).any(|w| w == b"first"));
        let (head, sealed) = head_of(&first);
        assert_eq!(chunk(head), Some((5 + TAG, false)));
        let mut open = Seal::of(&right, &preamble).unwrap();
        assert_eq!(open.open(head, sealed.clone()).unwrap(), b"first");
        let (last, end) = head_of(&second);
        assert_eq!(chunk(last), Some((6 + TAG, true)));
        assert_eq!(open.open(last, end.clone()).unwrap(), b"second");
        // Another key, another file, another place, another head, a bit.
        let wrong = key("another key, as long as it has to be");
        assert_eq!(Seal::of(&wrong, &preamble).unwrap().open(head, sealed.clone()), None);
        let other = super::preamble(&[8; 32]);
        assert_eq!(Seal::of(&right, &other).unwrap().open(head, sealed.clone()), None);
        assert_eq!(Seal::of(&right, &preamble).unwrap().open(last, end), None);
        let mut forged = head;
        forged[0] |= 0x80;
        assert_eq!(Seal::of(&right, &preamble).unwrap().open(forged, sealed.clone()), None);
        let mut flipped = sealed;
        flipped[0] ^= 1;
        assert_eq!(Seal::of(&right, &preamble).unwrap().open(head, flipped), None);
        assert!(Seal::of(&right, &[0; PREAMBLE]).is_none());
        assert_eq!(chunk([0xff; 4]), None);
        assert_eq!(format!("{right:?}{seal:?}"), "SealKeySeal");
    }
}
