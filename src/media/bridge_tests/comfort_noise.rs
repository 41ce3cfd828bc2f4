//! Comfort noise (RFC 3389): a trunk that describes its pauses, and pauses of the page described to it.

use super::lab::*;
use crate::codec::NoiseDescription;
use crate::media::{ComfortNoise, Hold};

/// A connected bridge to a trunk of mu-law that has taken comfort noise.
fn lab(comfort_noise: ComfortNoise, silence: Silence) -> Lab {
    let media = TrunkMedia { comfort_noise, ..TrunkMedia::default() };
    let opus = OpusSettings { silence, ..config().opus };
    let mut lab = Lab::set(BrowserCodec::Opus, media, BridgeConfig { opus, ..config() });
    match comfort_noise {
        ComfortNoise::Offered => {
            lab.bridge.trunk_accept(lab.now, &answer(address(TRUNK), "0 13 101")).unwrap();
        }
        _ => {
            let offer = answer(address(TRUNK), "0 13 101");
            lab.bridge.trunk_answer(lab.now, &offer).unwrap();
        }
    }
    lab.bridge.connect(lab.now);
    lab.drain();
    lab
}

/// The trunk pauses for so many frames and describes its noise at the start and every 400 ms.
fn trunk_pauses(lab: &mut Lab, frames: u32, payload: &[u8]) {
    for n in 0..frames {
        if n % 20 == 0 {
            let datagram = lab.trunk_packet(13, lab.trunk_timestamp, false, payload);
            lab.trunk_sends(TRUNK, &datagram);
        }
        lab.trunk_timestamp = lab.trunk_timestamp.wrapping_add(160);
        let packet = lab.page_sound();
        lab.input(Input::BrowserRtp(&packet));
        lab.wait(ms(20));
    }
}

#[test]
fn a_pause_of_the_trunk_is_noise_of_its_level_to_the_page() {
    for comfort_noise in [ComfortNoise::Accepted, ComfortNoise::Offered] {
        let mut lab = lab(comfort_noise, Silence::Sent);
        lab.talk(50);
        let before = lab.page.len();
        // 55 dB below overload: -48.8 dBm0, of a dull room.
        trunk_pauses(&mut lab, 150, &[55, 63]);
        let sent = lab.page.len() - before;
        assert!((149..=151).contains(&sent), "{sent} packets in three seconds of pause");
        let level = level_dbm0(&lab.page_pcm(100));
        assert!((level + 48.8).abs() < 3.0, "the page hears {level} dBm0");
        lab.talk(50);
        assert_tone(&lab.page_pcm(40), 700.0, "the page");
        assert!(lab.page.windows(2).all(|w| w[1].seq == w[0].seq + 1), "no gap");
        let steps: Vec<u32> = lab
            .page
            .windows(2)
            .map(|w| w[1].timestamp.wrapping_sub(w[0].timestamp))
            .filter(|step| *step != 960)
            .collect();
        assert!(steps.is_empty(), "an even stream: {steps:?}");
        let marked: Vec<usize> = (0..lab.page.len()).filter(|n| lab.page[*n].marker).collect();
        assert_eq!(marked, [0, before + 150], "talk spurts");
        assert_eq!(lab.bridge.stats().1.malformed, 0);
    }
}

/// Where silence is not sent to pages, a described pause is one of them: Opus DTX.
#[test]
fn a_pause_of_the_trunk_is_dtx_to_a_page() {
    let mut lab = lab(ComfortNoise::Accepted, Silence::Suppressed);
    lab.talk(50);
    let before = lab.page.len();
    trunk_pauses(&mut lab, 250, &[60]);
    let sent = lab.page.len() - before;
    assert!((12..50).contains(&sent), "{sent} packets in five seconds of pause");
    let (level, before) = (level_dbm0(&lab.page_pcm(1)), lab.page.len());
    assert!(level < -45.0, "the last refresh: {level} dBm0");
    lab.talk(50);
    assert_eq!(lab.page.len(), before + 50);
    assert!(lab.page[before].marker);
    assert_tone(&lab.page_pcm(40), 700.0, "the page");
}

/// One description may be all that comes of a pause; packets that jitter or are lost in it leave the
/// page's clock going forward.
#[test]
fn sound_after_a_pause_has_its_place_however_it_comes() {
    for (late_ms, lost) in [(0, 0), (15, 0), (35, 0), (0, 1), (20, 3)] {
        let mut lab = lab(ComfortNoise::Accepted, Silence::Sent);
        lab.talk(20);
        let datagram = lab.trunk_packet(13, lab.trunk_timestamp, false, &[60]);
        lab.trunk_sends(TRUNK, &datagram);
        lab.wait(ms(600 + late_ms));
        lab.trunk_timestamp = lab.trunk_timestamp.wrapping_add(30 * 160);
        lab.trunk_seq = lab.trunk_seq.wrapping_add(lost);
        lab.talk(50);
        assert_tone(&lab.page_pcm(40), 700.0, "the page");
        for pair in lab.page.windows(2) {
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!((960..=3 * 960).contains(&step), "{late_ms} ms late, {lost} lost: {step}");
            assert!(pair[1].seq > pair[0].seq);
        }
    }
}

#[test]
fn a_trunk_that_pauses_for_long_is_not_lost() {
    let mut lab = lab(ComfortNoise::Accepted, Silence::Sent);
    lab.talk(20);
    let datagram = lab.trunk_packet(13, lab.trunk_timestamp, false, &[60]);
    lab.trunk_sends(TRUNK, &datagram);
    let lost = MediaEvent::MediaLost { leg: LegSide::Trunk };
    lab.wait(Duration::from_secs(55));
    assert!(!lab.events.contains(&lost));
    lab.wait(Duration::from_secs(10));
    assert!(lab.events.contains(&lost), "but not for ever");
    let before = lab.page.len();
    lab.wait(Duration::from_secs(10));
    assert_eq!(lab.page.len(), before, "nor is noise made for ever");
}

/// The page talks, is silent, talks: the trunk gets sound, a description now and then, sound.
#[test]
fn a_pause_of_the_page_is_described_to_a_trunk_that_has_agreed() {
    let mut lab = lab(ComfortNoise::Offered, Silence::Sent);
    lab.talk(50);
    lab.hush();
    lab.talk(150);
    lab.page_tone = sine(1000.0);
    lab.talk(60);
    let noise: Vec<_> = lab.trunk.iter().filter(|p| p.payload_type == 13).collect();
    assert!((6..=9).contains(&noise.len()), "{} descriptions in three seconds", noise.len());
    for packet in &noise {
        let description = NoiseDescription::parse(&packet.payload).unwrap();
        assert!(description.dbm0() < -60.0, "{description:?}");
        assert!(!packet.marker, "RFC 3389 4");
    }
    let sound = lab.trunk.iter().filter(|p| p.payload_type == 0).count();
    assert!((115..140).contains(&sound), "{sound} packets of sound in 2.2 s of talk");
    let first = noise.last().unwrap().seq.wrapping_add(1);
    let first = lab.trunk.iter().find(|p| p.seq == first).unwrap();
    assert!(first.marker && first.payload_type == 0, "the next talk spurt");
    assert!(lab.trunk.windows(2).all(|w| w[1].seq == w[0].seq.wrapping_add(1)), "one row");
    let clock: Vec<u32> =
        lab.trunk.iter().map(|p| p.timestamp.wrapping_sub(lab.trunk[0].timestamp)).collect();
    assert!(clock.windows(2).all(|w| w[1] > w[0] && (w[1] - w[0]).is_multiple_of(160)));
    assert_tone(&lab.trunk_pcm(40), 1000.0, "the trunk");
}

/// A page whose packets stop, and one that holds.
#[test]
fn a_lost_page_and_a_hold_are_pauses_too() {
    let mut lab = lab(ComfortNoise::Offered, Silence::Sent);
    lab.talk(50);
    lab.hush();
    lab.talk(30);
    let before = lab.trunk.len();
    lab.wait(ms(2_000));
    assert!(last_are_noise(&lab, before));
    let mut lab = lab_held();
    let before = lab.trunk.len();
    lab.talk(100);
    assert!(last_are_noise(&lab, before));
    let description = NoiseDescription::parse(&lab.trunk.last().unwrap().payload).unwrap();
    assert!((description.dbm0() + 65.0).abs() < 3.0, "the noise of a hold: {description:?}");
}

/// All that went to the trunk after the hangover of the talk, and what the detector takes to learn.
fn last_are_noise(lab: &Lab, before: usize) -> bool {
    let last = &lab.trunk[(before + 40).min(lab.trunk.len())..];
    let noise = lab.trunk[before..].iter().filter(|p| p.payload_type == 13).count();
    noise >= 3 && last.iter().all(|p| p.payload_type == 13)
}

fn lab_held() -> Lab {
    let mut lab = lab(ComfortNoise::Offered, Silence::Sent);
    lab.talk(50);
    let offer = lab.bridge.trunk_reoffer(Hold::On).unwrap();
    assert!(offer.contains("RTP/AVP 0 8 13 101\r\n"), "{offer}");
    let held = answer(address(TRUNK), "0 13 101").replace("sendrecv", "recvonly");
    lab.bridge.trunk_accept(lab.now, &held).unwrap();
    lab
}

/// Without an agreement our pauses are sound; the trunk's are heard where they are not refused, since
/// the number 13 has one meaning only.
#[test]
fn without_an_agreement_only_the_trunk_may_pause() {
    for (comfort_noise, heard) in [(ComfortNoise::Offered, true), (ComfortNoise::Off, false)] {
        let media = TrunkMedia { comfort_noise, ..TrunkMedia::default() };
        let mut lab = Lab::toward(BrowserCodec::Opus, media);
        lab.bridge.trunk_accept(lab.now, &answer(address(TRUNK), "0 101")).unwrap();
        lab.bridge.connect(lab.now);
        lab.talk(50);
        lab.hush();
        lab.talk(50);
        assert!(lab.trunk.iter().all(|p| p.payload_type == 0) && lab.trunk.len() >= 99);
        let before = lab.page.len();
        trunk_pauses(&mut lab, 50, &[60]);
        assert_eq!(lab.page.len() > before + 40, heard, "{comfort_noise:?}");
        assert_eq!(lab.bridge.stats().1.malformed == 0, heard);
    }
}

/// Descriptions of no length, of too many coefficients, and a flood of them.
#[test]
fn broken_descriptions_change_nothing() {
    let mut lab = lab(ComfortNoise::Accepted, Silence::Sent);
    lab.talk(20);
    let before = lab.page.len();
    for n in 0..2_000u32 {
        let payload = vec![(n % 256) as u8; (n % 60) as usize];
        let datagram = lab.trunk_packet(13, lab.trunk_timestamp, false, &payload);
        lab.trunk_sends(TRUNK, &datagram);
    }
    assert!(lab.page.len() - before <= 1, "descriptions are no sound");
    lab.talk(60);
    assert_tone(&lab.page_pcm(40), 700.0, "the page");
}
