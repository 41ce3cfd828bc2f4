//! Offers and answers in mid call: what they agree on is in force 100 ms after the answer at the
//! latest, whoever offered, and the sound of both sides is whole on either side of the change.

use super::lab::*;
use crate::media::Hold;

/// Whose offer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offers {
    Trunk,
    Us,
}

/// How late what was agreed on may be.
const LIMIT: Duration = Duration::from_millis(100);
const ELSEWHERE: &str = "198.51.100.4:7000";

/// Both talk until the answer at the returned moment; then both go on for a second.
fn change(lab: &mut Lab, offers: Offers, description: &str) -> Instant {
    let at = lab.now;
    match offers {
        Offers::Trunk => {
            lab.bridge.trunk_answer(at, description).unwrap();
        }
        Offers::Us => {
            lab.bridge.trunk_reoffer(Hold::Off).unwrap();
            lab.bridge.trunk_accept(at, description).unwrap();
        }
    }
    lab.drain();
    at
}

/// The first moment after `at` from which on every packet to the trunk is so.
fn settled(lab: &Lab, at: Instant, is: impl Fn(usize, &ToTrunk) -> bool) -> Duration {
    let all: Vec<(usize, &ToTrunk)> = lab.trunk.iter().enumerate().collect();
    let last_other = all.iter().rposition(|(n, packet)| !is(*n, packet));
    let first = all.get(last_other.map_or(0, |n| n + 1));
    let (_, first) = first.expect("nothing was sent in the new way");
    first.at.saturating_duration_since(at)
}

#[test]
fn a_codec_is_in_force_within_100_ms_of_the_answer() {
    for offers in [Offers::Trunk, Offers::Us] {
        let mut lab = Lab::connected(BrowserCodec::Opus);
        lab.talk(30);
        let at = change(&mut lab, offers, &answer(address(TRUNK), "8 101"));
        let before = lab.page.len();
        let mut tone = sine(700.0);
        for _ in 0..50 {
            let mut pcm = [0; FRAME];
            tone.fill(&mut pcm);
            let mut payload = Vec::new();
            Encoder::Pcma.encode(&pcm, &mut payload).unwrap();
            let timestamp = lab.trunk_timestamp;
            lab.trunk_timestamp = timestamp.wrapping_add(160);
            let datagram = lab.trunk_packet(8, timestamp, false, &payload);
            lab.trunk_sends(TRUNK, &datagram);
            let packet = lab.page_sound();
            lab.input(Input::BrowserRtp(&packet));
            lab.wait(ms(20));
        }
        let late = settled(&lab, at, |_, packet| packet.payload_type == 8);
        assert!(late <= LIMIT, "{offers:?}: toward the trunk after {late:?}");
        let late = lab.page[before].at.saturating_duration_since(at);
        assert!(late <= LIMIT, "{offers:?}: toward the page after {late:?}");
        let sound = lab.trunk.iter().filter(|p| p.payload_type == 8).map(|p| &p.payload[..]);
        assert_tone(&decode(Codec::Pcma, sound), 1000.0, "the trunk");
        assert_tone(&lab.page_pcm(40), 700.0, "the page");
        assert!(lab.trunk.windows(2).all(|w| w[1].seq == w[0].seq.wrapping_add(1)), "one row");
        assert!(lab.page.windows(2).all(|w| w[1].seq == w[0].seq + 1), "no gap for the page");
    }
}

#[test]
fn an_address_is_in_force_within_100_ms_of_the_answer() {
    for offers in [Offers::Trunk, Offers::Us] {
        let mut lab = Lab::connected(BrowserCodec::Opus);
        lab.talk(30);
        let at = change(&mut lab, offers, &answer(address(ELSEWHERE), "0 101"));
        let before = lab.page.len();
        for _ in 0..50 {
            let datagram = lab.trunk_sound(FRAME);
            lab.trunk_sends(ELSEWHERE, &datagram);
            let packet = lab.page_sound();
            lab.input(Input::BrowserRtp(&packet));
            lab.wait(ms(20));
        }
        let there = |n: usize, _: &ToTrunk| lab.destinations[n] == address(ELSEWHERE);
        let late = settled(&lab, at, there);
        assert!(late <= LIMIT, "{offers:?}: toward the trunk after {late:?}");
        let late = lab.page[before].at.saturating_duration_since(at);
        assert!(late <= LIMIT, "{offers:?}: toward the page after {late:?}");
        assert_tone(&lab.page_pcm(40), 700.0, "the page");
    }
}

/// `sendonly` is heard and gets nothing, `inactive` neither; with `sendrecv` both talk again.
#[test]
fn the_trunks_hold_and_resume_are_in_force_within_100_ms() {
    for (direction, page_hears) in [("sendonly", true), ("inactive", false)] {
        let mut lab = Lab::connected(BrowserCodec::Opus);
        lab.talk(30);
        let plain = answer(address(TRUNK), "0 101");
        let held = change(&mut lab, Offers::Trunk, &plain.replace("sendrecv", direction));
        lab.talk(50);
        let last = lab.trunk.last().unwrap().at.saturating_duration_since(held);
        assert!(last <= LIMIT, "{direction}: sound to the trunk {last:?} after the answer");
        let last = lab.page.last().unwrap().at;
        assert_eq!(last.saturating_duration_since(held) > LIMIT, page_hears, "{direction}");
        let before = (lab.page.len(), lab.trunk.len());
        let resumed = change(&mut lab, Offers::Trunk, &plain);
        lab.talk(50);
        for first in [lab.page[before.0].at, lab.trunk[before.1].at] {
            let late = first.saturating_duration_since(resumed);
            assert!(late <= LIMIT, "{direction}: resumed after {late:?}");
        }
        assert_tone(&lab.page_pcm(40), 700.0, "the page");
        assert_tone(&lab.trunk_pcm(40), 1000.0, "the trunk");
    }
}

/// The page's hold acts at once, its end with the answer to our offer.
#[test]
fn the_pages_hold_and_resume_are_in_force_within_100_ms() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(30);
    let plain = answer(address(TRUNK), "0 101");
    let offer = lab.bridge.trunk_reoffer(Hold::On).unwrap();
    assert!(offer.contains("a=sendonly"), "{offer}");
    lab.bridge.trunk_accept(lab.now, &plain.replace("sendrecv", "recvonly")).unwrap();
    let (held, before) = (lab.now, lab.page.len());
    lab.talk(50);
    assert_eq!(lab.page.len(), before, "the page hears nothing of who is held");
    let after = |lab: &Lab, since: Instant| -> Vec<i16> {
        let sound = lab.trunk.iter().filter(|p| p.at > since + LIMIT && p.payload_type == 0);
        decode(Codec::Pcmu, sound.map(|p| &p.payload[..]))
    };
    let level = goertzel_dbm0(&after(&lab, held), 1000.0);
    assert!(level < -50.0, "who is held hears the page at {level} dBm0");

    let offer = lab.bridge.trunk_reoffer(Hold::Off).unwrap();
    assert!(offer.contains("a=sendrecv"), "{offer}");
    lab.bridge.trunk_accept(lab.now, &plain).unwrap();
    let resumed = lab.now;
    lab.talk(50);
    let late = lab.page[before].at.saturating_duration_since(resumed);
    assert!(late <= LIMIT, "the page hears again after {late:?}");
    assert_tone(&after(&lab, resumed), 1000.0, "the trunk");
    assert_tone(&lab.page_pcm(40), 700.0, "the page");
}

/// Packets of another length: the next one that is full has it.
#[test]
fn a_packet_length_is_in_force_within_100_ms_of_the_answer() {
    for (ptime, samples) in [(10, 80), (30, 240), (40, 320), (60, 480)] {
        let mut lab = Lab::connected(BrowserCodec::Opus);
        lab.talk(30);
        let other = answer(address(TRUNK), "0 101") + &format!("a=ptime:{ptime}\r\n");
        let at = change(&mut lab, Offers::Trunk, &other);
        lab.talk(60);
        let late = settled(&lab, at, |_, packet| packet.payload.len() == samples);
        assert!(late <= LIMIT, "{ptime} ms after {late:?}");
        // Whoever sends packets of one length may be sent those of another (RFC 3264 5.1).
        assert_tone(&lab.trunk_pcm(40 * 160 / samples), 1000.0, "the trunk");
        assert_tone(&lab.page_pcm(40), 700.0, "the page");
    }
}
