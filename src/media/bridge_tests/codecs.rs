//! Trunks of other codecs than G.711: wideband, linear, and packets that are passed on unchanged.

use super::lab::*;
use crate::codec::Rate;
use crate::media::{RelayPolicy, TrunkCodec};

/// A connected bridge to a trunk of one codec, by its payload type.
fn lab(page: BrowserCodec, codec: TrunkCodec, payload_type: u8, relay: RelayPolicy) -> Lab {
    let media = TrunkMedia { codecs: vec![codec], relay, ..TrunkMedia::default() };
    let mut lab = Lab::toward(page, media);
    let map = "a=rtpmap:108 L16/8000\r\na=rtpmap:107 opus/48000/2\r\n";
    let answer = answer(address(TRUNK), &format!("{payload_type} 101")) + map;
    lab.bridge.trunk_accept(lab.now, &answer).unwrap();
    lab.bridge.connect(lab.now);
    lab.drain();
    lab
}

/// 20 ms of a sine; at 16 kHz the frequency is that of the generator times two.
fn frame(tone: &mut Tones, rate: Rate) -> Vec<i16> {
    let mut pcm = vec![0; rate.frame()];
    tone.fill(&mut pcm);
    pcm
}

/// Both sides talk for a second at this rate, the trunk in `codec`. Gives what each heard.
fn talk(
    lab: &mut Lab,
    codec: Codec,
    payload_type: u8,
    rate: Rate,
    frequency: f64,
) -> (Vec<i16>, Vec<i16>) {
    let mut trunk = Encoder::at(codec, rate).unwrap();
    lab.page_encoder = Encoder::at(lab.codec, rate).unwrap();
    let (mut up, mut down) = (sine(frequency), sine(frequency));
    let mut payload = vec![];
    let (page_clock, trunk_clock) = (lab.codec.clock_rate() / 50, codec.clock_rate() / 50);
    for _ in 0..60 {
        lab.page_encoder.encode(&frame(&mut up, rate), &mut payload).unwrap();
        let timestamp = lab.page_timestamp;
        lab.page_timestamp = timestamp.wrapping_add(page_clock);
        let packet = lab.page_packet(111, timestamp, false, &payload);
        lab.input(Input::BrowserRtp(&packet));
        trunk.encode(&frame(&mut down, rate), &mut payload).unwrap();
        let timestamp = lab.trunk_timestamp;
        lab.trunk_timestamp = timestamp.wrapping_add(trunk_clock);
        let datagram = lab.trunk_packet(payload_type, timestamp, false, &payload);
        lab.trunk_sends(TRUNK, &datagram);
        lab.wait(ms(20));
    }
    let hear = |codec, payloads: Vec<&[u8]>| {
        let mut decoder = Decoder::at(codec, rate).unwrap();
        let (mut pcm, mut all) = (vec![], vec![]);
        for payload in payloads {
            decoder.decode(payload, &mut pcm).unwrap();
            all.extend_from_slice(&pcm);
        }
        all.split_off(all.len() - 20 * rate.frame())
    };
    let at_trunk = hear(codec, lab.trunk.iter().map(|p| &p.payload[..]).collect());
    let at_page = hear(lab.codec, lab.page.iter().map(|p| &p.payload[..]).collect());
    (at_trunk, at_page)
}

#[test]
fn six_kilohertz_pass_between_opus_and_g722() {
    let mut lab = lab(BrowserCodec::Opus, TrunkCodec::G722, 9, RelayPolicy::Opus);
    let (trunk, page) = talk(&mut lab, Codec::G722, 9, Rate::Wide, 3000.0);
    for (whose, pcm) in [("trunk", trunk), ("page", page)] {
        let level = goertzel_dbm0(&pcm, 3000.0);
        assert!((level + 10.0).abs() < 1.5, "the {whose} hears {level} dBm0");
    }
    for pair in lab.trunk.windows(2) {
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160), "RFC 3551 4.5.2");
        assert_eq!(pair[1].payload.len(), 160);
    }
    for pair in lab.page.windows(2) {
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(960));
    }
}

#[test]
fn a_page_of_g711_and_a_trunk_of_g722_meet_at_8_khz() {
    let mut lab = lab(BrowserCodec::Pcmu, TrunkCodec::G722, 9, RelayPolicy::Opus);
    let (trunk, page) = talk(&mut lab, Codec::G722, 9, Rate::Narrow, 1000.0);
    for (whose, pcm) in [("trunk", trunk), ("page", page)] {
        let level = goertzel_dbm0(&pcm, 1000.0);
        assert!((level + 10.0).abs() < 0.5, "the {whose} hears {level} dBm0");
    }
}

#[test]
fn linear_pcm_shows_every_sample_of_a_page_of_g711() {
    let mut lab = lab(BrowserCodec::Pcmu, TrunkCodec::L16, 108, RelayPolicy::Opus);
    let (trunk, page) = talk(&mut lab, Codec::L16, 108, Rate::Narrow, 700.0);
    for pcm in [trunk, page] {
        let level = goertzel_dbm0(&pcm, 700.0);
        assert!((level + 10.0).abs() < 0.1, "{level} dBm0");
    }
    assert!(lab.trunk.iter().all(|p| p.payload.len() == 320));
}

/// Every payload as it is, in both directions, and the page's gaps as gaps.
#[test]
fn the_same_codec_is_passed_on_bit_for_bit() {
    let cases = [
        (BrowserCodec::Pcmu, TrunkCodec::Pcmu, 0, RelayPolicy::SameCodec),
        (BrowserCodec::Opus, TrunkCodec::Opus, 107, RelayPolicy::Opus),
    ];
    for (page, codec, payload_type, relay) in cases {
        let mut lab = lab(page, codec, payload_type, relay);
        let clock = lab.codec.clock_rate() / 50;
        let mut sent = vec![];
        for n in 0..30u8 {
            let sound = lab.page_sound();
            if n != 12 {
                lab.input(Input::BrowserRtp(&sound));
                sent.push(sound.payload.to_vec());
            }
            let payload = vec![0x78, n, 1, 2, 3];
            let timestamp = lab.trunk_timestamp;
            lab.trunk_timestamp = timestamp.wrapping_add(clock);
            let datagram = lab.trunk_packet(payload_type, timestamp, false, &payload);
            lab.trunk_sends(TRUNK, &datagram);
            assert_eq!(lab.page.last().unwrap().payload, payload);
            lab.wait(ms(20));
        }
        let got: Vec<_> = lab.trunk.iter().map(|p| p.payload.clone()).collect();
        assert_eq!(got, sent, "{codec:?}");
        assert!(lab.trunk[0].marker && lab.trunk.iter().all(|p| p.payload_type == payload_type));
        let step = |n: usize| {
            let (a, b) = (&lab.trunk[n], &lab.trunk[n + 1]);
            (b.seq.wrapping_sub(a.seq), b.timestamp.wrapping_sub(a.timestamp))
        };
        assert_eq!((step(5), step(11)), ((1, clock), (2, 2 * clock)), "{codec:?}");
    }
}

/// A digit takes the place of the sound that is passed on, in the same row of numbers.
#[test]
fn a_digit_goes_out_among_relayed_packets() {
    let mut lab = lab(BrowserCodec::Pcmu, TrunkCodec::Pcmu, 0, RelayPolicy::SameCodec);
    lab.talk(20);
    let digit = crate::dtmf::parse_tones("5", ms(100), ms(80)).unwrap();
    lab.bridge.send_digits(lab.now, LegSide::Trunk, &digit);
    lab.talk(30);
    let events = lab.trunk.iter().filter(|p| p.payload_type == 101).count();
    assert!(events >= 5, "{events} packets of the digit");
    let during: Vec<u8> = lab
        .trunk
        .iter()
        .skip_while(|p| p.payload_type == 0)
        .take_while(|p| p.payload[1] & 0x80 == 0 || p.payload_type == 0)
        .map(|p| p.payload_type)
        .collect();
    assert!(during.iter().all(|pt| *pt == 101), "no sound while it is on: {during:?}");
    assert!(lab.trunk.windows(2).all(|pair| pair[1].seq == pair[0].seq.wrapping_add(1)));
    let sound: Vec<_> = lab.trunk.iter().filter(|p| p.payload_type == 0).collect();
    for pair in sound.windows(2) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((160..4_000).contains(&step), "no way back: {step}");
    }
}
