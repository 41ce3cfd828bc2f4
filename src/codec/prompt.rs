//! Prompts: WAV files (bytes, so that this stays pure) to PCM at 8 and 16 kHz, through hound.

use std::io::Cursor;

use super::{Rate, ResampleError, resample};

/// Recorded sound for callers of either rate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    narrow: Vec<i16>,
    wide: Option<Vec<i16>>,
}

impl Prompt {
    /// Sound that is there at 8 kHz only.
    pub fn narrow(pcm: Vec<i16>) -> Prompt {
        Prompt { narrow: pcm, wide: None }
    }

    /// Reads a WAV file as [`read_wav`] does; one of more than 8 kHz is kept at 16 kHz as well.
    ///
    /// # Errors
    /// [`PromptError`] says what is wrong with the file.
    pub fn read(file: &[u8]) -> Result<Prompt, PromptError> {
        let (mono, rate) = read_mono(file)?;
        let narrow = resample(&mono, rate, Rate::Narrow.hz())?;
        let wide = if rate > Rate::Narrow.hz() {
            let mut wide = resample(&mono, rate, Rate::Wide.hz())?;
            // Two for each of 8 kHz, whatever was rounded.
            wide.resize(narrow.len() * Rate::Wide.factor(), 0);
            Some(wide)
        } else {
            None
        };
        Ok(Prompt { narrow, wide })
    }

    /// At 8 kHz.
    pub fn pcm(&self) -> &[i16] {
        &self.narrow
    }

    /// At 16 kHz, two samples for each of [`Prompt::pcm`]; `None` where the file had no more than 8 kHz.
    pub fn wide(&self) -> Option<&[i16]> {
        self.wide.as_deref()
    }
}

/// Reads a WAV file of any usual rate, width and channel count into mono 8 kHz PCM; channels are
/// averaged. A file of ten minutes or more is refused.
///
/// # Errors
/// [`PromptError`] says what is wrong with the file.
pub fn read_wav(file: &[u8]) -> Result<Vec<i16>, PromptError> {
    let (mono, rate) = read_mono(file)?;
    Ok(resample(&mono, rate, Rate::Narrow.hz())?)
}

/// The mean of the channels at the file's own rate in Hz.
fn read_mono(file: &[u8]) -> Result<(Vec<i16>, u32), PromptError> {
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
    let mono = samples
        .chunks_exact(channels)
        .map(|frame| (frame.iter().sum::<f64>() / channels as f64).round() as i16)
        .collect();
    Ok((mono, spec.sample_rate))
}

/// Why a file is not a prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// Not a WAV file, or cut short.
    #[error(
        "not a readable WAV file: {0}; one of 16-bit PCM is: `sox in.wav -b 16 -e signed out.wav`"
    )]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{dominant_frequency, goertzel_dbm0};

    /// A WAV file with 1000 Hz at a quarter of full scale in every channel.
    fn wav(rate: u32, channels: u16, bits: u16, format: hound::SampleFormat) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: bits,
            sample_format: format,
        };
        let mut file = Cursor::new(vec![]);
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for i in 0..rate {
            let value =
                (std::f64::consts::TAU * 1000.0 * f64::from(i) / f64::from(rate)).sin() / 4.0;
            for _ in 0..channels {
                match format {
                    hound::SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                    hound::SampleFormat::Int => {
                        let scale = f64::from(bits - 1).exp2() - 1.0;
                        writer.write_sample((value * scale) as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    #[test]
    fn any_usual_file_becomes_8_khz_mono() {
        use hound::SampleFormat::{Float, Int};
        let expected = crate::codec::dbm0_of_rms(8192.0 / 2f64.sqrt());
        for (rate, channels, bits, format) in
            [(8000, 1, 16, Int), (44_100, 2, 16, Int), (48_000, 1, 24, Int), (16_000, 2, 32, Float)]
        {
            let pcm = read_wav(&wav(rate, channels, bits, format)).unwrap();
            assert!((7998..=8002).contains(&pcm.len()), "{rate}: {}", pcm.len());
            let middle = &pcm[2000..6000];
            assert!((dominant_frequency(middle).unwrap() - 1000.0).abs() < 1.0, "{rate}");
            assert!((goertzel_dbm0(middle, 1000.0) - expected).abs() < 0.1, "{rate}");
        }
    }

    #[test]
    fn a_file_of_more_than_8_khz_keeps_what_is_above_4() {
        use hound::SampleFormat::Int;
        assert_eq!(Prompt::read(&wav(8000, 1, 16, Int)).unwrap().wide(), None);
        for rate in [11_025, 16_000, 44_100, 48_000] {
            let prompt = Prompt::read(&wav(rate, 1, 16, Int)).unwrap();
            let wide = prompt.wide().unwrap();
            assert_eq!(wide.len(), 2 * prompt.pcm().len(), "{rate}");
            // Measured as if it were 8 kHz: 1000 Hz are 500.
            assert!((dominant_frequency(&wide[4000..12_000]).unwrap() - 500.0).abs() < 0.5);
        }
    }

    #[test]
    fn what_is_no_wav_is_refused() {
        let good = wav(8000, 1, 16, hound::SampleFormat::Int);
        for broken in [&b""[..], b"RIFF", &good[..20], &good[..good.len() - 9]] {
            assert!(matches!(read_wav(broken), Err(PromptError::Format(_))));
        }
    }
}
