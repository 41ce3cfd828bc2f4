//! Changing rates: prompts and recordings to 8 kHz. The only file that names rubato.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler};

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

const CHUNK: usize = 1024;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{dominant_frequency, level_dbm0};

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
}
