//! What a call costs in instructions, which no other load of the machine changes: the bridge, and its
//! codecs alone for the same sound. `make bench-instructions` runs these under callgrind.

use rand::RngExt;
use std::f64::consts::TAU;
use std::hint::black_box;

use super::lab::*;
use crate::codec::OpusSettings;
use crate::dtmf::parse_tones;
use crate::media::Recorder;

/// Seconds of a call that are counted.
const SECONDS: usize = 10;
const FRAMES: usize = SECONDS * 50;
const WARM_UP: usize = 100;

/// Something like speech: syllables of a voice with harmonics, and breath, from a seed.
fn speech(seed: u64, frames: usize) -> Vec<[i16; FRAME]> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut phase = 0.0;
    let sample = |n: usize, random: &mut ChaCha12Rng, phase: &mut f64| {
        let t = n as f64 / 8000.0;
        let pitch = 120.0 + 20.0 * (TAU * 0.7 * t).sin();
        *phase += TAU * pitch / 8000.0;
        let syllable = (TAU * 2.3 * t).sin().max(0.0);
        let voice: f64 = (1..12).map(|h| (f64::from(h) * *phase).sin() / f64::from(h)).sum();
        let breath = (random.random::<f64>() - 0.5) * 0.2;
        ((voice + breath) * syllable * 6000.0) as i16
    };
    let mut n = 0;
    let mut frame = || {
        let mut pcm = [0; FRAME];
        for value in &mut pcm {
            *value = sample(n, &mut random, &mut phase);
            n += 1;
        }
        pcm
    };
    (0..frames).map(|_| frame()).collect()
}

/// What callgrind counts, alone: `--toggle-collect` names it.
#[inline(never)]
fn counted_bridge(lab: &mut Lab, packets: &mut [(RtpIn, Vec<u8>)]) -> usize {
    through_the_bridge(lab, packets)
}

fn through_the_bridge(lab: &mut Lab, packets: &mut [(RtpIn, Vec<u8>)]) -> usize {
    let source = address(TRUNK);
    let mut sent = 0;
    for (page, trunk) in packets {
        lab.bridge.handle_input(lab.now, Input::BrowserRtp(page));
        let contents = trunk.as_mut_slice();
        lab.bridge
            .handle_input(lab.now, Input::TrunkDatagram { port: TrunkPort::Rtp, source, contents });
        lab.now += ms(20);
        lab.bridge.handle_input(lab.now, Input::Timeout);
        while let Some(output) = lab.bridge.poll_output() {
            sent += usize::from(!matches!(black_box(output), Output::Event(_)));
        }
    }
    sent
}

#[inline(never)]
fn counted_codecs(codecs: &mut Codecs, packets: &[(RtpIn, Vec<u8>)]) -> usize {
    let mut sent = 0;
    for (page, trunk) in packets {
        codecs.from_page.decode(&page.payload, &mut codecs.pcm).unwrap();
        Encoder::Pcmu.encode(&codecs.pcm, &mut codecs.out).unwrap();
        black_box(&codecs.out);
        codecs.from_trunk.decode(&trunk[12..], &mut codecs.pcm).unwrap();
        codecs.to_page.encode(&codecs.pcm, &mut codecs.out).unwrap();
        sent += usize::from(!black_box(&codecs.out).is_empty());
    }
    sent
}

struct Codecs {
    from_page: Decoder,
    from_trunk: Decoder,
    to_page: Encoder,
    pcm: Vec<i16>,
    out: Vec<u8>,
}

/// Both directions of a call, packet by packet: what the page and the trunk send.
fn packets(lab: &mut Lab) -> Vec<(RtpIn, Vec<u8>)> {
    let (voice, other) = (speech(1, WARM_UP + FRAMES), speech(2, WARM_UP + FRAMES));
    let both = voice.iter().zip(&other).map(|(voice, other)| {
        let mut payload = Vec::new();
        lab.page_encoder.encode(voice, &mut payload).unwrap();
        let timestamp = lab.page_timestamp;
        lab.page_timestamp = timestamp.wrapping_add(960);
        (lab.page_packet(111, timestamp, false, &payload), lab.trunk_pcm_packet(other))
    });
    both.collect()
}

#[test]
#[ignore = "what callgrind runs: make bench-instructions"]
fn the_bridge_is_counted() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    let mut packets = packets(&mut lab);
    let (warm_up, counted) = packets.split_at_mut(WARM_UP);
    through_the_bridge(&mut lab, warm_up);
    let sent = counted_bridge(&mut lab, counted);
    assert!(sent >= 2 * FRAMES, "{sent}");
}

/// Toward a trunk without events: its sound is listened to for tones, and the page's digit, one in ten
/// seconds as a listener of menus presses, is one.
#[test]
#[ignore = "what callgrind runs: make bench-instructions"]
fn the_bridge_with_tones_is_counted() {
    let mut lab = Lab::with(BrowserCodec::Opus, DtmfMode::Auto, "0");
    lab.bridge.connect(lab.now);
    let mut packets = packets(&mut lab);
    let (warm_up, counted) = packets.split_at_mut(WARM_UP);
    through_the_bridge(&mut lab, warm_up);
    let items = parse_tones("5", ms(100), ms(80)).unwrap();
    lab.bridge.send_digits(lab.now, LegSide::Trunk, &items);
    let sent = counted_bridge(&mut lab, counted);
    assert!(sent >= 2 * FRAMES, "{sent}");
}

/// Takes what a recording does, and keeps nothing.
#[derive(Debug)]
struct Deaf;

impl Recorder for Deaf {
    fn frame(&mut self, browser: &[i16], trunk: &[i16]) {
        black_box((browser, trunk));
    }

    fn tone(&mut self, _: LegSide) {}
}

/// What a recording has of the bridge; what it makes of that is counted with the recording.
#[test]
#[ignore = "what callgrind runs: make bench-instructions"]
fn the_recorded_bridge_is_counted() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.bridge.record(Some(Box::new(Deaf)));
    let mut packets = packets(&mut lab);
    let (warm_up, counted) = packets.split_at_mut(WARM_UP);
    through_the_bridge(&mut lab, warm_up);
    let sent = counted_bridge(&mut lab, counted);
    assert!(sent >= 2 * FRAMES, "{sent}");
}

#[test]
#[ignore = "what callgrind runs: make bench-instructions"]
fn the_codecs_are_counted() {
    let packets = packets(&mut Lab::connected(BrowserCodec::Opus));
    let settings = OpusSettings { bit_rate: 24_000, complexity: 5, ..OpusSettings::default() };
    let mut codecs = Codecs {
        from_page: Decoder::new(Codec::Opus).unwrap(),
        from_trunk: Decoder::new(Codec::Pcmu).unwrap(),
        to_page: Encoder::opus(settings).unwrap(),
        pcm: Vec::new(),
        out: Vec::new(),
    };
    assert_eq!(counted_codecs(&mut codecs, &packets[WARM_UP..]), FRAMES);
}
