//! The SRTP and SRTCP transforms (RFC 3711, RFC 7714): one sender's packets sealed, another's opened.
//!
//! Keys come from SDES (RFC 4568), so that a context has one master key for each direction and no MKI.
//! A packet that does not verify changes nothing here and costs nobody but its sender.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

/// A suite of RFC 4568 6.2 or RFC 7714 14.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SrtpSuite {
    /// AES in counter mode, HMAC-SHA1 of 80 bits.
    AesCm128HmacSha1_80,
    /// The same with 32 bits for RTP; RTCP has 80.
    AesCm128HmacSha1_32,
    /// AES-GCM.
    AeadAes128Gcm,
}

impl SrtpSuite {
    /// Octets of master key and master salt together.
    pub const fn key_length(self) -> usize {
        KEY + self.salt_length()
    }

    const fn salt_length(self) -> usize {
        match self {
            SrtpSuite::AesCm128HmacSha1_80 | SrtpSuite::AesCm128HmacSha1_32 => 14,
            SrtpSuite::AeadAes128Gcm => 12,
        }
    }

    const fn rtp_tag(self) -> usize {
        match self {
            SrtpSuite::AesCm128HmacSha1_80 => 10,
            SrtpSuite::AesCm128HmacSha1_32 => 4,
            SrtpSuite::AeadAes128Gcm => 16,
        }
    }

    const fn rtcp_tag(self) -> usize {
        match self {
            SrtpSuite::AesCm128HmacSha1_80 | SrtpSuite::AesCm128HmacSha1_32 => 10,
            SrtpSuite::AeadAes128Gcm => 16,
        }
    }
}

/// Why a packet is not opened or sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// It is no packet, or too short for what the suite adds.
    #[error("no SRTP packet")]
    Malformed,
    /// Its tag is wrong: another key, or somebody changed it.
    #[error("the tag is wrong")]
    Tag,
    /// It came before, or is too old to know.
    #[error("a packet that came before")]
    Replay,
    /// The key is used up (RFC 3711 9.2).
    #[error("the key is used up")]
    UsedUp,
    /// The key has the wrong length.
    #[error("the key has the wrong length")]
    Key,
}

/// One direction: everything that one master key protects.
pub struct SrtpContext {
    suite: SrtpSuite,
    rtp: Keys,
    rtcp: Keys,
    /// Each source with its own count of wraps (RFC 3711 3.2.3); the last few only.
    sources: Vec<Source>,
}

/// Session keys of RTP or RTCP.
struct Keys {
    cipher: Cipher,
    salt: [u8; 14],
}

enum Cipher {
    /// Boxed: the key schedule is ten times as long as everything else here.
    Counter {
        key: Box<EncryptingKey>,
        auth: Box<hmac::Key>,
    },
    Gcm(LessSafeKey),
}

/// What is kept of one SSRC.
#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    /// The highest index: wraps and sequence number. `None` before the first packet.
    highest: Option<u64>,
    window: u128,
    rtcp_highest: Option<u32>,
    rtcp_window: u128,
}

impl std::fmt::Debug for SrtpContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpContext").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl SrtpContext {
    /// A context from master key and master salt as SDES carries them, one after the other.
    ///
    /// # Errors
    /// [`SrtpError::Key`] where their length is not [`SrtpSuite::key_length`].
    pub fn new(suite: SrtpSuite, key_and_salt: &[u8]) -> Result<SrtpContext, SrtpError> {
        if key_and_salt.len() != suite.key_length() {
            return Err(SrtpError::Key);
        }
        let (master, master_salt) = key_and_salt.split_at(KEY);
        // RFC 7714 11: a salt of 96 bits is followed by 16 bits of zero.
        let mut salt = [0; 14];
        salt[..master_salt.len()].copy_from_slice(master_salt);
        let keys = |first_label| Keys::derive(suite, master, &salt, first_label);
        Ok(SrtpContext { suite, rtp: keys(0)?, rtcp: keys(3)?, sources: Vec::new() })
    }

    /// Its suite.
    pub fn suite(&self) -> SrtpSuite {
        self.suite
    }

    /// Seals an RTP packet in place.
    ///
    /// # Errors
    /// No RTP packet, or the key is used up.
    pub fn seal_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let header = header_length(packet)?;
        let (ssrc, seq) = (ssrc_of_rtp(packet), seq_of(packet));
        let source = self.source_mut(ssrc);
        let index = estimate(source.highest, seq);
        if index >= MOST_PACKETS {
            return Err(SrtpError::UsedUp);
        }
        source.highest = Some(source.highest.map_or(index, |highest| highest.max(index)));
        let roc = wraps(index);
        match &self.rtp.cipher {
            Cipher::Counter { key, auth } => {
                key_stream(key, counter_iv(&self.rtp.salt, ssrc, index), &mut packet[header..])?;
                let mut mac = hmac::Context::with_key(auth);
                mac.update(packet);
                mac.update(&roc.to_be_bytes());
                let tag = mac.sign();
                packet.extend_from_slice(&tag.as_ref()[..self.suite.rtp_tag()]);
            }
            Cipher::Gcm(key) => {
                let nonce = gcm_nonce(&self.rtp.salt, ssrc, roc, seq);
                let (aad, payload) = packet.split_at_mut(header);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(&*aad), payload)
                    .map_err(|_| SrtpError::Malformed)?;
                packet.extend_from_slice(tag.as_ref());
            }
        }
        Ok(())
    }

    /// Opens an SRTP packet in place; returns the length of the RTP packet that is left.
    ///
    /// # Errors
    /// See [`SrtpError`]; nothing is learnt from such a packet.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let header = header_length(packet)?;
        let end = packet.len().checked_sub(self.suite.rtp_tag()).filter(|end| *end >= header);
        let end = end.ok_or(SrtpError::Malformed)?;
        let (ssrc, seq) = (ssrc_of_rtp(packet), seq_of(packet));
        let known = self.sources.iter().find(|own| own.ssrc == ssrc).copied();
        let mut source = known.unwrap_or(Source::new(ssrc));
        let index = estimate(source.highest, seq);
        let place = replay(source.highest, source.window, index)?;
        let roc = wraps(index);
        match &self.rtp.cipher {
            Cipher::Counter { key, auth } => {
                let mut mac = hmac::Context::with_key(auth);
                mac.update(&packet[..end]);
                mac.update(&roc.to_be_bytes());
                let tag = mac.sign();
                verify_slices_are_equal(&tag.as_ref()[..self.suite.rtp_tag()], &packet[end..])
                    .map_err(|_| SrtpError::Tag)?;
                key_stream(key, counter_iv(&self.rtp.salt, ssrc, index), &mut packet[header..end])?;
            }
            Cipher::Gcm(key) => {
                let nonce = gcm_nonce(&self.rtp.salt, ssrc, roc, seq);
                let (aad, sealed) = packet.split_at_mut(header);
                key.open_in_place(nonce, Aad::from(&*aad), sealed).map_err(|_| SrtpError::Tag)?;
            }
        }
        (source.highest, source.window) = place;
        self.keep(source);
        Ok(end)
    }

    /// Seals an RTCP packet in place.
    ///
    /// # Errors
    /// No RTCP packet, or the key is used up.
    pub fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        if packet.len() < RTCP_HEADER {
            return Err(SrtpError::Malformed);
        }
        let ssrc = ssrc_of_rtcp(packet);
        let source = self.source_mut(ssrc);
        let index = source.rtcp_highest.map_or(0, |highest| highest + 1);
        if index > MOST_RTCP_PACKETS {
            return Err(SrtpError::UsedUp);
        }
        source.rtcp_highest = Some(index);
        let word = (ENCRYPTED | index).to_be_bytes();
        match &self.rtcp.cipher {
            Cipher::Counter { key, auth } => {
                let iv = counter_iv(&self.rtcp.salt, ssrc, u64::from(index));
                key_stream(key, iv, &mut packet[RTCP_HEADER..])?;
                packet.extend_from_slice(&word);
                let tag = hmac::sign(auth, packet);
                packet.extend_from_slice(&tag.as_ref()[..self.suite.rtcp_tag()]);
            }
            Cipher::Gcm(key) => {
                let nonce = gcm_rtcp_nonce(&self.rtcp.salt, ssrc, index);
                let mut aad = [0; RTCP_HEADER + 4];
                aad[..RTCP_HEADER].copy_from_slice(&packet[..RTCP_HEADER]);
                aad[RTCP_HEADER..].copy_from_slice(&word);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut packet[RTCP_HEADER..])
                    .map_err(|_| SrtpError::Malformed)?;
                packet.extend_from_slice(tag.as_ref());
                packet.extend_from_slice(&word);
            }
        }
        Ok(())
    }

    /// Opens an SRTCP packet in place; returns the length of the RTCP packet that is left.
    ///
    /// # Errors
    /// See [`SrtpError`].
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let tag = self.suite.rtcp_tag();
        let end = packet.len().checked_sub(tag + 4).filter(|end| *end >= RTCP_HEADER);
        let end = end.ok_or(SrtpError::Malformed)?;
        let word_at = match self.suite {
            SrtpSuite::AeadAes128Gcm => packet.len() - 4,
            SrtpSuite::AesCm128HmacSha1_80 | SrtpSuite::AesCm128HmacSha1_32 => end,
        };
        let word = u32_at(packet, word_at);
        let index = word & !ENCRYPTED;
        let ssrc = ssrc_of_rtcp(packet);
        let known = self.sources.iter().find(|own| own.ssrc == ssrc).copied();
        let mut source = known.unwrap_or(Source::new(ssrc));
        let highest = source.rtcp_highest.map(u64::from);
        let (_, window) = replay(highest, source.rtcp_window, u64::from(index))?;
        match &self.rtcp.cipher {
            Cipher::Counter { key, auth } => {
                let signed = hmac::sign(auth, &packet[..end + 4]);
                verify_slices_are_equal(&signed.as_ref()[..tag], &packet[end + 4..])
                    .map_err(|_| SrtpError::Tag)?;
                if word & ENCRYPTED != 0 {
                    let iv = counter_iv(&self.rtcp.salt, ssrc, u64::from(index));
                    key_stream(key, iv, &mut packet[RTCP_HEADER..end])?;
                }
            }
            Cipher::Gcm(key) => {
                if word & ENCRYPTED == 0 {
                    // RFC 7714 9.3 allows it; SDES never negotiates it here.
                    return Err(SrtpError::Malformed);
                }
                let nonce = gcm_rtcp_nonce(&self.rtcp.salt, ssrc, index);
                let mut aad = [0; RTCP_HEADER + 4];
                aad[..RTCP_HEADER].copy_from_slice(&packet[..RTCP_HEADER]);
                aad[RTCP_HEADER..].copy_from_slice(&word.to_be_bytes());
                let sealed = &mut packet[RTCP_HEADER..word_at];
                key.open_in_place(nonce, Aad::from(aad), sealed).map_err(|_| SrtpError::Tag)?;
            }
        }
        source.rtcp_highest = Some(source.rtcp_highest.map_or(index, |own| own.max(index)));
        source.rtcp_window = window;
        self.keep(source);
        Ok(end)
    }

    fn source_mut(&mut self, ssrc: u32) -> &mut Source {
        let place = self.sources.iter().position(|own| own.ssrc == ssrc);
        let place = place.unwrap_or_else(|| {
            self.keep(Source::new(ssrc));
            self.sources.len() - 1
        });
        &mut self.sources[place]
    }

    fn keep(&mut self, source: Source) {
        match self.sources.iter_mut().find(|own| own.ssrc == source.ssrc) {
            Some(own) => *own = source,
            None => {
                if self.sources.len() >= MOST_SOURCES {
                    self.sources.remove(0);
                }
                self.sources.push(source);
            }
        }
    }
}

impl Source {
    fn new(ssrc: u32) -> Source {
        Source { ssrc, highest: None, window: 0, rtcp_highest: None, rtcp_window: 0 }
    }
}

impl Keys {
    /// RFC 3711 4.3.1: key, authentication key and salt are labels in a row.
    fn derive(
        suite: SrtpSuite,
        master: &[u8],
        salt: &[u8; 14],
        first_label: u8,
    ) -> Result<Keys, SrtpError> {
        let prf = counter_key(master)?;
        let derive = |label: u8, out: &mut [u8]| {
            let mut iv = [0; 16];
            iv[..14].copy_from_slice(salt);
            iv[7] ^= label;
            key_stream(&prf, iv, out)
        };
        let (mut key, mut auth, mut session_salt) = ([0; KEY], [0; 20], [0; 14]);
        derive(first_label, &mut key)?;
        derive(first_label + 1, &mut auth)?;
        derive(first_label + 2, &mut session_salt[..suite.salt_length()])?;
        let cipher = match suite {
            SrtpSuite::AeadAes128Gcm => {
                let key = UnboundKey::new(&AES_128_GCM, &key).map_err(|_| SrtpError::Key)?;
                Cipher::Gcm(LessSafeKey::new(key))
            }
            SrtpSuite::AesCm128HmacSha1_80 | SrtpSuite::AesCm128HmacSha1_32 => Cipher::Counter {
                key: Box::new(counter_key(&key)?),
                auth: Box::new(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth)),
            },
        };
        Ok(Keys { cipher, salt: session_salt })
    }
}

fn counter_key(key: &[u8]) -> Result<EncryptingKey, SrtpError> {
    let key = UnboundCipherKey::new(&AES_128, key).map_err(|_| SrtpError::Key)?;
    EncryptingKey::ctr(key).map_err(|_| SrtpError::Key)
}

fn key_stream(key: &EncryptingKey, iv: [u8; 16], in_out: &mut [u8]) -> Result<(), SrtpError> {
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(in_out, context).map(|_| ()).map_err(|_| SrtpError::Key)
}

/// RFC 3711 4.1.1: salt, SSRC and index, each at its place.
fn counter_iv(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    xor(&mut iv[4..8], &ssrc.to_be_bytes());
    xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
    iv
}

/// RFC 7714 8.1.
fn gcm_nonce(salt: &[u8; 14], ssrc: u32, roc: u32, seq: u16) -> Nonce {
    let mut iv = [0; 12];
    iv[2..6].copy_from_slice(&ssrc.to_be_bytes());
    iv[6..10].copy_from_slice(&roc.to_be_bytes());
    iv[10..].copy_from_slice(&seq.to_be_bytes());
    xor(&mut iv, &salt[..12]);
    Nonce::assume_unique_for_key(iv)
}

/// RFC 7714 9.1.
fn gcm_rtcp_nonce(salt: &[u8; 14], ssrc: u32, index: u32) -> Nonce {
    let mut iv = [0; 12];
    iv[2..6].copy_from_slice(&ssrc.to_be_bytes());
    iv[8..].copy_from_slice(&index.to_be_bytes());
    xor(&mut iv, &salt[..12]);
    Nonce::assume_unique_for_key(iv)
}

fn xor(own: &mut [u8], other: &[u8]) {
    own.iter_mut().zip(other).for_each(|(own, other)| *own ^= other);
}

/// RFC 3711 3.3.1: the index nearest to the highest one that ends with this sequence number.
fn estimate(highest: Option<u64>, seq: u16) -> u64 {
    let Some(highest) = highest else { return u64::from(seq) };
    let ahead = seq.wrapping_sub(highest as u16).cast_signed();
    // Below the first index there is none: such a packet is of the round that comes.
    highest.checked_add_signed(i64::from(ahead)).unwrap_or(u64::from(seq))
}

/// RFC 3711 3.3.2: refuses an index that came before, and says what is to be kept of this one.
fn replay(
    highest: Option<u64>,
    window: u128,
    index: u64,
) -> Result<(Option<u64>, u128), SrtpError> {
    let Some(highest) = highest else { return Ok((Some(index), 1)) };
    if index > highest {
        let moved = u32::try_from(index - highest).ok().and_then(|by| window.checked_shl(by));
        return Ok((Some(index), moved.unwrap_or(0) | 1));
    }
    let bit = u32::try_from(highest - index).ok().and_then(|by| 1_u128.checked_shl(by));
    match bit {
        Some(bit) if window & bit == 0 => Ok((Some(highest), window | bit)),
        _ => Err(SrtpError::Replay),
    }
}

fn wraps(index: u64) -> u32 {
    (index >> 16) as u32
}

/// The fixed part, the contributing sources and the extension (RFC 3550 5.1): what is not encrypted.
fn header_length(packet: &[u8]) -> Result<usize, SrtpError> {
    if packet.len() < RTP_HEADER || packet[0] >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    let mut length = RTP_HEADER + 4 * usize::from(packet[0] & 0x0f);
    if packet[0] & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4).ok_or(SrtpError::Malformed)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    if length > packet.len() { Err(SrtpError::Malformed) } else { Ok(length) }
}

fn seq_of(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

fn ssrc_of_rtp(packet: &[u8]) -> u32 {
    u32_at(packet, 8)
}

fn ssrc_of_rtcp(packet: &[u8]) -> u32 {
    u32_at(packet, 4)
}

fn u32_at(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
}

/// Octets of a master key and of an encryption key: 128 bits.
const KEY: usize = 16;
const RTP_HEADER: usize = 12;
const RTCP_HEADER: usize = 8;
/// The E bit of SRTCP.
const ENCRYPTED: u32 = 1 << 31;
/// RFC 3711 9.2.
const MOST_PACKETS: u64 = 1 << 48;
const MOST_RTCP_PACKETS: u32 = (1 << 31) - 1;
/// A leg has one source; a peer that restarts its sound has another.
const MOST_SOURCES: usize = 4;

#[cfg(test)]
#[path = "srtp_tests.rs"]
mod tests;
