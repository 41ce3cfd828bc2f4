//! Tests of the SRTP transforms: the vectors of RFC 3711 appendix B and RFC 7714 16, and what an
//! attacker may try.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

#[test]
fn rfc_3711_b_2_key_stream() {
    let key = counter_key(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    let salt: [u8; 14] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let mut out = vec![0; 48];
    key_stream(&key, counter_iv(&salt, 0, 0), &mut out).unwrap();
    let expected = hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB \
         41E95B3BB0A2E8DD477901E4FCA894C0");
    assert_eq!(out, expected);
}

#[test]
fn rfc_3711_b_3_key_derivation() {
    let prf = counter_key(&hex("E1F97A0D3E018BE0D64FA32C06DE4139")).unwrap();
    let salt: [u8; 14] = hex("0EC675AD498AFEEBB6960B3AABE6").try_into().unwrap();
    for (label, expected) in [
        (0, "C61E7A93744F39EE10734AFE3FF7A087"),
        (2, "30CBBC08863D8C85D49DB34A9AE1"),
        (1, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"),
    ] {
        let expected = hex(expected);
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&salt);
        iv[7] ^= label;
        let mut out = vec![0; expected.len()];
        key_stream(&prf, iv, &mut out).unwrap();
        assert_eq!(out, expected, "label {label}");
    }
}

#[test]
fn rfc_7714_16_1_1_a_packet_of_aes_128_gcm() {
    // The vector gives the session key and salt; they are put in the place of derived ones.
    let key = hex("000102030405060708090a0b0c0d0e0f");
    let mut salt = [0; 14];
    salt[..12].copy_from_slice(&hex("517569642070726f2071756f"));
    let cipher = || Cipher::Gcm(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap()));
    let context = || SrtpContext {
        suite: SrtpSuite::AeadAes128Gcm,
        rtp: Keys { cipher: cipher(), salt },
        rtcp: Keys { cipher: cipher(), salt },
        sources: Vec::new(),
    };
    let plain = hex(
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 \
         61727465 73207472 6573",
    );
    let sealed = hex(
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a \
         51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
    );
    let mut packet = plain.clone();
    context().seal_rtp(&mut packet).unwrap();
    assert_eq!(packet, sealed);
    let length = context().open_rtp(&mut packet).unwrap();
    assert_eq!(packet[..length], plain);
}

const SUITES: [SrtpSuite; 3] =
    [SrtpSuite::AesCm128HmacSha1_80, SrtpSuite::AesCm128HmacSha1_32, SrtpSuite::AeadAes128Gcm];

fn context(suite: SrtpSuite) -> SrtpContext {
    let key: Vec<u8> = (0..suite.key_length()).map(|n| n as u8).collect();
    SrtpContext::new(suite, &key).unwrap()
}

fn rtp(seq: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 1, 2, 0xca, 0xfe, 0xba, 0xbe];
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(b"sound sound sound");
    packet
}

#[test]
fn what_is_sealed_is_opened_over_wraps_and_out_of_order() {
    for suite in SUITES {
        let (mut sender, mut receiver) = (context(suite), context(suite));
        let seal = |sender: &mut SrtpContext, seq| {
            let mut packet = rtp(seq);
            sender.seal_rtp(&mut packet).unwrap();
            assert_eq!(packet.len(), rtp(seq).len() + suite.rtp_tag());
            packet
        };
        let mut kept = Vec::new();
        for n in 65_000..140_000_u32 {
            let packet = seal(&mut sender, n as u16);
            if n % 7 == 0 {
                // It comes three packets late.
                kept.push((n, packet));
                continue;
            }
            let mut opened = packet;
            let length = receiver.open_rtp(&mut opened).unwrap();
            assert_eq!(opened[..length], rtp(n as u16), "{n}");
            if kept.first().is_some_and(|(late, _)| late + 3 == n) {
                let (late, mut packet) = kept.remove(0);
                let length = receiver.open_rtp(&mut packet).unwrap();
                assert_eq!(packet[..length], rtp(late as u16), "{late}");
            }
        }
    }
}

#[test]
fn changed_repeated_short_and_foreign_packets_are_refused_and_change_nothing() {
    for suite in SUITES {
        let (mut sender, mut receiver) = (context(suite), context(suite));
        let mut packet = rtp(1);
        sender.seal_rtp(&mut packet).unwrap();
        for at in 0..packet.len() {
            let mut changed = packet.clone();
            changed[at] ^= 1;
            assert!(receiver.open_rtp(&mut changed).is_err(), "{suite:?} at {at}");
        }
        for length in 0..packet.len() {
            assert!(receiver.open_rtp(&mut packet.clone()[..length]).is_err(), "{suite:?}");
        }
        assert!(receiver.sources.is_empty(), "no state before a tag verifies");
        assert!(receiver.open_rtp(&mut packet.clone()).is_ok());
        assert_eq!(receiver.open_rtp(&mut packet.clone()), Err(SrtpError::Replay));
        let mut later = rtp(200);
        sender.seal_rtp(&mut later).unwrap();
        assert!(receiver.open_rtp(&mut later).is_ok());
        assert_eq!(receiver.open_rtp(&mut packet), Err(SrtpError::Replay), "too old");
    }
}

#[test]
fn rtcp_is_sealed_with_an_index_of_its_own() {
    for suite in SUITES {
        let (mut sender, mut receiver) = (context(suite), context(suite));
        let plain = [&[0x80, 200, 0, 3][..], &[1, 2, 3, 4], b"report12"].concat();
        for index in 0..3_u32 {
            let mut packet = plain.clone();
            sender.seal_rtcp(&mut packet).unwrap();
            let trailer = match suite {
                SrtpSuite::AeadAes128Gcm => packet.len() - 4,
                _ => packet.len() - 14,
            };
            assert_eq!(u32_at(&packet, trailer), ENCRYPTED | index);
            for at in 0..packet.len() {
                let mut changed = packet.clone();
                changed[at] ^= 1;
                assert!(receiver.open_rtcp(&mut changed).is_err(), "{suite:?} at {at}");
            }
            let mut opened = packet.clone();
            let length = receiver.open_rtcp(&mut opened).unwrap();
            assert_eq!(opened[..length], plain);
            assert_eq!(receiver.open_rtcp(&mut packet), Err(SrtpError::Replay));
        }
    }
}

#[test]
fn a_key_has_its_length() {
    for suite in SUITES {
        let short = vec![0; suite.key_length() - 1];
        assert_eq!(SrtpContext::new(suite, &short).map(|_| ()), Err(SrtpError::Key));
    }
}
