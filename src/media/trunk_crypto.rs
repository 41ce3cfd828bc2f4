//! The encryption of a trunk's leg (SDES, RFC 4568): our keys, theirs, and what they seal and open.
//! Pure; the keys are drawn by the owner.

use crate::rtp::{SrtpContext, SrtpSuite};
use crate::sdp::{Crypto, CryptoKey, CryptoSuite, NegotiatedCrypto};

/// Octets to draw: a key of its own for each suite (RFC 4568 7.1.1).
pub(super) type KeySeeds = [[u8; 30]; CryptoSuite::ALL.len()];

/// The keys of one leg.
#[derive(Debug)]
pub(super) struct TrunkCrypto {
    lines: Vec<Crypto>,
    inforce: Option<InForce>,
}

#[derive(Debug)]
struct InForce {
    agreed: NegotiatedCrypto,
    send: SrtpContext,
    receive: SrtpContext,
}

impl TrunkCrypto {
    pub(super) fn new(seeds: &KeySeeds) -> TrunkCrypto {
        let lines = (1..).zip(CryptoSuite::ALL).zip(seeds).map(|((tag, suite), seed)| {
            let key = CryptoKey(seed[..suite.key_length()].to_vec());
            Crypto { tag, suite, key }
        });
        TrunkCrypto { lines: lines.collect(), inforce: None }
    }

    /// What we offer and answer with: the same keys for the life of the leg, so that a re-INVITE
    /// that changes nothing changes no key (RFC 4568 7.1.4).
    pub(super) fn lines(&self) -> Vec<Crypto> {
        self.lines.clone()
    }

    /// Takes what was agreed. A key that stays goes on with its counters.
    pub(super) fn settle(&mut self, agreed: Option<&NegotiatedCrypto>) {
        let Some(agreed) = agreed else {
            self.inforce = None;
            return;
        };
        let before = self.inforce.take();
        let suite = suite_of(agreed.suite);
        let same_suite = |own: &InForce| own.agreed.suite == agreed.suite;
        let (send, receive) = match before {
            Some(own) if same_suite(&own) => {
                let same = (own.agreed.send == agreed.send, own.agreed.receive == agreed.receive);
                (same.0.then_some(own.send), same.1.then_some(own.receive))
            }
            _ => (None, None),
        };
        let context = |kept: Option<SrtpContext>, key: &CryptoKey| {
            kept.or_else(|| SrtpContext::new(suite, &key.0).ok())
        };
        let (send, receive) = (context(send, &agreed.send), context(receive, &agreed.receive));
        // Keys of a wrong length do not come out of SDP.
        self.inforce = send.zip(receive).map(|(send, receive)| InForce {
            agreed: agreed.clone(),
            send,
            receive,
        });
    }

    /// Seals what is to be sent as RTP; `false`: it must not go out.
    pub(super) fn seal_rtp(&mut self, packet: &mut Vec<u8>) -> bool {
        self.inforce.as_mut().is_none_or(|own| own.send.seal_rtp(packet).is_ok())
    }

    /// The same for RTCP.
    pub(super) fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        self.inforce.as_mut().is_none_or(|own| own.send.seal_rtcp(packet).is_ok())
    }

    /// Opens what came as RTP; `None` where it is not from the peer.
    pub(super) fn open_rtp<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        match &mut self.inforce {
            None => Some(packet),
            Some(own) => own.receive.open_rtp(packet).ok().map(|length| &packet[..length]),
        }
    }

    /// The same for RTCP.
    pub(super) fn open_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        match &mut self.inforce {
            None => Some(packet),
            Some(own) => own.receive.open_rtcp(packet).ok().map(|length| &packet[..length]),
        }
    }
}

fn suite_of(suite: CryptoSuite) -> SrtpSuite {
    match suite {
        CryptoSuite::AesCm128HmacSha1_80 => SrtpSuite::AesCm128HmacSha1_80,
        CryptoSuite::AesCm128HmacSha1_32 => SrtpSuite::AesCm128HmacSha1_32,
        CryptoSuite::AeadAes128Gcm => SrtpSuite::AeadAes128Gcm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(send: u8, receive: u8) -> NegotiatedCrypto {
        let key = |n| CryptoKey(vec![n; 30]);
        let suite = CryptoSuite::AesCm128HmacSha1_80;
        NegotiatedCrypto { suite, send: key(send), receive: key(receive) }
    }

    fn packet(seq: u8) -> Vec<u8> {
        vec![0x80, 0, 0, seq, 0, 0, 0, 0, 1, 1, 1, 1, 42]
    }

    #[test]
    fn a_key_that_stays_goes_on_and_a_new_one_begins() {
        let seeds = [[0; 30]; 3];
        let (mut us, mut them) = (TrunkCrypto::new(&seeds), TrunkCrypto::new(&seeds));
        us.settle(Some(&agreed(1, 2)));
        them.settle(Some(&agreed(2, 1)));
        let carry = |us: &mut TrunkCrypto, them: &mut TrunkCrypto, seq| {
            let mut sealed = packet(seq);
            assert!(us.seal_rtp(&mut sealed));
            them.open_rtp(&mut sealed).map(<[u8]>::to_vec)
        };
        assert_eq!(carry(&mut us, &mut them, 1), Some(packet(1)));
        them.settle(Some(&agreed(2, 1)));
        assert_eq!(carry(&mut us, &mut them, 1), None, "the window of the same key is kept");
        us.settle(Some(&agreed(3, 2)));
        assert_eq!(carry(&mut us, &mut them, 2), None, "a key that was not told");
        them.settle(Some(&agreed(2, 3)));
        assert_eq!(carry(&mut us, &mut them, 2), Some(packet(2)));
        them.settle(None);
        assert_eq!(them.open_rtp(&mut packet(9)), Some(&packet(9)[..]), "plain again");
    }
}
