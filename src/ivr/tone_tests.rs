//! Every tone of the table is recognised, and taken for no other of its country.

use super::tone::Recogniser;
use super::tone_table::{COUNTRIES, CountryTone, TONES, ToneKind};
use crate::codec::{Cadence, Codec, Decoder, Encoder, FRAME, Step, Tone, Tones};

fn sound_of(tone: &CountryTone) -> Cadence {
    let dbm0 = -13.0 - 3.0 * (tone.hz.len() as f64 - 1.0);
    let tones: Vec<Tone> = tone.hz.iter().map(|hz| Tone { frequency: *hz, dbm0 }).collect();
    if tone.kind == ToneKind::Sit {
        let mut steps: Vec<Step> =
            tones.iter().map(|tone| Step { tones: vec![*tone], ms: 330 }).collect();
        steps.push(Step { tones: Vec::new(), ms: 1000 });
        return Cadence::new(&steps);
    }
    let step = |(i, ms): (usize, &u32)| {
        let tones = if i.is_multiple_of(2) { tones.clone() } else { Vec::new() };
        Step { tones, ms: *ms }
    };
    Cadence::new(&tone.cadence.iter().enumerate().map(step).collect::<Vec<_>>())
}

/// Hears `ms` of a sound through G.711, after `lead` of silence.
fn hear(cadence: &mut Cadence, lead: usize, ms: usize) -> Recogniser {
    let mut recogniser = Recogniser::default();
    let mut encoder = Encoder::new(Codec::Pcma).unwrap();
    let mut decoder = Decoder::new(Codec::Pcma).unwrap();
    let (mut payload, mut pcm) = (Vec::new(), Vec::new());
    let mut all = vec![0; lead * 8 + ms * 8];
    cadence.fill(&mut all[lead * 8..]);
    for frame in all.chunks_exact(FRAME) {
        encoder.encode(frame, &mut payload).unwrap();
        decoder.decode(&payload, &mut pcm).unwrap();
        recogniser.hear(&pcm);
    }
    recogniser
}

#[test]
fn every_tone_of_every_country_is_recognised_within_its_second_period() {
    for tone in TONES {
        let country = tone.countries.first().copied();
        let period: u32 = tone.cadence.iter().sum();
        for lead in [0, 310] {
            let ms = period as usize * 2 + 700;
            let recogniser = hear(&mut sound_of(tone), lead, ms);
            let found = recogniser.find(tone.kind, country);
            assert!(
                found.is_some(),
                "{:?} of {country:?} after {lead} ms: {recogniser:?}",
                tone.kind
            );
            let others = [ToneKind::Ringback, ToneKind::Busy, ToneKind::Congestion, ToneKind::Sit];
            for other in others {
                let same = |a: &CountryTone| {
                    a.kind == other
                        && a.countries.iter().any(|c| Some(*c) == country)
                        && a.cadence == tone.cadence
                };
                if other == tone.kind || TONES.iter().any(same) {
                    continue;
                }
                let wrong = recogniser.find(other, country.or(Some("DE")));
                assert_eq!(wrong, None, "{:?} of {country:?} taken for {other:?}", tone.kind);
            }
        }
    }
}

#[test]
fn every_country_has_all_its_tones() {
    for country in COUNTRIES {
        for kind in [ToneKind::Ringback, ToneKind::Busy, ToneKind::Congestion] {
            let is = |tone: &&CountryTone| tone.kind == kind && tone.countries.contains(country);
            assert_eq!(TONES.iter().filter(is).count(), 1, "{country} {kind:?}");
        }
    }
    assert!(COUNTRIES.len() >= 10);
}

#[test]
fn a_ringback_is_told_with_the_end_of_its_first_sound() {
    let tone = TONES.iter().find(|t| t.countries.contains(&"DE")).unwrap();
    let mut recogniser = Recogniser::default();
    let mut cadence = sound_of(tone);
    for frame in 0..200 {
        let mut pcm = [0; FRAME];
        cadence.fill(&mut pcm);
        recogniser.hear(&pcm);
        let found = recogniser.find(ToneKind::Ringback, Some("DE"));
        if let Some(found) = found {
            assert_eq!(found.start_ms, 0);
            assert!((50..60).contains(&frame), "at frame {frame}");
            return;
        }
    }
    panic!("not recognised");
}

/// 2100 Hz as a fax machine or a modem sends it.
fn answer(swell: bool, reversals: bool, hz: f64) -> Vec<i16> {
    (0..16_000)
        .map(|n| {
            let t = f64::from(n) / 8000.0;
            let level =
                if swell { 1.0 + 0.2 * (std::f64::consts::TAU * 15.0 * t).sin() } else { 1.0 };
            let turned = reversals && (t / 0.45) as u32 % 2 == 1;
            let phase = if turned { std::f64::consts::PI } else { 0.0 };
            ((std::f64::consts::TAU * hz * t + phase).sin() * level * 5000.0) as i16
        })
        .collect()
}

#[test]
fn fax_machines_and_modems_are_told_apart() {
    let cases = [
        (answer(false, false, 2100.0), ToneKind::FaxCed),
        (answer(true, false, 2100.0), ToneKind::Modem),
        (answer(false, true, 2100.0), ToneKind::Modem),
        (answer(true, true, 2100.0), ToneKind::Modem),
        (answer(false, false, 2225.0), ToneKind::Modem),
    ];
    for (index, (pcm, kind)) in cases.iter().enumerate() {
        let mut recogniser = Recogniser::default();
        pcm.chunks_exact(FRAME).for_each(|frame| recogniser.hear(frame));
        assert_eq!(recogniser.any(None).map(|heard| heard.kind), Some(*kind), "case {index}");
    }
}

#[test]
fn speech_and_other_tones_are_nothing() {
    let speech: [&[u8]; 3] = [
        include_bytes!("../carrier/prompts/menu.wav"),
        include_bytes!("../carrier/prompts/about.wav"),
        include_bytes!("../carrier/prompts/unavailable.wav"),
    ];
    for file in speech {
        let mut recogniser = Recogniser::default();
        for frame in crate::codec::read_wav(file).unwrap().chunks_exact(FRAME) {
            recogniser.hear(frame);
            for country in COUNTRIES {
                assert_eq!(recogniser.any(Some(country)), None, "{country}");
            }
        }
    }
    let mut pcm = vec![0; 16_000];
    Tones::new(&[Tone { frequency: 1004.0, dbm0: -10.0 }]).fill(&mut pcm);
    let mut recogniser = Recogniser::default();
    pcm.chunks_exact(FRAME).for_each(|frame| recogniser.hear(frame));
    assert_eq!(recogniser.any(None), None);
}
