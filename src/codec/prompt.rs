//! Prompts: WAV files (bytes, so that this stays pure) to PCM at 8 kHz, through hound.

use std::io::Cursor;

use super::{ResampleError, SAMPLE_RATE, resample};

/// Reads a WAV file of any usual rate, width and channel count into mono 8 kHz PCM; channels are
/// averaged. At most [`MAX_SECONDS`] are taken.
///
/// # Errors
/// [`PromptError`] says what is wrong with the file.
pub fn read_wav(file: &[u8]) -> Result<Vec<i16>, PromptError> {
    let mut reader =
        hound::WavReader::new(Cursor::new(file)).map_err(|e| PromptError::Format(e.to_string()))?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels);
    if channels == 0 || !(1..=32).contains(&spec.bits_per_sample) {
        return Err(PromptError::Format("no channels or no bits".into()));
    }
    if !(4000..=192_000).contains(&spec.sample_rate) {
        return Err(PromptError::Rate(spec.sample_rate));
    }
    if reader.duration() / spec.sample_rate >= MAX_SECONDS {
        return Err(PromptError::TooLong);
    }
    let samples: Result<Vec<f64>, hound::Error> = match spec.sample_format {
        hound::SampleFormat::Float => {
            reader.samples::<f32>().map(|s| s.map(|v| f64::from(v) * FULL_SCALE)).collect()
        }
        hound::SampleFormat::Int => {
            let scale = FULL_SCALE / f64::from(spec.bits_per_sample - 1).exp2();
            reader.samples::<i32>().map(|s| s.map(|v| f64::from(v) * scale)).collect()
        }
    };
    let samples = samples.map_err(|e| PromptError::Format(e.to_string()))?;
    let mono: Vec<i16> = samples
        .chunks_exact(channels)
        .map(|frame| (frame.iter().sum::<f64>() / channels as f64).round() as i16)
        .collect();
    Ok(resample(&mono, spec.sample_rate, SAMPLE_RATE)?)
}

/// Why a file is not a prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// Not a WAV file, or cut short.
    #[error("not a readable WAV file: {0}")]
    Format(String),
    /// A rate outside 4000 to 192000 Hz.
    #[error("a sample rate of {0} Hz is outside 4000 to 192000")]
    Rate(u32),
    /// Longer than ten minutes.
    #[error("longer than ten minutes")]
    TooLong,
    /// The resampler refused.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

const FULL_SCALE: f64 = 32768.0;
/// Ten minutes: a prompt, not a concert.
const MAX_SECONDS: u32 = 600;
