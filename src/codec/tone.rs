//! Tones: sines of an exact level, alone or together, steady or in a cadence (ITU-T E.180).

use std::f64::consts::TAU;

use super::SAMPLE_RATE;
use super::level::peak_of_sine;

/// One sine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tone {
    /// In Hz, below 4000.
    pub frequency: f64,
    /// Its level alone, in dBm0.
    pub dbm0: f64,
}

/// Sines that sound together without end; their phase runs on from call to call.
#[derive(Debug, Clone, Default)]
pub struct Tones {
    oscillators: Vec<Oscillator>,
}

#[derive(Debug, Clone)]
struct Oscillator {
    step: f64,
    phase: f64,
    peak: f64,
}

impl Tones {
    /// The tones from phase zero.
    pub fn new(tones: &[Tone]) -> Tones {
        let oscillators = tones
            .iter()
            .map(|t| Oscillator {
                step: t.frequency / f64::from(SAMPLE_RATE),
                phase: 0.0,
                peak: peak_of_sine(t.dbm0),
            })
            .collect();
        Tones { oscillators }
    }

    /// The next samples, over what `pcm` held.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            *sample = self.next_sample() as i16;
        }
    }

    /// The next samples added to what `pcm` holds, limited to 16 bits.
    pub fn mix(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            *sample = (f64::from(*sample) + self.next_sample()) as i16;
        }
    }

    fn next_sample(&mut self) -> f64 {
        let mut sum = 0.0;
        for oscillator in &mut self.oscillators {
            sum += oscillator.peak * (TAU * oscillator.phase).sin();
            oscillator.phase += oscillator.step;
            if oscillator.phase >= 1.0 {
                oscillator.phase -= 1.0;
            }
        }
        sum.round()
    }
}

/// One step of a cadence.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What sounds; empty for a pause.
    pub tones: Vec<Tone>,
    /// How long, in milliseconds; above zero.
    pub ms: u32,
}

/// Steps that repeat for ever, as a player.
#[derive(Debug, Clone)]
pub struct Cadence {
    steps: Vec<(Tones, usize)>,
    current: usize,
    left: usize,
}

impl Cadence {
    /// A cadence from its first step. Steps of no length are left out; without any it is silent.
    pub fn new(steps: &[Step]) -> Cadence {
        let steps: Vec<(Tones, usize)> = steps
            .iter()
            .filter(|s| s.ms > 0)
            .map(|s| (Tones::new(&s.tones), s.ms as usize * SAMPLE_RATE as usize / 1000))
            .collect();
        let left = steps.first().map_or(0, |s| s.1);
        Cadence { steps, current: 0, left }
    }

    /// The next samples, over what `pcm` held.
    pub fn fill(&mut self, mut pcm: &mut [i16]) {
        while !pcm.is_empty() {
            let Some((tones, _)) = self.steps.get_mut(self.current) else {
                pcm.fill(0);
                return;
            };
            let now = self.left.min(pcm.len());
            let (head, tail) = pcm.split_at_mut(now);
            tones.fill(head);
            self.left -= now;
            if self.left == 0 {
                self.current = (self.current + 1) % self.steps.len();
                self.left = self.steps[self.current].1;
            }
            pcm = tail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{goertzel_dbm0, level_dbm0};

    #[test]
    fn two_tones_keep_their_levels_and_run_on_across_frames() {
        let pair = [Tone { frequency: 350.0, dbm0: -13.0 }, Tone { frequency: 440.0, dbm0: -20.0 }];
        let mut tones = Tones::new(&pair);
        let mut pcm = vec![0; 8000];
        for frame in pcm.chunks_mut(160) {
            tones.fill(frame);
        }
        for tone in pair {
            assert!((goertzel_dbm0(&pcm, tone.frequency) - tone.dbm0).abs() < 0.02);
        }
        let mut again = vec![0; 8000];
        Tones::new(&pair).fill(&mut again);
        assert_eq!(pcm, again);
    }

    #[test]
    fn mixing_adds_and_limits() {
        let mut pcm = vec![i16::MAX; 80];
        Tones::new(&[Tone { frequency: 1000.0, dbm0: 0.0 }]).mix(&mut pcm);
        assert_eq!(pcm[2], i16::MAX);
        assert!(pcm[6] < i16::MAX);
    }

    #[test]
    fn a_cadence_sounds_and_pauses_to_the_sample() {
        let on = Step { tones: vec![Tone { frequency: 1000.0, dbm0: -10.0 }], ms: 30 };
        let off = Step { tones: vec![], ms: 50 };
        let mut cadence = Cadence::new(&[on, off]);
        let mut pcm = vec![0; 640 * 3];
        for frame in pcm.chunks_mut(160) {
            cadence.fill(frame);
        }
        for period in pcm.chunks(640) {
            assert!((level_dbm0(&period[..240]) + 10.0).abs() < 0.05);
            assert_eq!(level_dbm0(&period[240..]), -100.0);
        }
        let mut silent = vec![7; 160];
        Cadence::new(&[]).fill(&mut silent);
        assert_eq!(silent, vec![0; 160]);
    }
}
