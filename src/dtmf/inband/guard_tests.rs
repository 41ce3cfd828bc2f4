//! What a guard leaves of tones and of speech.

use std::f64::consts::TAU;

use super::super::{COLUMNS, RATE, ROWS};
use super::*;

/// Both tones at -10 dBm0 from this sample on, for so many.
fn tone(row: f64, column: f64, from: usize, length: usize, count: usize, rate: f64) -> Vec<i16> {
    let amplitude = 32_768.0 * 10_f64.powf((-10.0 - 3.17) / 20.0);
    let sample = |n: usize| {
        let t = n as f64 / rate;
        amplitude * ((TAU * row * t).sin() + (TAU * column * t).sin())
    };
    let is_on = |n: usize| (from..from + length).contains(&n);
    (0..count).map(|n| if is_on(n) { sample(n) as i16 } else { 0 }).collect()
}

/// Milliseconds of sound that are left, in all.
fn left_ms(pcm: &mut [i16], factor: usize) -> f64 {
    let mut guard = ToneGuard::new();
    pcm.chunks_exact_mut(FRAME * factor).for_each(|frame| guard.pass(frame));
    pcm.iter().filter(|sample| sample.abs() > 50).count() as f64 / (8 * factor) as f64
}

#[test]
fn of_a_tone_less_than_20_ms_are_left_wherever_it_begins_at_8_and_16_khz() {
    for factor in [1, 2] {
        for (row, column) in ROWS.iter().flat_map(|row| COLUMNS.map(|column| (*row, column))) {
            for begins in (0..FRAME).step_by(16) {
                let (from, length) = ((800 + begins) * factor, 2_400 * factor);
                let rate = RATE * factor as f64;
                let mut pcm = tone(row, column, from, length, 8_000 * factor, rate);
                let left = left_ms(&mut pcm, factor);
                assert!(left < 20.0, "{left} ms of {row} and {column} Hz, {begins} samples in");
            }
        }
    }
}

/// What conceals a loss jumps in its phase; so do the packets around it that came.
#[test]
fn pieces_of_a_tone_are_kept_back_too() {
    let mut pcm: Vec<i16> = Vec::new();
    for n in 0..20 {
        let piece = tone(770.0, 1336.0, 0, 480, 480, RATE);
        // The next 20 ms are lost: every other time they are what went before, backwards.
        let concealed =
            if n % 2 == 0 { vec![0; 160] } else { piece[..160].iter().rev().copied().collect() };
        pcm.extend(&piece[..320 - 13 * (n % 5)]);
        pcm.extend(concealed);
    }
    let left = left_ms(&mut pcm, 1);
    assert!(left <= 20.0, "{left} ms");
}

#[test]
fn other_sound_passes_as_it_is() {
    for tones in [[440.0, 1000.0], [697.0, 770.0], [1209.0, 2418.0], [350.0, 440.0]] {
        let mut pcm = tone(tones[0], tones[1], 0, 8_000, 8_000, RATE);
        let before = pcm.clone();
        let mut guard = ToneGuard::new();
        pcm.chunks_exact_mut(FRAME).for_each(|frame| guard.pass(frame));
        assert!(pcm == before, "{tones:?}");
    }
}
