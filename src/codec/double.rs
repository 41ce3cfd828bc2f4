//! From 8 to 16 kHz: what is made here at 8 kHz (ringback, tones) toward a leg of 16 kHz.

/// An interpolator of one stream: a half-band filter, 23 taps, 2.9 ms late, flat within 0.1 dB to
/// 3 kHz.
#[derive(Debug, Clone, Default)]
pub struct Doubler {
    /// The newest samples of 8 kHz, oldest first.
    line: [f32; TAPS],
}

impl Doubler {
    /// One that has heard silence.
    pub fn new() -> Doubler {
        Doubler::default()
    }

    /// Two samples for each of `pcm`, over what `out` held.
    pub fn double(&mut self, pcm: &[i16], out: &mut Vec<i16>) {
        out.clear();
        for sample in pcm {
            self.line.copy_within(1.., 0);
            self.line[TAPS - 1] = f32::from(*sample);
            // Every other tap of a half-band filter is nothing but its middle: the old samples pass.
            out.push(self.line[TAPS / 2 - 1] as i16);
            let between: f32 = SIDE
                .iter()
                .enumerate()
                .map(|(n, tap)| tap * (self.line[TAPS / 2 - 1 - n] + self.line[TAPS / 2 + n]))
                .sum();
            out.push(between.round().clamp(-32_768.0, 32_767.0) as i16);
        }
    }
}

/// The way back, from 16 to 8 kHz: the same half-band filter keeps out what 8 kHz cannot hold.
#[derive(Debug, Clone, Default)]
pub struct Halver {
    /// The newest samples of 16 kHz, oldest first.
    line: [f32; 2 * TAPS],
}

impl Halver {
    /// One that has heard silence.
    pub fn new() -> Halver {
        Halver::default()
    }

    /// A sample for each two of `pcm`, over what `out` held.
    pub fn halve(&mut self, pcm: &[i16], out: &mut Vec<i16>) {
        out.clear();
        for pair in pcm.chunks_exact(2) {
            self.line.copy_within(2.., 0);
            self.line[2 * TAPS - 2] = f32::from(pair[0]);
            self.line[2 * TAPS - 1] = f32::from(pair[1]);
            let middle = TAPS;
            let around: f32 = SIDE
                .iter()
                .enumerate()
                .map(|(n, tap)| {
                    tap * (self.line[middle - 1 - 2 * n] + self.line[middle + 1 + 2 * n])
                })
                .sum();
            let sample = (self.line[middle] + around) / 2.0;
            out.push(sample.round().clamp(-32_768.0, 32_767.0) as i16);
        }
    }
}

const TAPS: usize = 12;
/// A sinc at half a sample, under a Kaiser window (beta 5), its sum made 1.
const SIDE: [f32; TAPS / 2] = [0.627_646, -0.184_445, 0.085_15, -0.039_836, 0.016_329, -0.004_844];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Tone, Tones};

    #[test]
    fn halved_tones_keep_their_level_and_what_8_khz_cannot_hold_is_gone() {
        // Made and measured as if it were 8 kHz: all frequencies of 16 kHz are half.
        for (frequency, kept) in [(300.0, true), (1000.0, true), (3000.0, true), (5500.0, false)] {
            let mut wide = vec![0; 3200];
            Tones::new(&[Tone { frequency: frequency / 2.0, dbm0: -10.0 }]).fill(&mut wide);
            let (mut narrow, mut part) = (vec![], vec![]);
            let mut halver = Halver::new();
            for frame in wide.chunks(320) {
                halver.halve(frame, &mut part);
                narrow.extend_from_slice(&part);
            }
            assert_eq!(narrow.len(), 1600);
            let level = crate::codec::level_dbm0(&narrow[800..]);
            match kept {
                true => assert!((level + 10.0).abs() < 0.3, "{frequency}: {level}"),
                false => assert!(level < -40.0, "{frequency}: {level}"),
            }
        }
    }

    #[test]
    fn tones_keep_their_level_and_their_mirror_images_are_gone() {
        for frequency in [300.0, 1000.0, 3000.0] {
            let mut narrow = vec![0; 1600];
            Tones::new(&[Tone { frequency, dbm0: -10.0 }]).fill(&mut narrow);
            let (mut wide, mut part) = (vec![], vec![]);
            let mut doubler = Doubler::new();
            for frame in narrow.chunks(160) {
                doubler.double(frame, &mut part);
                wide.extend_from_slice(&part);
            }
            assert_eq!(wide.len(), 3200);
            // Measured as if it were 8 kHz: all frequencies are half.
            let at = |hz: f64| crate::codec::goertzel_dbm0(&wide[1600..], hz / 2.0);
            assert!((at(frequency) + 10.0).abs() < 0.2, "{frequency}: {}", at(frequency));
            let mirror = 8000.0 - frequency;
            assert!(at(mirror) < -35.0, "{mirror}: {}", at(mirror));
        }
    }
}
