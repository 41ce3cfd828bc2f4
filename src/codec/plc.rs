//! Packet-loss concealment for codecs without their own (after ITU-T G.711 appendix I): the last
//! pitch period is repeated, fades, and after 60 ms has become comfort noise.

use super::ComfortNoise;

/// Concealment of one stream: hears every good frame, fills the gaps.
#[derive(Debug, Clone)]
pub struct Concealer {
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
    /// A concealer that has heard nothing: it gives comfort noise.
    pub fn new() -> Concealer {
        Concealer {
            history: vec![0; HISTORY],
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
            let blend = BLEND.min(pcm.len());
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
        self.concealed = self.concealed.max(FADE_END);
    }

    fn next_concealed(&mut self) -> i16 {
        let noise = self.noise.next_sample();
        let done = self.concealed;
        self.concealed = done.saturating_add(1);
        if done >= FADE_END {
            return noise;
        }
        let repeated = self.repeated();
        let fade = (done.saturating_sub(FADE_START)) as f64 / (FADE_END - FADE_START) as f64;
        (f64::from(repeated) * (1.0 - fade) + f64::from(noise) * fade).round() as i16
    }

    /// The next sample of the repeated period; its end is blended into its own beginning.
    fn repeated(&mut self) -> i16 {
        let start = HISTORY - self.period;
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
        let newest = &self.history[HISTORY - WINDOW..];
        let likeness = |lag: usize| {
            let older = &self.history[HISTORY - WINDOW - lag..HISTORY - lag];
            let (mut cross, mut energy) = (0.0, 1.0);
            for (a, b) in newest.iter().zip(older) {
                cross += f64::from(*a) * f64::from(*b);
                energy += f64::from(*b) * f64::from(*b);
            }
            if cross > 0.0 { cross * cross / energy } else { 0.0 }
        };
        let mut best = (PITCH_MIN, f64::MIN);
        for lag in PITCH_MIN..=PITCH_MAX {
            let value = likeness(lag);
            if value > best.1 {
                best = (lag, value);
            }
        }
        best.0
    }

    fn remember(&mut self, pcm: &[i16]) {
        let kept = pcm.len().min(HISTORY);
        self.history.copy_within(kept.., 0);
        self.history[HISTORY - kept..].copy_from_slice(&pcm[pcm.len() - kept..]);
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
