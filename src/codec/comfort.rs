//! Comfort noise: the listener's proof that the line is alive, at the level of the talker's own
//! background, learnt from the sound itself. What a peer describes is `noise_description`.

use super::level::rms_of_dbm0;

/// A tracker of a stream's background level and a source of noise like it.
#[derive(Debug, Clone)]
pub struct ComfortNoise {
    /// Root mean square of the background, in 16-bit units.
    background: f64,
    state: u32,
    shaped: f64,
}

impl ComfortNoise {
    /// Noise at the quietest usual level until something was heard.
    pub fn new() -> ComfortNoise {
        ComfortNoise { background: rms_of_dbm0(QUIET_DBM0), state: SEED, shaped: 0.0 }
    }

    /// Learns from a frame that was really received: quickly down, slowly up, so that speech does
    /// not count as background.
    pub fn observe(&mut self, pcm: &[i16]) {
        if pcm.is_empty() {
            return;
        }
        let power: f64 = pcm.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
        let rms = (power / pcm.len() as f64).sqrt();
        let rate = if rms < self.background { FALL } else { RISE };
        self.background += (rms - self.background) * rate;
        self.background =
            self.background.clamp(rms_of_dbm0(SILENT_DBM0), rms_of_dbm0(LOUDEST_DBM0));
    }

    /// Noise at the background's level, over what `pcm` held.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            *sample = self.next_sample();
        }
    }

    /// The next sample of noise.
    pub fn next_sample(&mut self) -> i16 {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Uniform in -1 to 1, its root mean square 1/sqrt(3).
        let white = f64::from(self.state as i32) / f64::from(i32::MAX);
        // A one-pole low-pass: rooms are duller than white noise.
        self.shaped = self.shaped * POLE + white * (1.0 - POLE);
        let gain = self.background * (3.0 * (1.0 + POLE) / (1.0 - POLE)).sqrt();
        (self.shaped * gain).round() as i16
    }
}

impl Default for ComfortNoise {
    fn default() -> ComfortNoise {
        ComfortNoise::new()
    }
}

const QUIET_DBM0: f64 = -65.0;
/// The step of 16-bit sound is at -90 dBm0: a line that is digitally silent gets no noise.
const SILENT_DBM0: f64 = -96.0;
/// Louder than this is not a background, whatever was heard.
const LOUDEST_DBM0: f64 = -45.0;
/// A coder goes on for some ten frames after the last word: enough for 60 dB.
const FALL: f64 = 0.5;
const RISE: f64 = 0.005;
const POLE: f64 = 0.5;
const SEED: u32 = 0x2545_f491;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Tone, Tones, level_dbm0};

    fn level_after(heard_dbm0: f64, frames: usize) -> f64 {
        let mut noise = ComfortNoise::new();
        let mut tones = Tones::new(&[Tone { frequency: 300.0, dbm0: heard_dbm0 }]);
        let mut pcm = [0; 160];
        for _ in 0..frames {
            tones.fill(&mut pcm);
            noise.observe(&pcm);
        }
        let mut out = vec![0; 8000];
        noise.fill(&mut out);
        level_dbm0(&out)
    }

    #[test]
    fn the_noise_has_the_level_of_the_background() {
        assert!((level_after(-55.0, 2000) + 55.0).abs() < 1.0);
        assert!((level_after(-70.0, 50) + 70.0).abs() < 1.5);
        assert!((level_after(0.0, 0) + 65.0).abs() < 1.0, "before anything was heard");
        assert!(level_after(-120.0, 10) < -90.0, "a line that is silent stays so");
    }

    #[test]
    fn speech_is_not_taken_for_background() {
        assert!(level_after(-10.0, 5000) < -44.0);
    }
}
