//! Changing rates: prompts and recordings to 8 kHz, and the drift of two clocks. The only file
//! that names rubato.

use std::fmt;

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Adjustable, Fft, FixedAsync, FixedSync, Resampler, Slip};

use super::FRAME;

/// A whole recording from one rate in Hz to another, its delay taken out.
///
/// # Errors
/// [`ResampleError`] for rates that cannot be.
pub fn resample(pcm: &[i16], from: u32, to: u32) -> Result<Vec<i16>, ResampleError> {
    if from == to || pcm.is_empty() {
        return Ok(pcm.to_vec());
    }
    let mut resampler = Fft::<f32>::new(from as usize, to as usize, CHUNK, 1, FixedSync::Both)
        .map_err(|_| ResampleError { from, to })?;
    let input: Vec<f32> = pcm.iter().map(|s| f32::from(*s)).collect();
    let buffer =
        SequentialSlice::new(&input, 1, input.len()).map_err(|_| ResampleError { from, to })?;
    let output = resampler
        .process_all(&buffer, input.len(), None)
        .map_err(|_| ResampleError { from, to })?;
    Ok(output.take_data().iter().map(|s| s.round() as i16).collect())
}

/// Rates that cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no way from {from} Hz to {to} Hz")]
pub struct ResampleError {
    /// Given rate in Hz.
    pub from: u32,
    /// Wanted rate in Hz.
    pub to: u32,
}

/// Makes frames of exactly 20 ms out of a stream whose clock runs a little fast or slow.
///
/// Between the playout buffer and the encoder: [`DriftCorrector::needed`] says how many samples
/// the next frame takes (159, 160 or 161), [`DriftCorrector::steer`] is told how far the buffer
/// is from where it should be. Within a frame of that, samples pass untouched; beyond it one
/// sample is slipped every other frame behind a crossfade, until the buffer is back.
pub struct DriftCorrector {
    slip: Slip<f32>,
    course: Course,
    input: Vec<f32>,
    output: Vec<f32>,
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

impl DriftCorrector {
    /// A corrector that passes samples through until it is steered.
    pub fn new() -> DriftCorrector {
        let slip = Slip::new(FRAME, 1, FixedAsync::Output)
            .expect("a chunk of 160 is above the least of 4 that Slip::new takes");
        DriftCorrector {
            slip,
            course: Course::Steady,
            input: Vec::with_capacity(FRAME + 1),
            output: vec![0.0; FRAME],
            slipped: 0,
        }
    }

    /// Samples at 8 kHz the next [`DriftCorrector::process`] takes.
    pub fn needed(&self) -> usize {
        match self.course {
            Course::Steady => FRAME,
            Course::Faster | Course::Slower => self.slip.input_frames_next(),
        }
    }

    /// Told once a frame how many samples more (positive) or fewer the buffer holds than it
    /// should. Starts beyond a frame too many or half a frame too few, stops when back.
    pub fn steer(&mut self, excess: i32) {
        let frame = FRAME as i32;
        let course = match self.course {
            _ if excess > frame => Course::Faster,
            // Sooner than above: at the least target, a frame too few is nothing left.
            _ if excess < -frame / 2 => Course::Slower,
            Course::Faster if excess > 0 => Course::Faster,
            Course::Slower if excess < 0 => Course::Slower,
            _ => Course::Steady,
        };
        if course != self.course {
            self.course = course;
            let ratio = match course {
                Course::Steady => 1.0,
                Course::Faster => 1.0 - SLIP_RATE,
                Course::Slower => 1.0 + SLIP_RATE,
            };
            self.slip
                .set_resample_ratio(ratio, false)
                .expect("0.1 % is within the 0.6 % that a chunk of 160 sustains");
        }
    }

    /// Makes one frame of 160 samples out of the first [`DriftCorrector::needed`] of `pcm`, over
    /// what `out` held. Missing samples are taken as silence.
    pub fn process(&mut self, pcm: &[i16], out: &mut Vec<i16>) {
        out.clear();
        if self.course == Course::Steady {
            out.extend(pcm.iter().take(FRAME));
            out.resize(FRAME, 0);
            return;
        }
        let needed = self.needed();
        self.slipped += u64::from(needed != FRAME);
        self.input.clear();
        self.input.extend(pcm.iter().take(needed).map(|s| f32::from(*s)));
        self.input.resize(needed, 0.0);
        let input = SequentialSlice::new(&self.input, 1, needed);
        let output = SequentialSlice::new_mut(&mut self.output, 1, FRAME);
        if let (Ok(input), Ok(mut output)) = (input, output) {
            // Both lengths are the ones Slip asked for, which is all it can refuse.
            let done = self.slip.process_into_buffer(&input, &mut output, None);
            debug_assert!(done.is_ok());
        }
        out.extend(self.output.iter().map(|s| s.round() as i16));
    }

    /// Samples slipped since the start.
    pub fn slipped(&self) -> u64 {
        self.slipped
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
            .field("slipped", &self.slipped)
            .finish_non_exhaustive()
    }
}

const CHUNK: usize = 1024;
/// One sample in six frames: five times what crystals drift, and a frame of excess is gone in 20 s.
/// Not faster: each slip blends two copies of the sound for 16 ms, and at one every other frame a
/// tone of 1400 Hz lost 1.2 dB.
const SLIP_RATE: f64 = 0.001;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Tone, Tones, dominant_frequency, goertzel_dbm0, level_dbm0};

    #[test]
    fn a_recording_keeps_pitch_level_and_length() {
        // A sine "recorded" at 16, 44.1 and 48 kHz, written by its formula.
        for rate in [16_000u32, 44_100, 48_000] {
            let recorded: Vec<i16> = (0..rate)
                .map(|i| {
                    let phase = std::f64::consts::TAU * 1000.0 * f64::from(i) / f64::from(rate);
                    (10_000.0 * phase.sin()) as i16
                })
                .collect();
            let pcm = resample(&recorded, rate, 8000).unwrap();
            assert!((7999..=8001).contains(&pcm.len()), "{rate}: {}", pcm.len());
            let middle = &pcm[1000..7000];
            assert!((dominant_frequency(middle).unwrap() - 1000.0).abs() < 1.0, "{rate}");
            let expected = crate::codec::dbm0_of_rms(10_000.0 / 2f64.sqrt());
            assert!((level_dbm0(middle) - expected).abs() < 0.1, "{rate}");
        }
        assert_eq!(resample(&[1, 2], 0, 8000), Err(ResampleError { from: 0, to: 8000 }));
        assert_eq!(resample(&[1, 2], 8000, 8000), Ok(vec![1, 2]));
    }

    /// Feeds a sine through while `excess` shrinks as samples are taken or spared.
    fn correct(mut excess: i32, frames: usize) -> (Vec<i16>, DriftCorrector, i32) {
        let mut corrector = DriftCorrector::new();
        let mut tones = Tones::new(&[Tone { frequency: 400.0, dbm0: -10.0 }]);
        let (mut pcm, mut frame, mut all) = (vec![], vec![], vec![]);
        for _ in 0..frames {
            corrector.steer(excess);
            pcm.resize(corrector.needed(), 0);
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
            let (all, corrector, _) = correct(excess, 50);
            let mut expected = vec![0; all.len()];
            Tones::new(&[Tone { frequency: 400.0, dbm0: -10.0 }]).fill(&mut expected);
            assert_eq!(all, expected);
            assert_eq!(corrector.slipped(), 0);
        }
    }

    #[test]
    fn drift_beyond_a_frame_is_slipped_away_without_a_click() {
        for excess in [200, -200] {
            let (all, corrector, left) = correct(excess, 1500);
            assert_eq!((left, corrector.slipped()), (0, 200), "started at {excess}");
            // No step is larger than the sine's own steepest, give or take the crossfade.
            let steepest = crate::codec::peak_of_sine(-10.0) * std::f64::consts::TAU * 0.05;
            let largest = all.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
            assert!(f64::from(largest.unwrap()) < steepest * 1.1);
            assert!((goertzel_dbm0(&all[all.len() - 8000..], 400.0) + 10.0).abs() < 0.1);
        }
    }
}
