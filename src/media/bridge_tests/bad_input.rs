//! Streams that change or lie in mid-call: what is heard stays the tone, no louder than it was, the
//! numbers toward the other side stay one row, nothing grows, and what was thrown away is counted.

use super::lab::*;
use crate::codec;

/// The peak of a sine of -10 dBm0, and what codecs and joints may add to it.
const LOUDEST: i16 = 9_200;

/// What the page got is one row, and never louder than the tone that was sent.
fn assert_sound(lab: &Lab, whose: &str) {
    for pair in lab.page.windows(2) {
        assert!(pair[1].seq > pair[0].seq, "{whose}");
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!(step < 48_000 * 90, "{whose}: the page's clock went back");
    }
    let loudest = lab.page_pcm(lab.page.len()).iter().map(|s| s.unsigned_abs()).max();
    assert!(loudest < Some(LOUDEST.unsigned_abs()), "{whose}: {loudest:?}");
    assert_tone(&lab.page_pcm(40), 700.0, whose);
}

#[test]
fn the_trunk_changes_its_packet_length_in_mid_call() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    for samples in [160, 480, 80, 240, 160] {
        for _ in 0..8_000 / samples {
            let datagram = lab.trunk_sound(samples);
            lab.trunk_sends(TRUNK, &datagram);
            lab.wait(ms(samples as u64 / 8));
        }
    }
    assert_sound(&lab, "the page");
    assert!((245..=250).contains(&lab.page.len()), "{}", lab.page.len());
}

#[test]
fn the_trunks_timestamps_and_numbers_jump() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    for (timestamp, seq) in [(0, 0), (1_000_000, 0), (0x8000_0000, 0), (77, 5_000), (5, 40_000)] {
        lab.trunk_timestamp = lab.trunk_timestamp.wrapping_add(timestamp);
        lab.trunk_seq = lab.trunk_seq.wrapping_add(seq);
        lab.talk(60);
    }
    assert_sound(&lab, "the page");
    assert!(lab.page.len() > 280, "{}", lab.page.len());
    let spurts = lab.page.iter().filter(|p| p.marker).count();
    assert!((3..=6).contains(&spurts), "each jump is marked as a new start: {spurts}");
}

#[test]
fn the_trunk_changes_to_another_codec_of_the_answer() {
    let mut lab = Lab::with(BrowserCodec::Opus, DtmfMode::Auto, "0 8 101");
    lab.bridge.connect(lab.now);
    lab.talk(50);
    let mut payload = Vec::new();
    for _ in 0..50 {
        let mut pcm = [0; FRAME];
        lab.trunk_tone.fill(&mut pcm);
        Encoder::Pcma.encode(&pcm, &mut payload).unwrap();
        let timestamp = lab.trunk_timestamp;
        lab.trunk_timestamp = timestamp.wrapping_add(160);
        let datagram = lab.trunk_packet(8, timestamp, false, &payload);
        lab.trunk_sends(TRUNK, &datagram);
        lab.wait(ms(20));
    }
    assert_sound(&lab, "the page hears A-law");
    lab.talk(50);
    assert_sound(&lab, "the page hears mu-law again");
    assert_eq!(lab.bridge.stats().1.malformed, 0);
}

#[test]
fn packets_of_no_length_and_of_too_much() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    // So long that three packets of no use are no path that loses, for which the buffer would grow.
    lab.talk(200);
    for length in [0, 1, 1_400] {
        let payload = vec![0xFF; length];
        let timestamp = lab.trunk_timestamp;
        lab.trunk_timestamp = timestamp.wrapping_add(length as u32);
        let datagram = lab.trunk_packet(0, timestamp, false, &payload);
        lab.trunk_sends(TRUNK, &datagram);
        let packet = lab.page_packet(111, lab.page_timestamp, false, &payload);
        lab.input(Input::BrowserRtp(&packet));
        lab.wait(ms(length as u64 / 8));
    }
    lab.talk(60);
    assert_sound(&lab, "the page");
    assert_tone(&lab.trunk_pcm(40), 1000.0, "the trunk");
}

/// Ten times as much as 20 ms a frame: the page gets what it can play, the rest is counted.
#[test]
fn a_trunk_that_sends_ten_times_too_fast_is_held_to_its_pace() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    for _ in 0..250 {
        for _ in 0..10 {
            let datagram = lab.trunk_sound(FRAME);
            lab.trunk_sends(TRUNK, &datagram);
        }
        lab.wait(ms(20));
    }
    assert!((300..=450).contains(&lab.page.len()), "{} packets in 5 s", lab.page.len());
    assert!(lab.bridge.stats().1.late > 2_000, "{}", lab.bridge.stats().1.late);
    let ahead = lab.page.last().unwrap().timestamp.wrapping_sub(lab.page[0].timestamp) / 48;
    assert!(ahead < 9_000, "{ahead} ms of sound in 5 s");
    let before = lab.page.len();
    lab.wait(ms(2_000));
    lab.talk(100);
    assert!(lab.page.len() >= before + 100, "the pace is right again");
    assert_sound(&lab, "the page");
}

#[test]
fn a_page_that_sends_ten_times_too_fast_is_held_to_the_trunks_clock() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    for _ in 0..100 {
        for _ in 0..10 {
            let packet = lab.page_sound();
            lab.input(Input::BrowserRtp(&packet));
        }
        lab.wait(ms(20));
    }
    assert!((95..=105).contains(&lab.trunk.len()), "{}", lab.trunk.len());
    // Sound goes on at once, a little fast while what waits is worked off.
    lab.talk(50);
    let pcm = lab.trunk_pcm(25);
    let level = codec::level_dbm0(&pcm);
    assert!((-10.5..-9.5).contains(&level), "{level} dBm0");
    let hertz = codec::dominant_frequency(&pcm).unwrap();
    assert!((997.0..1006.0).contains(&hertz), "{hertz} Hz");
    assert!(lab.bridge.stats().0.playout_ms <= 200.0);
}
