//! SRTP as bare as it can be: AEAD with AES-GCM (RFC 7714), keys given, no replay list. What a floor
//! must do at least; the gateway and its peers negotiate the same cipher by DTLS.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// One direction of one stream.
pub struct Srtp {
    key: LessSafeKey,
    rollovers: u32,
    last: u16,
}

const HEADER: usize = 12;
const TAG: usize = 16;
const SALT: [u8; 12] = *b"a fixed salt";

impl Srtp {
    pub fn new() -> Srtp {
        let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap();
        Srtp { key: LessSafeKey::new(key), rollovers: 0, last: 0 }
    }

    /// A packet of RTP without extensions, encrypted in place.
    pub fn protect(&mut self, packet: &mut Vec<u8>) {
        let (nonce, aad) = self.nonce(packet);
        let mut payload = packet.split_off(HEADER);
        self.key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut payload).unwrap();
        packet.extend_from_slice(&payload);
    }

    /// The payload of a packet, decrypted in place; `None` where the tag is wrong.
    pub fn unprotect<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        if packet.len() < HEADER + TAG {
            return None;
        }
        let (nonce, aad) = self.nonce(packet);
        let plain = self.key.open_in_place(nonce, Aad::from(aad), &mut packet[HEADER..]).ok()?;
        Some(plain)
    }

    fn nonce(&mut self, packet: &[u8]) -> (Nonce, [u8; HEADER]) {
        let header: [u8; HEADER] = packet[..HEADER].try_into().unwrap();
        let seq = u16::from_be_bytes([header[2], header[3]]);
        if seq < 0x4000 && self.last > 0xC000 {
            self.rollovers += 1;
        }
        self.last = seq;
        let mut nonce = SALT;
        for (n, byte) in header[8..12].iter().enumerate() {
            nonce[2 + n] ^= byte;
        }
        for (n, byte) in self.rollovers.to_be_bytes().iter().enumerate() {
            nonce[6 + n] ^= byte;
        }
        nonce[10] ^= header[2];
        nonce[11] ^= header[3];
        (Nonce::assume_unique_for_key(nonce), header)
    }
}

/// A packet of RTP.
pub fn rtp(payload_type: u8, seq: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + payload.len() + TAG);
    packet.extend_from_slice(&[0x80, payload_type]);
    packet.extend_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}
