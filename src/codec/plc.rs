//! Packet-loss concealment for codecs without their own (after ITU-T G.711 appendix I): the last
//! pitch period is repeated, fades, and after 60 ms has become comfort noise.

use super::{ComfortNoise, Rate};

/// Concealment of one stream: hears every good frame, fills the gaps.
#[derive(Debug, Clone)]
pub struct Concealer {
    /// Samples for one of 8 kHz, in which all lengths below are.
    factor: usize,
    /// The newest samples, oldest first.
    history: Vec<i16>,
    /// Length of the period being repeated, while a gap lasts.
    period: usize,
    /// Where in the period the next sample is.
    position: usize,
    /// Samples concealed in this gap.
    concealed: usize,
    noise: ComfortNoise,
}

impl Concealer {
    /// A concealer of 8 kHz that has heard nothing: it gives comfort noise.
    pub fn new() -> Concealer {
        Concealer::at(Rate::Narrow)
    }

    /// The same at any rate.
    pub fn at(rate: Rate) -> Concealer {
        Concealer {
            factor: rate.factor(),
            history: vec![0; HISTORY * rate.factor()],
            period: 0,
            position: 0,
            concealed: 0,
            noise: ComfortNoise::new(),
        }
    }

    /// Hears a received frame. After a gap its start is blended with what the concealment would
    /// have gone on with, so that there is no click.
    pub fn good(&mut self, pcm: &mut [i16]) {
        self.noise.observe(pcm);
        if self.concealed > 0 {
            let blend = (BLEND * self.factor).min(pcm.len());
            for (i, sample) in pcm.iter_mut().take(blend).enumerate() {
                let weight = (i as f64 + 0.5) / blend as f64;
                let old = f64::from(self.next_concealed());
                *sample = (old + (f64::from(*sample) - old) * weight).round() as i16;
            }
            self.concealed = 0;
        }
        self.remember(pcm);
    }

    /// Fills a gap, over what `pcm` held.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        if self.concealed == 0 {
            self.period = self.pitch();
            self.position = 0;
        }
        for sample in pcm.iter_mut() {
            *sample = self.next_concealed();
        }
    }

    /// Noise of the talker's background, over what `pcm` held.
    pub fn comfort_noise(&mut self, pcm: &mut [i16]) {
        self.noise.fill(pcm);
        self.concealed = self.concealed.max(FADE_END * self.factor);
    }

    fn next_concealed(&mut self) -> i16 {
        let noise = self.noise.next_sample();
        let done = self.concealed;
        self.concealed = done.saturating_add(1);
        let (start, end) = (FADE_START * self.factor, FADE_END * self.factor);
        if done >= end {
            return noise;
        }
        let repeated = self.repeated();
        let fade = done.saturating_sub(start) as f64 / (end - start) as f64;
        (f64::from(repeated) * (1.0 - fade) + f64::from(noise) * fade).round() as i16
    }

    /// The next sample of the repeated period; its end is blended into its own beginning.
    fn repeated(&mut self) -> i16 {
        let start = self.history.len() - self.period;
        let here = f64::from(self.history[start + self.position]);
        let overlap = self.period / 4;
        let left = self.period - self.position;
        let value = if left <= overlap {
            // What came just before the period leads into its first sample.
            let lead = f64::from(self.history[start - left]);
            let weight = (overlap - left) as f64 + 0.5;
            here + (lead - here) * weight / overlap as f64
        } else {
            here
        };
        self.position = (self.position + 1) % self.period;
        value.round() as i16
    }

    /// The lag at which the newest samples look most like what came before, 5 to 15 ms.
    fn pitch(&self) -> usize {
        let (length, window) = (self.history.len(), WINDOW * self.factor);
        let newest = &self.history[length - window..];
        let likeness = |lag: usize| {
            let older = &self.history[length - window - lag..length - lag];
            let (mut cross, mut energy) = (0.0, 1.0);
            for (a, b) in newest.iter().zip(older) {
                cross += f64::from(*a) * f64::from(*b);
                energy += f64::from(*b) * f64::from(*b);
            }
            if cross > 0.0 { cross * cross / energy } else { 0.0 }
        };
        let (least, most) = (PITCH_MIN * self.factor, PITCH_MAX * self.factor);
        let mut best = (least, f64::MIN);
        for lag in least..=most {
            let value = likeness(lag);
            if value > best.1 {
                best = (lag, value);
            }
        }
        best.0
    }

    fn remember(&mut self, pcm: &[i16]) {
        let length = self.history.len();
        let kept = pcm.len().min(length);
        self.history.copy_within(kept.., 0);
        self.history[length - kept..].copy_from_slice(&pcm[pcm.len() - kept..]);
    }
}

impl Default for Concealer {
    fn default() -> Concealer {
        Concealer::new()
    }
}

/// 48.75 ms, as appendix I keeps.
const HISTORY: usize = 390;
/// 20 ms are compared.
const WINDOW: usize = 160;
const PITCH_MIN: usize = 40;
const PITCH_MAX: usize = 120;
/// The first 10 ms keep their level.
const FADE_START: usize = 80;
/// From 60 ms on there is only comfort noise.
const FADE_END: usize = 480;
/// 4 ms back into the received signal.
const BLEND: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Tone, Tones, dominant_frequency, level_dbm0};

    fn heard(frequency: f64) -> (Concealer, Tones) {
        let mut tones = Tones::new(&[Tone { frequency, dbm0: -15.0 }]);
        let mut concealer = Concealer::new();
        let mut frame = [0; 160];
        for _ in 0..20 {
            tones.fill(&mut frame);
            concealer.good(&mut frame);
        }
        (concealer, tones)
    }

    #[test]
    fn a_lost_frame_sounds_like_the_one_before() {
        for frequency in [100.0, 200.0, 440.0] {
            let (mut concealer, _) = heard(frequency);
            let mut frame = [0; 160];
            concealer.conceal(&mut frame);
            assert!((level_dbm0(&frame[..80]) + 15.0).abs() < 1.5, "{frequency}");
            if frequency > 150.0 {
                let found = dominant_frequency(&frame).unwrap();
                assert!((found - frequency).abs() < 12.0, "{frequency}: {found}");
            }
        }
    }

    #[test]
    fn after_60_ms_only_comfort_noise_is_left() {
        let (mut concealer, _) = heard(300.0);
        let mut gap = [0; 800];
        concealer.conceal(&mut gap);
        let levels: Vec<f64> = gap.chunks(160).map(level_dbm0).collect();
        assert!(levels[0] > levels[1] && levels[1] > levels[2], "{levels:?}");
        assert!(levels[3] < -43.0 && levels[4] < -43.0, "{levels:?}");
        assert!(levels[4] > -80.0, "the line is not dead: {levels:?}");
    }

    #[test]
    fn neither_end_of_a_gap_clicks() {
        let (mut concealer, mut tones) = heard(300.0);
        let mut all = vec![];
        let mut frame = [0; 160];
        for n in 0..30 {
            let lost = n % 5 == 2 || n % 7 == 3;
            tones.fill(&mut frame);
            if lost {
                concealer.conceal(&mut frame);
            } else {
                concealer.good(&mut frame);
            }
            all.extend_from_slice(&frame);
        }
        let steepest = crate::codec::peak_of_sine(-15.0) * std::f64::consts::TAU * 300.0 / 8000.0;
        let largest = all.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
        assert!(f64::from(largest.unwrap()) < steepest * 1.6, "{largest:?} over {steepest}");
    }
}
