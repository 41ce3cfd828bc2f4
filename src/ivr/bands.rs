//! Log energy of telephone sound in 16 bands, one row every 20 ms: what prompts are compared by.
//!
//! Bands are equally wide on the mel scale between 200 and 3500 Hz, where every telephone codec keeps
//! what it hears. A row looks at 32 ms, so that a shift of a few milliseconds changes it little.

use std::sync::LazyLock;

use crate::codec::FRAME;

/// Bands of a row.
pub const BANDS: usize = 16;

/// One row: energies in dB, 0 for a full-scale square wave over all bands, and their sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// By band, lowest first.
    pub bands: [f32; BANDS],
    /// All bands together.
    pub total: f32,
}

/// Turns sound into rows, 160 samples at a time.
#[derive(Debug, Clone)]
pub struct Analyser {
    /// The last 256 samples.
    past: [f32; WINDOW],
}

impl Default for Analyser {
    fn default() -> Analyser {
        Analyser { past: [0.0; WINDOW] }
    }
}

impl Analyser {
    /// The row of the 32 ms that end with these samples (8 kHz; 160 of them, fewer are filled up with
    /// silence).
    pub fn row(&mut self, pcm: &[i16]) -> Row {
        self.past.copy_within(FRAME.., 0);
        let fresh = &mut self.past[WINDOW - FRAME..];
        fresh.fill(0.0);
        for (slot, sample) in fresh.iter_mut().zip(pcm) {
            *slot = f32::from(*sample) / 32768.0;
        }
        row_of(&self.past, &TABLES)
    }
}

/// All rows of a sound that begins `skip` samples before its first row does.
pub fn rows(pcm: &[i16], skip: usize) -> Vec<Row> {
    let mut analyser = Analyser::default();
    let pcm = &pcm[skip.min(pcm.len())..];
    pcm.chunks(FRAME).map(|frame| analyser.row(frame)).collect()
}

const WINDOW: usize = 256;
const HALF: usize = WINDOW / 2;
/// -80 dB: below the noise of G.711's smallest step.
const FLOOR: f32 = 1e-8;

struct Tables {
    hann: [f32; WINDOW],
    /// cos and -sin of 2 pi k / 256.
    turn: [(f32, f32); HALF],
    swap: [usize; HALF],
    /// First bin of each band and of what follows the last one.
    edges: [usize; BANDS + 1],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let tau = std::f32::consts::TAU;
    let mel = |hz: f32| 2595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f32| 700.0 * (10f32.powf(mel / 2595.0) - 1.0);
    let (low, high) = (mel(200.0), mel(3500.0));
    let bin = |i: usize| {
        let at = hz(low + (high - low) * i as f32 / BANDS as f32);
        (at * WINDOW as f32 / 8000.0).round() as usize
    };
    let mut edges: [usize; BANDS + 1] = std::array::from_fn(bin);
    for i in 1..edges.len() {
        edges[i] = edges[i].max(edges[i - 1] + 1);
    }
    Tables {
        hann: std::array::from_fn(|i| 0.5 - 0.5 * (tau * (i as f32 + 0.5) / WINDOW as f32).cos()),
        turn: std::array::from_fn(|k| {
            let angle = tau * k as f32 / WINDOW as f32;
            (angle.cos(), -angle.sin())
        }),
        swap: std::array::from_fn(|i| (i.reverse_bits() >> (usize::BITS - 7)) & (HALF - 1)),
        edges,
    }
});

fn row_of(samples: &[f32; WINDOW], tables: &Tables) -> Row {
    // Even samples as real, odd ones as imaginary parts: half a transform gives the whole one.
    let mut re = [0f32; HALF];
    let mut im = [0f32; HALF];
    for i in 0..HALF {
        let at = tables.swap[i];
        re[i] = samples[2 * at] * tables.hann[2 * at];
        im[i] = samples[2 * at + 1] * tables.hann[2 * at + 1];
    }
    let mut span = 1;
    while span < HALF {
        let stride = HALF / span;
        for start in (0..HALF).step_by(2 * span) {
            for k in 0..span {
                let (c, s) = tables.turn[k * stride];
                let (a, b) = (start + k, start + k + span);
                let (x, y) = (re[b] * c - im[b] * s, re[b] * s + im[b] * c);
                (re[b], im[b]) = (re[a] - x, im[a] - y);
                (re[a], im[a]) = (re[a] + x, im[a] + y);
            }
        }
        span *= 2;
    }
    let power = |k: usize| {
        let m = HALF - k;
        let (er, ei) = (0.5 * (re[k] + re[m]), 0.5 * (im[k] - im[m]));
        let (or, oi) = (0.5 * (im[k] + im[m]), -0.5 * (re[k] - re[m]));
        let (c, s) = tables.turn[k];
        let (x, y) = (er + or * c - oi * s, ei + or * s + oi * c);
        x * x + y * y
    };
    let mut bands = [0f32; BANDS];
    let mut total = 0.0;
    // The window takes 3/8 of the power; a sine's power is on both sides.
    let scale = 2.0 / (WINDOW as f32 * WINDOW as f32 * 0.375);
    for (band, slot) in bands.iter_mut().enumerate() {
        let sum: f32 = (tables.edges[band]..tables.edges[band + 1]).map(power).sum();
        total += sum * scale;
        *slot = 10.0 * (sum * scale + FLOOR).log10();
    }
    Row { bands, total: 10.0 * (total + FLOOR).log10() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Tone, Tones};

    #[test]
    fn a_sine_is_in_its_band_with_its_level() {
        for hz in [300.0, 700.0, 1004.0, 1900.0, 3100.0] {
            let mut pcm = vec![0; 1600];
            Tones::new(&[Tone { frequency: hz, dbm0: -16.0 }]).fill(&mut pcm);
            let row = rows(&pcm, 0)[8];
            let loudest = (0..BANDS).max_by(|a, b| row.bands[*a].total_cmp(&row.bands[*b]));
            let bin = (hz * 256.0 / 8000.0) as usize;
            let band = (0..BANDS).find(|b| {
                (TABLES.edges[*b]..=TABLES.edges[*b + 1]).contains(&bin)
                    || (TABLES.edges[*b]..TABLES.edges[*b + 1]).contains(&(bin + 1))
            });
            let near = loudest.unwrap().abs_diff(band.unwrap());
            assert!(near <= 1, "{hz}: band {loudest:?} for {band:?}");
            // -16 dBm0 is 19.17 dB below a full-scale sine, 22.18 below a square wave.
            assert!((row.total + 22.2).abs() < 0.6, "{hz}: {}", row.total);
        }
        assert!(rows(&[0; 320], 0)[1].total < -79.0);
    }
}
