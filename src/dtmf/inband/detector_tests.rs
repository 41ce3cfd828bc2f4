//! What ITU-T Q.24 and the product want to be heard, and what not.

use std::f64::consts::TAU;

use super::super::{COLUMNS, EVENTS, ROWS};
use super::*;
use crate::base::epoch;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A pair of tones to be made.
#[derive(Clone, Copy)]
struct Pair {
    row: f64,
    column: f64,
    row_dbm0: f64,
    column_dbm0: f64,
}

impl Pair {
    fn of(key: char) -> Pair {
        let event = Digit::from_char(key).unwrap().event();
        let place = (0..16).find(|i| EVENTS[i / 4][i % 4] == event).unwrap();
        let (row, column) = (ROWS[place / 4], COLUMNS[place % 4]);
        Pair { row, column, row_dbm0: -10.0, column_dbm0: -10.0 }
    }

    fn sound(self, ms: u64) -> Vec<f64> {
        let peak = |dbm0: f64| 32_767.0 * 10f64.powf((dbm0 - 3.17) / 20.0);
        (0..ms * 8)
            .map(|i| {
                let t = TAU * i as f64 / RATE;
                peak(self.row_dbm0) * (self.row * t).sin()
                    + peak(self.column_dbm0) * (self.column * t + 1.0).sin()
            })
            .collect()
    }
}

/// White noise of a root mean square, from a seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self, rms: f64) -> f64 {
        // Knuth's MMIX generator; the sum of four is near enough to Gaussian.
        let mut uniform = || {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let sum = uniform() + uniform() + uniform() + uniform();
        sum * rms * 3f64.sqrt()
    }
}

/// Keys and lengths in ms that are heard in `sound`, fed in frames of 20 ms.
fn heard(sound: &[f64]) -> Vec<(char, u64)> {
    let mut detector = InbandDetector::new();
    let mut digits = Vec::new();
    let silence = vec![0.0; 1600];
    let all: Vec<i16> = sound.iter().chain(&silence).map(|s| s.round() as i16).collect();
    for (i, pcm) in all.chunks(160).enumerate() {
        detector.handle_input(epoch() + MS(20 * (i as u64 + 1)), pcm);
        while let Output::Digit(event) = detector.poll_output() {
            if let Phase::End(_) = event.phase {
                digits.push((event.digit.as_char(), event.duration.as_millis() as u64));
            }
        }
    }
    digits
}

fn keys(sound: &[f64]) -> String {
    heard(sound).iter().map(|d| d.0).collect()
}

const ALL: &str = "0123456789*#ABCD";

/// All keys, twice each, with `on` and `off` ms, at every phase of the windows.
fn dialled(on: u64, off: u64, change: impl Fn(Pair) -> Pair) -> (String, Vec<f64>) {
    let mut sound = vec![0.0; 400];
    let mut expected = String::new();
    for (i, key) in ALL.chars().chain(ALL.chars().rev()).enumerate() {
        for _ in 0..2 {
            expected.push(key);
            sound.extend(change(Pair::of(key)).sound(on));
            sound.extend(vec![0.0; off as usize * 8 + i * 13 % 64]);
        }
    }
    (expected, sound)
}

#[test]
fn v22_in_band_40_40_ms() {
    let (expected, sound) = dialled(40, 40, |pair| pair);
    assert_eq!(keys(&sound), expected);
}

#[test]
fn v22_in_band_8_db_twist_and_4_db_reverse() {
    for (row_dbm0, column_dbm0) in [(-8.0, -16.0), (-12.0, -8.0)] {
        let (expected, sound) = dialled(40, 40, |pair| Pair { row_dbm0, column_dbm0, ..pair });
        assert_eq!(keys(&sound), expected, "{row_dbm0} {column_dbm0}");
    }
    let (_, sound) = dialled(40, 40, |p| Pair { row_dbm0: -6.0, column_dbm0: -18.0, ..p });
    assert_eq!(keys(&sound), "");
    let (_, sound) = dialled(40, 40, |p| Pair { row_dbm0: -16.0, column_dbm0: -8.0, ..p });
    assert_eq!(keys(&sound), "");
}

#[test]
fn v22_in_band_15_db_snr() {
    let (expected, mut sound) = dialled(40, 40, |pair| pair);
    let mut noise = Noise(22);
    let pair_rms = 32_767.0 * 10f64.powf((-10.0 - 3.17) / 20.0);
    let rms = pair_rms * 10f64.powf(-15.0 / 20.0);
    sound.iter_mut().for_each(|s| *s += noise.next(rms));
    assert_eq!(keys(&sound), expected);
}

#[test]
fn the_quietest_digit_is_of_minus_36_dbm0() {
    let level = |dbm0| move |pair| Pair { row_dbm0: dbm0, column_dbm0: dbm0, ..pair };
    for length in [40, 50] {
        let (expected, sound) = dialled(length, length, level(-36.0));
        assert_eq!(keys(&sound), expected, "{length} ms");
    }
    let (_, sound) = dialled(50, 50, level(-42.0));
    assert_eq!(keys(&sound), "");
}

#[test]
fn frequencies_within_1_5_percent_are_accepted_and_beyond_3_5_refused() {
    for (rows, columns) in [(-0.015, 0.015), (0.015, -0.015), (0.015, 0.015), (-0.015, -0.015)] {
        for length in [40, 50] {
            let shift = |p: Pair| Pair {
                row: p.row * (1.0 + rows),
                column: p.column * (1.0 + columns),
                ..p
            };
            let (expected, sound) = dialled(length, length, shift);
            assert_eq!(keys(&sound), expected, "{rows} {columns} {length} ms");
        }
    }
    for off in [-0.035, 0.035] {
        let (_, rows) = dialled(50, 50, |p| Pair { row: p.row * (1.0 + off), ..p });
        let (_, columns) = dialled(50, 50, |p| Pair { column: p.column * (1.0 + off), ..p });
        assert_eq!((keys(&rows), keys(&columns)), (String::new(), String::new()), "{off}");
    }
}

#[test]
fn lengths_are_measured_within_12_ms() {
    for ms in [45, 60, 100, 250, 1000] {
        for shift in 0..8 {
            let mut sound = vec![0.0; 200 + shift * 8];
            sound.extend(Pair::of('7').sound(ms));
            let digits = heard(&sound);
            let [('7', length)] = digits[..] else { panic!("{ms}: {digits:?}") };
            assert!(length.abs_diff(ms) <= 12, "{ms}: {length}");
        }
    }
}

/// Each packet of 20 ms is lost with a chance of one in five: what is left of a long tone is one digit, and
/// no other one.
#[test]
fn a_long_tone_through_20_percent_of_loss_is_one_digit() {
    let mut noise = Noise(20);
    for (n, key) in ALL.chars().cycle().take(160).enumerate() {
        // Begun anywhere in a packet, at another phase each time.
        let mut sound = vec![0.0; 480 + n * 7 % 160];
        sound.extend(Pair::of(key).sound(2000 + n as u64 % 50));
        sound.extend(vec![0.0; 3200]);
        let (mut detector, mut digits, mut lost) = (InbandDetector::new(), String::new(), 0);
        for (i, packet) in sound.chunks(160).enumerate() {
            // A fifth of a normal distribution is beyond 0.84.
            if noise.next(1.0) > 0.84 && lost < 10 {
                lost += 1;
                continue;
            }
            if lost > 0 {
                detector.lost(160 * std::mem::take(&mut lost));
            }
            let pcm: Vec<i16> = packet.iter().map(|s| s.round() as i16).collect();
            detector.handle_input(epoch() + MS(20 * (i as u64 + 1)), &pcm);
            while let Output::Digit(event) = detector.poll_output() {
                if let Phase::End(_) = event.phase {
                    digits.push(event.digit.as_char());
                }
            }
        }
        assert_eq!(digits, key.to_string(), "the {n}th");
    }
}

#[test]
fn a_tone_of_20_ms_is_no_digit_and_a_single_tone_neither() {
    let (_, sound) = dialled(20, 60, |pair| pair);
    assert_eq!(keys(&sound), "");
    let (_, sound) = dialled(100, 50, |p| Pair { row_dbm0: -90.0, ..p });
    assert_eq!(keys(&sound), "");
}

#[test]
fn noise_alone_is_no_digit() {
    let mut noise = Noise(1);
    let sound: Vec<f64> = (0..8000 * 60).map(|_| noise.next(3000.0)).collect();
    assert_eq!(keys(&sound), "");
}

/// More speech, of real voices in real languages, is in `tests/talk_off.rs`.
#[test]
fn v23_speech_at_many_speeds() {
    // Sixteen prompts and more, spoken at many speeds and pitches.
    let files: [&[u8]; 6] = [
        include_bytes!("../../carrier/prompts/menu.wav"),
        include_bytes!("../../carrier/prompts/about.wav"),
        include_bytes!("../../carrier/prompts/greeting.wav"),
        include_bytes!("../../carrier/prompts/unavailable.wav"),
        include_bytes!("../../carrier/prompts/enter-digits.wav"),
        include_bytes!("../../carrier/prompts/call-back.wav"),
    ];
    let speech: Vec<f64> = files
        .iter()
        .flat_map(|file| file[44..].chunks_exact(2))
        .map(|b| f64::from(i16::from_le_bytes([b[0], b[1]])))
        .collect();
    let mut spoken = 0;
    let mut found = Vec::new();
    for round in 0.. {
        let speed = 0.7 + f64::from(round) * 0.0071;
        let count = ((speech.len() - 1) as f64 / speed) as usize;
        let sound: Vec<f64> = (0..count)
            .map(|i| {
                let at = i as f64 * speed;
                let (whole, part) = (at as usize, at.fract());
                speech[whole] * (1.0 - part) + speech[whole + 1] * part
            })
            .collect();
        found.extend(heard(&sound));
        spoken += count;
        if spoken > 8000 * 3600 {
            break;
        }
    }
    assert_eq!(found, []);
}
