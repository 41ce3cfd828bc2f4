//! The drift of two clocks: frames of exactly 20 ms out of a stream whose clock runs a little fast
//! or slow, by resampling with a windowed sinc.
//!
//! ```text
//! excess of the buffer   > frame        0        < -frame/2       0
//! course          Steady   ->  Faster  -> Steady  ->  Slower  -> Steady
//! samples a frame   160       160.32       160       159.68       160
//! ```

use std::f64::consts::PI;
use std::fmt;
use std::sync::LazyLock;

use super::Rate;

/// Between the playout buffer and the encoder: [`DriftCorrector::needed`] says how many samples
/// the next frame takes, [`DriftCorrector::steer`] is told how far the buffer is from where it
/// should be. Within a frame of that, samples pass untouched, 1.5 ms later; beyond it the stream is
/// played 0.2 % faster or slower, which nobody hears, until the buffer is back.
pub struct DriftCorrector {
    frame: usize,
    course: Course,
    /// The next output is this far behind a sample of the input, 0 to 1.
    phase: f64,
    /// The last [`TAPS`] samples that were taken, then those of this frame.
    line: Vec<f32>,
    slipped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Steady,
    /// The buffer holds too much: take more than is given.
    Faster,
    /// The buffer holds too little.
    Slower,
}

/// How one frame is made.
struct Plan {
    /// Input samples an output sample.
    step: f64,
    /// Input samples in all.
    needed: usize,
    /// The phase afterwards.
    phase: f64,
}

impl DriftCorrector {
    /// A corrector of 8 kHz that passes samples through until it is steered.
    pub fn new() -> DriftCorrector {
        DriftCorrector::at(Rate::Narrow)
    }

    /// The same at any rate.
    pub fn at(rate: Rate) -> DriftCorrector {
        let frame = rate.frame();
        let mut line = Vec::with_capacity(TAPS + frame + 2);
        line.resize(TAPS, 0.0);
        DriftCorrector { frame, course: Course::Steady, phase: 0.0, line, slipped: 0 }
    }

    /// Samples the next [`DriftCorrector::process`] takes: a frame, or one more or less.
    pub fn needed(&self) -> usize {
        self.plan().needed
    }

    /// Told once a frame how many samples more (positive) or fewer the buffer holds than it
    /// should. Starts beyond a frame too many or half a frame too few, stops when back.
    pub fn steer(&mut self, excess: i32) {
        let frame = self.frame as i32;
        self.course = match self.course {
            _ if excess > frame => Course::Faster,
            // Sooner than above: at the least target, a frame too few is nothing left.
            _ if excess < -frame / 2 => Course::Slower,
            Course::Faster if excess > 0 => Course::Faster,
            Course::Slower if excess < 0 => Course::Slower,
            _ => Course::Steady,
        };
    }

    /// Makes one frame out of the first [`DriftCorrector::needed`] of `pcm`, over what `out` held.
    /// Missing samples are taken as silence.
    pub fn process(&mut self, pcm: &[i16], out: &mut Vec<i16>) {
        let plan = self.plan();
        self.slipped += plan.needed.abs_diff(self.frame) as u64;
        self.line.extend(pcm.iter().take(plan.needed).map(|s| f32::from(*s)));
        self.line.resize(TAPS + plan.needed, 0.0);
        out.clear();
        if self.phase == 0.0 && plan.needed == self.frame && plan.phase == 0.0 {
            out.extend(self.line[TAPS / 2..][..self.frame].iter().map(|s| *s as i16));
        } else {
            let table = &*SINC;
            for n in 0..self.frame {
                let at = self.phase + n as f64 * plan.step;
                // By casts: `fract` and `round` are calls on processors that every build runs on.
                let whole = at as usize;
                let part = (at - whole as f64) * PHASES as f64;
                let row = part as usize;
                let between = (part - row as f64) as f32;
                let window = &self.line[whole..whole + TAPS];
                let sum = filtered(window, &table[row], &table[row + 1], between);
                out.push((sum + 0.5_f32.copysign(sum)) as i16);
            }
        }
        self.line.drain(..plan.needed);
        self.phase = plan.phase;
    }

    /// Samples put in or left out since the start.
    pub fn slipped(&self) -> u64 {
        self.slipped
    }

    fn plan(&self) -> Plan {
        let frame = self.frame as f64;
        // On the way back to untouched samples the way last gone is gone on to the next whole one.
        let change = match self.course {
            Course::Faster => CHANGE,
            Course::Slower => -CHANGE,
            Course::Steady if self.phase == 0.0 => 0.0,
            Course::Steady if self.phase > 0.5 => CHANGE,
            Course::Steady => -CHANGE,
        };
        let mut end = self.phase + frame * (1.0 + change);
        if self.course == Course::Steady {
            let (least, most) = (frame, frame + 1.0);
            end = end.clamp(least, most);
        }
        let needed = end.floor();
        Plan { step: (end - self.phase) / frame, needed: needed as usize, phase: end - needed }
    }
}

impl Default for DriftCorrector {
    fn default() -> DriftCorrector {
        DriftCorrector::new()
    }
}

impl fmt::Debug for DriftCorrector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriftCorrector")
            .field("course", &self.course)
            .field("phase", &self.phase)
            .field("slipped", &self.slipped)
            .finish_non_exhaustive()
    }
}

/// A pitch 3 cents higher or lower, ten times what crystals drift; a frame of excess is gone in 10 s.
const CHANGE: f64 = 0.002;
const TAPS: usize = 24;
/// Positions between two samples that have filters of their own; between these it is linear.
const PHASES: usize = 64;
/// Of the Kaiser window: flat within 0.1 dB to 0.85 of half the rate.
const BETA: f64 = 6.0;

/// The sum over a window with taps `between` two filters, in lanes that a compiler makes vectors of: where
/// it is put into its caller its loops are unrolled first, and every lane is computed by itself.
#[inline(never)]
fn filtered(window: &[f32], here: &[f32; TAPS], next: &[f32; TAPS], between: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let taps = here.chunks_exact(LANES).zip(next.chunks_exact(LANES));
    for (samples, (here, next)) in window.chunks_exact(LANES).zip(taps) {
        for (n, lane) in lanes.iter_mut().enumerate() {
            *lane += samples[n] * (here[n] + (next[n] - here[n]) * between);
        }
    }
    lanes.iter().sum()
}

/// A divisor of [`TAPS`].
const LANES: usize = 8;

/// A filter for each position, each with a sum of 1, so that nothing is louder at one than at the
/// next.
static SINC: LazyLock<Vec<[f32; TAPS]>> = LazyLock::new(|| {
    (0..=PHASES)
        .map(|row| {
            let part = row as f64 / PHASES as f64;
            let mut taps = [0.0; TAPS];
            for (n, tap) in taps.iter_mut().enumerate() {
                let x = n as f64 - (TAPS / 2) as f64 - part;
                let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
                let edge = x / (TAPS / 2) as f64;
                *tap = sinc * bessel(BETA * (1.0 - edge * edge).max(0.0).sqrt()) / bessel(BETA);
            }
            let sum: f64 = taps.iter().sum();
            taps.map(|tap| (tap / sum) as f32)
        })
        .collect()
});

/// The modified Bessel function of the first kind, order 0.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..25 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{FRAME, Tone, Tones, goertzel_dbm0};

    fn tone(frequency: f64) -> Tones {
        Tones::new(&[Tone { frequency, dbm0: -10.0 }])
    }

    /// Feeds a sine through while `excess` shrinks as samples are taken or spared.
    fn correct(mut excess: i32, frequency: f64, frames: usize) -> (Vec<i16>, DriftCorrector, i32) {
        let mut corrector = DriftCorrector::new();
        let mut tones = tone(frequency);
        let (mut pcm, mut frame, mut all) = (vec![], vec![], vec![]);
        for _ in 0..frames {
            corrector.steer(excess);
            let needed = corrector.needed();
            assert!(needed.abs_diff(FRAME) <= 1);
            pcm.resize(needed, 0);
            tones.fill(&mut pcm);
            excess -= pcm.len() as i32 - FRAME as i32;
            corrector.process(&pcm, &mut frame);
            assert_eq!(frame.len(), FRAME);
            all.extend_from_slice(&frame);
        }
        (all, corrector, excess)
    }

    #[test]
    fn within_a_frame_samples_pass_untouched() {
        for excess in [-80, 0, 159] {
            let (all, corrector, _) = correct(excess, 400.0, 50);
            let mut expected = vec![0; all.len()];
            tone(400.0).fill(&mut expected);
            assert_eq!(all[TAPS / 2..], expected[..all.len() - TAPS / 2]);
            assert_eq!(corrector.slipped(), 0);
        }
    }

    #[test]
    fn drift_beyond_a_frame_is_taken_away_and_no_tone_suffers() {
        for excess in [200, -200] {
            for frequency in [400.0, 1400.0, 3000.0] {
                let (all, corrector, left) = correct(excess, frequency, 1500);
                assert!(left.abs() <= 1, "{left} left of {excess}");
                assert!((199..=202).contains(&corrector.slipped()), "{}", corrector.slipped());
                assert_eq!(corrector.phase, 0.0, "samples pass untouched again");
                // No step is larger than the sine's own steepest: no click.
                let turn = (PI * frequency / 8000.0).sin() * 2.0;
                let steepest = crate::codec::peak_of_sine(-10.0) * turn;
                let largest =
                    all.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
                assert!(f64::from(largest.unwrap()) < steepest * 1.01 + 3.0, "{frequency}");
                // While it is at work, a little higher or lower and as loud.
                let pitch = frequency * (1.0 + CHANGE * f64::from(excess.signum()));
                let level = goertzel_dbm0(&all[8000..16_000], pitch);
                assert!((level + 10.0).abs() < 0.1, "{frequency} Hz: {level} dBm0");
                let level = goertzel_dbm0(&all[all.len() - 8000..], frequency);
                assert!((level + 10.0).abs() < 0.05, "{frequency} Hz: {level} dBm0");
            }
        }
    }

    #[test]
    fn sixteen_kilohertz_are_corrected_alike() {
        let mut corrector = DriftCorrector::at(Rate::Wide);
        let mut out = vec![];
        let mut taken = 0;
        for _ in 0..100 {
            corrector.steer(1000);
            let pcm = vec![1000; corrector.needed()];
            taken += pcm.len();
            corrector.process(&pcm, &mut out);
            assert_eq!(out.len(), 320);
        }
        assert!((32_063..=32_065).contains(&taken), "{taken}");
        assert!(out.iter().all(|s| (999..=1001).contains(s)), "a steady level stays");
    }
}
