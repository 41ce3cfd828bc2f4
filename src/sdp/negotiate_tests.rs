//! Tests of offer and answer against descriptions as common peers write them.

use super::*;
use crate::sdp::{CryptoKey, CryptoSuite};
use crate::sdp::{PrivateAddresses, parse};

fn local(codecs: &[AudioCodec]) -> LocalAudio {
    LocalAudio {
        protection: Protection::None,
        crypto: Vec::new(),
        address: "203.0.114.5".parse().unwrap(),
        port: 40_000,
        codecs: codecs.to_vec(),
        telephone_events: TelephoneEvents::Spoken,
        comfort_noise: ComfortNoise::Off,
        ptime_ms: 20,
        direction: Direction::SendRecv,
        session_id: 77,
        version: 1,
        policy: AddressPolicy::Public(PrivateAddresses::Refused),
        numbers: Numbers::default(),
    }
}

const G711: [AudioCodec; 2] = [AudioCodec::Pcmu, AudioCodec::Pcma];

fn peer(name: &str) -> Session {
    parse(match name {
        "asterisk" => include_bytes!("../../tests/data/sdp/asterisk.sdp"),
        "freeswitch" => include_bytes!("../../tests/data/sdp/freeswitch.sdp").as_slice(),
        "baresip" => include_bytes!("../../tests/data/sdp/baresip.sdp"),
        "sipp" => include_bytes!("../../tests/data/sdp/sipp.sdp"),
        "linphone" => include_bytes!("../../tests/data/sdp/linphone.sdp"),
        _ => include_bytes!("../../tests/data/sdp/hold-old-style.sdp"),
    })
    .unwrap()
}

/// A description with these lines after a plain session of 198.51.101.9.
fn remote(lines: &str) -> Session {
    let head = "v=0\r\no=- 1 1 IN IP4 198.51.101.9\r\ns=-\r\nc=IN IP4 198.51.101.9\r\nt=0 0\r\n";
    parse(format!("{head}{}\r\n", lines.replace('|', "\r\n")).as_bytes()).unwrap()
}

#[test]
fn our_offer_is_written_like_this() {
    let text = offer(&local(&G711)).to_string();
    assert_eq!(
        text,
        "v=0\r\no=- 77 1 IN IP4 203.0.114.5\r\ns=-\r\nc=IN IP4 203.0.114.5\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    let opus = offer(&local(&[AudioCodec::Opus, AudioCodec::Pcmu])).to_string();
    assert!(opus.contains("m=audio 40000 RTP/AVP 107 0 101 110\r\n"), "{opus}");
    assert!(opus.contains("a=rtpmap:107 opus/48000/2\r\n"));
    assert!(opus.contains("a=rtpmap:110 telephone-event/48000\r\n"));
}

#[test]
fn offers_of_common_peers_are_answered() {
    use AudioCodec::{Opus, Pcma, Pcmu};
    // (peer, our codecs, chosen, its number, event and clock, RTP port, RTCP port, ptime)
    type Row<'a> = (&'a str, &'a [AudioCodec], AudioCodec, u8, Option<(u8, u32)>, u16, u16, u32);
    let rows: [Row<'_>; 7] = [
        ("asterisk", &G711, Pcmu, 0, Some((101, 8000)), 14652, 14653, 20),
        ("asterisk", &[Pcma], Pcma, 8, Some((101, 8000)), 14652, 14653, 20),
        ("freeswitch", &G711, Pcmu, 0, Some((101, 8000)), 23456, 23457, 20),
        ("freeswitch", &[Opus, Pcmu], Opus, 102, Some((103, 48000)), 23456, 23457, 20),
        ("baresip", &G711, Pcmu, 0, Some((101, 8000)), 21096, 21097, 20),
        ("sipp", &G711, Pcmu, 0, None, 6000, 6001, 20),
        ("linphone", &G711, Pcmu, 0, Some((99, 8000)), 7078, 7079, 20),
    ];
    for (name, codecs, codec, pt, event, port, rtcp, ptime) in rows {
        let offered = peer(name);
        let (answered, agreed) = answer(&local(codecs), &offered).unwrap();
        assert_eq!(agreed.codec, NegotiatedCodec { codec, send: pt, receive: pt }, "{name}");
        let found = agreed.telephone_event.map(|e| (e.send, e.clock_rate));
        assert_eq!(found, event, "{name}");
        assert_eq!((agreed.remote.port(), agreed.remote_rtcp.port()), (port, rtcp), "{name}");
        assert_eq!((agreed.ptime_ms, agreed.direction), (ptime, Direction::SendRecv), "{name}");
        assert_eq!(answered.media.len(), offered.media.len(), "RFC 3264 6: as many m= lines");
        assert_eq!(answered.media[0].protocol, offered.media[0].protocol, "{name}");
        assert!(answered.media[1..].iter().all(|m| m.port == 0), "{name}");
        // What we answer must be something that the offerer, standing in our place, accepts.
        let text = answered.to_string();
        assert_eq!(parse(text.as_bytes()).unwrap(), answered, "{name}");
    }
}

#[test]
fn their_answer_gives_the_numbers_of_each_direction() {
    let agreed = accept(
        &local(&G711),
        &remote("m=audio 5000 RTP/AVP 8 0 96|a=rtpmap:96 telephone-event/8000|a=ptime:30"),
    )
    .unwrap();
    assert_eq!(agreed.codec.codec, AudioCodec::Pcma, "their first");
    assert_eq!(agreed.others[0].codec, AudioCodec::Pcmu, "they may send this too");
    let event = TelephoneEvent { send: 96, receive: 101, clock_rate: 8000 };
    assert_eq!(agreed.telephone_event, Some(event));
    assert_eq!((agreed.ptime_ms, agreed.remote.port()), (30, 5000));

    let opus = remote("m=audio 5000 RTP/AVP 120|a=rtpmap:120 opus/48000/2");
    let agreed = accept(&local(&[AudioCodec::Opus]), &opus).unwrap();
    assert_eq!((agreed.codec.send, agreed.codec.receive), (120, 107));
}

#[test]
fn hold_is_mirrored_rfc_3264_section_8_4() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let rows = [
        (SendRecv, "sendrecv", SendRecv),
        (SendRecv, "sendonly", RecvOnly),
        (SendRecv, "recvonly", SendOnly),
        (SendRecv, "inactive", Inactive),
        (SendOnly, "sendrecv", SendOnly),
        (SendOnly, "sendonly", Inactive),
        (RecvOnly, "recvonly", Inactive),
    ];
    for (ours, theirs, agreed) in rows {
        let local = LocalAudio { direction: ours, ..local(&G711) };
        let (answered, found) =
            answer(&local, &remote(&format!("m=audio 5000 RTP/AVP 0|a={theirs}"))).unwrap();
        assert_eq!(found.direction, agreed, "{ours:?} {theirs}");
        assert_eq!(answered.direction_of(&answered.media[0]), agreed);
    }
    let session_level = remote("a=sendonly|m=audio 5000 RTP/AVP 0");
    assert_eq!(answer(&local(&G711), &session_level).unwrap().1.direction, RecvOnly);
    let (_, old) = answer(&local(&G711), &peer("hold")).unwrap();
    assert_eq!((old.direction, old.ptime_ms), (RecvOnly, 30));
    assert!(old.remote.ip().is_unspecified());
}

#[test]
fn what_cannot_be_is_refused() {
    let rows = [
        ("m=video 5000 RTP/AVP 96", Refusal::NoAudio),
        ("m=audio 0 RTP/AVP 0", Refusal::NoAudio),
        ("m=audio 5000 RTP/SAVP 0", Refusal::NoCrypto),
        ("m=audio 5000 UDP/TLS/RTP/SAVPF 0", Refusal::NoAudio),
        ("m=audio 5000 RTP/AVP 18 3", Refusal::NoCodec),
        ("m=audio 5000 RTP/AVP 0|a=rtpmap:0 GSM/8000", Refusal::NoCodec),
        ("m=audio 5000 RTP/AVP 101|a=rtpmap:101 telephone-event/8000", Refusal::NoCodec),
        ("m=audio 5000 RTP/AVP 0|c=IN IP4 127.0.0.1", Refusal::Address),
        ("m=audio 5000 RTP/AVP 0|c=IN IP4 10.0.0.1", Refusal::Address),
        ("m=audio 5000 RTP/AVP 0|c=IN IP4 224.2.1.1/127", Refusal::Address),
        ("m=audio 5000 RTP/AVP 0|c=IN IP4 media.example.com", Refusal::Address),
    ];
    for (lines, refusal) in rows {
        assert_eq!(answer(&local(&G711), &remote(lines)).map(|_| ()), Err(refusal), "{lines}");
        let accepted = accept(&local(&G711), &remote(lines)).map(|_| ());
        let of_answer = if lines.starts_with("m=video") { Refusal::Mismatch } else { refusal };
        assert_eq!(accepted, Err(of_answer), "{lines}");
    }
    assert_eq!(accept(&local(&G711), &remote("a=x")), Err(Refusal::Mismatch));
}

#[test]
fn packet_time_is_one_of_five() {
    let rows = [
        ("", 20),
        ("|a=ptime:10", 10),
        ("|a=ptime:60", 60),
        ("|a=ptime:0", 20),
        ("|a=ptime:25", 20),
        ("|a=ptime:99999999999", 20),
        ("|a=ptime:-1", 20),
        ("|a=ptime:60|a=maxptime:30", 30),
        ("|a=maxptime:10", 10),
        ("|a=maxptime:5", 20),
    ];
    for (lines, ms) in rows {
        let offered = remote(&format!("m=audio 5000 RTP/AVP 0{lines}"));
        assert_eq!(answer(&local(&G711), &offered).unwrap().1.ptime_ms, ms, "{lines}");
    }
}

#[test]
fn rtcp_goes_where_it_is_said_if_that_is_allowed_rfc_3605() {
    let rows = [
        ("", "198.51.101.9:5001"),
        ("|a=rtcp:7000", "198.51.101.9:7000"),
        ("|a=rtcp:7000 IN IP4 198.51.101.8", "198.51.101.8:7000"),
        ("|a=rtcp:7000 IN IP4 127.0.0.1", "198.51.101.9:5001"),
        ("|a=rtcp:0", "198.51.101.9:5001"),
        ("|a=rtcp:99999", "198.51.101.9:5001"),
        ("|a=rtcp:7000 IN", "198.51.101.9:5001"),
    ];
    for (lines, address) in rows {
        let offered = remote(&format!("m=audio 5000 RTP/AVP 0{lines}"));
        let rtcp = answer(&local(&G711), &offered).unwrap().1.remote_rtcp;
        assert_eq!(rtcp, address.parse().unwrap(), "{lines}");
    }
    let last = remote("m=audio 65535 RTP/AVP 0");
    assert_eq!(answer(&local(&G711), &last).unwrap().1.remote_rtcp.port(), 65535);
}

#[test]
fn without_telephone_events_none_are_answered() {
    let local = LocalAudio { telephone_events: TelephoneEvents::Off, ..local(&G711) };
    let (answered, agreed) = answer(&local, &peer("asterisk")).unwrap();
    assert_eq!(agreed.telephone_event, None);
    assert_eq!(answered.media[0].formats, ["0"]);
    assert!(!offer(&local).to_string().contains("telephone-event"));
}

fn with_keys(protection: Protection) -> LocalAudio {
    let line = |(n, suite): (usize, CryptoSuite)| Crypto {
        tag: n as u32 + 1,
        suite,
        key: CryptoKey(vec![n as u8; suite.key_length()]),
    };
    let crypto = CryptoSuite::ALL.into_iter().enumerate().map(line).collect();
    LocalAudio { protection, crypto, ..local(&G711) }
}

const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

#[test]
fn keys_are_offered_and_taken_as_each_side_wants() {
    use Protection::{None, Optional, Required};
    let crypto = format!("a=crypto:9 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^31\r\n");
    let other = format!("a=crypto:3 F8_128_HMAC_SHA1_80 inline:{KEY}\r\n");
    // ours, their profile, their lines, what comes of it
    for (ours, profile, lines, expected) in [
        (None, "RTP/AVP", crypto.as_str(), Ok(false)),
        (None, "RTP/SAVP", &crypto, Err(Refusal::NoCrypto)),
        (Optional, "RTP/AVP", "", Ok(false)),
        (Optional, "RTP/AVP", &crypto, Ok(true)),
        (Optional, "RTP/SAVP", &crypto, Ok(true)),
        (Optional, "RTP/SAVP", &other, Err(Refusal::NoCrypto)),
        (Optional, "RTP/AVP", &other, Ok(false)),
        (Required, "RTP/AVP", "", Err(Refusal::NoCrypto)),
        (Required, "RTP/AVP", &crypto, Ok(true)),
        (Required, "RTP/SAVPF", &crypto, Ok(true)),
        (Required, "RTP/SAVP", &other, Err(Refusal::NoCrypto)),
    ] {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 203.0.114.9\r\ns=-\r\nc=IN IP4 203.0.114.9\r\nt=0 0\r\n\
             m=audio 4000 {profile} 0\r\n{lines}"
        );
        let remote = crate::sdp::parse(text.as_bytes()).unwrap();
        let result = answer(&with_keys(ours), &remote);
        let encrypted = result.as_ref().map(|(_, n)| n.crypto.is_some()).map_err(|e| *e);
        assert_eq!(encrypted, expected, "{ours:?} {profile} {lines}");
        if let Ok((answer, Negotiated { crypto: Some(crypto), .. })) = result {
            let media = &answer.media[0];
            let line = Crypto::parse(media.value("crypto").unwrap()).unwrap();
            assert_eq!((media.protocol.as_str(), line.tag), (profile, 9), "the tag of the offer");
            assert_eq!((line.suite, &line.key), (crypto.suite, &crypto.send));
            assert_ne!(crypto.send, crypto.receive);
        }
    }
}

#[test]
fn of_an_encrypted_and_a_plain_stream_the_encrypted_one_is_taken() {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 203.0.114.9\r\ns=-\r\nc=IN IP4 203.0.114.9\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/SAVP 0\r\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"
    );
    let remote = crate::sdp::parse(text.as_bytes()).unwrap();
    let (answer_, negotiated) = answer(&with_keys(Protection::Optional), &remote).unwrap();
    assert_eq!(negotiated.remote.port(), 4002);
    assert_eq!((answer_.media[0].port, answer_.media[1].port != 0), (0, true));
    let (_, plain) = answer(&with_keys(Protection::None), &remote).unwrap();
    assert_eq!(plain.remote.port(), 4000);
}

#[test]
fn an_answer_takes_one_of_our_lines_by_its_tag() {
    let ours = with_keys(Protection::Required);
    let text = offer(&ours).to_string();
    assert!(text.contains("m=audio 4000 RTP/SAVP") || text.contains(" RTP/SAVP "), "{text}");
    assert_eq!(text.matches("a=crypto:").count(), 3);
    let reply = |line: &str| {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 203.0.114.9\r\ns=-\r\nc=IN IP4 203.0.114.9\r\nt=0 0\r\n\
             m=audio 4000 RTP/SAVP 0\r\n{line}"
        );
        accept(&ours, &crate::sdp::parse(text.as_bytes()).unwrap()).map(|n| n.crypto)
    };
    let taken = reply(&format!("a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\r\n"));
    let taken = taken.unwrap().unwrap();
    assert_eq!(taken.send, ours.crypto[2].key);
    let wrong = reply(&format!("a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\r\n"));
    assert_eq!(wrong, Err(Refusal::Mismatch), "the suite of another line");
    assert_eq!(reply(""), Err(Refusal::NoCrypto));
}

#[test]
fn a_number_keeps_its_meaning_when_we_offer_again_rfc_3264_8_3_2() {
    let theirs = remote("m=audio 5000 RTP/AVP 0 99|a=rtpmap:99 telephone-event/8000|a=ptime:20");
    let mut ours = local(&G711);
    let (_, agreed) = answer(&ours, &theirs).unwrap();
    ours.numbers.keep(&agreed);
    let again = offer(&ours).to_string();
    assert!(again.contains("m=audio 40000 RTP/AVP 0 8 99\r\n"), "{again}");
    assert!(again.contains("a=rtpmap:99 telephone-event/8000"), "{again}");
    let agreed =
        accept(&ours, &remote("m=audio 5000 RTP/AVP 0 99|a=rtpmap:99 telephone-event/8000"))
            .unwrap();
    assert_eq!(agreed.telephone_event.unwrap().receive, 99);
    // The peer's Opus has our usual number of events.
    let theirs = remote("m=audio 5000 RTP/AVP 101|a=rtpmap:101 opus/48000/2");
    let mut ours = local(&[AudioCodec::Opus, AudioCodec::Pcmu]);
    ours.numbers.keep(&answer(&ours, &theirs).unwrap().1);
    let again = offer(&ours).to_string();
    assert!(again.contains("m=audio 40000 RTP/AVP 101 0 96 110\r\n"), "{again}");
}

/// RFC 3389 4: number 13 beside codecs of 8 kHz, in an offer that wants it, in an answer to one.
#[test]
fn comfort_noise_is_spoken_where_both_want_it() {
    let of = |comfort_noise| LocalAudio { comfort_noise, ..local(&G711) };
    let theirs = remote("m=audio 4000 RTP/AVP 8 13 101|a=rtpmap:101 telephone-event/8000");
    let both = Some(NoiseType { send: 13, receive: 13 });
    for (own, expected) in
        [(ComfortNoise::Off, None), (ComfortNoise::Accepted, both), (ComfortNoise::Offered, both)]
    {
        let (text, agreed) = answer(&of(own), &theirs).unwrap();
        assert_eq!(agreed.comfort_noise, expected, "{own:?}");
        let text = text.to_string();
        let line = if expected.is_some() { "RTP/AVP 8 13 101\r\n" } else { "RTP/AVP 8 101\r\n" };
        assert!(text.contains(line), "{text}");
        assert_eq!(text.contains("a=rtpmap:13 CN/8000\r\n"), expected.is_some(), "{text}");
        let offered = offer(&of(own)).to_string();
        assert_eq!(offered.contains("RTP/AVP 0 8 13 101\r\n"), own == ComfortNoise::Offered);
        // What nobody offered is not agreed on, whatever the answer says.
        let agreed = accept(&of(own), &theirs).unwrap().comfort_noise;
        assert_eq!(agreed, both.filter(|_| own == ComfortNoise::Offered), "{own:?}");
    }
    // A number of their own, which stays for the session's next offer of ours.
    let theirs = remote("m=audio 4000 RTP/AVP 0 98 99|a=rtpmap:98 CN/16000|a=rtpmap:99 cn/8000");
    let mut own = of(ComfortNoise::Accepted);
    let (_, agreed) = answer(&own, &theirs).unwrap();
    assert_eq!(agreed.comfort_noise, Some(NoiseType { send: 99, receive: 99 }));
    own.numbers.keep(&agreed);
    assert!(offer(&own).to_string().contains("RTP/AVP 0 8 99 101\r\n"));
    // Number 13 with another name, and a codec that has pauses of its own.
    let other = remote("m=audio 4000 RTP/AVP 0 13|a=rtpmap:13 X/8000");
    assert_eq!(answer(&of(ComfortNoise::Offered), &other).unwrap().1.comfort_noise, None);
    let opus = LocalAudio { comfort_noise: ComfortNoise::Offered, ..local(&[AudioCodec::Opus]) };
    assert!(offer(&opus).to_string().contains("RTP/AVP 107 110\r\n"));
    let theirs = remote("m=audio 4000 RTP/AVP 107 13|a=rtpmap:107 opus/48000/2");
    assert_eq!(answer(&opus, &theirs).unwrap().1.comfort_noise, None);
}
