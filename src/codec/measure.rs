//! Measuring what is heard: level of a signal, level at one frequency, the loudest frequency.

use std::f64::consts::TAU;

use super::SAMPLE_RATE;
use super::level::{SILENCE_DBM0, dbm0_of_rms};

/// Level of a signal in dBm0, all frequencies together; -100 for silence or nothing.
pub fn level_dbm0(pcm: &[i16]) -> f64 {
    if pcm.is_empty() {
        return SILENCE_DBM0;
    }
    let power: f64 = pcm.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    dbm0_of_rms((power / pcm.len() as f64).sqrt())
}

/// Level at one frequency in Hz, in dBm0, by Goertzel's algorithm.
///
/// Exact for a whole number of periods; the band is about `8000 / pcm.len()` Hz wide.
pub fn goertzel_dbm0(pcm: &[i16], frequency: f64) -> f64 {
    if pcm.is_empty() {
        return SILENCE_DBM0;
    }
    let coefficient = 2.0 * (TAU * frequency / f64::from(SAMPLE_RATE)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in pcm {
        let value = f64::from(*sample) + coefficient * last - before;
        before = last;
        last = value;
    }
    let power = (last * last + before * before - coefficient * last * before).max(0.0);
    let peak = 2.0 * power.sqrt() / pcm.len() as f64;
    dbm0_of_rms(peak / std::f64::consts::SQRT_2)
}

/// The loudest frequency in Hz, 100 to 3900, to about a tenth of `8000 / pcm.len()`; `None` when
/// the signal is below -50 dBm0 or nothing stands out of it.
pub fn dominant_frequency(pcm: &[i16]) -> Option<f64> {
    if pcm.len() < 64 || level_dbm0(pcm) < -50.0 {
        return None;
    }
    // A window keeps side lobes of a loud tone from winning; the search uses half a bin's steps.
    let windowed: Vec<i16> = pcm
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let hann = 0.5 - 0.5 * (TAU * i as f64 / pcm.len() as f64).cos();
            (f64::from(*s) * hann) as i16
        })
        .collect();
    let step = f64::from(SAMPLE_RATE) / pcm.len() as f64 / 2.0;
    let at = |frequency: f64| goertzel_dbm0(&windowed, frequency);
    let steps = ((HIGHEST - LOWEST) / step) as usize;
    let (frequency, level) = (0..=steps)
        .map(|i| LOWEST + i as f64 * step)
        .map(|f| (f, at(f)))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    // A tone keeps most of its power in one place; noise does not. The window takes 6 dB.
    if level + 6.0 < level_dbm0(pcm) - 6.0 {
        return None;
    }
    // The top of the parabola through the peak and its neighbours.
    let (low, high) = (at(frequency - step), at(frequency + step));
    let bend = low - 2.0 * level + high;
    let offset = if bend < 0.0 { (0.5 * (low - high) / bend).clamp(-1.0, 1.0) } else { 0.0 };
    Some(frequency + offset * step)
}

const LOWEST: f64 = 100.0;
const HIGHEST: f64 = 3900.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Tone, Tones};

    fn sine(frequency: f64, dbm0: f64, samples: usize) -> Vec<i16> {
        let mut pcm = vec![0; samples];
        Tones::new(&[Tone { frequency, dbm0 }]).fill(&mut pcm);
        pcm
    }

    #[test]
    fn a_sine_measures_its_own_level_and_frequency() {
        for (frequency, dbm0) in [(1004.0, -16.0), (425.0, -10.0), (3000.0, 0.0), (697.0, -40.0)] {
            let pcm = sine(frequency, dbm0, 4000);
            assert!((level_dbm0(&pcm) - dbm0).abs() < 0.02, "{frequency}");
            assert!((goertzel_dbm0(&pcm, frequency) - dbm0).abs() < 0.02, "{frequency}");
            assert!(goertzel_dbm0(&pcm, frequency + 200.0) < dbm0 - 30.0, "{frequency}");
            let found = dominant_frequency(&pcm).unwrap();
            assert!((found - frequency).abs() < 0.5, "{frequency}: {found}");
        }
    }

    #[test]
    fn silence_and_noise_have_no_dominant_frequency() {
        assert_eq!(dominant_frequency(&[0; 800]), None);
        let mut state = 1u32;
        let noise: Vec<i16> = (0..1600)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16 - 8192
            })
            .collect();
        assert_eq!(dominant_frequency(&noise), None);
        assert_eq!(level_dbm0(&[]), -100.0);
        assert_eq!(goertzel_dbm0(&[], 1000.0), -100.0);
    }
}
